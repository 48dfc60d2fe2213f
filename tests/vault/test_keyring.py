"""The system's keyring is used only if it keeps secrets, and named when it does not.

The back ends are real classes of the keyring library, put in place as a desktop's would be.
"""

from __future__ import annotations

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null

from pocketpref.backends.keyring import SystemKeyring
from pocketpref.errors import KeyMissingError, KeyringError, WrongKeyError
from pocketpref.protocols import KeyStore
from pocketpref.vault import Vault
from tests.vault.making import feedback

MASTER = bytes(range(32))
VAULT = b"0123456789abcdef"


class SessionKeyring(KeyringBackend):
    """Keeps secrets for as long as the test runs."""

    priority = 1  # type: ignore[assignment]  # a class property in the base class

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password


class ForgetfulKeyring(SessionKeyring):
    def set_password(self, service: str, username: str, password: str) -> None:
        """Take it and lose it."""


class LockedKeyring(SessionKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise keyring.errors.KeyringLocked("planted secret")


class BrokenKeyring(SessionKeyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise OSError("planted secret")


class PlaintextKeyring(SessionKeyring):
    """The name under which keyrings.alt keeps secrets in a readable file."""


class RenamedPlaintext(PlaintextKeyring):
    """A wrapper around a weak one is as weak."""


class AltKeyring(SessionKeyring):
    """Anything out of keyrings.alt."""


AltKeyring.__module__ = "keyrings.alt.file"


@pytest.fixture
def use():
    before = keyring.get_keyring()
    yield lambda backend: keyring.set_keyring(backend) or backend
    keyring.set_keyring(before)


def test_it_is_a_key_store(use):
    use(SessionKeyring())
    assert isinstance(SystemKeyring(), KeyStore)
    assert SystemKeyring().kind == "keyring"


def test_it_names_the_back_end(use):
    use(SessionKeyring())
    assert SystemKeyring().backend_name.endswith("SessionKeyring")
    assert "SessionKeyring" in SystemKeyring().describe()


def test_what_it_wrapped_it_unwraps_in_another_session(use):
    use(SessionKeyring())
    wrapped = SystemKeyring().wrap(MASTER, VAULT)
    assert MASTER[:8] not in wrapped
    assert SystemKeyring().unwrap(wrapped, VAULT) == MASTER


def test_each_vault_has_its_own_secret(use):
    backend = use(SessionKeyring())
    SystemKeyring().wrap(MASTER, VAULT)
    SystemKeyring().wrap(MASTER, b"fedcba9876543210")
    SystemKeyring().wrap(MASTER, VAULT)
    assert len(backend.kept) == 2
    assert {service for service, _ in backend.kept} == {"pocketpref"}


@pytest.mark.parametrize(
    ("backend", "reason"),
    [
        (fail.Keyring, "absent"),
        (null.Keyring, "null"),
        (PlaintextKeyring, "readable"),
        (RenamedPlaintext, "readable"),
        (AltKeyring, "does not protect"),
        (ForgetfulKeyring, "does not keep"),
        (LockedKeyring, "locked"),
        (BrokenKeyring, "failed"),
    ],
)
def test_a_keyring_that_cannot_be_trusted_is_refused_with_a_way_out(use, backend, reason):
    use(backend())
    with pytest.raises(KeyringError, match=reason) as caught:
        SystemKeyring().wrap(MASTER, VAULT)
    assert "key-file" in (caught.value.hint or "")
    assert "planted" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_chain_stands_for_its_first_member(use, monkeypatch):
    members: list[KeyringBackend] = []
    monkeypatch.setattr(chainer.ChainerBackend, "backends", members)
    use(chainer.ChainerBackend())
    with pytest.raises(KeyringError, match="absent"):
        SystemKeyring().wrap(MASTER, VAULT)
    members[:] = [PlaintextKeyring(), SessionKeyring()]
    with pytest.raises(KeyringError, match="readable"):
        SystemKeyring().wrap(MASTER, VAULT)
    members.reverse()
    assert SystemKeyring().backend_name.endswith("SessionKeyring")


def test_a_secret_that_is_gone_or_replaced_is_told_apart(use):
    backend = use(SessionKeyring())
    wrapped = SystemKeyring().wrap(MASTER, VAULT)
    use(SessionKeyring())
    with pytest.raises(KeyMissingError):
        SystemKeyring().unwrap(wrapped, VAULT)
    SystemKeyring().wrap(MASTER, VAULT)  # a new secret in the new keyring
    with pytest.raises(WrongKeyError):
        SystemKeyring().unwrap(wrapped, VAULT)
    use(backend)
    assert SystemKeyring().unwrap(wrapped, VAULT) == MASTER


@pytest.mark.parametrize("foreign", ["", "no base64 !", "c2hvcnQ=", "\u00e9"])
def test_a_foreign_entry_is_no_key_and_is_not_replaced(use, foreign):
    backend = use(SessionKeyring())
    SystemKeyring().wrap(MASTER, VAULT)
    (entry,) = backend.kept
    backend.kept[entry] = foreign
    with pytest.raises(WrongKeyError):
        SystemKeyring().wrap(MASTER, VAULT)
    assert backend.kept[entry] == foreign


@pytest.mark.parametrize("wrapped", [b"", b"\x01", b"\x01" + bytes(11), b"\x01" + bytes(40)])
def test_a_damaged_wrapped_key_is_refused(use, wrapped):
    use(SessionKeyring())
    SystemKeyring().wrap(MASTER, VAULT)
    with pytest.raises(WrongKeyError):
        SystemKeyring().unwrap(wrapped, VAULT)


def test_a_vault_is_kept_by_the_keyring(use, path):
    use(SessionKeyring())
    with Vault.create(path, SystemKeyring()) as vault:
        memory_id = vault.store("ada").add(feedback())
    assert Vault.custody(path) == "keyring"
    with Vault.open(path, SystemKeyring()) as vault:
        assert vault.store("ada").get(memory_id).pair == feedback().pair


def test_no_vault_is_made_when_the_keyring_is_refused(use, path):
    use(fail.Keyring())
    with pytest.raises(KeyringError):
        Vault.create(path, SystemKeyring())
    assert not path.exists()
