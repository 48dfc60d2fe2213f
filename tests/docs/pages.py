"""The documentation as data: its pages, their blocks, the commands and links in them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(pocketpref\s[^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$", re.MULTILINE)
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# What stands for something else in an example: an id, or a file on somebody's USB stick.
_PLACEHOLDER = re.compile(r"ID|(?=.*\d)[a-z0-9]{12}|/.*")


@dataclass(frozen=True)
class Line:
    """One call of the program in a shell block."""

    page: str
    arguments: tuple[str, ...]

    @property
    def is_schematic(self) -> bool:
        """Whether it cannot be run as it stands: each reader has to fill something in."""
        return any(_PLACEHOLDER.fullmatch(word) for word in self.arguments)

    def __str__(self) -> str:
        return f"{self.page}: pocketpref {shlex.join(self.arguments)}"


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [body for name, body in _FENCE.findall(text_of(page)) if name == language]


def shell_lines(page: Path) -> Iterator[Line]:
    """Every call of ``pocketpref`` in the shell blocks, behind a pipe or another program too."""
    for block in blocks(page, "sh"):
        for line in block.splitlines():
            for part in line.split(" | "):
                words = shlex.split(part, comments=True)
                if "pocketpref" in words:
                    called = words[words.index("pocketpref") + 1 :]
                    yield Line(page.name, tuple(called))


def inline_calls(page: Path) -> list[list[str]]:
    """The words of every ```pocketpref ...``` in running text."""
    prose = _FENCE.sub("", text_of(page))
    return [call.split()[1:] for call in _INLINE.findall(prose)]


def links(page: Path) -> list[str]:
    """Targets of links to other pages and places, not to the web."""
    found = [a or b for a, b in _LINK.findall(_FENCE.sub("", text_of(page)))]
    return [target for target in found if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The places in a page that a link can name, as GitHub spells them."""
    prose = _FENCE.sub("", text_of(page))
    return {_slug(heading) for heading in _HEADING.findall(prose)}


def _slug(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
