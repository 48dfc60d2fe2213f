"""Render templates; every value is escaped."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pocketpref.formatting import plural, size

FOLDER: Final = Path(__file__).parent

_EXCERPT: Final = 90  # characters


def render(template: str, **values: Any) -> bytes:
    """A page."""
    return _environment().get_template(template).render(values).encode("utf-8", "replace")


@cache
def asset(name: str) -> bytes:
    """A file that is served unchanged."""
    return FOLDER.joinpath(name).read_bytes()


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"when": local_time, "plural": plural, "excerpt": excerpt, "size": size}
    return made


def local_time(moment: datetime) -> str:
    """A moment in the machine's own time zone."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def excerpt(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text[: 10 * _EXCERPT].split())
    return line if len(line) <= _EXCERPT else f"{line[: _EXCERPT - 1].rstrip()}…"
