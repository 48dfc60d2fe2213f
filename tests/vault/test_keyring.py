"""The system's keyring is used only if it keeps secrets, and named when it does not.

The back ends are real classes of the keyring library, put in place as a desktop's would be.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null

from pocketpref.backends.keyring import SystemKeyring
from pocketpref.cli import main
from pocketpref.cli.context import App
from pocketpref.errors import KeyMissingError, KeyringError, WrongKeyError
from pocketpref.protocols import KeyStore
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
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


class UnwritableKeyring(SessionKeyring):
    def set_password(self, service: str, username: str, password: str) -> None:
        raise keyring.errors.PasswordSetError(f"planted secret {password}")


class PluginError(Exception):
    """Of a library behind a back end, which the keyring library does not know."""


class StumblingKeyring(SessionKeyring):
    def set_password(self, service: str, username: str, password: str) -> None:
        raise PluginError(f"planted secret {password}")


class LockedForWriting(SessionKeyring):
    """Reading needs no unlocking; writing asks the person, who says no."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise keyring.errors.KeyringLocked("planted secret")


class LockedMeanwhile(SessionKeyring):
    """Takes a secret, and is locked before it is asked for it."""

    def get_password(self, service: str, username: str) -> str | None:
        if self.kept:
            raise keyring.errors.KeyringLocked("planted secret")
        return None


class ConfusedKeyring(SessionKeyring):
    """Gives out the first entry, whichever is asked for."""

    def get_password(self, service: str, username: str) -> str | None:
        return next(iter(self.kept.values()), None)


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
        (UnwritableKeyring, "failed .PasswordSetError"),
        (StumblingKeyring, "failed .PluginError"),
        (LockedForWriting, "locked"),
        (LockedMeanwhile, "locked"),
    ],
)
def test_a_keyring_that_cannot_be_trusted_is_refused_with_a_way_out(use, backend, reason):
    use(backend())
    with pytest.raises(KeyringError, match=reason) as caught:
        SystemKeyring().wrap(MASTER, VAULT)
    assert "key-file" in (caught.value.hint or "")
    assert "planted" not in str(caught.value)
    assert caught.value.__context__ is None, "what the back end said is nowhere"


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


@pytest.mark.parametrize("foreign", ["", "no base64 !", "c2hvcnQ=", "\u00e9", "A" * 44, 7])
def test_a_foreign_entry_is_no_key_and_is_not_replaced(use, foreign):
    backend = use(SessionKeyring())
    wrapped = SystemKeyring().wrap(MASTER, VAULT)
    (entry,) = backend.kept
    backend.kept[entry] = foreign
    for attempt in (
        lambda: SystemKeyring().wrap(MASTER, VAULT),
        lambda: SystemKeyring().unwrap(wrapped, VAULT),
    ):
        with pytest.raises(WrongKeyError, match="not this vault's key") as caught:
            attempt()
        assert f"vault {VAULT.hex()}" in (caught.value.hint or ""), "where to look"
    assert backend.kept[entry] == foreign


def test_the_secret_of_another_vault_is_not_taken_for_this_ones(use):
    """Else a vault would be sealed under what the keyring gives out by mistake, and lost."""
    use(ConfusedKeyring())
    wrapped = SystemKeyring().wrap(MASTER, b"fedcba9876543210")
    with pytest.raises(WrongKeyError, match="not this vault's key"):
        SystemKeyring().wrap(MASTER, VAULT)
    with pytest.raises(WrongKeyError, match="not this vault's key"):
        SystemKeyring().unwrap(wrapped, VAULT)
    assert SystemKeyring().unwrap(wrapped, b"fedcba9876543210") == MASTER


def test_an_interruption_of_the_person_is_none_of_the_keyring(use):
    class Interrupted(SessionKeyring):
        def get_password(self, service: str, username: str) -> str | None:
            raise KeyboardInterrupt

    use(Interrupted())
    with pytest.raises(KeyboardInterrupt):
        SystemKeyring().wrap(MASTER, VAULT)


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


# ------------------------------------------------------- a vault whose keyring lets it down


def sums(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture
def on_file(path: Path, key: KeyFile) -> Path:
    """A vault with a memory, kept by a key file."""
    with Vault.create(path, key) as vault:
        vault.store("ada").add(feedback())
    return path


UNRELIABLE = [
    ForgetfulKeyring,
    LockedKeyring,
    BrokenKeyring,
    UnwritableKeyring,
    StumblingKeyring,
    LockedForWriting,
    LockedMeanwhile,
]


@pytest.mark.parametrize("backend", UNRELIABLE)
def test_a_keyring_that_fails_in_the_middle_leaves_the_vault_with_its_keeper(
    use, backend, on_file, key
):
    use(backend())
    before = sums(on_file.parent)
    with Vault.open(on_file, key) as vault, pytest.raises(KeyringError):
        vault.change_custody(SystemKeyring())
    assert sums(on_file.parent) == before
    assert Vault.custody(on_file) == "key-file"
    with Vault.open(on_file, key) as vault:
        assert vault.store("ada").counts().memories == 1


@pytest.mark.parametrize("backend", [*UNRELIABLE, fail.Keyring, null.Keyring, PlaintextKeyring])
def test_keys_set_changes_nothing_when_the_keyring_fails(use, backend, tmp_path, capsys):
    home = tmp_path / "home"
    key = KeyFile.make(home / "key")
    Vault.create(home / "vault.db", key).close()
    use(backend())
    app = App({"POCKETPREF_HOME": str(home), "POCKETPREF_KEY_FILE": str(key.path)})
    before = sums(home)
    assert main(["keys", "set", "--keyring"], app) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "pocketpref: error: " in said.err
    assert "pocketpref: hint: " in said.err
    assert "planted" not in said.err
    assert sums(home) == before, "neither the vault nor the settings"
    Vault.open(home / "vault.db", key).close()


def test_a_vault_whose_keyring_is_locked_opens_once_it_is_unlocked(use, path):
    backend = use(SessionKeyring())
    Vault.create(path, SystemKeyring()).close()
    before = sums(path.parent)
    use(LockedKeyring())
    with pytest.raises(KeyringError, match="locked") as caught:
        Vault.open(path, SystemKeyring())
    assert "unlock" in (caught.value.hint or "")
    assert sums(path.parent) == before
    use(backend)
    Vault.open(path, SystemKeyring()).close()


def test_a_keyring_that_was_locked_in_the_middle_is_used_when_it_is_tried_again(use, on_file, key):
    """What it took the first time is asked for, not made again."""
    backend = use(LockedMeanwhile())
    with Vault.open(on_file, key) as vault, pytest.raises(KeyringError):
        vault.change_custody(SystemKeyring())
    kept = dict(backend.kept)
    unlocked = use(SessionKeyring())
    unlocked.kept = kept
    with Vault.open(on_file, key) as vault:
        vault.change_custody(SystemKeyring())
    assert unlocked.kept == kept
    Vault.open(on_file, SystemKeyring()).close()
