"""Search files for bytes of forgotten memories, to prove erasure to the person.

What would reveal a memory is collected before it is forgotten: the beginnings and ends of its texts
as plain text in the usual encodings, its vector, and its sealed blobs, which a stolen key could
open. Afterwards files are searched for every one of them. That says nothing about copies made
elsewhere, nor about what the disk itself keeps of overwritten blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketpref.files import storage_errors
from pocketpref.records import Learned, Memory

_WORD = 8  # bytes compared at first
_LEAST = 12
"""Shorter traces would be found by chance; a text as short as this gives little away."""

_LEAST_VALUES = 5
"""Different bytes that a trace has: runs of zeros lie everywhere."""

_MOST = 48
"""Bytes of each trace that are looked for."""

_CHUNK_BYTES = 16 * 1024 * 1024
_ENCODINGS = ("utf-8", "utf-16-le")


@dataclass(frozen=True, slots=True)
class Scan:
    """The result of a search.

    Attributes:
        traces: how many different traces were looked for.
        files: how many files were searched.
        bytes: how large they are together.
        found: the files that hold one of them.
    """

    traces: int
    files: int
    bytes: int
    found: tuple[Path, ...]


class Traces:
    """Bytes to look for. Their repr shows none of them."""

    def __init__(self) -> None:
        self._wanted: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._wanted)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)})"

    def of_memory(self, memory: Memory) -> None:
        """Add the texts of a memory."""
        for text in (memory.pair.prompt, memory.pair.chosen, memory.pair.rejected):
            for encoding in _ENCODINGS:
                self._take(text.encode(encoding, "surrogatepass"))

    def of_learned(self, learned: Learned) -> None:
        """Add the vector of a learned entry."""
        self._take(np.asarray(learned.vector, "<f4").tobytes())

    def of_blob(self, sealed: bytes) -> None:
        """Add a sealed blob."""
        self._take(sealed)

    def _take(self, content: bytes) -> None:
        for piece in (content[:_MOST], content[-_MOST:]):
            if len(piece) >= _LEAST and len(set(piece)) >= _LEAST_VALUES:
                self._wanted.add(piece)

    def search(self, paths: Iterable[Path]) -> Scan:
        """Search files, and folders recursively.

        Raises:
            StorageError: a file cannot be read.
        """
        firsts = np.array(
            [int.from_bytes(trace[:_WORD], "little") for trace in self._wanted], "<u8"
        )
        below = (file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]))
        files = sorted({file for file in below if file.is_file()})
        found, size = [], 0
        for file in files:
            with storage_errors(file):
                size += file.stat().st_size
                if any(self._in_chunk(chunk, firsts) for chunk in overlapping_chunks(file)):
                    found.append(file)
        return Scan(len(self), len(files), size, tuple(found))

    def _in_chunk(self, chunk: bytes, firsts: NDArray[np.uint64]) -> bool:
        for shift in range(min(_WORD, max(0, len(chunk) - _WORD + 1))):
            count = (len(chunk) - shift) // _WORD
            words = np.frombuffer(chunk, "<u8", count, shift)
            for place in np.flatnonzero(np.isin(words, firsts)):
                start = shift + _WORD * int(place)
                if any(chunk.startswith(trace, start) for trace in self._wanted):
                    return True
        return False


def overlapping_chunks(file: Path) -> Iterator[bytes]:
    """Yield a file in pieces that overlap, so that each trace is whole in one of them."""
    with file.open("rb") as opened:
        kept = b""
        while piece := opened.read(_CHUNK_BYTES):
            chunk = kept + piece
            yield chunk
            kept = chunk[-_MOST:]
