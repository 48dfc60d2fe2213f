"""add and memory ls|show|history: what is remembered, added to and seen by hand."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import TEXT, json_option, model_option, user_option
from pocketpref.cli.console import note, one_line, print_table, report, report_json, table
from pocketpref.phrases import plural

if TYPE_CHECKING:
    from datetime import datetime

    from pocketpref.pocket import Pocket
    from pocketpref.records import Memory

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
        found = _first(pocket, limit)
        counts = pocket.counts()
    if as_json:
        report_json([_as_dict(m) for m in found])
        return
    _print_listing(found)
    note(f"{plural(counts.memories, 'choice')} remembered, {counts.learned:,} learned")


def _first(pocket: Pocket, limit: int | None) -> list[Memory]:
    from itertools import islice

    return list(islice(pocket.memories(), limit))


def _print_listing(memories: Sequence[Memory], in_force: Container[str] = ()) -> None:
    if not memories:
        return
    listing = table("id", "when", "how", "prompt")
    for m in memories:
        star = " *" if m.id in in_force else ""
        listing.add_row(m.id + star, _when(m.created), _ORIGINS[m.origin], one_line(m.pair.prompt))
    print_table(listing)


def _when(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


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
    report(f"{found.id}, {_when(found.created)}, {_ORIGINS[found.origin]}")
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
