"""The simulation of known tastes: its styles differ as named, and its rates follow the beliefs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools" / "eval"))
import taste_naming

from pocketpref.personalization.dimensions import Dimensions

DIMENSIONS = Dimensions.standard()
ANSWER = (
    "It is important to use enough water for the plants. However, many people do not need to buy "
    "a large container. You are able to obtain a good one in every department store. Such as it "
    "is, a cheap can will help. Therefore start with that, and think about a change later on."
)


@pytest.mark.parametrize("taste", taste_naming.TASTES)
def test_rewritten_answer_shows_its_style(taste: str) -> None:
    liked, other, (name, pole) = taste_naming.TASTES[taste]
    styles = taste_naming.rewrite(ANSWER)
    found = taste_naming.contrasts(DIMENSIONS, [(styles[liked], styles[other])])
    assert (found[0, DIMENSIONS.index(name)] > 0.5) == (pole == "high")


def test_clear_taste_is_named_and_coin_is_not() -> None:
    styles = taste_naming.rewrite(ANSWER)
    pool = taste_naming.contrasts(DIMENSIONS, [(styles["short"], styles["long"])])
    taste = taste_naming.simulate_taste(
        DIMENSIONS, pool, ("length", "low"), choices=12, noise=0.0, people=3, seed=0
    )
    assert taste["right and nothing else"][0] == 1
    coin = taste_naming.simulate_coin(DIMENSIONS, pool, choices=12, people=30, seed=0)
    assert coin["named"][0] < 0.2


def test_interval_holds_the_rate() -> None:
    rate, low, high = taste_naming.interval(5, 100)
    assert low < rate == 0.05 < high
    assert np.isnan(taste_naming.interval(0, 0)[0])
