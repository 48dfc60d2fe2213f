"""``pocket.evaluate`` and ``pocketpref eval``, from a file or a vault to a table."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

import pocketpref
from pocketpref.backends.llama import LlamaModel
from pocketpref.errors import InputError
from pocketpref.evaluation.cases import cases_of
from pocketpref.evaluation.likelihood_cache import CachedModel, LikelihoodFile
from pocketpref.evaluation.predictors import Case, CaseEvidence
from pocketpref.evaluation.predictors.bradley_terry import shipped
from pocketpref.evaluation.runner import READINGS, compare
from pocketpref.evaluation.service import Roster
from pocketpref.records import Feedback
from pocketpref.samples import sample_pairs
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import EphemeralKey
from tests.cli.conftest import Desk
from tests.evaluation.conftest import people, person
from tests.importers.published import FSPO

QUICK = ["none", "longer", "reward", "ours", "auto"]


def feedback_of(cases: list[Case]) -> list[Feedback]:
    return [Feedback(case.pair, case.user) for case in cases]


def write(path: Path, cases: list[Case]) -> Path:
    rows = [
        {
            "user": c.user,
            "prompt": c.pair.prompt,
            "chosen": c.pair.chosen,
            "rejected": c.pair.rejected,
        }
        for c in cases
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ScriptedModel({"short and to the point": {"sun": 0.5}}))


def test_a_pocket_evaluates_its_own_choices_and_others(tmp_path: Path) -> None:
    with pocketpref.open(
        "ada",
        path=tmp_path / "v.db",
        key=EphemeralKey(),
        model=ScriptedModel(),
        embedder=HashEmbedder(),
    ) as pocket:
        nothing = pocket.evaluate()
        assert nothing.help is not None
        assert (nothing.outcomes, nothing.help.answer) == ((), "too few")
        with pytest.raises(InputError, match="nobody here has"):
            pocket.evaluate(feedback_of(people(1, 3)))
        for case in person("ada", {"Warm": 1.0}, 12, 1):
            pocket.add(case.pair.prompt, case.pair.chosen, case.pair.rejected)
        own = pocket.evaluate(methods=QUICK)
        assert own.protocol["users"] == 1
        assert own.protocol["model"] == "scripted"
        others = pocket.evaluate(feedback_of(people(7, 10)), methods=QUICK, seeds=1)
        assert others.protocol["users"] == 7
        assert [found.method for found in others.outcomes] == QUICK
        assert pocket.counts().memories == 12  # nothing of the others is remembered


def test_a_limit_takes_the_newest(tmp_path: Path) -> None:
    with pocketpref.open(
        path=tmp_path / "v.db", key=EphemeralKey(), model=ScriptedModel(), embedder=HashEmbedder()
    ) as pocket:
        found = pocket.evaluate(feedback_of(people(2, 20)), methods=["longer"], seeds=1, limit=10)
        assert found.protocol["asked"] == 2 * 2
        assert found.protocol["learned_mean"] == 8


def test_what_was_scored_is_not_scored_again(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    scored = []
    for run in "ab":
        model, vault = ScriptedModel(), tmp_path / f"{run}.db"
        with pocketpref.open(
            path=vault, key=EphemeralKey(), model=model, embedder=HashEmbedder()
        ) as pocket:
            pocket.evaluate(
                feedback_of(person("me", {}, 8, 1)), methods=["none"], seeds=1, cache=cache
            )
        scored.append(model.scored)
    # Measuring the model's noise is not an evaluation's work: it is the same in a new vault.
    assert scored[1] < scored[0]


def test_eval_prints_the_promised_json(desk: Desk, tmp_path: Path) -> None:
    file = write(tmp_path / "choices.jsonl", people(6, 8))
    done = desk.run("eval", str(file), "--methods", "none,longer,auto", "--seeds", "1", "--json")
    assert done.code == 0, done.err
    value = json.loads(done.out)
    assert list(value["methods"]) == ["none", "longer", "auto"]
    for found in value["methods"].values():
        for reading in READINGS:
            assert set(found[reading]) == {"accuracy", "low", "high"}
        assert found["users"] == 6
        assert found["pairs"] == 12
    assert value["protocol"]["model"] == "scripted"


def test_eval_draws_a_table_of_all_methods(desk: Desk, tmp_path: Path) -> None:
    file = write(tmp_path / "choices.jsonl", people(6, 8))
    done = desk.run("eval", str(file), "--methods", "none,longer,ours", "--seeds", "2")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert [line.split()[0] for line in lines[-3:]] == ["none", "longer", "ours"]
    assert "6 people, 24 questions" in done.out
    ordered = desk.run("eval", str(file), "--methods", "none,longer", "--ordered")
    assert ordered.code == 0, ordered.err
    assert "6 people, 12 questions" in ordered.out


def test_eval_writes_a_page_that_needs_nothing_else(desk: Desk, tmp_path: Path) -> None:
    file, page = write(tmp_path / "choices.jsonl", people(6, 8)), tmp_path / "out.html"
    done = desk.run("eval", str(file), "--methods", "none,longer", "--report", str(page))
    assert done.code == 0, done.err
    text = page.read_text("utf-8")
    ET.fromstring(text[text.index("<svg") : text.index("</svg>") + 6])
    assert "http" not in text
    assert "src=" not in text
    assert text.count('class="person"') == 4 * 2 * 6  # readings, methods, people
    assert not any(case.user in text for case in people(6, 1))
    assert "longer" in text


def test_the_page_draws_learning_curves_and_how_sure_a_method_is(
    desk: Desk, tmp_path: Path
) -> None:
    file, page = write(tmp_path / "choices.jsonl", people(6, 12)), tmp_path / "out.html"
    asked = ("eval", str(file), "--methods", "none,ours,reward", "--report", str(page))
    done = desk.run(*asked, "--seeds", "1", "--curve", "0,2,5", "--json")
    assert done.code == 0, done.err
    assert "ours after 5" in json.loads(done.out)["methods"]
    text = page.read_text("utf-8")
    assert text.count("<polyline") == 2 + 3  # two that learn; what they say, and as said
    assert "after 5</text>" not in text  # of the curves only, not of the rows
    for drawing in text.split("<svg")[1:]:
        ET.fromstring(f"<svg{drawing[: drawing.index('</svg>')]}</svg>")
    bad = desk.run("eval", str(file), "--curve", "five")
    assert bad.code == 2


def test_eval_without_a_file_is_about_yourself(desk: Desk) -> None:
    for place in range(6):
        desk.teach(f"question {place}")
    done = desk.run("eval", "--methods", "none,longer", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["protocol"]["users"] == 1


def test_eval_reads_published_data_whose_format_is_named(desk: Desk, tmp_path: Path) -> None:
    rows = [
        FSPO[0] | {"prompt": f"question {place}", "scorer_level": level, "label": label}
        for label, level in enumerate(("child", "expert"))
        for place in range(6)
    ]
    file = tmp_path / "elix.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    asked = ("eval", str(file), "--methods", "none,longer", "--seeds", "1", "--json")
    done = desk.run(*asked, "--format", "fspo")
    assert done.code == 0, done.err
    longer = json.loads(done.out)["methods"]["longer"]
    assert (longer["users"], longer["pairs"]) == (2, 4)
    assert longer["absolute"]["accuracy"] == 0.5  # experts like the longer answer, children not
    assert desk.run(*asked).code == 1  # not as pairs of ours


def test_eval_says_what_is_wrong(desk: Desk, tmp_path: Path) -> None:
    file = write(tmp_path / "choices.jsonl", people(6, 8))
    done = desk.run("eval", str(file), "--methods", "magic")
    assert (done.code, done.out) == (1, "")
    assert "no such method" in done.err
    few = write(tmp_path / "few.jsonl", people(1, 3))
    done = desk.run("eval", str(few))
    assert done.code == 1
    assert "nobody here has 5 choices" in done.err
    (tmp_path / "none.jsonl").write_text('{"prompt": "secret"}\n', "utf-8")
    done = desk.run("eval", str(tmp_path / "none.jsonl"))
    assert done.code == 1
    assert "secret" not in done.err


def test_a_real_model_on_a_real_persons_choices(
    model: LlamaModel, tmp_path: Path, bank: pocketpref.attributes.AttributeBank
) -> None:
    """All methods but those of long contexts, small: numbers come out, and once only."""
    few = type(bank)(attribute for attribute in bank if attribute.name in ("Concise", "Emotion"))
    sample = sorted(sample_pairs("ukp"), key=lambda entry: len(entry.pair.chosen))[:5]
    cases = cases_of(sample, HashEmbedder(), item_of=lambda entry: entry.pair.prompt)
    names = ["none", "longer", "drift", "exact", "exact-global", "ours"]

    def run(model: LlamaModel | None) -> dict[str, object]:
        file = LikelihoodFile(tmp_path / "x.likelihoods", "starter")
        evidence = CaseEvidence(CachedModel(model, file), few)
        roster = Roster(evidence, k=1, shipped=shipped())
        return compare(cases, roster.pick(names), seeds=1).to_dict()

    first = run(model)
    assert all(m["pairs"] == first["methods"]["none"]["pairs"] for m in first["methods"].values())  # type: ignore[index]  # shape is tested above
    assert run(None) == first  # without a model: everything is known
