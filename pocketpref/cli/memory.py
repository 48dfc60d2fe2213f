"""add, forget and memory ls|show|history: the choices that are remembered."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import (
    confirm,
    confirm_by_typing,
    note,
    one_line,
    print_table,
    report,
    report_json,
    table,
    when,
)
from pocketpref.cli.params import (
    TEXT,
    MisuseError,
    dry_run_option,
    json_option,
    model_option,
    user_option,
    yes_option,
)
from pocketpref.config import Places
from pocketpref.errors import InputError, StorageError
from pocketpref.formatting import plural, size

if TYPE_CHECKING:
    from pocketpref.pocket import Pocket
    from pocketpref.records import Memory
    from pocketpref.vault.integrity.erasure_check import Scan

# forget


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
        forget_chat(app, user, model, dry_run=dry_run, yes=yes)
        return
    traces = None
    if verify and not dry_run:
        with app.vault() as vault:
            store = vault.store(user or app.config.user)
            traces = store.traces(None if everything else ids)
    with app.pocket(user, model) as pocket:
        if everything:
            done = forget_everything(pocket, dry_run=dry_run, yes=yes)
        else:
            done = forget_choices(pocket, ids, dry_run=dry_run, yes=yes)
    scan = None if traces is None else traces.search(private_files(app.places))
    if as_json:
        shape: dict[str, Any] = {"choices": done[0], "learned": done[1], "dry_run": dry_run}
        if scan is not None:
            shape["verified"] = {
                "traces": scan.traces,
                "files": scan.files,
                "bytes": scan.bytes,
                "found": [str(path) for path in scan.found],
            }
        report_json(shape)
    else:
        verb = "would forget" if dry_run else "forgot"
        report(f"{verb} {_words(done, 'all ' if everything else '')}")
    if scan is not None:
        require_no_trace(scan, quiet=as_json)


def forget_chat(app: App, user: str | None, model: str | None, *, dry_run: bool, yes: bool) -> None:
    """Forget the chat that is kept, after asking."""
    with app.pocket(user, model) as pocket:
        if dry_run:
            report(f"would forget a chat of {plural(len(pocket.conversation()), 'exchange')}")
            return
        confirm("Forget the chat that is kept for good?", yes=yes)
        report("forgot the chat" if pocket.forget_conversation() else "no chat is kept")


def forget_choices(
    pocket: Pocket, ids: Sequence[str], *, dry_run: bool, yes: bool
) -> tuple[int, int]:
    """Forget choices, after asking. Returns how many, and from how many something was learned."""
    affected = pocket.forget(*ids, dry_run=True)
    counts = len(affected.ids), affected.learned
    if not dry_run:
        confirm(f"Forget {_words(counts)} for good?", yes=yes)
        pocket.forget(*ids)
    return counts


def forget_everything(pocket: Pocket, *, dry_run: bool, yes: bool) -> tuple[int, int]:
    """Forget everything about the user, after asking. Returns the same two numbers.

    Raises:
        InputError: nothing is remembered, or the person did not confirm.
    """
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


def private_files(places: Places) -> Iterator[Path]:
    """Every file and folder of ours that could hold anything of a person."""
    for folder in (places.data, places.cache, places.state):
        if folder.is_dir():
            models = (places.models, places.prepared)
            yield from (path for path in folder.iterdir() if path not in models)
    yield places.config_file


def require_no_trace(scan: Scan, *, quiet: bool) -> None:
    """Report a search for what was forgotten.

    Raises:
        StorageError: a file still holds some of it.
    """
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


_ORIGINS = {"user": "by hand", "import": "imported", "chat": "in a chat", "edit": "by editing"}


@click.command()
@click.option("--prompt", type=TEXT, required=True, help="What was asked.")
@click.option("--chosen", type=TEXT, required=True, help="The answer you prefer.")
@click.option("--rejected", type=TEXT, required=True, help="The other answer.")
@user_option
@model_option
@pass_app
def add(
    app: App, *, prompt: str, chosen: str, rejected: str, user: str | None, model: str | None
) -> None:
    """Remember that you prefer one of two answers, and print the memory's id.

    It is safe on disk when the command returns; `pocketpref learn` learns from it later.

    Example: pocketpref add --prompt "Explain DNS" --chosen @short.txt --rejected @long.txt
    """
    with app.pocket(user, model) as pocket:
        report(pocket.add(prompt, chosen, rejected))


@click.group()
def memory() -> None:
    """See what is remembered.

    Example: pocketpref memory ls
    """


@memory.command("ls")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="Show the newest N only.")
@json_option
@user_option
@model_option
@pass_app
def list_memories(
    app: App, limit: int | None, as_json: bool, user: str | None, model: str | None
) -> None:
    """List the remembered choices, the newest first.

    Example: pocketpref memory ls --limit 20
    """
    with app.pocket(user, model) as pocket:
        found = list(itertools.islice(pocket.memories(), limit))
        counts = pocket.counts()
    if as_json:
        report_json([_as_dict(m) for m in found])
        return
    _print_listing(found)
    note(f"{plural(counts.memories, 'choice')} remembered, {counts.learned:,} learned")


def _print_listing(memories: Sequence[Memory], in_force: Container[str] = ()) -> None:
    if not memories:
        return
    listing = table("id", "when", "how", "prompt")
    for m in memories:
        star = " *" if m.id in in_force else ""
        listing.add_row(m.id + star, when(m.created), _ORIGINS[m.origin], one_line(m.pair.prompt))
    print_table(listing)


def _as_dict(memory: Memory) -> dict[str, Any]:
    return {
        "id": memory.id,
        "created": memory.created.isoformat(),
        "origin": memory.origin,
        "prompt": memory.pair.prompt,
        "chosen": memory.pair.chosen,
        "rejected": memory.pair.rejected,
        "meta": dict(memory.meta),
    }


@memory.command("show")
@click.argument("memory_id", metavar="ID")
@json_option
@user_option
@model_option
@pass_app
def show(app: App, *, memory_id: str, as_json: bool, user: str | None, model: str | None) -> None:
    """Show one choice in full, and what was learned from it.

    Example: pocketpref memory show 7k2m9q4x1c8v
    """
    with app.pocket(user, model) as pocket:
        found = pocket.memory(memory_id)
        learned = list(pocket.learned_from(memory_id))
    if as_json:
        report_json({**_as_dict(found), "attributes": learned})
        return
    report(f"{found.id}, {when(found.created)}, {_ORIGINS[found.origin]}")
    report(f"learned from it: {', '.join(learned) or 'nothing (yet)'}")
    pair = found.pair
    for title, text in (
        ("prompt", pair.prompt),
        ("chosen", pair.chosen),
        ("rejected", pair.rejected),
    ):
        report(f"\n--- {title}\n{text}")


@memory.command("history")
@click.argument("memory_id", metavar="[ID]", required=False)
@json_option
@user_option
@model_option
@pass_app
def history(
    app: App, *, memory_id: str | None, as_json: bool, user: str | None, model: str | None
) -> None:
    """Show how choices came in, the oldest first; with an ID, all choices on its prompt.

    A star marks those in force: of several choices on one prompt, recall uses one.

    Example: pocketpref memory history 7k2m9q4x1c8v
    """
    with app.pocket(user, model) as pocket:
        prompt = pocket.memory(memory_id).pair.prompt if memory_id else None
        found = [m for m in pocket.memories() if prompt is None or m.pair.prompt == prompt]
        in_force = pocket.in_force()
    found.sort(key=lambda m: m.created)
    if as_json:
        report_json([{**_as_dict(m), "in_force": m.id in in_force} for m in found])
        return
    _print_listing(found, in_force)
