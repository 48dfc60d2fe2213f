"""Real pairs, the real model: what is learned and injected equals a slow, plain reference."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel
from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.records import Feedback
from pocketpref.samples import sample_pairs
from pocketpref.scoring import noise_floor
from tests.methods.reference import PlainModel
from tests.promises.real import few
from tools.compare_reference import Bench, compare_injection, compare_pairs, main


@pytest.fixture(scope="module")
def bench(model: LlamaModel, prepared_path: Path) -> Bench:
    """Four attributes, at most two of them in a set: a full bank takes the reference minutes."""
    bank = few("Concise", "Analytic", "Persuasive", "Easy")
    whole = AttributeBank.standard()
    return Bench(
        model=model,
        plain=PlainModel(prepared_path).log_likelihood,
        embedder=open_embedder(None),
        bank=bank,
        k=2,
        noise=noise_floor(model, [whole.block([name]) for name in whole.names[:6]]),
    )


def shortest_last(feedback: list[Feedback]) -> list[Feedback]:
    return sorted(feedback, key=lambda f: -len(f.pair.prompt + f.pair.chosen + f.pair.rejected))


@pytest.mark.parametrize("sample", ["mtbench", "ukp"])
def test_a_real_persons_pair_teaches_what_the_reference_says(bench: Bench, sample: str) -> None:
    """One real pair of each source: the same attributes, margins and injections, within noise."""
    feedback = shortest_last(sample_pairs(sample))  # type: ignore[arg-type]  # one of the samples
    (exhaustive,), (default,) = compare_pairs(bench, [feedback[-1].pair])
    json.dumps(asdict(exhaustive))  # as the tool writes it
    assert exhaustive.margin_max < 0.15
    assert exhaustive.within(bench.noise)
    assert exhaustive.objective_ours == pytest.approx(exhaustive.objective_judged, abs=0.15)
    assert default.objective_ours == pytest.approx(default.objective_judged, abs=0.15)
    assert bench.noise < 0.5, "the noise is small enough for all this to mean something"
    if exhaustive.same:
        injected = compare_injection(bench, feedback, [exhaustive])
        assert len(injected) > 10
        assert [ours for ours, _ in injected] == [theirs for _, theirs in injected]


def test_the_tool_knows_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    """``tools/compare_reference.py`` makes the whole comparison; it says how to call it."""
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    assert "--attributes" in capsys.readouterr().out
