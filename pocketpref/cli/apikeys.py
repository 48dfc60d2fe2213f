"""egress key set|remove: the keys of remote APIs, kept sealed in the vault."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import MisuseError, model_option, user_option
from pocketpref.cli.console import report
from pocketpref.errors import InputError, NotFoundError

if TYPE_CHECKING:
    from pocketpref.egress.api_keys import ApiKey
    from pocketpref.egress.destination import Destination


@click.group("key")
def key() -> None:
    """Keep the keys of remote APIs, each for one address and never sent to another.

    Example: pocketpref egress key set openai:gpt-5
    """


@key.command("set")
@click.argument("destination", metavar="DEST")
@click.option(
    "--file", "file", metavar="FILE", help="Read it from a file's first line; - for standard input."
)
@click.option("--fd", type=click.IntRange(min=3), help="Read it from this open descriptor.")
@user_option
@model_option
@pass_app
def set_key(
    app: App,
    *,
    destination: str,
    file: str | None,
    fd: int | None,
    user: str | None,
    model: str | None,
) -> None:
    """Keep a key, asked for without being shown, in place of an earlier one.

    It is for the address of DEST, whatever the model, and lies sealed in the vault. It is never an
    argument or a variable: other programs can read those.

    Example: pass show openai | pocketpref egress key set openai:gpt-5 --file -
    """
    from pocketpref.egress.destination import Destination

    if file is not None and fd is not None:
        raise MisuseError("choose one of --file and --fd")
    to = Destination.parse(destination)
    given = _read(to, file, fd)
    with app.pocket(user, model) as pocket:
        pocket.api_keys.put(to, given)
    report(f"key kept for {_address(to)}")


@key.command("remove")
@click.argument("destination", metavar="DEST")
@user_option
@model_option
@pass_app
def remove_key(app: App, *, destination: str, user: str | None, model: str | None) -> None:
    """Remove the key for the address of DEST.

    Example: pocketpref egress key remove openai:gpt-5
    """
    from pocketpref.egress.destination import Destination

    to = Destination.parse(destination)
    with app.pocket(user, model) as pocket:
        if not pocket.api_keys.remove(to):
            raise NotFoundError(
                f"there is no key for {_address(to)}", hint="`pocketpref egress status` lists them"
            )
    report(f"key removed for {_address(to)}")


def _address(to: Destination) -> str:
    from pocketpref.egress.api_keys import address

    return address(to)


def _read(to: Destination, file: str | None, fd: int | None) -> ApiKey:
    from pocketpref.egress.api_keys import ApiKey

    if file == "-":
        return ApiKey.read(sys.stdin.buffer)
    if file is not None:
        return _from_file(Path(file).expanduser())
    if fd is not None:
        return _from_descriptor(fd)
    if not sys.stdin.isatty():
        raise InputError(
            "a key is needed, and there is no terminal to ask at",
            hint="`--file FILE`, `--file -` and `--fd N` say where to read it",
        )
    typed = click.prompt(f"Key for {_address(to)}", hide_input=True, err=True)
    return ApiKey.typed(str(typed))


def _from_file(path: Path) -> ApiKey:
    from pocketpref.egress.api_keys import ApiKey

    with suppress(OSError), path.open("rb") as file:
        return ApiKey.read(file)
    raise InputError("the file with the key cannot be read", hint="its first line is the key")


def _from_descriptor(number: int) -> ApiKey:
    from pocketpref.egress.api_keys import ApiKey

    # What Python and SQLite open is not inheritable, what a shell hands in is.
    with suppress(OSError):
        if os.get_inheritable(number):
            with os.fdopen(number, "rb") as file:
                return ApiKey.read(file)
    raise InputError(
        f"descriptor {number} cannot be read",
        hint="for example: pocketpref egress key set DEST --fd 3 3< key.txt",
    )
