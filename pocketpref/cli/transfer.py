"""import, export and restore: files of choices, and one user's memories as a file."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import confirm, note, report
from pocketpref.cli.params import (
    TEXT,
    dry_run_option,
    format_option,
    model_option,
    user_option,
    yes_option,
)
from pocketpref.errors import FileError, InputError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from pocketpref.importers import BadEntry
    from pocketpref.protocols import KeyStore
    from pocketpref.records import Feedback, Pair

# export and restore

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

    if file is None:
        return Passphrase(ask)

    def first_line() -> str:
        # Raised outside of the handler: the decoder's error holds the passphrase.
        with suppress(OSError, UnicodeDecodeError, IndexError):
            return Path(file).read_text("utf-8").splitlines()[0]
        raise InputError(
            "the passphrase file cannot be read, or is empty",
            hint="its first line is the passphrase, in UTF-8",
        )

    return Passphrase(first_line)


_SHOWN_BAD = 20  # bad entries told in full


@click.command("import")
@click.argument(
    "file", metavar="FILE", type=click.Path(exists=True, dir_okay=False, allow_dash=True)
)
@format_option
@click.option("--as", "owner", type=TEXT, metavar="USER", help="File every row under this user.")
@click.option("--strict", is_flag=True, help="Import nothing if any row is bad.")
@dry_run_option
@user_option
@model_option
@pass_app
def import_file(
    app: App,
    *,
    file: str,
    kind: str | None,
    owner: str | None,
    strict: bool,
    dry_run: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Remember the choices in a file.

    It reads pair files (JSONL: user, prompt, chosen, rejected, meta), ChatGPT's conversations.json,
    Open WebUI's exports, and published data sets (docs/import.md). Each row goes to its own user, a
    row without one to USER; --as puts all of them under one. Bad rows are reported and left out;
    what is known already is not added twice.

    Example: pocketpref import conversations.json --dry-run
    """
    good, bad = read_entries(file, kind)
    for entry in bad[:_SHOWN_BAD]:
        where = f"line {entry.line}: " if entry.line is not None else ""
        note(f"pocketpref: {where}{entry.reason}")
    if len(bad) > _SHOWN_BAD:
        note(f"pocketpref: and {plural(len(bad) - _SHOWN_BAD, 'more bad row')}")
    if strict and bad:
        raise FileError(
            f"nothing was imported: {plural(len(bad), 'bad row')}",
            hint="correct them, or leave out --strict",
        )
    if not good:
        raise FileError("the file holds no choice between two answers", hint="see docs/import.md")
    groups: dict[str | None, list[Feedback]] = defaultdict(list)
    for feedback in good:
        groups[owner if owner is not None else feedback.user].append(feedback)
    for name, group in groups.items():
        import_choices(app, name or user, model, group, dry_run=dry_run)


def read_entries(file: str, kind: str | None) -> tuple[list[Feedback], list[BadEntry]]:
    """Return the choices in a file (``-``: standard input), and the rows that hold none."""
    from pocketpref import importers
    from pocketpref.records import Feedback

    good: list[Feedback] = []
    bad: list[BadEntry] = []
    with click.open_file(file, "rb") as stream:
        for entry in importers.read(stream, kind):  # type: ignore[arg-type]  # click let FORMATS only through
            if isinstance(entry, Feedback):
                good.append(entry)
            else:
                bad.append(entry)
    return good, bad


def import_choices(
    app: App, user: str | None, model: str | None, feedback: Sequence[Feedback], *, dry_run: bool
) -> None:
    """Remember the choices of one user that are new, and say how many."""
    if dry_run and not app.places.vault.is_file():
        # Opening it would make it, and that is a change.
        _tell(user or app.config.user, len(feedback), known=0, dry_run=True)
        return
    with app.pocket(user, model) as pocket:
        known = {_mark(m.pair) for m in pocket.memories()}
        new = [entry for entry in feedback if _mark(entry.pair) not in known]
        if new and not dry_run:
            pocket.add_many(new)
        _tell(pocket.user, len(new), known=len(feedback) - len(new), dry_run=dry_run)


def _tell(user: str, new: int, *, known: int, dry_run: bool) -> None:
    words = f"{user}: {'would import' if dry_run else 'imported'} {plural(new, 'choice')}"
    report(words + (f", {known:,} known already" if known else ""))


def _mark(pair: Pair) -> bytes:
    """Tells one pair from another in little memory."""
    digest = hashlib.blake2b(digest_size=16)
    for text in (pair.prompt, pair.chosen, pair.rejected):
        digest.update(hashlib.blake2b(text.encode()).digest())
    return digest.digest()
