"""POPI's recipe: what is taught, what is earned, and all of it once, small, on the real model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

LIVELY, SHORT = "energetic and enthusiastic", "short and to the point"


def text(topic: str) -> str:
    return (
        f"People have used {topic} for a very long time. It is good to know many things about "
        f"{topic}. You can learn more if you ask a friend who likes it."
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four people to train on and two to judge by, who choose among versions of few answers."""
    from tools.train.data import write_lines
    from tools.train.people import ANSWERS, PEOPLE, Answered, draw_people, lines
    from tools.train.prompts import Prompt

    folder = tmp_path_factory.mktemp("people")
    found = [
        Answered(Prompt(f"Tell me about {name}.", part, name), text(name))
        for part, names in (
            ("train", ["salt", "glass", "rope", "bread", "wool", "paper", "clay", "oil"]),
            ("test", ["iron", "silk", "honey"]),
        )
        for name in names
    ]
    people = draw_people(found, {"train": 4, "test": 2}, signals=6, later=2, seed=0)
    write_lines(folder / PEOPLE, lines(people))
    write_lines(
        folder / ANSWERS,
        (
            {"prompt": {"text": o.prompt.text, "part": o.prompt.part, "topic": o.prompt.topic},
             "answer": o.answer}
            for o in found
        ),
    )  # fmt: skip
    return folder


class Scripted:
    """Answers' log-likelihoods by rule: a summary that says "energetic" is worth 4 nats on each."""

    fingerprint = name = "scripted"

    def likelihoods(self, contexts: Sequence[Any], answers: Sequence[str]) -> Any:
        from pocketpref.records import Likelihoods

        said = [" ".join(m["content"] for m in context) for context in contexts]
        rows = [[4.0 * ("energetic" in s) * ("!" in a) for a in answers] for s in said]
        return Likelihoods(np.array(rows), np.array([len(a) for a in answers]))


def case(**changed: Any) -> Any:
    from dataclasses import replace

    from pocketpref.records import Pair
    from tools.train.popi.cases import Case

    pairs = tuple(Pair(f"Say {n}", f"Yes! It is {n}!", f"Yes. It is {n}.") for n in range(6))
    return replace(Case("ada", {"mood": "lively"}, pairs[:2], pairs[:4], pairs[4:]), **changed)


def test_a_summary_earns_what_it_explains_less_what_it_costs() -> None:
    from tools.train.popi.reward import Reward

    model: Any = Scripted()
    reward = Reward(model, model, beta=0.1, token_cost=0.005)
    gains = reward.gains(["energetic", "kind"], case().judged, [10, 4])
    full = (np.log(2) - np.logaddexp(0, -0.4)) / 0.05
    assert gains == pytest.approx([full - 0.05, -0.02])
    assert 3.5 < full < 4, "nearly the margin itself"


def test_rambling_earns_nothing_where_any_words_would_do_the_same() -> None:
    from tools.train.popi.reward import Reward, neutral

    class Moved(Scripted):
        """Any word is worth a quarter of a nat on whatever exclaims."""

        def likelihoods(self, contexts: Sequence[Any], answers: Sequence[str]) -> Any:
            from pocketpref.records import Likelihoods

            found = super().likelihoods(contexts, answers)
            words = [len(context[-1]["content"].split()) for context in contexts]
            moved = np.array([[0.25 * count * ("!" in a) for a in answers] for count in words])
            return Likelihoods(found.totals + moved, found.tokens)

    model: Any = Moved()
    reward = Reward(model, model, token_cost=0.0)
    short, long = "so so so energetic so so", " ".join(["well"] * 24)
    assert len(neutral(long).split()) == 24
    gains = reward.gains([short, long], case().judged, [6, 24])
    assert gains[0] > 3
    assert gains[1] == pytest.approx(0.0)


def test_of_several_proposals_the_one_that_earns_most_is_taught(base: Any, tmp_path: Path) -> None:
    from tools.train.popi.reward import Reward
    from tools.train.popi.warm import best_of, compositions

    model: Any = Scripted()
    known = {"lively": {LIVELY: 1.0}, "short": {SHORT: 1.0}}
    drawn = ["The user prefers answers that are kind."]
    reward = Reward(model, model)
    cases = [case(), case(person="bob", signals=case().signals[:3])]
    first, second = best_of(
        cases,
        [drawn, drawn],
        lambda one: compositions(one, known, 4, seed=0),
        reward,
        base.tokens,
        kept=tmp_path,
    )
    assert first is not None
    assert first.text == f"The user prefers answers that are {LIVELY}."
    assert first.origin == "composed"
    assert second is None, "three choices say nothing for sure, and the model's own earns nothing"


