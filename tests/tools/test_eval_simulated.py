"""Simulated people are what they are said to be, and what is planted is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.evaluation.likelihood_cache import CachedModel
from pocketpref.evaluation.predictors import CaseEvidence
from pocketpref.evaluation.runner import compare
from pocketpref.records import Attribute
from pocketpref.testing import HashEmbedder, ScriptedModel
from tools.eval import simulated as eval_simulated
from tools.eval import simulated_worlds as worlds


def test_a_person_chooses_by_topic_and_sometimes_against_their_taste() -> None:
    world = worlds.world(HashEmbedder(), worlds.scripted_answer)
    for kind, least, most in (("steady", 1.0, 1.0), ("contrary", 0.6, 0.95), ("dice", 0.3, 0.7)):
        people = worlds.people(world, kind, 6)  # type: ignore[arg-type]  # one of the kinds
        kept = [
            case.pair.chosen == world.answers[case.group, person.liked[case.group]]
            for person in people.values()
            for case in person.cases
        ]
        assert least <= sum(kept) / len(kept) <= most
    turning = worlds.people(world, "turning", 1)["turning00"]
    tastes = [{turning.liked[c.group] for c in part} for part in _halves(turning.cases)]
    assert tastes[0] != tastes[1]


def _halves(cases: list) -> tuple[list, list]:
    return cases[: len(cases) // 2], cases[len(cases) // 2 :]


def test_where_tastes_depend_on_the_topic_recall_finds_them_and_one_set_does_not() -> None:
    world = worlds.world(HashEmbedder(), worlds.scripted_answer)
    evidence = CaseEvidence(CachedModel(worlds.scripted_model()), world.bank)
    people = worlds.people(world, "steady", 6)
    wanted = [m for m in eval_simulated.methods(evidence) if m.name.startswith("exact")]
    report = compare(eval_simulated.cases_of(people), wanted, seeds=1)
    assert report["exact"].above(report["exact-global"], "absolute").low > 0.1
    planted = eval_simulated.recovered(world, evidence, people, 1)
    assert planted["planted attributes, recall"].low > 0.6
    assert planted["planted attributes, by chance"].mean == pytest.approx(1 / 12)


def test_what_was_written_is_not_written_again(tmp_path: Path) -> None:
    (attribute,) = AttributeBank([Attribute("Kind", "kind words", "harsh words", "tone")])
    model, file = ScriptedModel(), tmp_path / "written.json"
    first = worlds.Writer(model, file)("Why?", attribute)
    assert len(model.conversations) == 1
    assert "kind words" in model.conversations[0][-1]["content"]
    assert worlds.Writer(None, file)("Why?", attribute) == first
