"""The figure of a pool is well-formed SVG, and its marks stand where the rewards are."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

pytestmark = pytest.mark.train

_SVG = "{http://www.w3.org/2000/svg}"


def test_a_mark_stands_higher_and_farther_right_for_more_reward_and_more_weight() -> None:
    from tools.train.palm.figure import drawn
    from tools.train.palm.pool import BASE, Member

    members = [
        Member(BASE, (), ()),
        Member("brevity", (1.0, 0.0), (("brevity", 1.0),)),
        Member("plainness", (0.0, 1.0), (("plainness", 1.0),)),
        Member("blend-50-50", (0.5, 0.5), (("brevity", 1.0), ("plainness", 1.0))),
        Member("not sound", (0.3, 0.7), (("not sound", 1.0),)),
    ]
    means = {BASE: (0.4, 0.4), "brevity": (0.9, 0.3), "plainness": (0.2, 0.8)}
    means["blend-50-50"] = (0.6, 0.6)
    figures = {
        name: {
            trait: {"mean": m, "low": m - 0.1, "high": m + 0.1}
            for trait, m in zip(("brevity", "plainness"), both, strict=True)
        }
        for name, both in means.items()
    }
    root = ElementTree.fromstring(drawn(members, ("brevity", "plainness"), figures))
    marks = root.findall(f"{_SVG}circle")
    assert [mark.get("class") for mark in marks] == ["trained", "trained", "blend"] * 2
    brief, plain, both = marks[:3]
    assert float(plain.get("cx", 0)) < float(both.get("cx", 0)) < float(brief.get("cx", 0))
    assert float(brief.get("cy", 0)) < float(both.get("cy", 0)) < float(plain.get("cy", 0))
    assert len([p for p in root.findall(f"{_SVG}path") if p.get("class") == "base"]) == 2
