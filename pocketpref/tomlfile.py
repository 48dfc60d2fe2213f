"""TOML files, taken as hostile: they are read or refused, and no error quotes them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024
"""Largest file that is read; the files meant have some kilobytes."""

_MAX_DOTS: Final = 100
# tomllib's messages quote keys; only the place is taken over.
_PLACE: Final = re.compile(r" \(at (?:line \d+, column \d+|end of document)\)$")


class TomlError(Exception):
    """Why a file cannot be used, in words that follow its name; carries no text of it."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of one file.

    Raises:
        TomlError: it is too large, no UTF-8 text or no TOML.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return parse_toml(file.read(MAX_BYTES + 1))


def parse_toml(content: bytes) -> dict[str, Any]:
    """The tables of one document.

    Raises:
        TomlError: it is too large, no UTF-8 text or no TOML.
    """
    if len(content) > MAX_BYTES:
        raise TomlError(f"has more than {MAX_BYTES // 1024} KiB")
    # tomllib takes time by the square of the number of parts of a dotted key.
    if any(line.count(b".") > _MAX_DOTS for line in content.splitlines()):
        raise TomlError(f"has a line with more than {_MAX_DOTS} dots")
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        problem = "is no UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        place = _PLACE.search(str(error))
        problem = f"is no valid TOML{place.group() if place else ''}"
    except RecursionError:
        problem = "is nested too deeply"
    except ValueError:  # Python's limit on the digits of a number
        problem = "holds a number with too many digits"
    # Raised outside of the handlers: decoders' errors hold the file's text.
    raise TomlError(problem)
