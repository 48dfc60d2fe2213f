"""Line charts of the page: learning curves, and whether what is said to be sure is sure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Final

from pocketpref.evaluation.curves import AFTER
from pocketpref.evaluation.metrics import calibration
from pocketpref.evaluation.run import Outcomes, Report

CALIBRATED: Final = ("reward", "ours")
"""Methods whose scores are log-odds: names that begin so."""

_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _RIGHT = 460, 240, 150, 30, 150
"""Pixels: of the plot, and beside and below it."""

_COLOURS: Final = ("#3b7dd8", "#e08a1e", "#2a9d6f", "#b0498f", "#7a6cd0", "#8a6d3b")

Point = tuple[float, float]
Line = tuple[str, list[Point]]
"""Name, and points in the unit square, from left to right."""


def curves(report: Report) -> str:
    """Accuracy after so many choices, or "" if that was not measured."""
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
    return _chart(drawn, ticks, "past choices")


def calibrations(report: Report) -> str:
    """Share that was right, by how surely it was said; "" if no method says how sure it is."""
    drawn = [
        (outcomes.method, _calibrated(outcomes))
        for outcomes in report.outcomes
        if outcomes.method.startswith(CALIBRATED) and AFTER not in outcomes.method
    ]
    if not drawn:
        return ""
    ticks = [(percent / 100, f"{percent} %") for percent in range(50, 101, 10)]
    scaled = [((x - 0.5) * 2, label) for x, label in ticks]
    ideal = [("as said", [(0.0, 0.5), (1.0, 1.0)])]
    return _chart([*drawn, *ideal], scaled, "said")


def _calibrated(outcomes: Outcomes) -> list[Point]:
    return [((said - 0.5) * 2, right) for said, right, _ in calibration(outcomes.scores[:, 0])]


def _chart(lines: Sequence[Line], ticks: Sequence[tuple[float, str]], below: str) -> str:
    width, height = _LEFT + _WIDTH + _RIGHT, _HEIGHT + 2 * _BOTTOM
    parts = [_frame(ticks, below)]
    for place, (name, points) in enumerate(lines):
        parts.append(_line(name, points, _COLOURS[place % len(_COLOURS)], place))
    return f'<svg viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def _frame(ticks: Sequence[tuple[float, str]], below: str) -> str:
    parts = []
    for percent in range(0, 101, 25):
        kind, y = "chance" if percent == 50 else "grid", _y(percent / 100)
        parts.append(f'<line class="{kind}" x1="{_LEFT}" x2="{_LEFT + _WIDTH}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{percent} %</text>')
    at = _HEIGHT + _BOTTOM
    for place, label in ticks:
        parts.append(f'<text x="{_x(place)}" y="{at}" text-anchor="middle">{label}</text>')
    return "".join(parts) + f'<text x="{_LEFT + _WIDTH + 16}" y="{at}">{below}</text>'


def _line(name: str, points: Sequence[Point], colour: str, place: int) -> str:
    path = " ".join(f"{_x(x)},{_y(y)}" for x, y in points)
    dots = "".join(
        f'<circle cx="{_x(x)}" cy="{_y(y)}" r="3.5" fill="{colour}"/>' for x, y in points
    )
    label = f'<text x="0" y="{16 * (place + 1)}" style="fill: {colour}">{html.escape(name)}</text>'
    return f'<polyline points="{path}" fill="none" stroke="{colour}"/>{dots}{label}'


def _x(share: float) -> float:
    return round(_LEFT + _WIDTH * share, 1)


def _y(share: float) -> float:
    return round(10 + (_HEIGHT - 10) * (1 - share), 1)
