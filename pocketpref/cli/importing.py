"""import: files of choices, each under the user they belong to."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import TEXT, dry_run_option, format_option, model_option, user_option
from pocketpref.cli.console import note, report
from pocketpref.errors import FileError
from pocketpref.phrases import plural

if TYPE_CHECKING:
    from pocketpref.importers import BadEntry
    from pocketpref.records import Feedback, Pair

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
    good, bad = _read(file, kind)
    _tell_bad(bad)
    if strict and bad:
        raise FileError(
            f"nothing was imported: {plural(len(bad), 'bad row')}",
            hint="correct them, or leave out --strict",
        )
    if not good:
        raise FileError("the file holds no choice between two answers", hint="see docs/import.md")
    for name, feedback in _by_user(good, owner).items():
        _keep(app, name or user, model, feedback, dry_run=dry_run)


def _read(file: str, kind: str | None) -> tuple[list[Feedback], list[BadEntry]]:
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


def _tell_bad(bad: Sequence[BadEntry]) -> None:
    for entry in bad[:_SHOWN_BAD]:
        where = f"line {entry.line}: " if entry.line is not None else ""
        note(f"pocketpref: {where}{entry.reason}")
    if len(bad) > _SHOWN_BAD:
        note(f"pocketpref: and {plural(len(bad) - _SHOWN_BAD, 'more bad row')}")


def _by_user(entries: Iterable[Feedback], owner: str | None) -> dict[str | None, list[Feedback]]:
    groups: dict[str | None, list[Feedback]] = defaultdict(list)
    for entry in entries:
        groups[owner if owner is not None else entry.user].append(entry)
    return groups


def _keep(
    app: App, user: str | None, model: str | None, feedback: Sequence[Feedback], *, dry_run: bool
) -> None:
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
