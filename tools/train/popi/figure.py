"""Curves of training as SVG, without dependencies: what was earned, lost, or said at each step."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..loop import CURVE
from .policy import REWARDS

_WIDE, _HIGH = 240, 150  # a panel's plotting area, pixels
_LEFT, _TOP, _GAP = 52, 30, 66
_STYLE = (
    "text{font:11px sans-serif;fill:#555}.axis{stroke:#999;fill:none}"
    ".line{stroke:#2a6f97;stroke-width:1.5;fill:none}.raw{fill:#9cc3d8}"
)
_SMOOTHED = 5  # steps that a point of the line is the mean of


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity by steps."""

    title: str
    values: Sequence[float]


def panels(folder: Path) -> list[Panel]:
    """What there is to draw of a run: each stage's loss, and what reinforcement earned."""
    found = []
    for path in sorted(folder.rglob(CURVE)):
        stage = path.parent.relative_to(folder).as_posix()
        rewards = path.parent / REWARDS
        if rewards.is_file():
            found += _earned(stage, read_rewards(rewards))
        else:
            losses = [entry["loss"] for entry in _lines(path)]
            found.append(Panel(f"{stage}: loss", losses))
    return found


def _earned(stage: str, steps: Sequence[dict[str, float]]) -> list[Panel]:
    names = {"gain": "reward, nats", "apart": "distance to the start, nats", "tokens": "tokens"}
    return [Panel(f"{stage}: {said}", [s[name] for s in steps]) for name, said in names.items()]


def read_rewards(path: Path) -> list[dict[str, float]]:
    """Means of each step of a policy gradient.

    Steps are told apart by the state of the adapter; of a step that a killed run had begun and its
    successor did again, the last entry of each case counts.
    """
    steps: dict[str, dict[str, dict[str, Any]]] = {}
    for entry in _lines(path):
        steps.setdefault(entry["state"], {})[entry["case"]] = entry
    return [
        {
            name: sum(entry[name] for entry in step.values()) / len(step)
            for name in ("gain", "best", "apart", "tokens")
        }
        for step in steps.values()
    ]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def drawn(found: Sequence[Panel], columns: int = 3) -> str:
    """Panels as an SVG: dots are steps, lines means of a few of them."""
    rows = (len(found) + columns - 1) // columns
    width = columns * (_WIDE + _GAP) + 20
    height = rows * (_HIGH + _TOP + 30) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}"><style>{_STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    for place, panel in enumerate(found):
        left = _LEFT + (place % columns) * (_WIDE + _GAP)
        top = _TOP + (place // columns) * (_HIGH + _TOP + 30)
        parts += _panel(left, top, panel)
    return "\n".join([*parts, "</svg>\n"])


def _panel(left: int, top: int, panel: Panel) -> list[str]:
    low, high = min(panel.values), max(panel.values)
    span = (high - low) or 1.0
    steps = max(len(panel.values) - 1, 1)

    def place(step: int, value: float) -> tuple[float, float]:
        x = left + 6 + step / steps * (_WIDE - 12)
        return round(x, 1), round(top + _HIGH - 6 - (value - low) / span * (_HIGH - 12), 1)

    dots = (place(step, value) for step, value in enumerate(panel.values))
    line = (place(step, value) for step, value in enumerate(_smoothed(panel.values)))
    return [
        f'<path class="axis" d="M{left} {top}V{top + _HIGH}H{left + _WIDE}"/>',
        f'<text x="{left}" y="{top - 10}">{panel.title}</text>',
        f'<text x="{left - 6}" y="{top + 8}" text-anchor="end">{high:.3g}</text>',
        f'<text x="{left - 6}" y="{top + _HIGH}" text-anchor="end">{low:.3g}</text>',
        f'<text x="{left + _WIDE}" y="{top + _HIGH + 16}" text-anchor="end">step {steps}</text>',
        *(f'<circle class="raw" cx="{x}" cy="{y}" r="2"/>' for x, y in dots),
        f'<path class="line" d="M{" L".join(f"{x} {y}" for x, y in line)}"/>',
    ]


def _smoothed(values: Sequence[float]) -> list[float]:
    """Each value's mean with those before it, of a few."""
    parts = [values[max(0, n - _SMOOTHED + 1) : n + 1] for n in range(len(values))]
    return [sum(part) / len(part) for part in parts]
