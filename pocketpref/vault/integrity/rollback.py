"""Store the generation of a vault outside it to detect a rollback.

An older copy of the whole file is consistent in itself. But each change raises the generation
inside, and the highest one seen is noted here, in a folder of its own:

    <vault id, hex>.generation    "<generation, 20 digits> <HMAC-SHA256, hex>", newline

The note is written after the change is on the disk, and is not synced itself: after a power failure
it may lag behind the vault by the last changes, but never be ahead of it. Whoever can put back
both, the vault and the note, goes unnoticed.
"""

from __future__ import annotations

import hashlib
import hmac
from contextlib import suppress
from pathlib import Path

from pocketpref.errors import RolledBackError
from pocketpref.files import building, private_folder
from pocketpref.vault.crypto.sealing import derive_key

_LIMIT = 1024  # bytes read at most; a real note has under 100
_TRIES = 3  # another process may be just writing

ACCEPT = "if you put it there yourself: pocketpref doctor --accept-older"


class Anchor:
    """The note about one vault.

    Attributes:
        kept: whether the last note could be written.
    """

    def __init__(self, folder: Path, vault_id: bytes, set_key: bytes) -> None:
        """Name the note.

        Args:
            folder: where notes are; made when the first one is written.
            vault_id: the vault's id.
            set_key: a key that the vault keeps sealed and never changes.
        """
        self._path = folder / f"{vault_id.hex()}.generation"
        self._key = derive_key(set_key, "generation", vault_id)
        self.kept = True

    def highest(self) -> int:
        """The highest generation noted; 0 where there is no note.

        Raises:
            RolledBackError: the note was changed.
        """
        for _ in range(_TRIES):
            note = self._read()
            if note is None:
                return 0
            number, _, mac = note.partition(b" ")
            if number.isdigit() and hmac.compare_digest(mac.strip(), self._mac(number)):
                return int(number)
        raise RolledBackError(f"the note in {self._path} was changed", hint=ACCEPT)

    def advance(self, generation: int) -> None:
        """Note a generation, unless another process has noted a higher one.

        A note that cannot be written does not undo the change in the vault; ``kept`` tells.
        """
        number = b"%020d" % generation
        try:
            if self.highest() < generation:
                self._write(number + b" " + self._mac(number) + b"\n")
                self.kept = True
        except (OSError, RolledBackError):
            self.kept = False

    def _write(self, line: bytes) -> None:
        # In place if it exists: replacing a file makes ext4 and others write it to the disk at
        # once, which takes as long as the change itself. All lines have the same length.
        try:
            with self._path.open("r+b", buffering=0) as file:
                file.write(line)
        except FileNotFoundError:
            private_folder(self._path.parent)
            with building(self._path, replace=True) as file:
                file.write(line)

    def replace(self, generation: int) -> None:
        """Note a generation whatever the old note says."""
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        self.advance(generation)

    def _read(self) -> bytes | None:
        try:
            with self._path.open("rb") as file:
                return file.read(_LIMIT)
        except FileNotFoundError:
            return None
        except OSError:
            self.kept = False
            return None

    def _mac(self, number: bytes) -> bytes:
        return hmac.digest(self._key, number, hashlib.sha256).hex().encode()
