"""remote: one answer from elsewhere, with what you allowed to go along."""

from __future__ import annotations

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import TEXT, json_option, model_option, user_option
from pocketpref.cli.console import note, report, report_json
from pocketpref.cli.leaving import level_name, mark, somebody_to_ask, terminal_ask


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
