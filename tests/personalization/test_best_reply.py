"""The best of several replies is the one that the person would most likely prefer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import pocketpref
from pocketpref.errors import InputError
from pocketpref.pocket import Pocket
from pocketpref.records import Sampling
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import EphemeralKey

SEED = 8


@pytest.fixture
def pocket(tmp_path: Path) -> Iterator[Pocket]:
    """Draws are told apart by their number; the later ones are longer."""
    model = ScriptedModel(replies=lambda messages, draw: "word " * (draw - SEED) * 20 + "end.")
    with pocketpref.open(
        path=tmp_path / "v.db", key=EphemeralKey(), model=model, embedder=HashEmbedder()
    ) as opened:
        yield opened


def draws(pocket: Pocket) -> list[str]:
    return [pocket.reply("tea?", sampling=Sampling(seed=SEED + place)) for place in range(4)]


def test_the_shortest_draw_is_best_for_whoever_likes_short_answers(pocket: Pocket) -> None:
    for place in range(12):
        pocket.add(f"question {place}?", "Yes, it is so.", "It is a long story. " * 12)
    assert pocket.reply("tea?", sampling=Sampling(seed=SEED), best_of=4) == draws(pocket)[0]


def test_the_longest_draw_is_best_for_whoever_likes_long_answers(pocket: Pocket) -> None:
    for place in range(12):
        pocket.add(f"question {place}?", "It is a long story. " * 12, "Yes, it is so.")
    assert pocket.reply("tea?", sampling=Sampling(seed=SEED), best_of=4) == draws(pocket)[3]


def test_the_best_of_one_is_the_reply_itself(pocket: Pocket) -> None:
    assert pocket.reply("tea?", sampling=Sampling(seed=SEED), best_of=1) == draws(pocket)[0]


@pytest.mark.parametrize(
    "options", [{"best_of": 0}, {"best_of": 4, "stream": True}, {"best_of": -1}]
)
def test_a_count_that_cannot_be_drawn_is_refused(
    pocket: Pocket, options: dict[str, object]
) -> None:
    with pytest.raises(InputError, match="best of several"):
        pocket.reply("tea?", **options)  # type: ignore[call-overload]  # what a caller may try


def test_without_chance_there_is_nothing_to_choose_from(pocket: Pocket) -> None:
    with pytest.raises(InputError, match="differ"):
        pocket.reply("tea?", sampling=Sampling(temperature=0), best_of=4)
