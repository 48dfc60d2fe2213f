"""The vault benchmark, run on a few memories; what it takes for right; what it says of targets."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path

import numpy as np
import pytest

from pocketpref.vault.storage.serialization import is_id
from tools.bench import vault as bench_vault
from tools.bench.vault import Document
from tools.bench.vault_contenders import VAULT, Contender, Sealed
from tools.bench.vault_rivals import PLAIN, SQLCIPHER, Ciphered, Plain
from tools.bench.vault_samples import RELEVANCE, Samples
from tools.bench.vault_trial import Result, Tally, summary

SIZE = 60


def test_a_run_measures_all_contenders_and_finds_recall_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_vault, "SQLCIPHER_MODULE", "a_module_that_nobody_has")
    target, folder = tmp_path / "found.json", tmp_path / "disk"
    folder.mkdir()
    given = ["--sizes", str(SIZE), "--repeats", "2", "--folder", str(folder), "--json", str(target)]
    assert bench_vault.main(given) == 0
    out, progress = capsys.readouterr()
    assert multiprocessing.active_children() == []
    assert not list(folder.iterdir())

    found: Document = json.loads(target.read_text("utf-8"))
    assert (found["queries"], found["mismatches"]) == (2 * (2 + 100 + 3 + 20 + 10), 0)
    (results,) = found["sizes"].values()
    assert list(results) == [VAULT, PLAIN]
    for result in results.values():
        assert set(bench_vault.TIMES) - set(result["times"]) <= {"rotate"}
        assert all(
            0 < t["least"] <= t["p50"] <= t["p99"] <= t["most"] for t in result["times"].values()
        )
        assert result["times"]["add"]["count"] == 200
        assert 20e6 < result["before"] <= result["memory"]
        assert result["file"] > SIZE * 2500
    assert "rotate" not in results[PLAIN]["times"]
    assert "SQLCipher: not installed" in out
    assert "270 queries, 0 wrong: yes" in out
    assert "open + first recall of 10,000 under 300 ms: not measured" in out
    assert "60 memories: filling plain" in progress


def test_a_wrong_answer_makes_the_run_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_vault, "SQLCIPHER_MODULE", "a_module_that_nobody_has")
    expected = Samples.expected
    one_off = Samples(SIZE, seed=1)
    monkeypatch.setattr(Samples, "expected", lambda _, *given: expected(one_off, *given))
    assert (
        bench_vault.main(["--sizes", str(SIZE), "--repeats", "1", "--folder", str(tmp_path)]) == 1
    )
    assert "wrong: no" in capsys.readouterr().out


def filled(make: type[Contender], folder: Path) -> Contender:
    folder.mkdir()
    contender = make(folder)
    contender.fill(SIZE, 0)
    return contender


def test_the_vault_hides_the_texts_that_plain_shows(tmp_path: Path) -> None:
    text = Samples(SIZE).feedback(3).pair.chosen.encode()[:40]
    for make, shown in ((Sealed, False), (Plain, True)):
        contender = filled(make, tmp_path / make.name)
        assert (text in contender.path.read_bytes()) == shown


def test_sqlcipher_answers_from_encrypted_pages(tmp_path: Path) -> None:
    pytest.importorskip("sqlcipher3", reason="pip install sqlcipher3-binary")
    contender = filled(Ciphered, tmp_path / SQLCIPHER)
    assert not contender.path.read_bytes().startswith(b"SQLite format 3")
    samples = Samples(SIZE)
    query = samples.vectors[5:6]
    (right,) = samples.expected(query)
    assert right.agrees(contender.first_recall(query[0])[1])
    assert contender.rotate() is not None
    contender.adds([samples.feedback(0)])
    assert right.agrees(contender.recalls(query)[0][1])
    contender.close()


def test_of_two_memories_with_one_prompt_the_better_explained_is_right() -> None:
    samples = Samples(200)
    for first in (48, 98, 148, 198):
        pair = (first, first + 1)
        assert len({samples.feedback(number).pair.prompt for number in pair}) == 1
        assert len({samples.feedback(number).pair.chosen for number in pair}) == 2
        worse, better = sorted(pair, key=lambda number: sum(samples.gains(number)))
        query = samples.vectors[[better]]
        (right,) = samples.expected(query)
        assert right.agrees((samples.name(better), 1.0))
        assert not right.agrees((samples.name(worse), 1.0))
        (right,) = samples.expected(query, {better})
        assert right.agrees((samples.name(worse), 1.0))


def test_only_the_nearest_prompt_with_its_cosine_is_right() -> None:
    samples = Samples(100)
    queries = samples.queries(8, turn=5)
    assert np.allclose(np.linalg.norm(queries, axis=1), 1.0)
    for query, right in zip(queries, samples.expected(queries), strict=True):
        cosines = samples.vectors.astype(np.float64) @ query.astype(np.float64)
        best = int(np.argmax(cosines))
        assert right.agrees(None) == (cosines[best] < RELEVANCE)
        others = [samples.name(i) for i in np.flatnonzero(cosines < cosines[best] - 1e-5)]
        assert not any(right.agrees((name, cosines[best])) for name in others)
        assert not right.agrees((samples.name(best), cosines[best] + 1e-5))
    assert {right.nothing for right in samples.expected(queries)} == {True, False}


def test_cosines_that_float32_cannot_tell_apart_are_all_right() -> None:
    samples = Samples(50)
    near = samples.vectors[7] * np.float32(1 + 1e-7)
    samples.vectors[9] = near
    (right,) = samples.expected(samples.vectors[[7]])
    assert {samples.name(7), samples.name(9)} == set(right.similarities)


def test_samples_are_the_same_each_time_and_of_real_size() -> None:
    one, other = Samples(80, seed=4), Samples(80, seed=4)
    assert one.feedback(5) == other.feedback(5) != Samples(80, seed=3).feedback(5)
    assert np.array_equal(one.vectors, other.vectors)
    assert all(is_id(one.name(number)) for number in range(80))
    pairs = [one.feedback(number).pair for number in range(80)]
    assert 800 < np.mean([len(p.prompt + p.chosen + p.rejected) for p in pairs]) < 1100
    learned = one.learned(5)
    assert len(learned.selection.screened) == 42
    assert set(learned.selection.attributes) <= set(learned.selection.singles)


def test_the_tally_counts_what_is_wrong() -> None:
    samples, tally = Samples(50), Tally()
    right = samples.expected(samples.vectors[:2])
    answers = [(0.5, (samples.name(0), 1.0)), (0.25, None)]
    assert tally.check(right, answers) == [0.5, 0.25]
    assert (tally.queries, tally.mismatches) == (2, 1)


def result(add: float, first: float, warm: float) -> Result:
    times = {"add": add, "first": first, "warm": warm}
    summaries = {what: summary([ms / 1e3] * 3) for what, ms in times.items()}
    return {"times": summaries, "file": 1000, "memory": 2000, "before": 1000}


@pytest.mark.parametrize(
    ("ours", "verdicts"),
    [
        (result(add=3.9, first=290.0, warm=14.0), ["yes", "yes", "yes", "yes", "yes"]),
        (result(add=4.1, first=310.0, warm=16.0), ["no", "no", "no", "no", "yes"]),
    ],
)
def test_every_target_is_judged(ours: Result, verdicts: list[str]) -> None:
    sizes = {
        str(size): {VAULT: ours, PLAIN: result(2.0, 100.0, 10.0)} for size in (10_000, 100_000)
    }
    document: Document = {
        "system": "a machine", "sqlite": "3", "repeats": 3, "seed": 0, "sizes": sizes,
        "left_out": {}, "queries": 9, "mismatches": 0, "seconds": 1.0,
    }  # fmt: skip
    assert [line.rpartition(": ")[2] for line in bench_vault.targets(document)] == verdicts
    assert "/ plain" in bench_vault.report(document)


@pytest.mark.parametrize("size", ["0", "39"])
def test_too_few_memories_are_refused(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench_vault.main(["--sizes", size])
    assert "at least 40" in capsys.readouterr().err
