"""Five hundred secrets, and a memory that is full of them."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

_SYLLABLES = ("zor", "bek", "mil", "dran", "vos", "kel", "tum", "rin", "hax", "quo", "fej", "wyl")
_STREETS = ("Lane", "Allee", "Road", "Street", "Way")
_TESTS = ("syndrome", "carcinoma stage two", "disorder", "insufficiency", "dependence")


def _words(seed: int) -> Iterator[str]:
    """Made-up words, no two alike, that stand in no vocabulary."""
    chosen = list(itertools.permutations(_SYLLABLES, 3))
    random.Random(seed).shuffle(chosen)
    return ("".join(syllables).capitalize() for syllables in chosen)


def secrets() -> list[str]:
    """Names, employers, diagnoses, addresses, numbers and whole sentences."""
    word, dice = _words(7), random.Random(7)
    names = [f"{next(word)} {next(word)}" for _ in range(100)]
    employers = [f"{next(word)} Industries" for _ in range(80)]
    diagnoses = [f"{next(word)} {dice.choice(_TESTS)}" for _ in range(80)]
    addresses = [f"{dice.randint(1, 99)} {next(word)} {dice.choice(_STREETS)}" for _ in range(80)]
    numbers = [f"{dice.randint(10**9, 10**10 - 1)}" for _ in range(80)]
    sentences = [
        f"My {dice.choice(('boss', 'sister', 'doctor'))} {next(word)} told me that I should leave."
        for _ in range(80)
    ]
    return [*names, *employers, *diagnoses, *addresses, *numbers, *sentences]


def pairs() -> list[tuple[str, str, str]]:
    """Prompt, chosen and rejected answer of each choice: every secret stands in one of them."""
    planted = secrets()
    random.Random(8).shuffle(planted)
    groups = [planted[start : start + 4] for start in range(0, len(planted), 4)]
    return [
        (
            f"How do I tell {first} about this? It is number {place}.",
            f"Yes. Say it plainly to them: {second}",
            f"No. One might begin at length with {third}, and then with {fourth}.",
        )
        for place, (first, second, third, fourth) in enumerate(groups)
    ]
