"""The operating system's keyring as the keeper of a vault's key.

The keyring holds one random 32-byte secret per vault, in the service "pocketpref" under the
vault's id. The master key itself stays in the vault's header, sealed under that secret, so that
the keyring alone opens nothing.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pocketpref.errors import KeyMissingError, KeyringError, WrongKeyError

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

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
        self._backend = _trusted_backend()

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
        entry = _entry(vault_id)
        secret = _secret(self._backend, entry) or _new_secret(self._backend, entry)
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
        secret = _secret(self._backend, _entry(vault_id))
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


def _trusted_backend() -> KeyringBackend:
    """The session's back end, if it can be trusted.

    Raises:
        KeyringError: there is none, or it is one that protects nothing.
    """
    import keyring
    from keyring.backends.chainer import ChainerBackend

    with _named_errors():
        found = keyring.get_keyring()
        if isinstance(found, ChainerBackend):
            # The chain stands for its members, of which the first is the one that would keep it.
            found = next(iter(found.backends), found)
    reason = _refusal(found)
    if reason:
        raise KeyringError(f"the system's keyring {reason}", hint=_WAY_OUT)
    return found


def _refusal(backend: KeyringBackend) -> str | None:
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


def _secret(backend: KeyringBackend, entry: str) -> bytes | None:
    with _named_errors():
        text = backend.get_password(SERVICE, entry)
    if text is None:
        return None
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if len(secret) != _SECRET_BYTES:
        raise WrongKeyError(f"what {_name(backend)} has for this vault is no key of ours")
    return secret


def _new_secret(backend: KeyringBackend, entry: str) -> bytes:
    secret = os.urandom(_SECRET_BYTES)
    with _named_errors():
        backend.set_password(SERVICE, entry, base64.b64encode(secret).decode())
    # Asked back at once: a keyring that loses what it is given must be noticed before the vault
    # depends on it.
    if _secret(backend, entry) != secret:
        raise KeyringError(f"{_name(backend)} does not keep what it is given", hint=_WAY_OUT)
    return secret


@contextlib.contextmanager
def _named_errors() -> Iterator[None]:
    from keyring import errors

    try:
        yield
    except errors.KeyringLocked:
        raise KeyringError("the system's keyring is locked", hint=_WAY_OUT) from None
    except (errors.KeyringError, RuntimeError, OSError) as error:
        # Not chained: a back end may quote what it was given to keep.
        raise KeyringError(
            f"the system's keyring failed ({type(error).__name__})", hint=_WAY_OUT
        ) from None
