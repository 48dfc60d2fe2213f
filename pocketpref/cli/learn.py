"""learn: what was found and how long it takes, while it happens."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from pocketpref.cli.context import App, pass_app, without_network
from pocketpref.cli.output import ProgressLines, note, progress_bar, report
from pocketpref.cli.params import model_option, offline_option, user_option
from pocketpref.cli.summary import offer_refresh
from pocketpref.formatting import duration, plural

if TYPE_CHECKING:
    from pocketpref.pocket import Pocket
    from pocketpref.results import LearnReport, Progress

_SHOWN = 3  # attribute names beside the bar
_QUIET_SECONDS = 5.0  # between two plain lines, unless a pair is finished


@click.command()
@click.option(
    "--budget",
    type=click.FloatRange(min=0),
    metavar="SECONDS",
    help="Stop after this time; the next call goes on.",
)
@click.option(
    "--exhaustive",
    is_flag=True,
    help="Evaluate every attribute in every round (the paper); refines what is learned already.",
)
@offline_option
@user_option
@model_option
@pass_app
def learn(
    app: App,
    *,
    budget: float | None,
    exhaustive: bool,
    offline: bool,
    user: str | None,
    model: str | None,
) -> None:
    """Learn from the choices that are new, the newest first.

    Every choice is kept as soon as it is done: stop it with Ctrl-C whenever you like, and call it
    again to go on.

    Example: pocketpref learn --budget 60
    """
    guard = without_network(offline, own_process=app.own_process)
    with guard, app.pocket(user, model, exhaustive=exhaustive) as pocket:
        done = learn_visibly(pocket, budget)
        if done.indexed and not done.remaining:
            offer_refresh(pocket)
    if done.interrupted:
        sys.exit(130)


def learn_visibly(pocket: Pocket, budget: float | None = None) -> LearnReport:
    """Learn with progress on stderr and the result on stdout; Ctrl-C ends it early.

    Args:
        pocket: whose new choices.
        budget: seconds after which to stop; None for all of them.
    """
    from pocketpref.results import LearnReport

    began = time.monotonic()
    tally = Tally()
    try:
        with _display(tally) as show:
            result = pocket.learn(budget=budget, on_progress=show)
    except KeyboardInterrupt:
        status = pocket.status()
        remaining = status["pairs"] - status["indexed"]
        seconds = time.monotonic() - began
        result = LearnReport(tally.done, remaining, seconds, interrupted=True)
    report(result_in_words(result, tally))
    return result


def result_in_words(result: LearnReport, tally: Tally) -> str:
    """Say how many choices were learned from, what was found, and what remains."""
    if not result.indexed and not result.remaining:
        return "nothing new to learn"
    lines = [f"learned from {plural(result.indexed, 'choice')} in {duration(result.seconds)}"]
    if tally.found:
        lines.append(f"found: {tally.names(limit=None)}")
    if result.remaining:
        why = "stopped" if result.interrupted else "time is up"
        rest = f"{plural(result.remaining, 'choice')} remaining"
        lines.append(f"{why}: what was learned is kept, {rest}; `pocketpref learn` goes on")
    return "\n".join(lines)


class Tally:
    """What learning has found so far.

    Attributes:
        found: how often each attribute was selected.
        done: pairs finished.
    """

    def __init__(self) -> None:
        self.found: Counter[str] = Counter()
        self.done = 0

    def count(self, progress: Progress) -> bool:
        """Take a report into account; whether it finished a pair."""
        finished = progress.done > self.done
        if finished:
            self.found.update(progress.found)
            self.done = progress.done
        return finished

    def names(self, limit: int | None = _SHOWN) -> str:
        """The attributes found most often, with their numbers."""
        return ", ".join(f"{name} {count}" for name, count in self.found.most_common(limit))


def time_left(progress: Progress) -> str:
    """An estimate in words, or "" while there is nothing to go by."""
    # When a pair is reported as finished, `part` still speaks of it.
    share = progress.done + (0.0 if progress.part >= 1.0 else progress.part)
    if share <= 0 or progress.done >= progress.total:
        return ""
    return f"{duration(progress.elapsed / share * (progress.total - share))} left"


@contextmanager
def _display(tally: Tally) -> Iterator[Callable[[Progress], None]]:
    """A bar at a terminal; elsewhere a line for each choice, or now and then."""
    if not sys.stderr.isatty():
        note("learning: loading the models")
        lines = ProgressLines(_QUIET_SECONDS)

        def tell(progress: Progress) -> None:
            tally.count(progress)
            pairs = f"learning: {progress.done} of {plural(progress.total, 'pair')}"
            words = (pairs, time_left(progress), tally.names(), progress.note)
            lines(", ".join(word for word in words if word), progress.done)

        yield tell
        return
    with progress_bar("learning", count=None, words="loading the models", width=24) as advance:

        def show(progress: Progress) -> None:
            tally.count(progress)
            part = 0.0 if progress.part >= 1.0 else progress.part
            pairs = f"{progress.done}/{progress.total} pairs"
            words = (pairs, time_left(progress), tally.names(), progress.note)
            shown = " · ".join(word for word in words if word)
            advance(progress.done + part, progress.total, shown)

        yield show