def test_no_case_is_shown_what_judges_it(data: Path) -> None:
    from tools.train.people import PEOPLE, read_people
    from tools.train.popi.cases import cases_to_judge, training_cases

    people = read_people(data / PEOPLE)
    found = training_cases(people, draws=3, judged=2, seed=0) + cases_to_judge(people, 1, 8)
    for one in found:
        assert len(one.shown) >= 4
        assert not set(one.shown) & set(one.judged)
    assert found[0].judged == found[len(people)].judged
    assert found[0].shown != found[len(people)].shown
    assert case().key == case().key != case(person="bob").key


def test_answers_to_one_prompt_score_together_as_they_do_alone(base: Any) -> None:
    """And so do their gradients."""
    import torch

    from tools.train.lora import LoraShape, attach, factors, put_factors
    from tools.train.popi.branches import BranchScorer, branches
    from tools.train.scoring import Row, batch

    model = attach(base, LoraShape(4), seed=0)
    random = np.random.default_rng(0)
    values = {
        k: random.normal(0, 0.05, v.shape).astype(np.float32) for k, v in factors(model).items()
    }
    put_factors(model, values)
    scorer = BranchScorer(model)
    prompt = base.tokens.prompt("What is rust? " * 8)
    answers = [base.tokens.answer(said) for said in ("Old iron.", "It is iron that met water.")]
    weights = torch.tensor([1.0, -0.5])
    found = []
    for given in (batch([Row(prompt, a) for a in answers]), branches(prompt, answers, "cpu")):
        model.zero_grad()
        likelihoods = scorer(*given)
        (likelihoods * weights).sum().backward()
        grads = [p.grad.clone() for p in model.parameters() if p.grad is not None]
        found.append((likelihoods.detach(), grads))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-3)
    for one, other in zip(found[0][1], found[1][1], strict=True):
        assert torch.allclose(one, other, atol=1e-3, rtol=1e-2)
    model.unload()


def test_each_sample_is_compared_with_the_others_of_its_case() -> None:
    import torch

    from tools.train.popi.policy import leave_one_out

    found = leave_one_out(torch.tensor([[3.0, 1.0, 2.0], [5.0, 5.0, 5.0]]))
    assert torch.allclose(found, torch.tensor([[1.5, -1.5, 0.0], [0.0, 0.0, 0.0]]))


def test_a_clause_is_true_supported_contrary_unsupported_or_unknown() -> None:
    from pocketpref.records import Pair
    from tools.train.popi.support import faithfulness, judged, refused

    choices = [Pair(f"{n}", "Perhaps one. Two!", "One. Two.") for n in range(4)]
    style = {"certainty": "certain"}
    assert judged("confident and certain, without any doubt", style, choices) == "true"
    assert judged("modest and careful, admitting doubt and limits", style, choices) == "contrary"
    assert judged(LIVELY, style, choices) == "supported"
    assert judged("numbered steps", style, choices) == "unsupported"
    assert judged("about gardens", style, choices) == "unknown"
    said = f"The user prefers answers that are {LIVELY}; about gardens."
    shares = faithfulness([case()], [said])
    assert (shares["true"], shares["unknown"], shares["told"]) == (0.5, 0.5, 1.0)
    copied = case(shown=(Pair("p", "a quick brown fox ran over the hill", "no"),))
    bad = "The user prefers answers that are a quick brown fox ran over."
    reasons = refused([copied], [bad])
    assert list(reasons["drafts"]) == ["it copies what the person or a model wrote"]
    assert refused([case()], [f"The user prefers answers that are {LIVELY}."])["leaving"] == {}


