"""The protocol's own tests find nothing, where they were fetched (`make conformance`)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import mcp_conformance as conformance
from tools.mcp_conformance import EXCUSED, SCHEMA, Check

FOLDER = Path(__file__).parents[2] / ".conformance"


def check(scenario="ping", name="ping", *, failed=False):
    return Check(scenario, name, passed=not failed, failed=failed, said="words", messages=0)


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the suite is not there: make conformance")
def test_the_suite_finds_nothing_that_is_ours(tmp_path):
    figures = tmp_path / "figures.json"
    assert conformance.main(["--into", str(FOLDER), "--json", str(figures)]) == 0
    older, newer = json.loads(figures.read_text()).values()
    assert {"ping", "server-initialize", "tools-list"} <= set(older["hold"])
    assert "server-stateless" in newer["partly"]
    assert min(older["messages"], newer["messages"]) > 100


def test_a_failure_is_excused_by_name_only_and_an_invalid_message_by_nothing():
    needed = [check(pattern.replace("*", "x"), failed=True) for pattern in EXCUSED]
    assert conformance.wrong({"v": needed}) == []
    ours = [check(failed=True), check("prompts-list", SCHEMA, failed=True)]
    said = conformance.wrong({"v": [*needed, *ours]})
    assert said == ["ping: ping: words", f"prompts-list: {SCHEMA}: words"]


def test_an_excuse_that_nothing_needs_is_found():
    needed = [check(pattern.replace("*", "x"), failed=True) for pattern in EXCUSED]
    first = next(iter(EXCUSED))
    assert conformance.wrong({"v": needed[1:]}) == [f"nothing needs the excuse {first}"]


def test_what_passes_although_it_cannot_apply_is_not_counted_as_holding():
    counted = conformance.figures(
        {"v": [check(), check("tasks-status", "x"), check("caching", "y")]}
    )
    assert counted["v"]["hold"] == ["ping", "caching"]
    assert counted["v"]["not for us"] == ["tasks-status"]
