"""eval: does it help me? A verdict on one's own choices, and methods compared on anybody's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import note, print_table, progress_bar, report, report_json, table
from pocketpref.cli.params import (
    MisuseError,
    format_option,
    json_option,
    model_option,
    user_option,
)
from pocketpref.errors import FileError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.evaluation import HelpVerdict, Outcomes, Report
    from pocketpref.importers import Format
    from pocketpref.records import Feedback

_HEADINGS = {
    "absolute": "right",
    "anchored": "helps",
    "absolute_mean": "right, per token",
    "anchored_mean": "helps, per token",
}
_FOR_PEOPLE = ("absolute", "absolute_mean")
"""Readings that are shown without --verbose."""

_PROMPTS = 4  # answered twice with --generate

_RULES = {
    "shorter": "always the shorter answer",
    "longer": "always the longer answer",
    "coin": "a coin",
    "model": "the model as it is (favours short answers)",
    "model, per token": "the model as it is, per token",
}


class _Counts(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """Numbers, separated by commas."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        parts = [part.strip() for part in str(value).split(",") if part.strip()]
        if not all(part.isdecimal() and len(part) < 7 for part in parts):
            self.fail("numbers are needed, separated by commas", param, ctx)
        return tuple(sorted({int(part) for part in parts}))


COUNTS = _Counts()


