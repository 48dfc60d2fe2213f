from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from pocketpref.errors import NotFoundError
from pocketpref.samples import DEBATE_PROMPT, SAMPLES, sample_pairs

FOLDER = resources.files("pocketpref.samples")


def debates(name: Any) -> set[str]:
    return {feedback.pair.prompt.split("\n")[0] for feedback in sample_pairs(name)}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_one_persons_pairs_oldest_first(name: Any) -> None:
    """But for the demo's last pair, which is put there to be learned first."""
    pairs = sample_pairs(name)
    assert len({feedback.user for feedback in pairs}) == 1
    in_order = pairs[:-1] if name == "demo" else pairs
    times = [feedback.created for feedback in in_order if feedback.created]
    assert times == sorted(times)


def test_the_samples_are_as_large_as_said() -> None:
    assert [len(sample_pairs(name)) for name in SAMPLES] == [10, 37, 24, 30]
    assert len(debates("ukp")) >= 8
    assert len(debates("demo")) >= 5
    files = [item for item in FOLDER.iterdir() if item.name.endswith((".jsonl", ".md"))]
    assert sum(len(item.read_bytes()) for item in files) < 150_000


def test_the_demo_is_a_part_of_the_persons_pairs() -> None:
    whole = {feedback.pair for feedback in sample_pairs("ukp")}
    assert all(feedback.pair in whole for feedback in sample_pairs("demo"))


def test_the_sampled_person_does_not_simply_take_the_longer_answer() -> None:
    pairs = [feedback.pair for feedback in sample_pairs("ukp")]
    longer = sum(len(pair.chosen) > len(pair.rejected) for pair in pairs)
    assert 0.4 < longer / len(pairs) < 0.6


def test_the_demo_prompt_is_new_and_about_the_debate_that_is_learned_first() -> None:
    assert DEBATE_PROMPT not in {feedback.pair.prompt for feedback in sample_pairs("demo")}
    newest = sample_pairs("demo")[-1].pair.prompt
    assert "TV is better than Books" in newest
    assert "TV" in DEBATE_PROMPT
    assert "books" in DEBATE_PROMPT


def test_the_described_person_took_the_fewer_characters_every_time() -> None:
    pairs = [feedback.pair for feedback in sample_pairs("descriptions")]
    assert all(len(pair.chosen) < len(pair.rejected) for pair in pairs)


def test_an_unknown_sample_is_named() -> None:
    with pytest.raises(NotFoundError):
        sample_pairs("nobody")  # type: ignore[arg-type]  # what a caller may do all the same


def test_every_work_is_attributed() -> None:
    text = FOLDER.joinpath("ATTRIBUTION.md").read_text(encoding="utf-8")
    for needed in ("Habernal", "P16-1150", "UKPLab", "CC BY 4.0", "Zheng", "Changed"):
        assert needed in text


def test_the_tool_makes_the_same_samples_from_its_own_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rule is deterministic, whatever else and in whatever place the input holds."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tools"))
    import make_samples

    ukp = FOLDER.joinpath("ukp.jsonl").read_text(encoding="utf-8").splitlines()
    stranger = json.dumps(json.loads(ukp[0]) | {"user": "someone else"})
    (tmp_path / "ukp.in").write_text("\n".join([stranger, *ukp, stranger]), encoding="utf-8")
    mtbench = FOLDER.joinpath("mtbench.jsonl").read_bytes()
    (tmp_path / "mtbench.in").write_bytes(mtbench)
    descriptions = FOLDER.joinpath("descriptions.jsonl").read_bytes()
    (tmp_path / "descriptions.in").write_bytes(descriptions)
    inputs = [str(tmp_path / f"{name}.in") for name in ("ukp", "mtbench", "descriptions")]
    make_samples.main([*inputs, "--into", str(tmp_path)])
    sys.modules.pop("make_samples")
    for name in SAMPLES:
        assert (tmp_path / f"{name}.jsonl").read_bytes() == FOLDER.joinpath(
            f"{name}.jsonl"
        ).read_bytes()
