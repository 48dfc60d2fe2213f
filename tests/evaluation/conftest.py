"""People whose tastes are known, and a model that can see them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.evaluation.likelihood_cache import CachedModel
from pocketpref.evaluation.predictors import Case, CaseEvidence
from pocketpref.records import Attribute, Pair
from pocketpref.testing import HashEmbedder, ScriptedModel

# Each attribute makes one word likelier, its opposite another one.
WORDS = {"Warm": ("sun", "ice"), "Loud": ("drum", "hush"), "Old": ("oak", "neon")}
FILLERS = ("the", "a", "road", "house", "and", "goes", "stands", "by", "water", "stone")


def small_bank() -> AttributeBank:
    return AttributeBank(
        Attribute(name, f"{name} wording", f"{name} contrary", "style") for name in WORDS
    )


def seeing_model() -> ScriptedModel:
    tastes = {}
    for name, (word, other) in WORDS.items():
        tastes[f"{name} wording"] = {word: 0.7}
        tastes[f"{name} contrary"] = {other: 0.7}
    return ScriptedModel(tastes)


def answer(random: np.random.Generator) -> str:
    marks = [word for pair in WORDS.values() for word in pair]
    words = [*random.choice(FILLERS, 8), *random.choice(marks, 4)]
    return " ".join(random.permutation(words))


def person(
    user: str, tastes: dict[str, float], pairs: int, seed: int, *, prompts: int | None = None
) -> list[Case]:
    """Somebody who likes or dislikes attributes by so much a word; without tastes, dice decide."""
    random = np.random.default_rng(seed)
    cases = []
    for place in range(pairs):
        prompt = f"question {user} number {place % (prompts or pairs)}"
        first, second = answer(random), answer(random)
        while tastes and worth(first, tastes) == worth(second, tastes):
            second = answer(random)
        liked = worth(first, tastes) - worth(second, tastes) or random.choice([-1.0, 1.0])
        chosen, rejected = (first, second) if liked > 0 else (second, first)
        pair = Pair(prompt, f"{chosen} {place}", f"{rejected} {place}")
        vector = HashEmbedder().embed([prompt])[0]
        cases.append(Case(user, pair, vector, prompt, f"topic {place % 3}", float(place)))
    return cases


def worth(text: str, tastes: dict[str, float]) -> float:
    words = text.split()
    return sum(
        weight * (words.count(WORDS[name][0]) - words.count(WORDS[name][1]))
        for name, weight in tastes.items()
    )


def people(count: int, pairs: int, *, alike: bool = False) -> list[Case]:
    """A crowd: each likes or dislikes one attribute, or all like the same one."""
    names = list(WORDS)
    found: list[Case] = []
    for place in range(count):
        name = names[0] if alike else names[place % len(names)]
        sign = 1.0 if alike or (place // len(names)) % 2 else -1.0
        found += person(f"p{place:02}", {name: sign}, pairs, 100 + place)
    return found


def exchanged(case: Case) -> Case:
    """The same question with the other answer as the chosen one."""
    pair = Pair(case.pair.prompt, case.pair.rejected, case.pair.chosen)
    return Case(case.user, pair, case.vector, case.group, case.item, case.when)


def pairs_of(cases: Sequence[Case]) -> list[Pair]:
    return [case.pair for case in cases]


@pytest.fixture(scope="session")
def evidence() -> CaseEvidence:
    return CaseEvidence(CachedModel(seeing_model()), small_bank())
