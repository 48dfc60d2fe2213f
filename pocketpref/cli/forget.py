"""forget: what is remembered, taken back for good, with a proof for whoever wants one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import (
    MisuseError,
    dry_run_option,
    json_option,
    model_option,
    user_option,
    yes_option,
)
from pocketpref.cli.console import confirm, confirm_by_typing, report, report_json
from pocketpref.errors import InputError, StorageError
from pocketpref.phrases import plural, size

if TYPE_CHECKING:
    from pocketpref.pocket import Pocket
    from pocketpref.vault.integrity.erasure_check import Scan


@click.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Forget everything about the user.")
@click.option("--chat", is_flag=True, help="Forget the chat that `pocketpref chat --keep` keeps.")
@click.option("--verify", is_flag=True, help="Then search all files for what was forgotten.")
@dry_run_option
@yes_option
@json_option
@user_option
@model_option
@pass_app
def forget(
    app: App,
    *,
    ids: tuple[str, ...],
    everything: bool,
    chat: bool,
    verify: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Remove choices and everything learned from them, for good.

    A chat that is kept goes with the first of its choices that is forgotten, or by --chat. --all
    destroys the user's key: nothing about the user can be read again, by anyone. --verify
    searches everything that the program keeps (but models) for the texts, vectors and sealed
    records that are to be gone; exit code 1 if one is left.

    Example: pocketpref forget 7k2m9q4x1c8v --verify
    """
    if [everything, chat, bool(ids)].count(True) != 1:
        raise MisuseError("name the ids to forget, or --all, or --chat")
    if chat:
        if verify or as_json:
            raise MisuseError("--chat goes with neither --verify nor --json")
        report(_forget_chat(app, user, model, dry_run=dry_run, yes=yes))
        return
    traces = None
    if verify and not dry_run:
        with app.vault() as vault:
            store = vault.store(user or app.config.user)
            traces = store.traces(None if everything else ids)
    with app.pocket(user, model) as pocket:
        done = (
            _forget_everything(pocket, dry_run=dry_run, yes=yes)
            if everything
            else _forget_some(pocket, ids, dry_run=dry_run, yes=yes)
        )
    scan = None if traces is None else traces.search(_kept(app))
    if as_json:
        report_json(_shape(done, scan, dry_run=dry_run))
    else:
        verb = "would forget" if dry_run else "forgot"
        report(f"{verb} {_words(done, 'all ' if everything else '')}")
    if scan is not None:
        _judge(scan, quiet=as_json)


def _forget_chat(app: App, user: str | None, model: str | None, *, dry_run: bool, yes: bool) -> str:
    """Forget the chat that is kept; says what was done."""
    with app.pocket(user, model) as pocket:
        if dry_run:
            return f"would forget a chat of {plural(len(pocket.conversation()), 'exchange')}"
        confirm("Forget the chat that is kept for good?", yes=yes)
        return "forgot the chat" if pocket.forget_conversation() else "no chat is kept"


def _forget_some(
    pocket: Pocket, ids: Sequence[str], *, dry_run: bool, yes: bool
) -> tuple[int, int]:
    """Forget memories; how many, and from how many of them something was learned."""
    affected = pocket.forget(*ids, dry_run=True)
    counts = len(affected.ids), affected.learned
    if not dry_run:
        confirm(f"Forget {_words(counts)} for good?", yes=yes)
        pocket.forget(*ids)
    return counts


def _forget_everything(pocket: Pocket, *, dry_run: bool, yes: bool) -> tuple[int, int]:
    found = pocket.counts()
    counts = found.memories, found.learned
    if dry_run:
        return counts
    if not (found.memories or pocket.conversation()):
        raise InputError(
            "nothing is remembered about this user", hint="another one is named with -u USER"
        )
    question = f"This forgets {_words(counts, 'all ')} for good. Type 'forget'"
    confirm_by_typing(question, "forget", yes=yes)
    pocket.forget_everything()
    return counts


def _words(counts: tuple[int, int], every: str = "") -> str:
    return f"{every}{plural(counts[0], 'choice')} and what was learned from {counts[1]:,}"


def _kept(app: App) -> Iterator[Path]:
    """All files and folders of ours that could hold anything of a person."""
    places = app.places
    for folder in (places.data, places.cache, places.state):
        if folder.is_dir():
            models = (places.models, places.prepared)
            yield from (path for path in folder.iterdir() if path not in models)
    yield places.config_file


def _shape(counts: tuple[int, int], scan: Scan | None, *, dry_run: bool) -> dict[str, Any]:
    shape: dict[str, Any] = {"choices": counts[0], "learned": counts[1], "dry_run": dry_run}
    if scan is not None:
        shape["verified"] = {
            "traces": scan.traces,
            "files": scan.files,
            "bytes": scan.bytes,
            "found": [str(path) for path in scan.found],
        }
    return shape


def _judge(scan: Scan, *, quiet: bool) -> None:
    if scan.found:
        raise StorageError(
            f"what was forgotten is still in {', '.join(str(path) for path in scan.found)}",
            hint="close other programs that use the vault, and look at that file",
        )
    if not quiet:
        report(
            f"verified: none of {plural(scan.traces, 'trace')} is left in "
            f"{plural(scan.files, 'file')} ({size(scan.bytes)})"
        )
