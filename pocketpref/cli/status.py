"""status: where things are and who can read them, in words."""

from __future__ import annotations

from typing import Any

import click

from pocketpref.cli.app import App, pass_app
from pocketpref.cli.arguments import json_option, model_option, user_option
from pocketpref.cli.console import print_table, report_json, table
from pocketpref.phrases import plural


@click.command()
@json_option
@user_option
@model_option
@pass_app
def status(app: App, *, as_json: bool, user: str | None, model: str | None) -> None:
    """Say who you are here, what is kept where, who keeps the key, and what may leave.

    Example: pocketpref status --json
    """
    with app.pocket(user, model) as pocket:
        found = pocket.status()
    if as_json:
        report_json(found)
        return
    listing = table("", "")
    listing.show_header = False
    for name, words in _in_words(found, app):
        listing.add_row(name, words)
    print_table(listing)


def _in_words(found: dict[str, Any], app: App) -> list[tuple[str, str]]:
    vault = found["vault"]
    return [
        ("user", found["user"]),
        ("remembered", _remembered(found)),
        ("model", f"{found['model']}, on the {found['device']}"),
        ("scoring", _scoring(found["scoring"])),
        ("vault", str(vault["path"])),
        ("encryption", vault["encryption"]),
        ("key", vault["key_custody"]),
        ("settings", str(app.places.config_file)),
        ("models", str(app.places.models)),
        ("egress", _egress(found["egress"])),
    ]


def _egress(words: str) -> str:
    return "off: nothing learned leaves this machine" if words == "off" else words


def _remembered(found: dict[str, Any]) -> str:
    words = f"{plural(found['pairs'], 'choice')}, {found['indexed']:,} learned"
    if found["in_part"]:
        words += f" ({found['in_part']:,} of them in part; `pocketpref learn` refines them)"
    return words


def _scoring(found: dict[str, Any]) -> str:
    """How faithful the numbers are, as far as it is known."""
    kind = found["weights"]
    words = f"{kind.upper()} copy of the weights" if kind in ("f16", "bf16") else f"weights {kind}"
    if found["quantized_because"]:
        words += f", quantized and so noisy: {found['quantized_because']}"
    if found["noise"] is not None:
        words += f"; what adds less than {found['noise']:.2f} nats is taken for noise"
    return words
