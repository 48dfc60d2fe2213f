"""Rows of known tables out of single pages, whatever the pages around them have become.

A row lies in a cell: the size of its content, the row's number, then the content, which begins
with the type of every column (https://www.sqlite.org/fileformat.html#record_format). The types of
our tables are so particular that a cell can be recognised by them alone.

In a page whose own list of cells is sound, that list is followed. Any other page is searched for
what looks like a row of the table. What is found may be anything that somebody placed there:
whether it is genuine is for its seal to say.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from pocketpref.vault.pages import Image, Pages
from pocketpref.vault.serial import MAX_PAYLOAD_BYTES

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
        is_number: whether it is the row's number, which stands before the row itself.
        may_be_null: whether it can be without a value.
    """

    name: str
    type: str
    is_number: bool
    may_be_null: bool


@dataclass(frozen=True, slots=True)
class Table:
    """What a table's rows look like.

    Attributes:
        columns: the names of its columns.
        types: matches the beginning of a row, wherever it may be in a page.
    """

    columns: tuple[str, ...]
    types: re.Pattern[bytes]

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Self:
        """A table with these columns."""
        types = b"".join(_types(column) for column in columns)
        # Looked ahead only, so that what looks like a row cannot hide one that begins inside it.
        return cls(tuple(c.name for c in columns), re.compile(rb"(?=([\x02-\x7f]" + types + rb"))"))


def _types(column: Column) -> bytes:
    if column.is_number:
        return rb"\x00"
    types = {"INTEGER": rb"[\x01-\x06\x08\x09]", "TEXT": _sized(1), "BLOB": _sized(0)}[column.type]
    return rb"(?:\x00|" + types + rb")" if column.may_be_null else types


def _sized(odd: int) -> bytes:
    """Type numbers from 12 on, of blobs (even) or texts (odd), in up to four bytes."""
    last, single = range(odd, 128, 2), range(12 + odd, 128, 2)
    return rb"(?:[\x81-\xff][\x80-\xff]{0,2}%b|%b)" % (_one_of(last), _one_of(single))


def _one_of(numbers: range) -> bytes:
    return b"[" + b"".join(rb"\x%02x" % number for number in numbers) + b"]"


@dataclass(frozen=True, slots=True)
class Row:
    """What looks like a row; where overflow pages are lost, its last values are cut short.

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
    listed = _listed(page, _FIRST_PAGE_HEAD if image.number == 1 else 0)
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
    values, at = [], len(head)
    for kind, size in zip(types, sizes, strict=True):
        values.append(_value(kind, content[at : at + size]))
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
    """How much of a row is kept in its own page, by the rule for leaves of tables."""
    if size <= usable - 35:
        return size
    least = (usable - 12) * 32 // 255 - 23
    fitting = least + (size - least) % (usable - 4)
    return fitting if fitting <= usable - 35 else least


def _value(kind: int, content: bytes) -> Value:
    if kind >= 12:
        return content.decode("utf-8", "replace") if kind % 2 else content
    if kind in (8, 9):
        return kind - 8
    return int.from_bytes(content, "big", signed=True) if kind else None


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


def _listed(page: bytes, start: int) -> list[int] | None:
    """Where the rows begin that a page says it has; None if what it says does not add up.

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
            position, after = _measured(page, cell)
            if cell < end:
                return None
            found.append(position)
            used, end = used + after - cell, after
    except (IndexError, ValueError, struct.error):
        return None
    fits = start + 8 + 2 * count <= content and content + used == len(page)
    return found if fits else None


def _measured(page: bytes, cell: int) -> tuple[int, int]:
    """Where the row in a cell begins, and where the cell ends."""
    size, at = _varint(page, cell)
    _, begin = _varint(page, at)
    local = _local_size(size, len(page))
    end = begin + local + (0 if local == size else 4)
    return begin, max(end, cell + 4)  # no cell is smaller, so that it can become a free block


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
