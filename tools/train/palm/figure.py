"""Each trait's reward against its weight, for every policy of a pool: an SVG without dependencies.

    python -m tools.train.palm.figure POOL INTO.svg

Rewards are those of the test part, as `tools.train.palm prune` left them in POOL/report.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .pool import BASE, Member, Pool

_WIDE, _HIGH = 210, 180  # a panel's plotting area, pixels
_LEFT, _TOP, _GAP = 40, 30, 46
_STYLE = (
    "text{font:11px sans-serif;fill:#555}.axis{stroke:#999;fill:none}.bar{stroke:#2a6f97}"
    ".trained{fill:#2a6f97}.blend{fill:#fff;stroke:#2a6f97}.base{stroke:#c44;stroke-dasharray:4 3}"
)


def drawn(members: Sequence[Member], traits: Sequence[str], figures: Mapping[str, Any]) -> str:
    """The figure as SVG.

    Args:
        members: of the pool; those without figures are left out.
        traits: one panel for each.
        figures: by name of the policy, for each trait its mean, low and high.
    """
    width = _LEFT + len(traits) * (_WIDE + _GAP)
    height = _TOP + _HIGH + 72
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}"><style>{_STYLE}</style>'
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    known = [member for member in members if member.name in figures]
    for place, trait in enumerate(traits):
        parts += _panel(_LEFT + place * (_WIDE + _GAP), place, trait, known, figures)
    parts.append(
        f'<text x="{_LEFT}" y="{height - 8}">filled: trained for its weights; hollow: a blend of '
        "policies for single traits; dashed: no policy; bars: 95 % intervals over topics</text>"
    )
    return "\n".join([*parts, "</svg>\n"])


def _panel(
    left: int, place: int, trait: str, members: Sequence[Member], figures: Mapping[str, Any]
) -> list[str]:
    bottom = _TOP + _HIGH
    parts = [
        f'<path class="axis" d="M{left} {_TOP}V{bottom}H{left + _WIDE}"/>',
        f'<text x="{left + _WIDE / 2}" y="{_TOP - 10}" text-anchor="middle">{trait}</text>',
        f'<text x="{left + _WIDE / 2}" y="{bottom + 32}" text-anchor="middle">its weight</text>',
    ]
    for tick in (0.0, 0.5, 1.0):
        x, y = _x(left, tick), _y(tick)
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{tick:g}</text>')
        parts.append(f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    for member in members:
        parts += _mark(left, place, member, figures[member.name][trait])
    return parts


def _mark(left: int, place: int, member: Member, earned: Mapping[str, float]) -> list[str]:
    y = _y(earned["mean"])
    if member.name == BASE:
        return [f'<path class="base" d="M{left} {y}h{_WIDE}"/>']
    blend = len(member.parts) > 1
    # Blends stand a little to the right, so that they hide nothing.
    x = _x(left, member.weights[place]) + 4 * blend
    return [
        f'<path class="bar" d="M{x} {_y(earned["low"])}V{_y(earned["high"])}"/>',
        f'<circle class="{"blend" if blend else "trained"}" cx="{x}" cy="{y}" r="3.5">'
        f"<title>{member.name}: {earned['mean']:.3f}</title></circle>",
    ]


def _x(left: int, weight: float) -> float:
    return round(left + 8 + weight * (_WIDE - 16), 1)


def _y(reward: float) -> float:
    return round(_TOP + (1 - reward) * _HIGH, 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw a pool's rewards."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="the pool's folder")
    parser.add_argument("into", type=Path, help="the SVG file")
    given = parser.parse_args(argv)
    report = json.loads((given.folder / "report.json").read_text("utf-8"))
    traits = list(report["portfolios"])[-1].split(" and ")
    members = Pool(given.folder, traits, {}).members()
    text = drawn(members, traits, report["policies"])
    given.into.parent.mkdir(parents=True, exist_ok=True)
    given.into.write_text(text, encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
