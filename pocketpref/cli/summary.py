"""summary show|refresh|edit|state|history: how you like to be answered, in a few words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from pocketpref.cli.chat.terminal import TerminalView
from pocketpref.cli.context import App, pass_app
from pocketpref.cli.output import (
    ProgressLines,
    note,
    print_table,
    progress_bar,
    report,
    report_json,
    table,
    when,
)
from pocketpref.cli.params import TEXT, json_option, model_option, user_option
from pocketpref.errors import NotFoundError
from pocketpref.formatting import duration, plural

if TYPE_CHECKING:
    from pocketpref.pocket import Pocket
    from pocketpref.results import Progress
    from pocketpref.summary.records import Summary

_WRITERS = {"template": "from what was learned", "model": "by the model", "edit": "by you"}


class _ShowsByDefault(click.Group):
    """``pocketpref summary`` alone is ``pocketpref summary show``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the command in that was left out."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ShowsByDefault)
def summary() -> None:
    """See and change the summary of how you like to be answered: all that may ever be sent along.

    Example: pocketpref summary history
    """


@summary.command("show")
@json_option
@user_option
@model_option
@pass_app
def show(app: App, *, as_json: bool, user: str | None, model: str | None) -> None:
    """Print the summary, and what each part of it was learned from.

    Example: pocketpref summary show --json
    """
    with app.pocket(user, model) as pocket:
        found = pocket.summary()
        if found is None:
            raise NotFoundError(
                "there is no summary yet", hint="`pocketpref summary refresh` makes one"
            )
        if as_json:
            report_json(found.to_dict())
            return
        report(found.text)
        note(origin_in_words(found))
        for clause in found.clauses:
            about = f" (about {clause.topic})" if clause.topic else ""
            choices = plural(len(clause.pairs), "choice")
            source = "said by you" if clause.stated else f"from {choices}"
            note(f"  {'not ' if clause.avoid else ''}{clause.text}{about}: {source}")
        offer_refresh(pocket)


def origin_in_words(found: Summary) -> str:
    """Say who wrote a summary, when, and how well it explains choices."""
    words = f"{plural(found.tokens, 'token')}, written {_WRITERS[found.origin]}"
    words += f" on {when(found.created)}"
    if found.margin is None:
        return f"{words}; not measured"
    low, high = found.margin.low, found.margin.high
    return (
        f"{words}; explains choices that it was not written from by {found.margin.mean:+.2f} nats "
        f"each ({low:+.2f} to {high:+.2f})"
    )


@summary.command("refresh")
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Stop after this time; the next call goes on.",
)
@json_option
@user_option
@model_option
@pass_app
def refresh(
    app: App, *, budget: float | None, as_json: bool, user: str | None, model: str | None
) -> None:
    """Look for the summary that explains your choices best, and put it in force.

    Stop it with Ctrl-C whenever you like, and call it again to go on.

    Example: pocketpref summary refresh --budget 300
    """
    with app.pocket(user, model) as pocket, _display() as show:
        done = pocket.summarize(budget=budget, on_progress=show)
    if as_json:
        report_json(
            {
                "summary": None if done.summary is None else done.summary.to_dict(),
                "changed": done.changed,
                "complete": done.complete,
                "reason": done.reason,
                "refused": dict(done.refused),
                "pairs": done.pairs,
                "seconds": done.seconds,
            }
        )
        return
    if done.summary is not None:
        report(done.summary.text)
    note(
        f"{'changed' if done.changed else 'not changed'}: {done.reason} ({duration(done.seconds)})"
    )
    for reason, count in done.refused:
        note(f"  {plural(count, 'draft')} of the model not taken: {reason}")


def offer_refresh(pocket: Pocket) -> None:
    """Say that a summary is worth looking for, in one line, if it is."""
    reason = pocket.summary_due()
    if reason is not None:
        note(f"a new summary may be worth it: {reason}; `pocketpref summary refresh` looks for one")


@contextmanager
def _display() -> Iterator[Callable[[Progress], None]]:
    """A bar at a terminal, elsewhere a line for each kind of work."""
    if not sys.stderr.isatty():
        lines = ProgressLines()

        def tell(step: Progress) -> None:
            if step.note:
                lines(f"summarizing: {step.note}", step.note)

        yield tell
        return
    with progress_bar("summarizing", count=None, clock="elapsed", width=24) as advance:
        yield lambda step: advance(step.done + step.part, step.total, step.note)


@summary.command("edit")
@click.argument("text", type=TEXT, required=False)
@user_option
@model_option
@pass_app
def edit(app: App, *, text: str | None, user: str | None, model: str | None) -> None:
    """Put your own words in force, TEXT or what you make of it in your editor.

    What you add stands in every later summary; what you strike out does not come back. A summary
    that was allowed to leave is another one then, and is asked about again.

    Example: pocketpref summary edit "Short answers, metric units."
    """
    with app.pocket(user, model) as pocket:
        before = pocket.summary()
        old = before.text if before else ""
        new = text if text is not None else TerminalView(app.environ).edit(old)
        if new is None or not new.strip() or new.strip() == old.strip():
            note("nothing was changed")
            return
        report(pocket.edit_summary(new).text)


@summary.command("state")
@click.argument("text", type=TEXT)
@user_option
@model_option
@pass_app
def state(app: App, *, text: str, user: str | None, model: str | None) -> None:
    """Say how you like to be answered; it stands in every later summary.

    Example: pocketpref summary state "I prefer metric units"
    """
    with app.pocket(user, model) as pocket:
        pocket.state(text)
    report("kept; `pocketpref summary refresh` makes the summary anew")


@summary.command("history")
@json_option
@user_option
@model_option
@pass_app
def history(app: App, *, as_json: bool, user: str | None, model: str | None) -> None:
    """List the summaries there were, the oldest first; a star marks the one in force.

    Example: pocketpref summary history
    """
    with app.pocket(user, model) as pocket:
        found = pocket.summaries()
    if as_json:
        report_json([each.to_dict() for each in found])
        return
    if not found:
        report("there is no summary yet")
        return
    listing = table("since", "", "written", "summary")
    for each in found:
        star = "" if each.replaced else "*"
        listing.add_row(when(each.created), star, _WRITERS[each.origin], each.text)
    print_table(listing)
