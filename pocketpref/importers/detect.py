"""Open a file, recognize its format, and call that format's reader."""

from __future__ import annotations

import codecs
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, BinaryIO, Final, Literal, cast, get_args

from pocketpref.errors import FileError
from pocketpref.importers import chatgpt, datasets, json_stream, jsonl, openwebui
from pocketpref.importers.base import Entry

Format = Literal[
    "jsonl", "chatgpt", "openwebui", "prism", "tldr", "fspo", "alignx", "lamp", "prefeval"
]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

_PUBLISHED: Final[dict[str, datasets.Convert]] = {
    "prism": datasets.convert_prism,
    "tldr": datasets.convert_tldr,
    "fspo": datasets.convert_fspo,
    "alignx": datasets.convert_alignx,
    "prefeval": datasets.convert_prefeval,
}
"""Data as researchers publish it: their files look like one another, so a format must be named."""

_HEAD_BYTES: Final = 64 * 1024
_LINE_SUFFIXES: Final = (".jsonl", ".ndjson")
# A string's content cannot look like this: inside it, quotes are escaped.
_TELLING_KEY: Final = re.compile(r'"(mapping|chat|history|snapshot)"\s*:')
_HINT: Final = (
    "formats: jsonl (one object a line with prompt, chosen and rejected), chatgpt "
    "(conversations.json or the export's zip file), openwebui (exported chats or ratings), and "
    "published data sets: prism, tldr, fspo, alignx, lamp, prefeval; name one with --format"
)


def read(
    source: str | os.PathLike[str] | IO[bytes],
    format: Format | None = None,  # noqa: A002  # named like the command line's option
) -> Iterator[Entry]:
    """Read preference pairs from a file.

    Nothing is opened before the first entry is asked for.

    Args:
        source: a path, or a binary file at its beginning (which stays open).
        format: one of ``FORMATS``, or None to recognize it from the content.

    Yields:
        A ``Feedback`` for each pair, a ``BadEntry`` for each thing that should have been one.

    Raises:
        FileError: there is no such file, or as a whole it is not what it should be.
    """
    if format is not None and format not in FORMATS:
        raise FileError("there is no import format of this name", hint=_HINT)
    if not isinstance(source, (str, os.PathLike)):
        name = getattr(source, "name", None)  # a number for a file opened by its descriptor
        known = Path(name) if isinstance(name, str) else None
        yield from _read_file(source, format, known)
        return
    path = Path(source)
    try:
        file = path.open("rb")
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        raise _unreadable(path, error) from None
    with file:
        try:
            yield from _read_file(file, format, path)
        except OSError as error:
            raise _unreadable(path, error) from None


def _unreadable(path: Path, error: Exception) -> FileError:
    if isinstance(error, FileNotFoundError):
        return FileError(f"there is no file {path.name}", hint="check the path")
    if path.is_dir():
        return FileError(f"{path.name} is a folder", hint="give the file inside it")
    why = error.strerror if isinstance(error, OSError) else None
    return FileError(
        f"{path.name} cannot be read: {why or 'not a usable path'}", hint="check its permissions"
    )


def _read_file(file: IO[bytes], known: Format | None, path: Path | None) -> Iterator[Entry]:
    head = file.read(_HEAD_BYTES)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileError("the file is UTF-16 text", hint="save it as UTF-8")
    whole = cast("BinaryIO", io.BufferedReader(_Rewound(head, file), _HEAD_BYTES))
    found = known or recognize(head, path.name if path else "")
    match found:
        case "jsonl":
            yield from jsonl.read_pairs(whole)
        case "chatgpt":
            zipped = head.startswith(json_stream.ZIP_MAGIC)
            contents = json_stream.unzip(whole) if zipped else [json_stream.read_bytes(whole)]
            for content in contents:
                yield from chatgpt.read_conversations(json_stream.elements(content))
        case "openwebui":
            yield from openwebui.read_exports(json_stream.elements(json_stream.read_bytes(whole)))
        case "lamp":
            yield from datasets.read_questions(whole, path)
        case _:
            yield from datasets.read_rows(whole, _PUBLISHED[found])


class _Rewound(io.RawIOBase):
    """A file with its beginning, which was read already, put back; works for pipes."""

    def __init__(self, head: bytes, rest: IO[bytes]) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        piece: bytes | memoryview = self._head[:wanted]
        self._head = self._head[wanted:]
        if not piece:
            piece = self._rest.read(wanted) or b""  # None: nothing there yet, and nobody to wait
        buffer[: len(piece)] = piece
        return len(piece)


def recognize(head: bytes, name: str) -> Format:
    """Tell the format by the first element or line.

    Args:
        head: the beginning of the file.
        name: the file's name, "" if it has none.

    Raises:
        FileError: the format is unknown.
    """
    if head.startswith(json_stream.ZIP_MAGIC):
        return "chatgpt"
    if name.lower().endswith(_LINE_SUFFIXES):
        return "jsonl"
    text = head.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="replace").lstrip()
    if not text:
        raise FileError("the file is empty", hint=_HINT)
    found = _by_keys(text) if text.startswith("[") else _by_first_line(text)
    if found is None:
        raise FileError("the file's format is not known", hint=_HINT)
    return found


def _by_first_line(text: str) -> Format | None:
    line, value = text.split("\n", 1)[0], None
    with suppress(ValueError, RecursionError):
        value = json.loads(line)
    many_lines, cut_off = line.strip() == "{", "\n" not in text
    if many_lines or (value is None and cut_off):  # a single conversation is no list
        return _by_keys(text) or (None if many_lines else "jsonl")
    if chatgpt.is_conversation(value):
        return "chatgpt"
    if openwebui.is_export(value):
        return "openwebui"
    # One broken line among others is reported by its number; a file without any is no pair file.
    return "jsonl" if any(line.lstrip().startswith("{") for line in text.split("\n")) else None


def _by_keys(text: str) -> Format | None:
    """Tell a document by the first telling key, since its first element may be longer than this."""
    key = _TELLING_KEY.search(text)
    if key is None:
        return None
    return "chatgpt" if key[1] == "mapping" else "openwebui"
