"""egress preview|log|verify: what would leave, what did, and whether the log of it is whole."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.egress.rendering import (
    level_name,
    mark,
    preview_as_dict,
    preview_lines,
    report_body,
    somebody_to_ask,
    terminal_ask,
)
from pocketpref.cli.output import note, print_table, report, report_json, table, when
from pocketpref.cli.params import TEXT, json_option, model_option, user_option
from pocketpref.errors import NotFoundError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.egress import LogEntry

# remote: one answer from elsewhere, with what you allowed to go along.


@click.command()
@click.argument("prompt", type=TEXT)
@click.option("--to", required=True, metavar="DEST", help="The model to ask.")
@click.option("-s", "--system", type=TEXT, metavar="TEXT", help="System prompt.")
@json_option
@user_option
@model_option
@pass_app
def remote(
    app: App,
    *,
    prompt: str,
    to: str,
    system: str | None,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Ask a remote model, with what you allowed to go along, and print its answer.

    Without a grant for DEST it shows what would leave and asks; where there is no terminal it
    refuses. PROMPT is text, - or @FILE. DEST is openai:MODEL, anthropic:MODEL, or with its address
    openai:MODEL@https://HOST/v1.

    Example: pocketpref remote "Explain DNS" --to openai:gpt-5
    """
    with app.pocket(user, model) as pocket:
        ask = terminal_ask() if somebody_to_ask() else None
        shown = pocket.preview(prompt, to=to, system=system)
        reply = pocket.reply_remotely(prompt, to=to, system=system, ask=ask)
    if as_json:
        shape = {"reply": reply, "destination": str(shown.destination)}
        report_json({**shape, "level": level_name(shown.level), "text": shown.text})
        return
    report(reply)
    note(f"{mark(shown)}; `pocketpref egress log` shows what left")


@click.command("preview")
@click.argument("prompt", type=TEXT)
@click.option("--to", required=True, metavar="DEST", help="Where it would be sent.")
@click.option("-s", "--system", type=TEXT, metavar="TEXT", help="System prompt.")
@json_option
@user_option
@model_option
@pass_app
def preview(
    app: App,
    *,
    prompt: str,
    to: str,
    system: str | None,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Show exactly the bytes that would leave for a prompt, and whether they may. Sends nothing.

    Example: pocketpref egress preview "Explain DNS" --to openai:gpt-5
    """
    with app.pocket(user, model) as pocket:
        found = pocket.preview(prompt, to=to, system=system)
        summary = pocket.offer().summary
    if as_json:
        report_json(preview_as_dict(found))
        return
    for line in preview_lines(found, summary):
        report(line)
    report_body(found)


@click.command("log")
@click.argument("entry_id", metavar="[ID]", required=False)
@json_option
@user_option
@model_option
@pass_app
def log(
    app: App, *, entry_id: str | None, as_json: bool, user: str | None, model: str | None
) -> None:
    """List every decision, the oldest first; with an ID, exactly the bytes that left then.

    Example: pocketpref egress log
    """
    with app.pocket(user, model) as pocket:
        entries = pocket.egress.log()
        forgotten = frozenset(pocket.egress.verify().forgotten)
        body = pocket.egress.released(entry_id) if entry_id else None
    if entry_id is None and as_json:
        report_json([{**e.to_dict(), "forgotten": e.id in forgotten} for e in entries])
        return
    if entry_id is None:
        _print_log(entries, forgotten)
        return
    entry = next((e for e in entries if e.id == entry_id), None)
    if entry is None:
        raise NotFoundError(
            "the log has no entry of this id", hint="`pocketpref egress log` lists them"
        )
    if body is not None:
        report(body.decode())
    elif entry.event == "allowed":
        report(
            f"forgotten here, but it left on {when(entry.when)} to {entry.destination} "
            f"({entry.sent:,} bytes): that cannot be undone"
        )
    else:
        report(f"{entry.event}: {entry.reason}; nothing left")


def _print_log(entries: list[LogEntry], forgotten: frozenset[str]) -> None:
    if not entries:
        report("nothing was ever asked for")
        return
    listing = table("id", "when", "what", "destination", "bytes", "")
    listing.columns[4].justify = "right"
    ends = {entry.release: entry.reason for entry in entries if entry.event == "finished"}
    for entry in entries:
        if entry.event == "finished":
            continue  # shown in the line of the request itself
        what = entry.event if entry.level is None else f"{entry.event} ({level_name(entry.level)})"
        fate = "it left, and its text is forgotten here" if entry.id in forgotten else ""
        words = [entry.reason, ends.get(entry.id, ""), fate]
        size = f"{entry.sent:,}" if entry.sent else ""
        shown = "; ".join(word for word in words if word)
        listing.add_row(entry.id, when(entry.when), what, entry.destination, size, shown)
    print_table(listing)
    note("`pocketpref egress log ID` shows the bytes of one that was allowed")


@click.command("verify")
@json_option
@user_option
@model_option
@pass_app
def verify(app: App, *, as_json: bool, user: str | None, model: str | None) -> None:
    """Check that the log is whole and says what left; exit code 1 if it is not.

    Example: pocketpref egress verify
    """
    with app.pocket(user, model) as pocket:
        found = pocket.egress.verify()
    if as_json:
        report_json(
            {
                "ok": found.ok,
                "entries": found.entries,
                "kept": found.kept,
                "forgotten": list(found.forgotten),
                "problems": list(found.problems),
                "notes": list(found.notes),
            }
        )
    else:
        report(f"{plural(found.entries, 'line')}, {'all sound' if found.ok else 'NOT SOUND'}")
        report(f"the exact bytes of {plural(found.kept, 'request')} that left are kept")
        if found.forgotten:
            report(f"{plural(len(found.forgotten), 'request')} left and is forgotten here")
        for line in (*found.problems, *found.notes):
            report(line)
    if not found.ok:
        sys.exit(1)
