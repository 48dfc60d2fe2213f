"""profile: what was learned, as bars with their evidence; status: what is kept where."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import bar, console, print_table, report, report_json, table
from pocketpref.cli.params import json_option, model_option, user_option
from pocketpref.formatting import certainty, plural

if TYPE_CHECKING:
    from rich.text import Text

    from pocketpref.attributes import AttributeBank
    from pocketpref.results import Preference, Profile, ProfileEntry

# status


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
    vault, egress = found["vault"], found["egress"]
    remembered = f"{plural(found['pairs'], 'choice')}, {found['indexed']:,} learned"
    if found["in_part"]:
        remembered += f" ({found['in_part']:,} of them in part; `pocketpref learn` refines them)"
    listing = table("", "")
    listing.show_header = False
    for name, words in (
        ("user", found["user"]),
        ("remembered", remembered),
        ("model", f"{found['model']}, on the {found['device']}"),
        ("scoring", scoring_in_words(found["scoring"])),
        ("vault", str(vault["path"])),
        ("encryption", vault["encryption"]),
        ("key", vault["key_custody"]),
        ("settings", str(app.places.config_file)),
        ("models", str(app.places.models)),
        ("egress", "off: nothing learned leaves this machine" if egress == "off" else egress),
    ):
        listing.add_row(name, words)
    print_table(listing)


def scoring_in_words(found: dict[str, Any]) -> str:
    """Say how faithful the scores are, as far as it is known."""
    kind = found["weights"]
    words = f"{kind.upper()} copy of the weights" if kind in ("f16", "bf16") else f"weights {kind}"
    if found["quantized_because"]:
        words += f", quantized and so noisy: {found['quantized_because']}"
    if found["noise"] is not None:
        words += f"; what adds less than {found['noise']:.2f} nats is taken for noise"
    return words


_BAR = 24  # characters
_EVIDENCE = 3  # ids shown of each attribute; --json has all
_LIKELY = 3  # preferences shown that are likely, not sure


@click.command()
@click.option("-v", "--verbose", is_flag=True, help="Also show what EXACT and PALM found.")
@json_option
@user_option
@model_option
@pass_app
def profile(app: App, *, verbose: bool, as_json: bool, user: str | None, model: str | None) -> None:
    """Show how you like to be answered, how sure that is, and the choices that say so.

    `pocketpref memory show ID` shows the choice behind an id, `pocketpref correct` corrects a
    preference, `pocketpref ask` helps where little is sure. With --verbose a bar is the mean gain
    of an attribute in nats for each choice that was learned.

    Example: pocketpref profile --json
    """
    with app.pocket(user, model) as pocket:
        found = pocket.profile()
        bank = pocket.attributes
        stated = [one.text for one in pocket.statements() if one.wanted]
    if as_json:
        report_json(found.to_dict())
        return
    draw_preferences(found, stated)
    if verbose:
        report()
        draw_profile(found, bank)


def draw_preferences(profile: Profile, stated: Sequence[str] = ()) -> None:
    """Print what a person likes, in plain words, to stdout.

    Args:
        profile: what is known.
        stated: what they said in their own words.
    """
    report(f"{plural(profile.pairs, 'choice')} remembered")
    if profile.auto == "off":
        report("Switched off: replies are left as they are (`pocketpref eval --switch on`).")
    for text in stated:
        report(f"  {text} (you said so)")
    for found in profile.preferences:
        if found.applied:
            report(f"  {_in_words(found)}")
    if not stated and not any(found.applied for found in profile.preferences):
        report("Nothing is sure yet, so answers are left as they are.")
    likely = [found for found in profile.preferences if not found.applied]
    if likely:
        report("Not said to the model:")
        for found in likely[:_LIKELY]:
            report(f"  {_in_words(found)}")
    if not profile.pairs:
        report(next_step(profile))


def _in_words(found: Preference) -> str:
    total = found.supporting + found.contrary
    shown = " ".join(found.choices[:_EVIDENCE])
    more = len(found.choices) - _EVIDENCE
    words = f"{found.likes}: {found.supporting:g} of {total:g} choices, "
    words += found.correction or certainty(found.probability)
    return f"{words}  [{shown}{f' +{more}' if more > 0 else ''}]"


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
    if not profile.entries:
        report(next_step(profile))
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


def next_step(profile: Profile) -> str:
    """Say why a profile is empty, or what fills it."""
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
    more = len(entry.pairs) - _EVIDENCE
    evidence = " ".join(entry.pairs[:_EVIDENCE]) + (f" +{more}" if more > 0 else "")
    line.append(evidence, style="dim")
    return line
