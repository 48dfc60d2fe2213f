"""Writes the reference of the command line, docs/cli.md, and the man page from the commands.

    python tools/make_cli_docs.py [--check]

Covered: every command with its usage, its help and its options, in the order of ``--help``. Not
covered: what a chat obeys, which ``/help`` says in the chat itself.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from pocketpref.cli.main import cli

TARGET = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
MAN_TARGET = TARGET.with_name("pocketpref.1")

HEAD = """\
# The command line

This page is made from the program by `python tools/make_cli_docs.py`; a test compares the two.

Every text argument takes the text itself, `-` for standard input or `@FILE` for a file, so that
nothing private need stand in the list of processes; a text that begins with `@` is written `@@`.
Reports go to standard output, messages and progress to standard error, and every listing takes
`--json`. An error is one line, `pocketpref: error: ...`, and mostly a second one,
`pocketpref: hint: ...`; neither quotes what you typed. The exit code is 0, 1 after an error, 2 if
the command line could not be read, and 130 after Ctrl-C. Settings and variables:
[keys.md](keys.md#settings-and-variables).
"""


def commands(
    command: click.Command = cli, name: str = "pocketpref", parent: click.Context | None = None
) -> Iterator[tuple[click.Command, click.Context]]:
    """Every command with a context to describe it in, groups before their members."""
    context = click.Context(command, info_name=name, parent=parent)
    if parent is not None:
        yield command, context
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            member = command.get_command(context, word)
            assert member is not None, "a name of the group's own list"
            yield from commands(member, word, context)


def render() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_section(*found) for found in commands())])


def _section(command: click.Command, context: click.Context) -> str:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    words, example = split_help(command)
    parts = [f"## {context.command_path}", f"    {usage}", *words]
    if options := list(option_rows(command, context)):
        parts.append("\n".join(["| option | meaning |", "|---|---|", *options]))
    parts.append(f"```sh\n{example}\n```")
    return "\n\n".join(parts) + "\n"


def split_help(command: click.Command) -> tuple[list[str], str]:
    """The paragraphs of a command's help, each on one line, and its example."""
    text, _, example = inspect.cleandoc(command.help or "").rpartition("Example: ")
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return [" ".join(p.split()) for p in paragraphs], " ".join(example.split())


def option_rows(command: click.Command, context: click.Context) -> Iterator[str]:
    """A row of the table for each option but ``--help``."""
    for param in command.params:
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            names, meaning = (" ".join(part.split()).replace("|", r"\|") for part in record)
            yield f"| `{names}` | {meaning} |"


MAN_HEAD = r""".\" Made by tools/make_cli_docs.py
.TH POCKETPREF 1 "" "pocketpref" "User Commands"
.SH NAME
pocketpref \- learns on this machine how you like to be answered
.SH SYNOPSIS
.B pocketpref
.I COMMAND
[\fIOPTION\fR]... [\fIARGUMENT\fR]...
.SH DESCRIPTION
What is learned stays on this machine, encrypted. Nothing leaves that you have not allowed.
.PP
Every text argument takes the text itself, \- for standard input or @FILE for a file. Every listing
takes \-\-json. The exit status is 0, 1 after an error, 2 if the command line could not be read, and
130 after Ctrl\-C.
.SH COMMANDS
"""


def render_man() -> str:
    """The man page (man(7))."""
    return MAN_HEAD + "".join(_man_section(*found) for found in commands())


def _man_section(command: click.Command, context: click.Context) -> str:
    words, example = split_help(command)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f".SS {_roff(context.command_path)} {_roff(usage)}".rstrip()]
    lines += [f".PP\n{_roff(paragraph)}" for paragraph in words]
    for param in command.params:
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            names, meaning = (" ".join(part.split()) for part in record)
            lines.append(f".TP\n.B {_roff(names)}\n{_roff(meaning)}")
    lines.append(f".PP\nExample:\n.PP\n.RS 4\n.nf\n{_roff(example)}\n.fi\n.RE")
    return "\n".join(lines) + "\n"


def _roff(text: str) -> str:
    """A text as roff reads it: a leading dot or quote would be a request."""
    plain = text.replace("\\", r"\e").replace("-", r"\-").replace("`", "")
    return rf"\&{plain}" if plain.startswith((".", "'")) else plain


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page, or only compare it. Returns the exit status."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args(argv)
    pages = {TARGET: render(), MAN_TARGET: render_man()}
    if options.check:
        old = [
            t.name for t, page in pages.items() if not t.is_file() or t.read_text("utf-8") != page
        ]
        print(f"not what the program says: {', '.join(old)}" if old else "all is up to date")
        return 1 if old else 0
    for target, page in pages.items():
        target.write_text(page, "utf-8")
        print(f"wrote {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
