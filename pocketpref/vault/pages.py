"""Which bytes stand for each page of an SQLite file: the file's own, or newer ones in its log.

A plain reader of https://www.sqlite.org/fileformat.html (pages) and
https://www.sqlite.org/walformat.html (the write-ahead log), for files that SQLite itself may
refuse. Nothing in them is trusted: neither sizes nor numbers nor the links between pages.

What a log holds counts only if it was committed, as it does for SQLite: a transaction whose end is
not there never took place. But where SQLite stops at the first damaged frame, what lies behind it
is read here too, and so is a damaged frame itself: records have seals of their own.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import BinaryIO

_MAGIC = b"SQLite format 3\0"
_FILE_HEAD_BYTES = 100
_USUAL_SIZE = 4096  # bytes; what SQLite takes unless told otherwise
_SIZES = frozenset(1 << power for power in range(9, 17))  # bytes, all that SQLite knows
_LEAST_USABLE = 480  # bytes, by the format

_LOG_HEAD = struct.Struct(">8I")  # magic, version, page size, count, two salts, two checksums
_FRAME_HEAD = struct.Struct(">6I")  # page, pages after a commit or 0, two salts, two checksums
_LITTLE_ENDIAN, _BIG_ENDIAN = 0x377F0682, 0x377F0683  # magic: the words that checksums are of

# Steps along overflow pages in one walk through a file, for each page that there is. Every page
# belongs to one chain; a forged file could have all of its cells share an endless one.
_STEPS_PER_PAGE = 16


@dataclass(frozen=True, slots=True)
class Image:
    """One version of one page.

    Attributes:
        number: the page's, from 1.
        age: 0 for the file's own version, else the place of its frame in the log, from 1: the
            greater, the newer.
    """

    number: int
    age: int


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is divided.

    Attributes:
        size: of a page, bytes.
        reserved: bytes at the end of every page that hold no content.
    """

    size: int
    reserved: int


def layouts(database: BinaryIO, log: BinaryIO) -> list[Layout]:
    """Every layout that a file may have: by its header, by its log's, and the usual one.

    Either header may be damaged, so none is believed alone.
    """
    head, log_head = _read(database, 0, _FILE_HEAD_BYTES), _read(log, 0, _LOG_HEAD.size)
    stated = int.from_bytes(head[16:18], "big")
    sizes = (65536 if stated == 1 else stated, int.from_bytes(log_head[8:12], "big"), _USUAL_SIZE)
    known = [size for size in dict.fromkeys(sizes) if size in _SIZES]
    ends = dict.fromkeys((head[20] if head[:16] == _MAGIC and head[20:] else 0, 0))
    return [Layout(size, end) for size in known for end in ends if size - end >= _LEAST_USABLE]


