"""Which pairs the scoring benchmark measures on."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from pocketpref.errors import FileError
from pocketpref.records import Pair
from tools.bench.scoring_pairs import LEAST_ANSWER, MOST_TOKENS, Candidate, candidates, choose


def words(text: str) -> int:
    return len(text.split())


def candidate(place: int, length: int, *, user: str = "a", prompt: str | None = None) -> Candidate:
    pair = Pair(prompt or f"prompt {place}", f"yes {place}", f"no {place}")
    return Candidate("some.jsonl", place, user, pair, (length - 40, 20, 20))


MANY = [candidate(place, 50 + 3 * (place * 37 % 200), user=f"u{place % 7}") for place in range(200)]


def test_half_are_short_and_half_long_spread_evenly_over_the_lengths() -> None:
    chosen = choose(MANY, 10)
    ordered = sorted(MANY, key=lambda c: c.length)
    ranks = {half: [ordered.index(c) for h, c in chosen if h == half] for half in ("short", "long")}
    assert [rank // 20 for rank in ranks["short"]] == [0, 1, 2, 3, 4]
    assert [rank // 20 for rank in ranks["long"]] == [5, 6, 7, 8, 9]
    assert all(a[0] != b[0] for a, b in pairwise(chosen))  # in turn, for a run that is stopped


def test_the_choice_depends_on_the_seed_alone() -> None:
    assert choose(MANY, 10, seed=3) == choose(MANY[::-1], 10, seed=3)
    assert choose(MANY, 10, seed=3) != choose(MANY, 10, seed=4)


def test_no_prompt_is_taken_twice_and_no_person_favoured() -> None:
    crowd = [
        candidate(i, 50 + i, user="one" if i % 10 else f"u{i}", prompt=f"prompt {i // 2}")
        for i in range(100)
    ]
    chosen = [c for _, c in choose(crowd, 10)]
    assert len({c.pair.prompt for c in chosen}) == 10
    assert max(sum(c.user == u for c in chosen) for u in {c.user for c in chosen}) == 1


def test_too_few_pairs_are_an_error_and_not_fewer_rows() -> None:
    with pytest.raises(FileError, match="3 usable pairs"):
        choose(MANY[:3], 4)


def test_answers_that_are_too_short_and_pairs_that_are_too_long_are_left_out(
    tmp_path: Path,
) -> None:
    enough, little = "word " * LEAST_ANSWER, "word " * (LEAST_ANSWER - 1)
    rows = [
        ("kept", enough, f"other {enough}"),
        ("short", enough, little),
        ("word " * MOST_TOKENS, enough, f"other {enough}"),
    ]
    file = tmp_path / "pairs.jsonl"
    file.write_text(
        "".join(json.dumps(dict(zip(("prompt", "chosen", "rejected"), r, strict=True))) + "\n"
                for r in rows),
        "utf-8",
    )  # fmt: skip
    (found,) = candidates([file], words)
    assert (found.file, found.place, found.length) == ("pairs.jsonl", 0, 1 + 2 * LEAST_ANSWER + 1)
    assert "kept" not in repr(found)


def test_without_files_the_bundled_samples_are_used() -> None:
    found = candidates([], words)
    assert {c.file for c in found} == {"sample ukp", "sample mtbench"}
    assert len(choose(found, 20)) == 20
