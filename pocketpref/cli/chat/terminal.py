"""The terminal's side of a chat: reading lines, showing answers, calling an editor."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import click

from pocketpref.cli.output import note, printable
from pocketpref.errors import InputError

_MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})


def line_reader() -> Callable[[str], str]:
    """A function that reads one line, given a prompt; it raises EOFError at the end.

    At a terminal lines can be edited and called back, as long as the chat lasts: no history is
    ever written to a file.
    """
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return piped_line
    with suppress(ImportError):  # absent on Windows, where the console edits lines itself
        import readline

        readline.set_auto_history(True)
    return input


def piped_line(prompt: str) -> str:
    """Read one line from standard input that is no terminal, or is read through a pipe.

    Raises:
        EOFError: there is none.
        InputError: it is no valid UTF-8.
    """
    if sys.stdin.isatty():
        click.echo(prompt, nl=False, err=True)
    try:
        line = sys.stdin.readline()
    except UnicodeDecodeError:
        raise InputError("a line is no valid UTF-8", hint="set the terminal to UTF-8") from None
    if not line:
        raise EOFError
    return line.rstrip("\r\n")


class TerminalView:
    """Answers to stdout, the program's own words to stderr."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def piece(self, text: str) -> None:
        """Show part of an answer at once."""
        click.echo(printable(text), nl=False)
        sys.stdout.flush()

    def end_answer(self) -> None:
        """End the answer's last line."""
        click.echo()

    def note(self, text: str) -> None:
        """Say something on stderr."""
        note(text)

    def edit(self, text: str) -> str | None:
        """Let the person edit a text in their editor, on a file in memory if there can be one."""
        folder = memory_folder(self._environ)
        if folder is None:
            note(
                "this system has no folder in memory: the text will be on disk, readable to you "
                "only, until the editor closes"
            )
        return edit_in(folder, text)


def edit_in(folder: Path | None, text: str) -> str | None:
    """Edit a text as a file of mode 0600 in a private folder that is deleted afterwards.

    The folder also takes what editors leave beside a file, such as swap and backup files.

    Args:
        folder: where the private folder is made; None for the system's place for such files.
        text: what the editor shows first.

    Raises:
        InputError: there is no editor, it failed, or it left no UTF-8 text.
    """
    private = Path(tempfile.mkdtemp(prefix="pocketpref-", dir=folder))
    file = private / "text.md"
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(text.encode())
        click.edit(filename=str(file))
        return file.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        raise InputError("the editor left no valid UTF-8", hint="have it save UTF-8") from None
    except click.ClickException:
        raise InputError("the editor failed", hint="set EDITOR to the one you want") from None
    finally:
        shutil.rmtree(private, ignore_errors=True)


def memory_folder(
    environ: Mapping[str, str], mounts: Path = Path("/proc/self/mounts")
) -> Path | None:
    """A folder of this user that is kept in memory, or None if the system offers none.

    Args:
        environ: where ``XDG_RUNTIME_DIR`` is looked up.
        mounts: the system's list of mounted file systems; only Linux has one.
    """
    try:
        table = mounts.read_text("utf-8", "replace")
    except OSError:
        return None
    kinds = {fields[1]: fields[2] for line in table.splitlines() if len(fields := line.split()) > 2}
    for name in (environ.get("XDG_RUNTIME_DIR"), "/dev/shm"):  # noqa: S108 - 0700 folders in it
        if not name or not os.access(name, os.W_OK | os.X_OK):
            continue
        real = Path(name).resolve()
        mount = next((str(p) for p in (real, *real.parents) if str(p) in kinds), "")
        if kinds.get(mount) in _MEMORY_FILE_SYSTEMS:
            return Path(name)
    return None
