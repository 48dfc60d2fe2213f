"""Store a vault's key in the operating system's keyring.

The keyring holds one random 32-byte secret per vault, in the service "pocketpref" under the name
"vault" and the vault's id in hexadecimal digits; its text is the base64 form of the vault's id and
the secret, so that the entry of another vault is not taken for this one's. The master key itself
stays in the vault's header, sealed under that secret, so that the keyring alone opens nothing.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pocketpref.errors import KeyMissingError, KeyringError, WrongKeyError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

T = TypeVar("T")

SERVICE = "pocketpref"

_WRAP_VERSION = b"\x01"
_NONCE_BYTES = 12
_SECRET_BYTES = 32
_WAY_OUT = "unlock or install one, or choose: pocketpref keys set --passphrase | --key-file PATH"


class SystemKeyring:
    """The keyring of the session: Keychain, Credential Locker, Secret Service, KWallet.

    A back end that keeps nothing, or keeps it readable for anyone, is refused: there is no silent
    fallback to a weaker one.
    """

    kind = "keyring"

    def __init__(self) -> None:
        """Take the session's back end.

        Raises:
            KeyringError: there is none, or none that can be trusted.
        """
        import keyring
        from keyring.backends.chainer import ChainerBackend

        found = _asked(keyring.get_keyring)
        if isinstance(found, ChainerBackend):
            # A chain stands for its members, the first of which would keep the secret.
            chain = found
            found = _asked(lambda: next(iter(chain.backends), chain))
        if reason := refusal_reason(found):
            raise KeyringError(f"the system's keyring {reason}", hint=_WAY_OUT)
        self._backend = found

    @property
    def backend_name(self) -> str:
        """The back end in use, for people."""
        return _name(self._backend)

    def describe(self) -> str:
        """The back end in use."""
        return f"system keyring ({self.backend_name})"

    def wrap(self, master: bytes, vault_id: bytes) -> bytes:
        """Seal the master key under the keyring's secret for this vault, made now if need be.

        Raises:
            KeyringError: the keyring is locked, failing, or does not keep it.
        """
        secret = _secret(self._backend, vault_id)
        if secret is None:
            secret = os.urandom(_SECRET_BYTES)
            text = base64.b64encode(vault_id + secret).decode()
            _asked(lambda: self._backend.set_password(SERVICE, _entry(vault_id), text))
            # Asked back at once: a keyring that loses what it is given must be noticed before the
            # vault depends on it.
            if _secret(self._backend, vault_id) != secret:
                raise KeyringError(
                    f"{self.backend_name} does not keep what it is given", hint=_WAY_OUT
                )
        nonce = os.urandom(_NONCE_BYTES)
        sealed = AESGCM(secret).encrypt(nonce, master, self._binding(vault_id))
        return _WRAP_VERSION + nonce + sealed

    def unwrap(self, wrapped: bytes, vault_id: bytes) -> bytes:
        """Open what ``wrap`` made.

        Raises:
            KeyringError: the keyring is locked or failing.
            KeyMissingError: it has no secret for this vault.
            WrongKeyError: its secret does not open this vault.
        """
        secret = _secret(self._backend, vault_id)
        if secret is None:
            raise KeyMissingError(
                f"{self.backend_name} has no key for this vault",
                hint="log in as the user who made it, or restore the keyring or an archive",
            )
        nonce, sealed = wrapped[1 : 1 + _NONCE_BYTES], wrapped[1 + _NONCE_BYTES :]
        try:
            return AESGCM(secret).decrypt(nonce, sealed, self._binding(vault_id))
        except (InvalidTag, ValueError):  # ValueError: the nonce was cut short
            raise WrongKeyError(
                f"the key in {self.backend_name} does not open this vault",
                hint="it was replaced since; restore the keyring or an archive",
            ) from None

    def _binding(self, vault_id: bytes) -> bytes:
        # The same form as that of the other key stores, which this room does not know.
        return b"pocketpref master key\0" + self.kind.encode() + b"\0" + vault_id


def refusal_reason(backend: KeyringBackend) -> str | None:
    """Why a back end may not keep a key, or None if it may."""
    kind = type(backend)
    # Subclasses and wrappers of a weak back end are as weak.
    modules = {base.__module__ for base in kind.__mro__}
    if {"keyring.backends.fail", "keyring.backends.chainer"} & modules:
        return "is absent"
    if "keyring.backends.null" in modules:
        return "is switched off (its null back end keeps nothing)"
    # All of keyrings.alt keeps secrets in plain files or under a password of its own making.
    if any(name.split(".")[:2] == ["keyrings", "alt"] for name in modules):
        return f"is {_name(backend)}, which does not protect what it keeps"
    if any("plaintext" in base.__name__.lower() for base in kind.__mro__):
        return f"is {_name(backend)}, which keeps secrets readable"
    return None


def _name(backend: KeyringBackend) -> str:
    return f"{type(backend).__module__}.{type(backend).__qualname__}"


def _entry(vault_id: bytes) -> str:
    return f"vault {vault_id.hex()}"


def _secret(backend: KeyringBackend, vault_id: bytes) -> bytes | None:
    text = _asked(lambda: backend.get_password(SERVICE, _entry(vault_id)))
    if text is None:
        return None
    try:
        content = base64.b64decode(text, validate=True)
    except (TypeError, ValueError):
        content = b""
    secret = content.removeprefix(vault_id)
    if len(content) - len(secret) != len(vault_id) or len(secret) != _SECRET_BYTES:
        raise WrongKeyError(
            f"what {_name(backend)} has for this vault is not this vault's key",
            hint=f"restore its entry {_entry(vault_id)!r} of {SERVICE!r}; delete it only if no "
            "vault needs it",
        )
    return secret


def _asked(question: Callable[[], T]) -> T:
    """What the keyring answers.

    Raises:
        KeyringError: it is locked or failing.
    """
    from keyring import errors

    try:
        return question()
    except errors.KeyringLocked:
        problem = "is locked"
    except Exception as error:  # noqa: BLE001 - back ends are plug-ins, and raise what they like
        problem = f"failed ({type(error).__name__})"
    # Raised outside of the handlers: a back end may quote what it was given to keep.
    raise KeyringError(f"the system's keyring {problem}", hint=_WAY_OUT)
