"""The load on the local server, small: the real program, and every kind of client."""

from __future__ import annotations

import json
from pathlib import Path

from tools.bench import server as bench_server


def test_every_client_gets_its_own_answer_and_misbehaviour_is_refused(tmp_path: Path) -> None:
    found = tmp_path / "found.json"
    arguments = ["--clients", "5", "--rounds", "1", "--tokens", "3", "--json", str(found)]
    assert bench_server.main(arguments) == 0
    report = json.loads(found.read_text())
    assert report["whole answers"] == 4
    assert report["cut"] == 1
    assert report["wrong answers"] == 0
    assert len(report["statuses"]) == 5
    assert report["unexpected"] == {}


def test_an_answer_that_went_to_the_wrong_client_is_noticed() -> None:
    rounds = [bench_server.Round(answers={1: "one", 2: "two"}), bench_server.Round()]
    assert bench_server.wrong_answers(rounds, {1: "one", 2: "three"}) == 1
