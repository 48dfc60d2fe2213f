"""export and restore: one user's memories as a file to keep elsewhere."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import model_option, user_option, yes_option
from pocketpref.cli.console import confirm, note, report
from pocketpref.errors import InputError
from pocketpref.phrases import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from pocketpref.protocols import KeyStore

_passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(exists=True, dir_okay=False),
    help="Read the file's passphrase from the first line of this one instead of asking.",
)


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False))
@click.option("--plaintext", is_flag=True, help="Write readable JSONL instead of encrypting.")
@_passphrase_option
@yes_option
@user_option
@model_option
@pass_app
def export(
    app: App,
    *,
    file: str,
    plaintext: bool,
    passphrase_file: str | None,
    yes: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Write everything remembered about a user to a file, encrypted with a passphrase.

    --plaintext writes a pair file that `pocketpref import` and other programs read, and so does
    anyone who gets hold of it.

    Example: pocketpref export backup.pocketpref
    """
    from pocketpref.vault.archive import export_user

    if plaintext and passphrase_file:
        raise InputError("plain text takes no passphrase", hint="leave out one of the two")
    with app.vault() as vault:
        store = vault.store(user or app.config.user)
        if not store.counts().memories:
            raise InputError(
                "nothing is remembered about this user", hint="another one is named with -u USER"
            )
        if Path(file).exists():
            confirm("There is a file of this name. Replace it?", yes=yes)
        key = None if plaintext else _passphrase(app.ask_new_passphrase, passphrase_file)
        count = export_user(store, file, key, plaintext=plaintext)
    report(f"exported {plural(count, 'choice')}, {'in plain text' if plaintext else 'encrypted'}")
    if plaintext:
        note("anyone who gets this file can read it")


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@_passphrase_option
@user_option
@model_option
@pass_app
def restore(
    app: App,
    *,
    file: str,
    passphrase_file: str | None,
    user: str | None,
    model: str | None,
) -> None:
    """Put back what `pocketpref export` wrote, under its own user or under USER.

    All of it, or nothing if any part of the file is not sound. What is there already is not added
    again.

    Example: pocketpref restore backup.pocketpref
    """
    from pocketpref.vault import archive

    plain = archive.custody(file) == archive.PLAINTEXT
    key = None if plain else _passphrase(app.ask_archive_passphrase, passphrase_file)
    with app.vault() as vault:
        done = archive.restore(vault, file, key, user=user)
    report(f"restored {plural(done.added, 'choice')}, {done.known:,} known already")


def _passphrase(ask: Callable[[], str], file: str | None) -> KeyStore:
    from pocketpref.vault.crypto.key_stores import Passphrase

    return Passphrase(ask if file is None else lambda: _first_line(Path(file)))


def _first_line(path: Path) -> str:
    # Raised outside of the handler: the decoder's error holds the passphrase.
    with suppress(OSError, UnicodeDecodeError, IndexError):
        return path.read_text("utf-8").splitlines()[0]
    raise InputError(
        "the passphrase file cannot be read, or is empty",
        hint="its first line is the passphrase, in UTF-8",
    )