def test_a_step_that_was_done_twice_counts_once_in_the_curve(tmp_path: Path) -> None:
    from tools.train.data import write_lines
    from tools.train.popi.figure import Panel, drawn, read_rewards

    entry = {"best": 2.0, "apart": 0.1, "tokens": 9.0}
    write_lines(
        tmp_path / "rewards.jsonl",
        [
            {"state": "a", "case": "1", "gain": 9.0, **entry},
            {"state": "a", "case": "1", "gain": 1.0, **entry},
            {"state": "a", "case": "2", "gain": 2.0, **entry},
            {"state": "b", "case": "1", "gain": 5.0, **entry},
        ],
    )
    steps = read_rewards(tmp_path / "rewards.jsonl")
    assert [step["gain"] for step in steps] == [1.5, 5.0]
    svg = drawn([Panel("gain", [step["gain"] for step in steps]), Panel("flat", [1.0])])
    assert svg.count("<circle") == 3


SMALL = {
    "tried": 2, "trained": 4, "draws": 1, "judged": 1, "samples": 1, "composed": 1, "joint": 1,
    "rounds": 1, "tested": 2, "later": 1, "written": 1, "selected": 1, "searched": 2, "history": 1,
    "steps": 1,
}  # fmt: skip


@pytest.mark.timeout(600)
def test_the_whole_recipe_runs_and_what_it_exports_is_worn_by_the_library(
    data: Path, tmp_path: Path
) -> None:
    """Warm start, a step of the policy gradient, turns of both, report, export."""
    from pocketpref.backends.llama import LlamaModel
    from pocketpref.lora import Blend
    from pocketpref.summary import drafts
    from pocketpref.summary.candidates import read_draft
    from pocketpref.summary.evidence import Signal
    from tools.train.base import identity, starter_path
    from tools.train.popi import main as popi
    from tools.train.popi.figure import read_rewards
    from tools.train.styles import AXES

    run, into = tmp_path / "run", tmp_path / "adapters"
    run.mkdir()
    every = {o: {s: {"margin": 1.0, "above_placebo": 1.0} for s in option.said[:-1]}
             for options in AXES.values() for o, option in options.items()}  # fmt: skip
    (run / "understood.json").write_text(json.dumps(every))
    sizes = [part for name, value in SMALL.items() for part in (f"--{name}", str(value))]
    argv = [str(run), "--people", str(data), "--into", str(into), *sizes]
    assert popi.main(["all", *argv, "--until", "report"]) == 0
    assert len(read_rewards(run / "reinforced" / "rewards.jsonl")) == 1
    report = json.loads((run / "report.json").read_text())
    rows = ("none", "placebo", "history", "untrained", "warm", "reinforced", "selected",
            "trained and selected", "known taste")  # fmt: skip
    assert set(report["table"]) == set(rows)
    assert report["table"]["none"]["margins"]["mean"] == 0
    report["leads"]["reinforced above untrained"]["low"] = -1.0
    (run / "report.json").write_text(json.dumps(report))
    with pytest.raises(ValueError, match="not above"):
        popi.main(["export", *argv])
    report["leads"]["reinforced above untrained"]["low"] = 0.1
    (run / "report.json").write_text(json.dumps(report))
    assert popi.main(["export", *argv]) == 0
    path = starter_path()
    adapter = drafts.find((into,), identity(path).sha256)
    assert adapter is not None
    assert set(adapter.manifest.held_out) >= {"untrained", "selected", "trained"}
    signals = [Signal(str(n), pair, 1.0, pair.prompt) for n, pair in enumerate(case().signals)]
    model = LlamaModel(path)
    worn = model.adapted(Blend(((adapter, 1.0),)))
    text = drafts.trained_draft(worn, signals, 0, lambda: False)
    assert text is not None
    assert text.startswith(drafts.heading())
    assert not isinstance(read_draft(f"{text}\n", signals, "en"), type(None))
    model.close()


def test_published_people_are_converted_whole(tmp_path: Path) -> None:
    """Five of AlignX's choices: four are shown, the one asked about judges."""
    from tests.importers.published import ALIGNX
    from tools.train.people import PEOPLE, read_people
    from tools.train.popi.cases import cases_to_judge
    from tools.train.popi.real import main

    (tmp_path / "alignx.json").write_text(json.dumps([ALIGNX] * 20))
    assert main([str(tmp_path / "alignx.json"), str(tmp_path / "into"), "--format", "alignx"]) == 0
    people = read_people(tmp_path / "into" / PEOPLE)
    assert len(people) == 20
    assert len({person.part for person in people}) > 1
    for one in cases_to_judge(people, 0, 8):
        assert [len(one.shown), len(one.judged)] == [min(4, len(one.signals)), 1]
        assert one.judged[0].chosen == ALIGNX["chosen"]
