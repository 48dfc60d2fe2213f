"""profile: what was learned, as bars, with the evidence for each part."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import bar, console, print_table, report, report_json, table
from pocketpref.cli.params import json_option, model_option, user_option
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from rich.text import Text

    from pocketpref.attributes import AttributeBank
    from pocketpref.results import Profile, ProfileEntry

# status: where things are and who can read them, in words.


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


_BAR = 24  # characters
_EVIDENCE = 3  # ids shown of each attribute; --json has all


@click.command()
@json_option
@user_option
@model_option
@pass_app
def profile(app: App, *, as_json: bool, user: str | None, model: str | None) -> None:
    """Show what was learned: how you like to be answered, and the choices that say so.

    A bar is the mean gain of an attribute in nats for each learned choice. `pocketpref memory show
    ID` shows the choice behind an id.

    Example: pocketpref profile --json
    """
    with app.pocket(user, model) as pocket:
        found = pocket.profile()
        bank = pocket.attributes
    if as_json:
        report_json(found.to_dict())
    else:
        draw_profile(found, bank)


def draw_profile(profile: Profile, bank: AttributeBank, limit: int | None = None) -> None:
    """Print a profile to stdout.

    Args:
        profile: what was learned.
        bank: the wordings of the attributes.
        limit: show the strongest few only.
    """
    report(
        f"{plural(profile.pairs, 'choice')} remembered, {profile.indexed:,} learned "
        f"({profile.method})"
    )
    if profile.auto == "off":
        report("your preferences are not used in replies: `pocketpref eval --switch on`")
    if not profile.entries:
        report(_nothing(profile))
        return
    report(
        "What raised the margin of the chosen answers, in nats for each learned choice, "
        "and the choices that say so:"
    )
    report()
    strongest = max(entry.weight for entry in profile.entries)
    name_width = max(len(entry.name) for entry in profile.entries)
    screen = console()
    for entry in profile.entries[:limit]:
        screen.print(_line(entry, strongest, name_width, screen.width), soft_wrap=True)
        if entry.name in bank:
            report(f"  {'':{name_width}}  {bank[entry.name].wording}")
    hidden = len(profile.entries) - len(profile.entries[:limit])
    if hidden:
        report(f"  and {hidden} more")
    if profile.policy:
        report()
    for line in profile.policy:
        report(f"palm: {line}")


def _nothing(profile: Profile) -> str:
    if profile.indexed:
        return "no attribute explains these choices by more than the model's own noise"
    if profile.pairs:
        return "nothing learned yet: `pocketpref learn` does it"
    return "add choices with `pocketpref import`, `pocketpref add` or /prefer in `pocketpref chat`"


def _line(entry: ProfileEntry, strongest: float, name_width: int, width: int) -> Text:
    from rich.text import Text

    room = min(_BAR, max(width - name_width - 40, 8))
    drawn = bar(entry.weight / strongest if strongest > 0 else 0.0, room, sys.stdout)
    line = Text(f"  {entry.name:{name_width}}  ")
    line.append(f"{drawn:{room}}", style="green")
    line.append(f"  {entry.weight:5.2f}  ")
    line.append(_evidence(entry), style="dim")
    return line


def _evidence(entry: ProfileEntry) -> str:
    shown = " ".join(entry.pairs[:_EVIDENCE])
    more = len(entry.pairs) - _EVIDENCE
    return f"{shown} +{more}" if more > 0 else shown