@click.command("eval")
@click.argument(
    "file",
    metavar="[FILE]",
    required=False,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@format_option
@click.option(
    "--generate/--no-generate",
    default=False,
    help="Let the model answer four prompts with and without your preferences (a minute or more).",
)
@click.option(
    "--switch",
    type=click.Choice(["on", "off"]),
    help="Use your preferences in replies or not, and do nothing else.",
)
@click.option("-v", "--verbose", is_flag=True, help="Compare methods, with all figures.")
@click.option("--methods", metavar="A,B,C", help="What to compare, or 'all'.")
@click.option("--ordered", is_flag=True, help="Learn from the past, ask about the last fifth.")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Random splits."
)
@click.option(
    "--limit", type=click.IntRange(min=5), metavar="N", help="The newest N choices of each person."
)
@click.option("--thorough", is_flag=True, help="Let 'ours' use the model's view of attributes.")
@click.option(
    "--curve",
    type=COUNTS,
    default="",
    metavar="0,5,20",
    help="Report accuracy after this many past choices as well.",
)
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Keep what was scored, as hashes and numbers, so that the next call goes on from there.",
)
@click.option(
    "--report",
    "picture",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="OUT.html",
    help="Also write a page to look at, in one file.",
)
@json_option
@user_option
@model_option
@pass_app
def evaluate(
    app: App,
    *,
    file: Path | None,
    kind: Format | None,
    generate: bool,
    switch: str | None,
    verbose: bool,
    methods: str | None,
    ordered: bool,
    seeds: int,
    limit: int | None,
    thorough: bool,
    curve: tuple[int, ...],
    cache: Path | None,
    picture: Path | None,
    as_json: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Does it help me? Each later choice is predicted from your earlier ones.

    The verdict comes first, then how many of your choices each simple rule predicts. No model is
    needed for that. --generate lets your model answer four of your prompts with and without your
    preferences, and says whether the replies move to where your choices point.

    Nothing is switched on or off by a verdict; `--switch off` does that, and `--switch on` undoes
    it. Nothing learned is lost.

    --verbose compares methods on choices that they did not learn from. FILE holds choices of one or
    many people (see `pocketpref import`); methods are compared on them, and nothing is remembered.
    A choice is predicted rightly if a method gives the chosen answer the higher score, and a method
    helps if it raises the chosen answer's margin; 50 % is chance. Intervals are over people.

    Methods: none, longer, shorter, reward, ours, ours-pooled, ours-other, auto. By name or with
    'all' also placebo, other, drift, exact, exact-global and base: these score each answer many
    times, which takes minutes for each ten choices on a processor.

    Example: pocketpref eval choices.jsonl --methods none,longer,shorter,auto
    """
    from pocketpref.evaluation import ALL, DEFAULT, page

    if file is not None and (generate or switch):
        raise MisuseError("--generate and --switch are about your own choices: leave FILE out")
    if switch:
        with app.pocket(user, model) as pocket:
            pocket.switch(on=switch == "on")
        if as_json:
            report_json({"auto": switch})
        else:
            report(f"your preferences are {'used' if switch == 'on' else 'not used'} in replies")
        return
    feedback = None if file is None else read_choices(file, kind)
    named = {None: DEFAULT, "all": ALL}
    wanted = named.get(methods) or [name.strip() for name in str(methods).split(",")]
    figures = file is not None or verbose or as_json or methods or picture or curve
    opened = app.pocket(user, model) if file is None else app.throwaway_pocket(model)
    with opened as pocket, progress_bar("evaluating") as show:
        found = pocket.evaluate(
            feedback,
            methods=wanted if figures else (),
            generate=_PROMPTS if generate else 0,
            on_progress=show,
            protocol="ordered" if ordered else "shuffled",
            seeds=seeds,
            limit=limit,
            thorough=thorough,
            curve=curve,
            cache=cache,
        )
    if picture is not None:
        picture.write_text(page(found), "utf-8")
        note("the page is written")
    if as_json:
        report_json(found.to_dict())
    else:
        draw_report(found, verbose=verbose)


def read_choices(file: Path, kind: Format | None) -> list[Feedback]:
    """Return the choices in a file, and report how many rows cannot be read.

    Raises:
        FileError: there is none.
    """
    from pocketpref.importers import BadEntry, read

    entries = list(read(file, kind))
    good = [entry for entry in entries if not isinstance(entry, BadEntry)]
    if len(good) < len(entries):
        note(f"{plural(len(entries) - len(good), 'row')} cannot be read and are left out")
    if not good:
        raise FileError("there is no choice in the file", hint="see docs/import.md for its form")
    return good


def draw_report(found: Report, *, verbose: bool = False) -> None:
    """Print a verdict and a comparison to stdout.

    Args:
        found: what was evaluated.
        verbose: with the readings that only a laboratory needs.
    """
    from pocketpref.evaluation.help import sum_up

    if found.help is not None:
        report(found.help.words())
        _draw_predictions(found.help)
    elif said := sum_up(found.outcomes):
        report(said)
    if not found.outcomes:
        return
    report()
    protocol = found.protocol
    report(f"{protocol['model']}: {protocol['split']}")
    people = "1 person" if protocol["users"] == 1 else f"{protocol['users']:,} people"
    asked = plural(protocol["asked"], "question")
    report(f"{people}, {asked}, learned from {protocol['learned_mean']:.0f} choices on average")
    readings = tuple(_HEADINGS) if verbose else _FOR_PEOPLE
    listing = table("method", *(_HEADINGS[reading] for reading in readings))
    for column in listing.columns[1:]:
        column.justify = "right"
    for outcomes in found.outcomes:
        listing.add_row(outcomes.method, *(percentage(outcomes, reading) for reading in readings))
    print_table(listing)


def _draw_predictions(verdict: HelpVerdict) -> None:
    if verdict.answer == "too few":
        return
    report()
    listing = table("predicted by", f"of {plural(verdict.asked, 'later choice')}")
    listing.columns[1].justify = "right"
    listing.add_row("your earlier choices", f"{verdict.predicted:g}")
    for name, count in verdict.rivals.items():
        listing.add_row(_RULES[name], f"{count:g}")
    print_table(listing)
    low, high = verdict.interval
    report(f"95 % interval of what your earlier choices predict: {low:.0%} to {high:.0%}")


def percentage(outcomes: Outcomes, reading: str) -> str:
    """Return an accuracy in per cent, with its interval if there is one."""
    accuracy = outcomes.accuracy(reading)
    percent = f"{100 * accuracy.mean:.1f} %"
    if math.isnan(accuracy.low):  # one person has no interval
        return percent
    return f"{percent} ({100 * accuracy.low:.0f}-{100 * accuracy.high:.0f})"
