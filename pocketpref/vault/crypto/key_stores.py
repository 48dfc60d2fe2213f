"""Key stores for the master key: key file, passphrase, or memory for throwaway vaults.

Each key store has a 32-byte secret, and seals the master key under it with AES-256-GCM, bound to
the vault's id and to the kind of custody, so that a wrapped key of one vault or kind is of no use
in another. The operating system's keyring is in ``pocketpref.backends.keyring``.

The secrets are held as `Secret`, for no longer than the call takes; ``secure_memory.py`` lists what
remains in memory nevertheless.
"""

from __future__ import annotations

import base64
import os
import struct
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from pocketpref.errors import InputError, KeyMissingError, TamperedError, WrongKeyError
from pocketpref.files import building, private_folder, storage_errors
from pocketpref.protocols import KeyStore
from pocketpref.vault.crypto.sealing import KEY_BYTES, NONCE_BYTES, new_key
from pocketpref.vault.crypto.secure_memory import Secret

_WRAP_VERSION = b"\x01"
_KEY_FILE_PREFIX = "pocketpref-key-1:"
_KEY_FILE_LIMIT = 1024  # bytes read at most; a real one has 62
_SALT_BYTES = 16


def _wrap(secret: Secret, master: bytes, vault_id: bytes, kind: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(secret.view()).encrypt(nonce, master, _binding(vault_id, kind))
    return _WRAP_VERSION + nonce + sealed


def _unwrap(secret: Secret, wrapped: bytes, vault_id: bytes, kind: str) -> bytes:
    nonce, sealed = wrapped[1 : 1 + NONCE_BYTES], wrapped[1 + NONCE_BYTES :]
    if not wrapped.startswith(_WRAP_VERSION) or len(nonce) < NONCE_BYTES:
        raise _damaged()
    try:
        return AESGCM(secret.view()).decrypt(nonce, sealed, _binding(vault_id, kind))
    except InvalidTag:
        raise WrongKeyError(
            f"this {kind} does not open it", hint=f"use the {kind} it was made with"
        ) from None


def _binding(vault_id: bytes, kind: str) -> bytes:
    return b"pocketpref master key\0" + kind.encode() + b"\0" + vault_id


def _damaged() -> TamperedError:
    return TamperedError("the wrapped master key is damaged", hint="restore it from a backup")


class KeyFile:
    """A file with 32 random bytes. Whoever has a copy of it has the key."""

    kind = "key-file"

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    @classmethod
    def make(cls, path: Path | str) -> Self:
        """Write a new key file, mode 0600; it appears whole or not at all.

        Raises:
            InputError: there is a file already; it is never replaced, for it may open a vault.
            StorageError: it cannot be written.
        """
        target = Path(path)
        try:
            with storage_errors(target):
                private_folder(target.parent)
                text = _KEY_FILE_PREFIX + base64.urlsafe_b64encode(new_key()).decode() + "\n"
                with building(target, replace=False) as file:
                    file.write(text.encode())
        except FileExistsError:
            raise InputError(
                f"there is a file already at {target}", hint="use it, or choose another place"
            ) from None
        return cls(target)

    def describe(self) -> str:
        """The file's place, and whether others on this machine can read it."""
        if os.name == "nt" or not self.path.exists() or not self.path.stat().st_mode & 0o077:
            return f"key file {self.path}"
        return f"key file {self.path} (other users of this machine may read it: chmod 600)"

    def wrap(self, master: bytes, vault_id: bytes) -> bytes:
        """Seal the master key under the file's secret.

        Raises:
            KeyMissingError: the file is not there.
            WrongKeyError: it is no key file.
            StorageError: it cannot be read.
        """
        with self._secret() as secret:
            return _wrap(secret, master, vault_id, self.kind)

    def unwrap(self, wrapped: bytes, vault_id: bytes) -> bytes:
        """Open what ``wrap`` made.

        Raises:
            KeyMissingError: the file is not there.
            WrongKeyError: it is no key file, or that of another vault.
            StorageError: it cannot be read.
        """
        with self._secret() as secret:
            return _unwrap(secret, wrapped, vault_id, self.kind)

    def _secret(self) -> Secret:
        if not self.path.is_file():
            raise KeyMissingError(
                f"there is no key file at {self.path}",
                hint="put it back from your copy; without it the vault cannot be opened",
            )
        with storage_errors(self.path), self.path.open("rb") as file:
            text = file.read(_KEY_FILE_LIMIT).decode("ascii", "replace").strip()
        try:
            secret = base64.b64decode(text.removeprefix(_KEY_FILE_PREFIX), b"-_", validate=True)
        except ValueError:  # not base64, or not ASCII
            secret = b""
        if not text.startswith(_KEY_FILE_PREFIX) or len(secret) != KEY_BYTES:
            raise WrongKeyError(
                f"{self.path} is no pocketpref key file",
                hint="its one line begins with pocketpref-key-1:",
            )
        return Secret.taking(secret)


@dataclass(frozen=True, slots=True)
class Argon2Cost:
    """The cost of guessing a passphrase (RFC 9106).

    The defaults are the RFC's second recommendation (64 MiB, 3 passes, 4 lanes), for machines that
    also run a model: about 0.1 s here, and for every guess of an attacker.

    Attributes:
        memory_kib: memory, KiB.
        passes: passes over it.
        lanes: how many threads may share the work.
    """

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4

    def check(self) -> None:
        """Refuse a cost out of a foreign header that would hang or exhaust this machine.

        Raises:
            TamperedError: it is beyond 1 GiB, 64 passes or 64 lanes, or below what RFC 9106 allows.
        """
        bounded = 1 <= self.passes <= 64 and 1 <= self.lanes <= 64
        if not bounded or not 8 * self.lanes <= self.memory_kib <= 1024 * 1024:
            raise TamperedError(
                "the stated cost of the passphrase is out of all bounds",
                hint="restore the file from a backup; it was left as it is",
            )

    def at_least(self, other: Argon2Cost) -> Argon2Cost:
        """This cost, with the other's memory and passes where they are larger."""
        memory = max(self.memory_kib, other.memory_kib)
        return Argon2Cost(memory, max(self.passes, other.passes), self.lanes)


@dataclass(frozen=True, slots=True)
class _Stretching:
    """The derivation of a key from a passphrase; stored before the sealed key."""

    cost: Argon2Cost
    salt: bytes

    def stretch(self, typed: bytes) -> Secret:
        derivation = Argon2id(
            salt=self.salt,
            length=KEY_BYTES,
            iterations=self.cost.passes,
            lanes=self.cost.lanes,
            memory_cost=self.cost.memory_kib,
        )
        return Secret.taking(derivation.derive(typed))


class Passphrase:
    """A passphrase, stretched by Argon2id. It is asked for when needed and never kept.

    The cost is stored beside the wrapped key, so that vaults with another cost still open.
    """

    kind = "passphrase"
    _head = struct.Struct(f"<III{_SALT_BYTES}s")

    def __init__(self, ask: Callable[[], str], cost: Argon2Cost | None = None) -> None:
        self._ask = ask
        self._cost = cost or Argon2Cost()

    def describe(self) -> str:
        """The derivation and its cost."""
        mebibytes = self._cost.memory_kib / 1024
        return f"passphrase (Argon2id, {mebibytes:g} MiB, {self._cost.passes} passes)"

    def wrap(self, master: bytes, vault_id: bytes) -> bytes:
        """Ask, stretch with a fresh salt, and seal the master key.

        Raises:
            KeyMissingError: the passphrase given is empty.
        """
        return self._seal(self._asked(), self._cost, master, vault_id)

    def unwrap(self, wrapped: bytes, vault_id: bytes) -> bytes:
        """Ask, stretch with the stated cost, and open what ``wrap`` made.

        Raises:
            KeyMissingError: the passphrase given is empty.
            WrongKeyError: it is not the right one.
            TamperedError: the stated cost is out of all bounds.
        """
        stated = self._stated(wrapped)  # before anybody is asked
        return self._open(self._asked(), stated, wrapped, vault_id)

    def unwrap_and_renew(self, wrapped: bytes, vault_id: bytes) -> tuple[bytes, bytes | None]:
        """Open what ``wrap`` made and, if that is ``outdated``, seal it again; asks once.

        Nothing gets cheaper: of memory and passes the new wrapping has the larger of the stated and
        of this object's.

        Returns:
            The master key, and the better wrapping or None.

        Raises:
            KeyMissingError, WrongKeyError, TamperedError: as ``unwrap``.
        """
        stated = self._stated(wrapped)
        typed = self._asked()
        master = self._open(typed, stated, wrapped, vault_id)
        if not self.outdated(wrapped):
            return master, None
        cost = self._cost.at_least(stated.cost)
        return master, self._seal(typed, cost, master, vault_id)

    def outdated(self, wrapped: bytes) -> bool:
        """Whether its stated cost has less memory or fewer passes than this object's.

        Raises:
            TamperedError: the stated cost is out of all bounds, or cut off.
        """
        cost = self._stated(wrapped).cost
        return cost.memory_kib < self._cost.memory_kib or cost.passes < self._cost.passes

    def _stated(self, wrapped: bytes) -> _Stretching:
        if len(wrapped) < self._head.size:
            raise _damaged()
        memory, passes, lanes, salt = self._head.unpack_from(wrapped)
        cost = Argon2Cost(memory, passes, lanes)
        cost.check()
        return _Stretching(cost, salt)

    def _seal(self, typed: bytes, cost: Argon2Cost, master: bytes, vault_id: bytes) -> bytes:
        fresh = _Stretching(cost, os.urandom(_SALT_BYTES))
        head = self._head.pack(cost.memory_kib, cost.passes, cost.lanes, fresh.salt)
        with fresh.stretch(typed) as secret:
            return head + _wrap(secret, master, vault_id, self.kind)

    def _open(self, typed: bytes, stated: _Stretching, wrapped: bytes, vault_id: bytes) -> bytes:
        with stated.stretch(typed) as secret:
            return _unwrap(secret, wrapped[self._head.size :], vault_id, self.kind)

    def _asked(self) -> bytes:
        # One normal form, for keyboards and systems spell the same accented letter differently.
        text = unicodedata.normalize("NFC", self._ask())
        if not text:
            raise KeyMissingError("the passphrase is empty", hint="type at least one character")
        return text.encode("utf-8", "surrogatepass")


class EphemeralKey:
    """A key that lives in this object alone: when the process ends, the vault is unreadable."""

    kind = "ephemeral"

    def __init__(self) -> None:
        self._secret = Secret.random()

    def describe(self) -> str:
        """State that the key is not stored anywhere."""
        return "in memory only; gone when the program ends"

    def wrap(self, master: bytes, vault_id: bytes) -> bytes:
        """Seal the master key under the secret in memory."""
        return _wrap(self._secret, master, vault_id, self.kind)

    def unwrap(self, wrapped: bytes, vault_id: bytes) -> bytes:
        """Open what ``wrap`` made.

        Raises:
            WrongKeyError: another object made it.
        """
        return _unwrap(self._secret, wrapped, vault_id, self.kind)


def unlock(key: KeyStore, wrapped: bytes, vault_id: bytes) -> tuple[Secret, bytes | None]:
    """Open a wrapped master key, and wrap it again if its wrapping is outdated.

    Returns:
        The master key, and the replacement for ``wrapped`` or None if none is needed.

    Raises:
        KeyMissingError, KeyringError: the key store has no key.
        WrongKeyError: its key does not open it.
        TamperedError: it is damaged.
    """
    if isinstance(key, Passphrase):
        master, better = key.unwrap_and_renew(wrapped, vault_id)
    else:
        master, better = key.unwrap(wrapped, vault_id), None
    if len(master) != KEY_BYTES:
        raise _damaged()
    return Secret.taking(master), better
