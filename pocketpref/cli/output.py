"""Printing: reports to stdout, messages to stderr, nothing that a terminal could obey."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal, Protocol, TextIO

import click

from pocketpref.errors import InputError

if TYPE_CHECKING:
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

# Control characters (but line break and tab) and bidirectional overrides: an imported text must
# not move the cursor, set the clipboard or show something else than it says.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_PIPED_WIDTH = 100


def printable(text: str) -> str:
    """The text with everything a terminal could obey made visible as a replacement character."""
    return _UNSAFE.sub("\ufffd", text.replace("\r\n", "\n"))


def one_line(text: str, width: int = 60) -> str:
    """The beginning of a text on one line, for listings."""
    words = " ".join(printable(text).split())
    return words if len(words) <= width else words[: width - 1].rstrip() + "…"


def when(moment: datetime) -> str:
    """A moment in the machine's own time zone, for listings."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def report(text: str = "") -> None:
    """Print part of a command's result. A pipe gets it as it is, a terminal made printable."""
    click.echo(printable(text) if sys.stdout.isatty() else text)


def report_json(value: Any) -> None:
    """Print a result as JSON."""
    narrow = not _is_unicode(sys.stdout)
    click.echo(json.dumps(value, ensure_ascii=narrow, indent=2))


def note(text: str) -> None:
    """Print a message of the program to stderr."""
    click.echo(printable(text), err=True)


def console(file: TextIO | None = None) -> Console:
    """A rich console for reports (or another stream) that takes no mark-up from texts."""
    from rich.console import Console

    file = file or sys.stdout
    return Console(
        file=file,
        markup=False,
        emoji=False,
        highlight=False,
        width=None if file.isatty() else _PIPED_WIDTH,
    )


def table(*columns: str) -> Table:
    """A table in the style of all listings: headings, no lines."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made


def print_table(listing: Table) -> None:
    """Print a table to stdout, without the blanks that pad its last column."""
    screen = console()
    with screen.capture() as capture:
        screen.print(listing)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


class Advance(Protocol):
    """Moves a progress bar."""

    def __call__(self, done: float, total: float | None, words: str = "", /) -> None:
        """Show how much is done, of how much (None: unknown), and words beside the bar."""


@contextmanager
def progress_bar(
    title: str = "",
    *,
    count: Literal["items", "bytes"] | None = "items",
    clock: Literal["elapsed", "left"] | None = None,
    words: str = "",
    width: int = 40,
) -> Iterator[Advance]:
    """Show a bar on stderr, where that is a terminal; it is gone at the end.

    Args:
        title: what stands before the bar.
        count: the unit that is counted after it; None for no count.
        clock: the time that has passed, or that is left.
        words: what stands last, until the first call.
        width: of the bar, characters.
    """
    from rich import progress as rich

    columns: list[rich.ProgressColumn] = [rich.BarColumn(bar_width=width)]
    if title:
        columns.insert(0, rich.TextColumn(title, markup=False))
    if count is not None:
        columns.append(rich.DownloadColumn() if count == "bytes" else rich.MofNCompleteColumn())
    if clock is not None:
        left = clock == "left"
        columns.append(rich.TimeRemainingColumn() if left else rich.TimeElapsedColumn())
    columns.append(rich.TextColumn("{task.fields[words]}", markup=False))
    screen = console(sys.stderr)
    with rich.Progress(*columns, console=screen, transient=True, refresh_per_second=4) as bars:
        task = bars.add_task("", total=None, words=words)
        yield lambda done, total, words="": bars.update(
            task, completed=done, total=total, words=words
        )


class ProgressLines:
    """Progress in lines on stderr, where no terminal redraws one."""

    def __init__(self, quiet: float = float("inf")) -> None:
        """Print nothing yet.

        Args:
            quiet: seconds after which a line is printed although no milestone was reached.
        """
        self._quiet = quiet
        self._milestone: object = None
        self._last = float("-inf")

    def __call__(self, line: str, milestone: object) -> None:
        """Print a line if the milestone is not that of the last one, or it was long ago."""
        now = time.monotonic()
        if milestone != self._milestone or now - self._last >= self._quiet:
            self._milestone, self._last = milestone, now
            note(line)


def bar(share: float, width: int, file: TextIO | None = None) -> str:
    """A bar of ``share`` (0 to 1) of the width, in eighths of a character where that works.

    Args:
        share: how much of the width is filled.
        width: the full width, characters.
        file: where it will be printed; plain ``#`` if its encoding has no blocks.
    """
    share = min(max(share, 0.0), 1.0)
    if not _is_unicode(file or sys.stdout):
        return "#" * max(round(share * width), 1 if share > 0 else 0)
    eighths = max(round(share * width * 8), 1 if share > 0 else 0)
    full, rest = divmod(eighths, 8)
    return "█" * full + ("▏▎▍▌▋▊▉"[rest - 1] if rest else "")


def _is_unicode(file: TextIO) -> bool:
    return (file.encoding or "").lower().replace("-", "").startswith("utf")


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something is lost.

    Raises:
        InputError: the answer was not yes, or there was none.
    """
    if yes:
        return
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise _not_confirmed()


def confirm_by_typing(question: str, wanted: str, *, yes: bool) -> None:
    """Ask for a word before everything is lost.

    Raises:
        InputError: something else was typed, or nothing.
    """
    if yes:
        return
    try:
        typed = str(click.prompt(question, default="", show_default=False, err=True))
    except click.Abort:
        typed = ""
    if typed.strip() != wanted:
        raise _not_confirmed()


def _not_confirmed() -> InputError:
    return InputError(
        "not confirmed: nothing was changed", hint="add --yes to do it without being asked"
    )