class Pages:
    """The pages of a file and of its log.

    Attributes:
        count: how many pages there are, versions in the log included.
        log_is_newer: whether the log is known to continue the file. Until then both are searched.
        chains_are_sound: whether chains lead through undamaged frames only. One whose number is
            damaged stands for another page; but of most that are damaged the number is right.
    """

    def __init__(self, database: BinaryIO, log: BinaryIO, layout: Layout) -> None:
        """Find what the log holds.

        Args:
            database: the file, open for reading; it may end anywhere.
            log: its write-ahead log; empty if there is none.
            layout: how they are divided.

        Raises:
            OSError: one of them cannot be read.
        """
        self._database, self._log, self._size = database, log, layout.size
        self._usable = layout.size - layout.reserved
        self._own = -(-_length(database) // layout.size)
        log_head = _read(log, 0, _LOG_HEAD.size).ljust(_LOG_HEAD.size, b"\0")
        self._order = ">" if _LOG_HEAD.unpack(log_head)[0] == _BIG_ENDIAN else "<"
        self.log_is_newer = False
        self.chains_are_sound = False
        self._frames: dict[int, list[int]] = {}
        for number, age in self._committed(log_head):
            self._frames.setdefault(number, []).insert(0, age)
        self.count = self._own + sum(map(len, self._frames.values()))
        self.renew_patience()

    def with_sound_chains(self) -> Pages:
        """The same pages, whose chains lead through undamaged frames only."""
        other = copy(self)
        other.chains_are_sound = True
        return other

    def renew_patience(self) -> None:
        """Allow for one more walk through the whole file."""
        self._steps = _STEPS_PER_PAGE * self.count

    def images(self) -> Iterator[Image]:
        """Of every page the newest version, then older ones as long as a newer one is damaged.

        An older version may hold what was forgotten since, so it is not asked without need. While
        it is not known that the log continues the file, the file's own version comes first.
        """
        for number in range(1, self._own + 1):
            yield from self._versions(number)
        for number in sorted(self._frames):
            if not 1 <= number <= self._own:
                yield from self._versions(number)

    def _versions(self, number: int) -> Iterator[Image]:
        own = [Image(number, 0)] if 1 <= number <= self._own else []
        if not self.log_is_newer:
            yield from own
        for age in self._frames.get(number, ()):
            yield Image(number, age)
            if self._is_sound(age):
                return
        if self.log_is_newer:
            yield from own

    def read(self, image: Image) -> bytes:
        """The content of a page; what is cut off at the end of a file is zeros."""
        if image.age:
            content = _read(self._log, self._offset(image.age) + _FRAME_HEAD.size, self._size)
        else:
            content = _read(self._database, (image.number - 1) * self._size, self._size)
        return content.ljust(self._size, b"\0")[: self._usable]

    def chain(self, start: Image, number: int, size: int) -> bytes:
        """What lies in a chain of overflow pages; nothing if it breaks off or goes on for too long.

        Args:
            start: the page from which the chain goes on.
            number: of its first page.
            size: bytes to be read.
        """
        parts = []
        while size > 0:
            image = self._beside(start, number)
            if image is None or self._steps <= 0:
                return b""
            self._steps -= 1
            page = self.read(image)
            parts.append(page[4 : 4 + size])
            size -= len(parts[-1])
            number = int.from_bytes(page[:4], "big")
        return b"".join(parts)

    def _beside(self, other: Image, number: int) -> Image | None:
        """The version of a page that belongs to another page's version."""
        ages = self._frames.get(number, [])
        if self.chains_are_sound:
            ages = [age for age in ages if self._is_sound(age)]
        if ages and (self.log_is_newer or other.age):
            return Image(number, ages[0])
        return Image(number, 0) if 1 <= number <= self._own else None

    # ------------------------------------------------------------------------------ the log

    def _committed(self, log_head: bytes) -> list[tuple[int, int]]:
        """Page and age of all frames up to the last commit that belong to this run of the log.

        Frames of an earlier run, which the present one has not overwritten yet, have other salts.
        """
        count = -(-max(_length(self._log) - _LOG_HEAD.size, 0) // self._frame_size)
        heads = [self._frame_head(age) for age in range(1, count + 1)]
        salts = self._salts(log_head, heads)
        frames = [
            (head[0], age, head[1])
            for age, head in enumerate(heads, 1)
            if head[2] == salts[0] or head[3] == salts[1]  # one of the two may be damaged
        ]
        ends = [place for place, (_, _, pages) in enumerate(frames, 1) if pages]
        return [(number, age) for number, age, _ in frames[: ends[-1] if ends else 0]]

    def _salts(self, log_head: bytes, heads: list[tuple[int, ...]]) -> tuple[int, ...]:
        """The salts of this run: the header's, or the first frame's if the header is damaged."""
        magic, *_, one, two, first, second = _LOG_HEAD.unpack(log_head)
        sound = magic in (_LITTLE_ENDIAN, _BIG_ENDIAN) and (first, second) == _checksum(
            log_head[:-8], self._order, (0, 0)
        )
        return (one, two) if sound or not heads else heads[0][2:4]

    def _is_sound(self, age: int) -> bool:
        """Whether a frame's checksum continues the one that stands before it."""
        before = self._offset(age - 1) + 16 if age > 1 else _LOG_HEAD.size - 8
        seed = struct.unpack(">2I", _read(self._log, before, 8))
        head = _read(self._log, self._offset(age), _FRAME_HEAD.size)
        content = _read(self._log, self._offset(age) + _FRAME_HEAD.size, self._size)
        if len(content) < self._size:
            return False
        return _checksum(head[:8] + content, self._order, seed) == _FRAME_HEAD.unpack(head)[4:]

    @property
    def _frame_size(self) -> int:
        return _FRAME_HEAD.size + self._size

    def _offset(self, age: int) -> int:
        return _LOG_HEAD.size + (age - 1) * self._frame_size

    def _frame_head(self, age: int) -> tuple[int, ...]:
        head = _read(self._log, self._offset(age), _FRAME_HEAD.size)
        return _FRAME_HEAD.unpack(head.ljust(_FRAME_HEAD.size, b"\0"))


def _checksum(content: bytes, order: str, seed: tuple[int, ...]) -> tuple[int, int]:
    one, two = seed
    words = struct.unpack(f"{order}{len(content) // 4}I", content)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        one = (one + even + two) & 0xFFFFFFFF
        two = (two + odd + one) & 0xFFFFFFFF
    return one, two


def _read(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _length(file: BinaryIO) -> int:
    return file.seek(0, os.SEEK_END)
