"""Render a comparison as one HTML page that loads nothing from the network.

People appear as dots, without names.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from typing import Final

from pocketpref.evaluation.help import sum_up
from pocketpref.evaluation.runner import AFTER, Outcomes, Report, calibration

# Line charts of the page: learning curves, and whether what is said to be sure is sure.

CALIBRATED: Final = ("reward", "ours", "auto")
"""Methods whose scores are log-odds: names that begin so."""

_CHART_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _RIGHT = 460, 240, 150, 30, 150
"""Pixels: of the plot, and beside and below it."""

_COLOURS: Final = ("#3b7dd8", "#e08a1e", "#2a9d6f", "#b0498f", "#7a6cd0", "#8a6d3b")

Point = tuple[float, float]
Line = tuple[str, list[Point]]
"""Name, and points in the unit square, from left to right."""


def curves(report: Report) -> str:
    """Chart the accuracy after N choices; "" if that was not measured."""
    found: dict[str, dict[int, float]] = {}
    for outcomes in report.outcomes:
        method, after, count = outcomes.method.rpartition(AFTER)
        if after:
            found.setdefault(method, {})[int(count)] = outcomes.accuracy("absolute").mean
    counts = sorted({count for steps in found.values() for count in steps})
    if len(counts) < 2:
        return ""
    places = {count: place / (len(counts) - 1) for place, count in enumerate(counts)}
    drawn = [(m, [(places[c], s) for c, s in sorted(steps.items())]) for m, steps in found.items()]
    ticks = [(places[count], str(count)) for count in counts]
    return _line_chart(drawn, ticks, "past choices")


def calibrations(report: Report) -> str:
    """Chart the share predicted rightly by stated probability; "" if no method states one."""
    drawn = [
        (
            outcomes.method,
            [((said - 0.5) * 2, right) for said, right, _ in calibration(outcomes.scores[:, 0])],
        )
        for outcomes in report.outcomes
        if outcomes.method.startswith(CALIBRATED) and AFTER not in outcomes.method
    ]
    if not drawn:
        return ""
    ticks = [(percent / 100, f"{percent} %") for percent in range(50, 101, 10)]
    scaled = [((x - 0.5) * 2, label) for x, label in ticks]
    ideal = [("as said", [(0.0, 0.5), (1.0, 1.0)])]
    return _line_chart([*drawn, *ideal], scaled, "said")


def _line_chart(lines: Sequence[Line], ticks: Sequence[tuple[float, str]], below: str) -> str:
    width, height = _LEFT + _CHART_WIDTH + _RIGHT, _HEIGHT + 2 * _BOTTOM
    parts = [_frame(ticks, below)]
    for place, (name, points) in enumerate(lines):
        colour = _COLOURS[place % len(_COLOURS)]
        path = [(_curve_x(x), _y(y)) for x, y in points]
        joined = " ".join(f"{x},{y}" for x, y in path)
        parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>' for x, y in path]
        parts.append(
            f'<text x="0" y="{16 * (place + 1)}" style="fill: {colour}">{html.escape(name)}</text>'
        )
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def _frame(ticks: Sequence[tuple[float, str]], below: str) -> str:
    parts = []
    for percent in range(0, 101, 25):
        kind, y = "chance" if percent == 50 else "grid", _y(percent / 100)
        parts.append(
            f'<line class="{kind}" x1="{_LEFT}" x2="{_LEFT + _CHART_WIDTH}" y1="{y}" y2="{y}"/>'
        )
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{percent} %</text>')
    at = _HEIGHT + _BOTTOM
    for place, label in ticks:
        parts.append(f'<text x="{_curve_x(place)}" y="{at}" text-anchor="middle">{label}</text>')
    return "".join(parts) + f'<text x="{_LEFT + _CHART_WIDTH + 16}" y="{at}">{below}</text>'


def _curve_x(share: float) -> float:
    return round(_LEFT + _CHART_WIDTH * share, 1)


def _y(share: float) -> float:
    return round(10 + (_HEIGHT - 10) * (1 - share), 1)


HEADINGS: Final = {
    "absolute": ("Right", "The chosen answer gets the higher score."),
    "anchored": ("Helps", "What is applied raises the chosen answer's margin over the plain one."),
    "absolute_mean": ("Right, per token", "The same with log-probabilities per token."),
    "anchored_mean": ("Helps, per token", "The same with log-probabilities per token."),
}
"""Each reading in words: a heading, and what it means."""

_LABEL, _WIDTH, _ROW, _END = 150, 460, 26, 130
"""Pixels: of the names, of the scale, of a line, of the figures behind it."""

_STYLE: Final = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 820px; margin: 2rem auto; padding: 0 1rem;
       color: #1c2733; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1.05rem; margin: 2rem 0 0 } p { margin: .2rem 0 .6rem }
svg { width: 100%; height: auto } svg text { font: 13px system-ui, sans-serif; fill: currentColor }
.grid { stroke: #d5dbe1 } .chance { stroke: #9aa5b1; stroke-dasharray: 4 3 }
.range { stroke: #3b7dd8; stroke-width: 3 } .mean { fill: #1d4f91 }
.person { fill: #e08a1e; opacity: .4 }
@media (prefers-color-scheme: dark) {
  body { color: #dbe2ea; background: #14181d } .grid { stroke: #2c343d } .mean { fill: #9cc3f5 } }
"""


