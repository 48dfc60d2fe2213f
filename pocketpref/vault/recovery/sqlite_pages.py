"""Read pages and rows of a damaged SQLite file and its log.

A plain reader of https://www.sqlite.org/fileformat.html (pages) and
https://www.sqlite.org/walformat.html (the write-ahead log). Nothing in a file is trusted: neither
sizes nor numbers nor the links between pages.

What a log holds counts only if it was committed, as it does for SQLite: a transaction whose end is
not there never took place. But where SQLite stops at the first damaged frame, what lies behind it
is read here too, and so is a damaged frame itself: records have seals of their own.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import BinaryIO, Self

from pocketpref.vault.storage.serialization import MAX_PAYLOAD_BYTES

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
    """The page size of a file.

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
        """Yield the newest version of every page, then older ones while the newer is damaged.

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
        """Read a chain of overflow pages; b"" if it is broken or too long.

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
        heads = [
            _FRAME_HEAD.unpack(
                _read(self._log, self._offset(age), _FRAME_HEAD.size).ljust(_FRAME_HEAD.size, b"\0")
            )
            for age in range(1, count + 1)
        ]
        # The salts are the header's, or the first frame's if the header is damaged.
        magic, *_, one, two, first, second = _LOG_HEAD.unpack(log_head)
        sums = _checksum(log_head[:-8], self._order, (0, 0))
        sound = magic in (_LITTLE_ENDIAN, _BIG_ENDIAN) and (first, second) == sums
        salts = (one, two) if sound or not heads else heads[0][2:4]
        frames = [
            (head[0], age, head[1])
            for age, head in enumerate(heads, 1)
            if head[2] == salts[0] or head[3] == salts[1]  # one of the two may be damaged
        ]
        ends = [place for place, (_, _, pages) in enumerate(frames, 1) if pages]
        return [(number, age) for number, age, _ in frames[: ends[-1] if ends else 0]]

    def _is_sound(self, age: int) -> bool:
        """Whether a frame's checksum continues the one before it."""
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


# Rows of known tables out of single pages, whatever the pages around them have become.
#
# A row lies in a cell: the size of its content, the row's number, then the content, which begins
# with the type of every column (https://www.sqlite.org/fileformat.html#record_format). The types of
# our tables are so particular that a cell can be recognised by them alone.
#
# In a page whose own list of cells is sound, that list is followed. Any other page is searched for
# what looks like a row of the table. What is found may be anything that somebody placed there:
# whether it is genuine is for its seal to say.

Value = bytes | str | int | None

_LEAF = 0x0D  # first byte of a page that holds rows of a table
_MOST_BYTES = 2 * MAX_PAYLOAD_BYTES  # of a row; sealing and padding add far less than that
_FIRST_PAGE_HEAD = 100  # bytes before the first page's list of cells
_WIDTHS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}  # bytes of NULL and numbers


@dataclass(frozen=True, slots=True)
class Column:
    """A column as its table declares it.

    Attributes:
        name: its name.
        type: ``"INTEGER"``, ``"TEXT"`` or ``"BLOB"``.
        is_number: whether it is the row's number, which is stored before the row itself.
        may_be_null: whether it can be without a value.
    """

    name: str
    type: str
    is_number: bool
    may_be_null: bool

    @property
    def types(self) -> bytes:
        """A regular expression for the type numbers of its values."""
        if self.is_number:
            return rb"\x00"
        integers = rb"[\x01-\x06\x08\x09]"
        types = {"INTEGER": integers, "TEXT": _sized(1), "BLOB": _sized(0)}[self.type]
        return rb"(?:\x00|" + types + rb")" if self.may_be_null else types


@dataclass(frozen=True, slots=True)
class Table:
    """A pattern that recognizes the rows of a table.

    Attributes:
        columns: the names of its columns.
        types: matches the beginning of a row, wherever it may be in a page.
    """

    columns: tuple[str, ...]
    types: re.Pattern[bytes]

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Self:
        """A table with these columns."""
        types = b"".join(column.types for column in columns)
        # Looked ahead only, so that what looks like a row cannot hide one that begins inside it.
        return cls(tuple(c.name for c in columns), re.compile(rb"(?=([\x02-\x7f]" + types + rb"))"))


def _sized(odd: int) -> bytes:
    """Type numbers from 12 on, of blobs (even) or texts (odd), in up to four bytes."""
    last, single = range(odd, 128, 2), range(12 + odd, 128, 2)
    return rb"(?:[\x81-\xff][\x80-\xff]{0,2}%b|%b)" % (_one_of(last), _one_of(single))


def _one_of(numbers: range) -> bytes:
    return b"[" + b"".join(rb"\x%02x" % number for number in numbers) + b"]"


