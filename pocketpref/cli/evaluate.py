"""eval: does it help? Methods compared on choices that they did not learn from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import note, print_table, progress_bar, report, report_json, table
from pocketpref.cli.params import format_option, json_option, model_option, user_option
from pocketpref.errors import FileError
from pocketpref.formatting import plural

if TYPE_CHECKING:
    from pocketpref.evaluation import Outcomes, Report
    from pocketpref.importers import Format
    from pocketpref.records import Feedback

_HEADINGS = {
    "absolute": "right",
    "anchored": "helps",
    "absolute_mean": "right, per token",
    "anchored_mean": "helps, per token",
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
@click.option("--methods", metavar="A,B,C", help="What to compare, or 'all'.")
@click.option("--ordered", is_flag=True, help="Learn from the past, ask about the last fifth.")
@click.option(
    "--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Random splits."
)
@click.option(
    "--limit", type=click.IntRange(min=5), metavar="N", help="The newest N choices of each person."
)
@click.option(
    "--thorough", is_flag=True, help="Let 'ours' and 'auto' use the model's view of attributes."
)
@click.option(
    "--curve",
    type=COUNTS,
    default="",
    metavar="0,5,20",
    help="Also after so many past choices: learning curves.",
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
    """Compare methods on choices that they did not learn from.

    FILE holds choices of one or many people (see `pocketpref import`); nothing of it is remembered.
    Without FILE it is your own choices. A choice is predicted rightly if a method gives the chosen
    answer the higher score, and a method helps if it raises the chosen answer's margin; 50 % is
    chance. Intervals are over people.

    On your own choices it is also decided what `personalize --method auto` applies from now on:
    what you like for prompts like the one at hand, if that predicts you better than chance, or
    nothing. `pocketpref profile` says which and why.

    Methods: none, longer, reward, ours, ours-pooled, ours-other, auto. By name or with 'all' also
    placebo, other, drift, exact, exact-global and base: these score each answer many times, which
    takes minutes for each ten choices on a processor.

    Example: pocketpref eval choices.jsonl --methods none,longer,ours,auto
    """
    from pocketpref.evaluation import ALL, DEFAULT, page

    feedback = None if file is None else read_choices(file, kind)
    named = {None: DEFAULT, "all": ALL}
    opened = app.pocket(user, model) if file is None else app.throwaway_pocket(model)
    with opened as pocket, progress_bar("comparing") as show:
        found = pocket.evaluate(
            feedback,
            methods=named.get(methods) or [name.strip() for name in str(methods).split(",")],
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
        draw_report(found)


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


def draw_report(found: Report) -> None:
    """Print a comparison to stdout."""
    protocol = found.protocol
    report(f"{protocol['model']}: {protocol['split']}")
    people = "1 person" if protocol["users"] == 1 else f"{protocol['users']:,} people"
    asked = plural(protocol["asked"], "question")
    report(f"{people}, {asked}, learned from {protocol['learned_mean']:.0f} choices on average")
    listing = table("method", *_HEADINGS.values())
    for column in listing.columns[1:]:
        column.justify = "right"
    for outcomes in found.outcomes:
        listing.add_row(outcomes.method, *(percentage(outcomes, reading) for reading in _HEADINGS))
    print_table(listing)
    if found.verdict is not None:
        report(f"auto, from now on: {found.verdict.words()}")


def percentage(outcomes: Outcomes, reading: str) -> str:
    """Return an accuracy in per cent, with its interval if there is one."""
    accuracy = outcomes.accuracy(reading)
    percent = f"{100 * accuracy.mean:.1f} %"
    if math.isnan(accuracy.low):  # one person has no interval
        return percent
    return f"{percent} ({100 * accuracy.low:.0f}-{100 * accuracy.high:.0f})"
