"""Planted texts, and a search that finds them in any of the forms in which they might lie about."""

from __future__ import annotations

import base64
import json
import traceback
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

# Letters that UTF-8, JSON and percent-encoding all write differently; no word of any language, so
# that a find is a leak and no chance.
_STEM = "Žquux77"

KINDS = (
    "prompt",
    "chosen",
    "rejected",
    "username",
    "system",
    "meta",
    "passphrase",
    "question",
)

PLANTS: Mapping[str, str] = {kind: f"{kind}{_STEM}" for kind in KINDS}
"""One text for each way in."""


def forms(text: str) -> dict[str, bytes]:
    """A text as it might be found in a file."""
    plain = text.encode()
    found = {
        "UTF-8": plain,
        "UTF-8, lower case": text.lower().encode(),
        "UTF-16 (little endian)": text.encode("utf-16-le"),
        "UTF-16 (big endian)": text.encode("utf-16-be"),
        "UTF-32": text.encode("utf-32-le"),
        "JSON": json.dumps(text)[1:-1].encode(),
        "repr of bytes": repr(plain)[2:-1].encode(),
        "percent": quote(text).encode(),
        "hex": plain.hex().encode(),
        "HEX": plain.hex().upper().encode(),
    }
    for shift in range(3):
        # Base64 has three alignments; the ends depend on the neighbours and are left out.
        coded = base64.b64encode(b"\0" * shift + plain)
        found[f"base64 ({shift})"] = coded[4 if shift else 0 : len(coded) - 4]
        found[f"URL base64 ({shift})"] = found[f"base64 ({shift})"].translate(
            bytes.maketrans(b"+/", b"-_")
        )
    return found


def leaks(content: bytes, texts: Iterable[str]) -> list[str]:
    """Which texts are in ``content``, and in which form."""
    return [
        f"{text!r} as {name}"
        for text in texts
        for name, form in forms(text).items()
        if form in content
    ]


def leaks_in_files(files: Iterable[Path], texts: Iterable[str]) -> list[str]:
    """Which texts are in files or in their names."""
    wanted = list(texts)
    found = []
    for file in files:
        content = file.read_bytes() + b"\0" + str(file).encode("utf-8", "surrogateescape")
        found += [f"{file.name}: {leak}" for leak in leaks(content, wanted)]
    return found


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception with everything that a debugger or a crash reporter could reach from it."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        link = waiting.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        waiting += [link.__cause__, link.__context__]
        if isinstance(link, BaseExceptionGroup):
            waiting += link.exceptions


def shown_by(error: BaseException) -> str:
    """All that an exception and those behind it say, to people and to programs."""
    parts = []
    for link in chain(error):
        parts += [str(link), repr(link), repr(link.args), repr(vars(link))]
        parts += [repr(getattr(link, name, None)) for name in ("object", "doc", "filename")]
        parts += traceback.format_exception(link)
    return "\n".join(parts)