def page(report: Report) -> str:
    """Return the whole page.

    Args:
        report: a finished comparison.
    """
    verdict = report.help.words() if report.help is not None else sum_up(report.outcomes)
    charts = ""
    if report.outcomes:
        protocol = report.protocol
        said = (
            f"{protocol.get('model', 'no model')}: {protocol['split']}; "
            f"{protocol['users']:,} people, {protocol['asked']:,} questions, "
            f"learned from {protocol['learned_mean']:.0f} choices on average. "
            f"Lines: {protocol['interval']}. Dots: people. Dashed: chance."
        )
        charts = f"<p>{html.escape(said)}</p>"
        for reading, (heading, meaning) in HEADINGS.items():
            charts += _section(heading, meaning, accuracies(report, reading))
        charts += _section("Learning", "Right after this many choices.", curves(report))
        sure = "Share that was right, by how likely it was said to be."
        charts += _section("Sure", sure, calibrations(report))
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>pocketpref eval</title><style>{_STYLE}</style>"
        f"<h1>Does it help?</h1><p><strong>{html.escape(verdict)}</strong></p>"
        f"{charts}</html>\n"
    )


def _section(heading: str, meaning: str, chart: str) -> str:
    return f"<h2>{heading}</h2><p>{meaning}</p>{chart}" if chart else ""


def accuracies(report: Report, reading: str) -> str:
    """Chart the accuracy of each method in one reading, with a dot for each person."""
    whole = [outcomes for outcomes in report.outcomes if AFTER not in outcomes.method]
    height = _ROW * (len(whole) + 1)
    parts = []
    for percent in range(0, 101, 25):
        kind = "chance" if percent == 50 else "grid"
        x = _x(percent / 100)
        parts.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="0" y2="{height - _ROW}"/>')
        parts.append(f'<text x="{x}" y="{height - 8}" text-anchor="middle">{percent} %</text>')
    for place, found in enumerate(whole):
        y = _ROW * (place + 0.5)
        parts.append(f'<text x="0" y="{y + 4}">{html.escape(found.method)}</text>')
        parts += _marks(found, reading, y)
    width = _LABEL + _WIDTH + _END
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def _marks(found: Outcomes, reading: str, y: float) -> Iterator[str]:
    for share, _ in found.of_users(reading).values():
        yield f'<circle class="person" cx="{_x(share)}" cy="{y}" r="3.5"/>'
    accuracy = found.accuracy(reading)
    words = f"{100 * accuracy.mean:.1f} %"
    if not math.isnan(accuracy.low):
        ends = f'x1="{_x(accuracy.low)}" x2="{_x(accuracy.high)}"'
        yield f'<line class="range" {ends} y1="{y}" y2="{y}"/>'
        words += f" ({100 * accuracy.low:.0f}-{100 * accuracy.high:.0f})"
    yield f'<circle class="mean" cx="{_x(accuracy.mean)}" cy="{y}" r="5"/>'
    yield f'<text x="{_LABEL + _WIDTH + 16}" y="{y + 4}">{words}</text>'


def _x(share: float) -> float:
    return round(_LABEL + _WIDTH * share, 1)
