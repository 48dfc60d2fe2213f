"""Options of several commands, and text arguments that need not be in the process list."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

# Characters of UTF-8 take at most four bytes; nothing longer than a million characters is kept.
_MOST_BYTES = 4 * 1_000_000
_STDIN_USED = "pocketpref.stdin"


class MisuseError(click.UsageError):
    """A wrong command line, in words that quote nothing of it (exit code 2)."""


class TextArgument(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Text: as it is, ``-`` for standard input, ``@FILE`` for a file, ``@@`` for a plain @.

    What is read from a file or a pipe loses one line break at its end, which the tools that write
    files and pipes add.
    """

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text itself. Messages never quote it, nor the file's name."""
        if value == "-":
            meta = {} if ctx is None else ctx.meta
            if meta.get(_STDIN_USED):
                raise MisuseError("standard input (-) can be read for one argument only")
            meta[_STDIN_USED] = True
            return _decoded(sys.stdin.buffer.read(_MOST_BYTES + 1))
        if value.startswith("@@"):
            return str(value[1:])
        if value.startswith("@"):
            return _decoded(_file(Path(value[1:])))
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:  # bytes that the system could not decode: lone surrogates
            raise MisuseError("a text is no valid UTF-8") from None
        return str(value)


TEXT = TextArgument()

FORMATS = (
    *("jsonl", "chatgpt", "openwebui"),
    *("prism", "tldr", "fspo", "alignx", "lamp", "prefeval"),
)
"""``importers.FORMATS``, without loading them."""

format_option = click.option(
    "--format",
    "kind",
    type=click.Choice(FORMATS),
    help="What the file is [default: found out, unless it is published data].",
)


def _file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a file name"
        raise MisuseError(
            f"the file named after @ cannot be read: {reason}. Write @@ for text beginning with @."
        ) from None


def _decoded(content: bytes) -> str:
    if len(content) > _MOST_BYTES:
        raise MisuseError("a text is longer than 1,000,000 characters")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MisuseError("a text is no valid UTF-8") from None
    return text.replace("\r\n", "\n").removesuffix("\n")


def user_option(command: Command) -> Command:
    """``-u USER``."""
    return click.option(
        "-u",
        "--user",
        type=TEXT,
        metavar="USER",
        help="Whose memories to use [default: POCKETPREF_USER, the configuration, or 'default'].",
    )(command)


def model_option(command: Command) -> Command:
    """``-m MODEL``."""
    return click.option(
        "-m",
        "--model",
        metavar="MODEL",
        help="Model: a handle from `pocketpref models ls` or the path of a GGUF file "
        "[default: POCKETPREF_MODEL, the configuration, or the starter model].",
    )(command)


METHODS = ("auto", "exact", "popi", "palm", "profile-to-peft", "none")
"""``personalization.conditions.METHODS``, without loading them."""


def method_option(command: Command) -> Command:
    """``--method METHOD``."""
    return click.option(
        "--method",
        type=click.Choice(METHODS),
        default="auto",
        show_default=True,
        help="How to personalize: what is sure of you, one of the published methods, or nothing.",
    )(command)


def offline_option(command: Command) -> Command:
    """``--offline``."""
    return click.option(
        "--offline", is_flag=True, help="Make every attempt to use a network an error."
    )(command)


def json_option(command: Command) -> Command:
    """``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def yes_option(command: Command) -> Command:
    """``--yes``."""
    return click.option("--yes", is_flag=True, help="Do it without asking.")(command)


def dry_run_option(command: Command) -> Command:
    """``--dry-run``."""
    return click.option(
        "--dry-run", is_flag=True, help="Say what would be done, and change nothing."
    )(command)