@dataclass(frozen=True, slots=True)
class Row:
    """A possible row; where overflow pages are lost, its last values are cut short.

    Attributes:
        number: the row's number.
        values: by column; that of the number's own column is None.
        image: the page that it begins in.
        position: where in the page.
    """

    number: int
    values: dict[str, Value] = field(repr=False)
    image: Image
    position: int


def rows(pages: Pages, image: Image, table: Table) -> Iterator[Row]:
    """Everything in one page that looks like a row of a table."""
    page = pages.read(image)
    listed = listed_positions(page, _FIRST_PAGE_HEAD if image.number == 1 else 0)
    found = listed if listed is not None else (m.start() for m in table.types.finditer(page))
    for position in found:
        row = _row(pages, page, table, image, position)
        if row is not None:
            yield row


def row_at(pages: Pages, image: Image, position: int, table: Table) -> Row | None:
    """A row found before, once more."""
    return _row(pages, pages.read(image), table, image, position)


# ----------------------------------------------------------------------------------- one row


def _row(pages: Pages, page: bytes, table: Table, image: Image, position: int) -> Row | None:
    match = table.types.match(page, position)
    number = _number_before(page, position)
    if match is None or number is None or len(match[1]) != page[position]:
        return None
    head = match[1]
    types = _varints(head[1:])
    sizes = [_WIDTHS[kind] if kind < 12 else (kind - 12) // 2 for kind in types]
    content = _content(pages, page, image, position, len(head) + sum(sizes))
    if content is None:
        return None
    values: list[Value] = []
    at = len(head)
    for kind, size in zip(types, sizes, strict=True):
        stored = content[at : at + size]
        value: Value = None
        if kind >= 12:
            value = stored.decode("utf-8", "replace") if kind % 2 else stored
        elif kind:
            value = kind - 8 if kind in (8, 9) else int.from_bytes(stored, "big", signed=True)
        values.append(value)
        at += size
    return Row(number, dict(zip(table.columns, values, strict=True)), image, position)


def _content(pages: Pages, page: bytes, image: Image, position: int, size: int) -> bytes | None:
    """A row's bytes: in its own page, then in overflow pages if these are all there."""
    local = _local_size(size, len(page))
    end = position + local
    if size > _MOST_BYTES or end > len(page):
        return None
    if local == size:
        return page[position:end]
    overflow = int.from_bytes(page[end : end + 4], "big")
    return page[position:end] + pages.chain(image, overflow, size - local)


def _local_size(size: int, usable: int) -> int:
    """The number of bytes of a row in its own page, by the rule for leaves of tables."""
    if size <= usable - 35:
        return size
    least = (usable - 12) * 32 // 255 - 23
    fitting = least + (size - least) % (usable - 4)
    return fitting if fitting <= usable - 35 else least


def _number_before(page: bytes, position: int) -> int | None:
    """The number that ends right before a position: its last byte alone is below 128."""
    begin = position - 1
    if begin < 1 or page[begin] >= 0x80:
        return None
    while begin > 0 and position - begin < 8 and page[begin - 1] >= 0x80:
        begin -= 1
    return _varints(page[begin:position])[0]


def _varints(content: bytes) -> list[int]:
    """Numbers of up to eight bytes each, seven bits in a byte, the highest first."""
    found, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if byte < 0x80:
            found.append(number)
            number = 0
    return found


# -------------------------------------------------------------------------- a page's own list


def listed_positions(page: bytes, start: int) -> list[int] | None:
    """Return where the rows in a page's own list begin, or None if the list is inconsistent.

    Its cells, its free blocks and its fragments must fill the page exactly, as SQLite leaves it:
    then no cell is missing from the list, and what else may be left in the page was deleted.
    """
    if page[start] != _LEAF:
        return None
    try:
        free, count, content, fragments = struct.unpack_from(">HHHB", page, start + 1)
        cells = sorted(struct.unpack_from(f">{count}H", page, start + 8))
        end = content = content or 65536
        used, found = fragments + _free_bytes(page, free), []
        for cell in cells:
            size, at = _varint(page, cell)
            _, position = _varint(page, at)
            local = _local_size(size, len(page))
            # No cell is smaller than 4 bytes, so that it can become a free block.
            after = max(position + local + (0 if local == size else 4), cell + 4)
            if cell < end:
                return None
            found.append(position)
            used, end = used + after - cell, after
    except (IndexError, ValueError, struct.error):
        return None
    fits = start + 8 + 2 * count <= content and content + used == len(page)
    return found if fits else None


def _varint(page: bytes, at: int) -> tuple[int, int]:
    number = 0
    for byte in page[at : at + 8]:
        number, at = number << 7 | byte & 0x7F, at + 1
        if byte < 0x80:
            return number, at
    raise ValueError


def _free_bytes(page: bytes, at: int) -> int:
    """The free blocks of a page, which are linked in the order in which they lie."""
    total = 0
    while at:
        following, size = struct.unpack_from(">HH", page, at)
        if following and following <= at:
            raise ValueError
        total, at = total + size, following
    return total
