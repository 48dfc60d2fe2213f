"""The scoring benchmark, run on tiny pairs with a few attributes."""

from __future__ import annotations

import json
import multiprocessing
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel
from pocketpref.errors import ModelError
from pocketpref.records import Pair
from tools.bench import scoring as bench_scoring
from tools.bench.scoring_contenders import Ours, Plain, Transformers
from tools.bench.scoring_costs import Size, Stopwatch
from tools.bench.scoring_report import report
from tools.bench.scoring_workers import Worker

PAIRS = (
    Pair(
        "Name a bird that zigzags.",
        "The snipe does, when it is startled in a meadow.",
        "I am afraid that I do not know of any such bird.",
    ),
    Pair(
        "Which tea calms a cough before the night?",
        "Thyme, steeped for ten minutes under a lid, with honey.",
        "There are many teas and each of them has its friends, so it is hard to say.",
    ),
)


@pytest.fixture
def few(bank: AttributeBank) -> AttributeBank:
    return AttributeBank(islice(bank, 3))


def test_a_run_that_is_interrupted_keeps_and_reports_what_was_finished(
    tmp_path: Path, few: AttributeBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, calls = bench_scoring.Comparison.measure, []

    def interrupted(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return measure(*arguments)

    monkeypatch.setattr(bench_scoring.Comparison, "measure", interrupted)
    monkeypatch.setattr(bench_scoring, "_NEEDED", ("torch_that_nobody_has",))
    data, target = tmp_path / "pairs.jsonl", tmp_path / "found.json"
    rows = ({"prompt": p.prompt, "chosen": p.chosen, "rejected": p.rejected} for p in PAIRS)
    data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    found = bench_scoring.run([data], 2, 0, target, few)

    assert multiprocessing.active_children() == []
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]
    text = target.read_text("utf-8")
    assert json.loads(text) == found
    assert not any(word in text for word in ("snipe", "zigzag", "Thyme"))
    (row,) = found["pairs"]
    assert 2 <= row["conditions"] <= 1 + 3 + 2 + 1
    assert row["singles"]["f32"].keys() == set(few.names)
    assert np.allclose(*([row["singles"][w][n] for n in few.names] for w in ("f32", "f16")), atol=1)
    for name in ("exhaustive f32", "exhaustive f16", "default"):
        cost = row["costs"][name]
        assert cost["tokens"] > sum(row["tokens"])
        assert 0 < sum(cost["parts"].values()) <= cost["seconds"]
        assert found["memory"][name] > 100 * 2**20
    assert "not installed: torch_that_nobody_has" in report(found)
    assert "1 of 2 pairs (1 short, 0 long)" in report(found)


def test_plain_and_ours_score_the_same_tokens_alike(starter_path: Path, few: AttributeBank) -> None:
    """On the quantized file, whose noise is a nat or so."""
    model = LlamaModel(starter_path, sha256="")
    plain = Plain(starter_path, Size.of(model))
    rows = bench_scoring.Texts(model, few).rows(PAIRS[0], [None, few.names[0]])
    found, cost = plain.score(rows)
    ours = Ours({"q4_1": starter_path}, "q4_1", few, Size.of(model))
    try:
        assert np.allclose(found[:2], ours.plain(PAIRS[0]), atol=3)
        margin = (found[2] - found[3]) - (found[0] - found[1])
        assert ours.margins(PAIRS[0], [[few.names[0]], []]) == pytest.approx([margin, 0.0], abs=3)
    finally:
        ours.close()
    assert cost.tokens == sum(len(context) + len(answer) for context, answer in rows)
    assert 100e6 < Size.of(model).token / 2 < 110e6  # weights of SmolLM2-135M without embeddings
    model.close()


@pytest.mark.train
def test_transformers_in_float32_agree_with_ours(
    starter_path: Path, tmp_path: Path, few: AttributeBank
) -> None:
    copies = bench_scoring.make_copies(starter_path, tmp_path)
    model = LlamaModel(starter_path, sha256="")
    size = Size.of(model)
    rows = bench_scoring.Texts(model, few).rows(PAIRS[1], [None, *few.names[:3]])
    torch = Worker("torch", Transformers, starter_path, size, "float32")
    found, _ = torch.call("score", rows, 4)
    alone, _ = torch.call("score", rows, 1)
    torch.stop()
    assert np.allclose(found, alone, atol=0.01)
    ours = Ours(copies, "f32", few, size)
    gaps = np.array(found[::2]) - found[1::2]
    try:
        assert np.allclose(found[:2], ours.plain(PAIRS[1]), atol=0.1)
        margins = ours.margins(PAIRS[1], [[name] for name in few.names[:3]])
        assert np.allclose(gaps[1:] - gaps[0], margins, atol=0.1)
    finally:
        ours.close()
        model.close()


class Breaks:
    def fail(self) -> None:
        raise ModelError("the weights are gone", hint="bring them back")

    def vanish(self) -> None:
        raise SystemExit(3)


@pytest.mark.parametrize(
    ("method", "message"), [("fail", "the weights are gone"), ("vanish", "its process has ended")]
)
def test_a_contender_that_fails_is_named(method: str, message: str) -> None:
    worker = Worker("contender x", Breaks)
    with pytest.raises(ModelError, match=f"contender x: {message}"):
        worker.call(method)
    worker.stop()


def test_time_within_a_part_counts_once() -> None:
    watch = Stopwatch()
    with watch.of("estimates"), watch.of("decode"):
        sum(range(200_000))
    assert watch.parts["decode"] > 10 * watch.parts["estimates"]
    assert sum(watch.parts.values()) <= watch.seconds


@pytest.mark.parametrize("count", ["1", "3", "0"])
def test_an_odd_number_of_pairs_is_refused(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_scoring.main(["--pairs", count])
    assert "even number" in capsys.readouterr().err
