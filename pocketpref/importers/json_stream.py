"""Read large JSON documents element by element: exports are one list of conversations.

The bytes and the text of the whole document are held in memory, but only one element at a time is
parsed: Python objects take several times the space of their text.
"""

from __future__ import annotations

import codecs
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any, BinaryIO, Final, TypeVar, cast

from pocketpref.errors import FileError

MAX_DOCUMENT_BYTES: Final = 1024**3
"""Largest document that is read; people's whole histories are some hundred megabytes."""

MAX_RATIO: Final = 200
"""Strongest compression believed of a zip member: JSON text shrinks 5 to 20 times, bombs 1,000."""

_T = TypeVar("_T")
_PIECE_BYTES: Final = 1024 * 1024
ZIP_MAGIC: Final = b"PK\x03\x04"
_CONVERSATIONS: Final = re.compile(r"(?:.*/)?conversations(?:-\d{1,6})?\.json")
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_DECODER: Final = json.JSONDecoder()


def read_bytes(file: BinaryIO) -> bytes:
    """The rest of a file, up to ``MAX_DOCUMENT_BYTES``.

    Raises:
        FileError: there is more.
    """
    content = io.BytesIO()
    while piece := file.read(_PIECE_BYTES):  # a single read would reserve the whole limit at once
        content.write(piece)
        if content.tell() > MAX_DOCUMENT_BYTES:
            raise FileError(
                f"the file is larger than {MAX_DOCUMENT_BYTES // 1024**3} GiB",
                hint="export fewer conversations at once",
            )
    return content.getvalue()


def elements(content: bytes) -> Iterator[Any]:
    """Parse a JSON document element by element; anything but a list is its own only element.

    Raises:
        FileError: it is no UTF-8 text or no JSON, or ends early. Elements before the damaged place
            have been yielded by then.
    """
    text = _decode(content)
    position = _skip_space(text, 0)
    if text[position : position + 1] != "[":
        element, position = _decode_one(text, position)
        yield element
    else:
        position = _skip_space(text, position + 1)
        closed = text[position : position + 1] == "]"
        position += closed
        while not closed:
            element, position = _decode_one(text, position)
            yield element
            position = _skip_space(text, position)
            mark = text[position : position + 1]
            if mark not in (",", "]"):  # also at the end of the text, where it is empty
                raise _damaged()
            position, closed = _skip_space(text, position + 1), mark == "]"
    if _skip_space(text, position) != len(text):
        raise _damaged()


def unzip(file: BinaryIO) -> Iterator[bytes]:
    """The ``conversations.json`` of a zipped ChatGPT export, or its numbered parts in order.

    Raises:
        FileError: it is no sound zip file, holds no conversations, or is a zip bomb.
    """
    content = read_bytes(file)
    archive = _sound(lambda: zipfile.ZipFile(io.BytesIO(content)))
    members = sorted(
        (m for m in archive.infolist() if _CONVERSATIONS.fullmatch(m.filename)),
        key=lambda member: member.filename,
    )
    check_members(members, len(content))

    def unpack(member: zipfile.ZipInfo) -> bytes:
        # In pieces: ``ZipFile.read`` unpacks everything before it compares with the declared size.
        with archive.open(member) as source:
            return read_bytes(cast("BinaryIO", source))

    for member in members:
        yield _sound(partial(unpack, member))


def _sound(step: Callable[[], _T]) -> _T:
    """One step of unpacking.

    Raises:
        FileError: the zip file does not allow it.
    """
    # Raised outside of the handler: these errors hold the names of members.
    with suppress(
        *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
        *(NotImplementedError, ValueError, OverflowError),
    ):
        return step()
    raise FileError("the zip file is damaged", hint="download the export again")


def check_members(members: list[zipfile.ZipInfo], size: int) -> None:
    """Refuse zip bombs, and members that cannot be unpacked.

    Args:
        members: the members to unpack.
        size: of the zip file, bytes.

    Raises:
        FileError: there is no member, or one of them is refused.
    """
    if not members:
        raise FileError(
            "the zip file holds no conversations.json",
            hint="give the zip file that ChatGPT's data export sends, or a file taken out of it",
        )
    # Members that overlap, or claim to be larger than the file, would get around the ratio below.
    if sum(member.compress_size for member in members) > size:
        raise FileError("the zip file is damaged", hint="download the export again")
    for member in members:
        # A member is never read beyond the size it declares.
        if member.file_size > MAX_RATIO * max(member.compress_size, 1):
            raise FileError("the zip file unpacks to suspiciously much", hint="unpack it yourself")
        if member.flag_bits & 1:
            raise FileError("the zip file is encrypted", hint="unpack it first")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise FileError("the zip file's compression is unknown", hint="unpack it first")
    if sum(member.file_size for member in members) > MAX_DOCUMENT_BYTES:
        raise FileError("the zip file unpacks to more than 1 GiB", hint="unpack it yourself")


def _decode(content: bytes) -> str:
    # Raised outside of the handler: the decoder's error holds the person's text.
    with suppress(UnicodeDecodeError):
        return content.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    raise FileError("the file is not valid UTF-8 text", hint="export it again")


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _decode_one(text: str, position: int) -> tuple[Any, int]:
    try:
        with suppress(ValueError):  # JSONDecodeError is one; its ``doc`` is the person's text
            return _DECODER.raw_decode(text, position)
    except RecursionError:
        raise FileError(
            "the file is nested too deeply to be a chat export", hint="export it again"
        ) from None
    raise _damaged()


def _damaged() -> FileError:
    return FileError(
        "the file is not valid JSON, or ends early", hint="export or download it again"
    )
