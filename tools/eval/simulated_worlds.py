"""People whose tastes are known, for `simulated.py`: what real data cannot show.

A world has prompts about a few topics, and to each prompt one answer written under each attribute
and each opposite. A person likes one of them for each topic: the answer written under it is
chosen, one written under another attribute is rejected. Two worlds have the same people:

* ``scripted``: an answer is made of words, some of which an attribute makes likelier. The model
  that scores follows the same rule, so nothing is in the way of learning.
* ``written``: the starter model itself writes every answer under the line that EXACT injects, and
  scores all of them. What it does not do well under a line, it cannot see either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.evaluation.predictors import Case
from pocketpref.messages import compose
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.records import Attribute, Pair, Sampling
from pocketpref.testing import ScriptedModel

NAMES: Final = ("Formal", "Concise", "Emotion", "Easy", "Direct", "Analytic")

TOPICS: Final = {
    "cooking": "Cooking: how do I {}?",
    "computers": "Computers: what should I know to {}?",
    "travel": "Travel: what is the best way to {}?",
}
TASKS: Final = {
    "cooking": (
        *("bake bread", "cook rice", "make a soup", "roast vegetables", "grill a fish"),
        *("fry an egg", "make pasta", "bake a cake", "cook beans", "make a salad"),
    ),
    "computers": (
        *("choose a laptop", "write a script", "keep files safe", "set up a network", "use email"),
        *("install a printer", "learn typing", "edit photos", "build a website", "sort a list"),
    ),
    "travel": (
        *("see Rome in a day", "cross the Alps", "pack a small bag", "find a cheap room"),
        *("visit a museum", "travel by train", "hike with children", "rent a boat"),
        *("learn a few words", "eat like locals"),
    ),
}

Kind = Literal["steady", "turning", "contrary", "dice"]
"""Steady; with other tastes from the middle on; choosing against their taste at times; without."""

CONTRARY: Final = 0.2
"""How often a contrary person chooses against their taste."""

_FILLERS: Final = ("the", "a", "road", "house", "and", "goes", "stands", "by", "water", "stone")
_TOKENS: Final = 60
_EARNS: Final = 0.7  # nats for each word that an attribute favours


@dataclass(frozen=True)
class World:
    """Prompts, answers, and what is known of both.

    Attributes:
        bank: the attributes, opposites as attributes of their own ("not Formal").
        answers: what was written under each attribute to each prompt.
        vectors: embeddings of the prompts.
        topic: of each prompt.
    """

    bank: AttributeBank
    answers: dict[tuple[str, str], str]
    vectors: dict[str, np.ndarray]
    topic: dict[str, str]


@dataclass(frozen=True)
class Person:
    """Somebody's choices, and the taste behind each.

    Attributes:
        cases: the oldest first.
        liked: the attribute behind each case, by the case's group.
    """

    cases: list[Case]
    liked: dict[str, str]


def both_sides() -> AttributeBank:
    """The attributes and, as attributes of their own, their opposites."""
    bank = AttributeBank.standard()
    chosen = [bank[name] for name in NAMES]
    turned = [Attribute(f"not {a.name}", a.opposite, a.wording, a.category) for a in chosen]
    return AttributeBank([*chosen, *turned])


def prompts() -> dict[str, str]:
    """Every prompt, with its topic."""
    return {TOPICS[t].format(task): t for t, tasks in TASKS.items() for task in tasks}


def world(embedder: Embedder, answer: Callable[[str, Attribute], str]) -> World:
    """A world in which ``answer`` writes."""
    bank, topic = both_sides(), prompts()
    answers = {(prompt, a.name): answer(prompt, a) for prompt in topic for a in bank}
    return World(bank, answers, dict(zip(topic, embedder.embed(list(topic)), strict=True)), topic)


# ------------------------------------------------------------------------------ who writes


def scripted_answer(prompt: str, attribute: Attribute) -> str:
    """Three words that the attribute favours among others, the same for the same prompt."""
    digest = hashlib.sha256(f"{prompt} {attribute.name}".encode()).digest()
    random = np.random.default_rng(list(digest))
    others = [_word(a.name) for a in both_sides() if a.name != attribute.name]
    words = [*random.choice(_FILLERS, 9), *[_word(attribute.name)] * 3, *random.choice(others, 4)]
    return " ".join(random.permutation(words))


def scripted_model() -> ScriptedModel:
    """The model that follows the rule of ``scripted_answer``."""
    return ScriptedModel({a.wording: {_word(a.name): _EARNS} for a in both_sides()})


def _word(name: str) -> str:
    return "word" + hashlib.sha256(name.encode()).hexdigest()[:6]


class Writer:
    """The starter model writes; what it wrote is kept, so that a stopped run goes on."""

    def __init__(self, model: LanguageModel | None, file: Path) -> None:
        self._model = model
        self._file = file
        self._known: dict[str, str] = json.loads(file.read_text("utf-8")) if file.exists() else {}

    def __call__(self, prompt: str, attribute: Attribute) -> str:
        """The answer to a prompt under an attribute; the seed is fixed by both."""
        key = f"{attribute.name}: {prompt}"
        if key not in self._known:
            assert self._model is not None, "what was not written yet needs --compute"
            bank = AttributeBank([attribute])
            messages = compose(prompt, bank.block([attribute.name]))
            seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big")
            sampling = Sampling(max_tokens=_TOKENS, seed=seed)
            self._known[key] = "".join(self._model.generate(messages, sampling=sampling)).strip()
            self._file.write_text(json.dumps(self._known, indent=0), "utf-8")
        return self._known[key]


# ------------------------------------------------------------------------------ who chooses


def people(world: World, kind: Kind, count: int, seed: int = 0) -> dict[str, Person]:
    """So many people of one kind, each with one choice for every prompt."""
    return {
        f"{kind}{number:02}": _person(world, f"{kind}{number:02}", kind, [seed, number])
        for number in range(count)
    }


def _person(world: World, user: str, kind: Kind, seed: Sequence[int]) -> Person:
    random = np.random.default_rng(seed)
    names, topics = world.bank.names, list(TOPICS)
    early, late = (dict(zip(topics, random.permutation(names), strict=False)) for _ in range(2))
    cases, liked = [], {}
    asked = random.permutation(list(world.topic)).tolist()
    for place, prompt in enumerate(asked):
        taste = late if kind == "turning" and place >= len(asked) // 2 else early
        wanted = str(taste[world.topic[prompt]])
        other = str(random.choice([name for name in names if name != wanted]))
        against = kind == "contrary" and random.random() < CONTRARY
        if against or (kind == "dice" and random.random() < 0.5):
            wanted, other = other, wanted
        pair = _pair(world, prompt, wanted, other)
        if pair is not None:
            vector = world.vectors[prompt]
            cases.append(Case(user, pair, vector, prompt, prompt, float(place)))
            liked[prompt] = str(taste[world.topic[prompt]])
    return Person(cases, liked)


def _pair(world: World, prompt: str, chosen: str, rejected: str) -> Pair | None:
    """None if the same was written under both."""
    one, other = world.answers[prompt, chosen], world.answers[prompt, rejected]
    return Pair(prompt, one, other) if one and other and one != other else None
