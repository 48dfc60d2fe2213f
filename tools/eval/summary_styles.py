"""Which way of injecting a summary a model understands: answers written in two opposite styles.

Every case has one answer in the style of an attribute's wording and one in its opposite's. A model
that understands an injected text favours the answer in the style that it asks for: the margin
between both texts is positive.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.protocols import LanguageModel
from pocketpref.records import Message, Pair

Inject = Callable[[str, str], list[Message]]
"""Prompt and style to conversation."""


@dataclass(frozen=True, slots=True)
class Case:
    """One prompt with an answer in an attribute's style and one in the opposite style."""

    attribute: str
    prompt: str
    like: str
    unlike: str


CASES = (
    Case(
        "Concise",
        "How do I boil an egg?",
        "Put it in boiling water for eight minutes, then cool it.",
        "First take a pot that is large enough and fill it with water, so that the egg will be "
        "covered. Then put the pot on the stove, wait until the water boils, and lower the egg in "
        "with a spoon. After about eight minutes take it out again and let it cool in cold water.",
    ),
    Case(
        "Concise",
        "What is photosynthesis?",
        "Plants turn light, water and carbon dioxide into sugar and oxygen.",
        "Photosynthesis is a process that happens in plants, algae and some bacteria. They take in "
        "light with a green substance called chlorophyll. With its energy they split water, give "
        "off oxygen, and use carbon dioxide from the air to build sugar, which feeds the plant.",
    ),
    Case(
        "Formal",
        "Can you help me with my tax form?",
        "Certainly. I would be pleased to assist you. Please state which section of the form "
        "requires clarification.",
        "Sure thing! Taxes are the worst, right? Just tell me which bit is bugging you and we'll "
        "sort it out.",
    ),
    Case(
        "Formal",
        "My train is late. What should I do?",
        "I regret the inconvenience. I would recommend that you consult the station staff "
        "regarding an alternative connection.",
        "Ugh, that sucks! Go grab a coffee and ask one of the station guys when the next one's "
        "coming, ok?",
    ),
    Case(
        "Humor",
        "Why do cats sleep so much?",
        "Because ruling the world from a sofa is exhausting. Somebody has to guard that sunbeam, "
        "and it will not nap on itself!",
        "Cats are predators. Hunting takes short bursts of much energy, so they rest for most of "
        "the day in order to save it.",
    ),
    Case(
        "Humor",
        "Should I buy a new phone?",
        "Only if your old one has started sending you its last will. Otherwise your wallet just "
        "called and it is crying!",
        "If the battery holds and security updates still arrive, there is no need. Otherwise "
        "compare prices and support periods.",
    ),
    Case(
        "Modest",
        "Will it rain tomorrow?",
        "I am not sure, and I may well be wrong, but it seems that rain is possible. Forecasts "
        "like this have limits.",
        "Yes. It will rain tomorrow, without any doubt. Take an umbrella.",
    ),
    Case(
        "Modest",
        "Is coffee good for you?",
        "It is hard to say. Some studies suggest small benefits, but the evidence has limits, and "
        "I cannot be certain.",
        "Absolutely. Coffee is good for you, and that is a proven fact. Drink it every day.",
    ),
    Case(
        "Engineer",
        "How does a bicycle brake work?",
        "The lever pulls a steel cable. It turns the caliper by about 10 degrees, and two rubber "
        "pads press on the rim with some 200 newtons of force.",
        "You squeeze the handle and then the bike slows down. It is a bit like dragging your feet "
        "on the ground.",
    ),
    Case(
        "Engineer",
        "How can I make my house warmer?",
        "Measure first. Then add 20 cm of mineral wool to the roof, which lowers the U-value to "
        "about 0.2, and seal joints with tape rated for 0.1 bar.",
        "Close the curtains, put on a nice sweater and make it cosy with blankets and candles.",
    ),
    Case(
        "Vivid",
        "What is the sea like in winter?",
        "Grey waves heave like tired whales, foam hisses over black stones, and the wind tastes of "
        "salt and iron.",
        "The sea is cold in winter. There are more waves than in summer, and few people visit.",
    ),
    Case(
        "Vivid",
        "Describe a market.",
        "Pyramids of scarlet tomatoes glow beside silver fish, and cinnamon drifts through the "
        "shouts of the sellers like warm smoke.",
        "A market is a place where goods are sold. There are stalls, sellers and buyers.",
    ),
    Case(
        "Emotion",
        "I passed my exam.",
        "Oh, how wonderful! My heart is jumping with joy for you! I am so deeply happy and proud!",
        "That result has been noted. The next step is to register for the following course.",
    ),
    Case(
        "Emotion",
        "My dog died.",
        "Oh no, I am so terribly sorry! It breaks my heart to think how much you loved each other "
        "and how much this hurts.",
        "Dogs live ten to thirteen years on average. A veterinarian can arrange the cremation.",
    ),
    Case(
        "Persuasive",
        "Is it better to live in a city?",
        "Without question, choose the city! Nowhere else offers such work, culture and freedom. "
        "Whoever stays away misses out on life itself.",
        "There are reasons on both sides. Cities offer work and culture, the country offers space "
        "and quiet. It depends on what matters to you.",
    ),
    Case(
        "Persuasive",
        "Should schools have uniforms?",
        "They must! Uniforms end bullying over clothes, save families money and build pride. Every "
        "school should adopt them at once.",
        "Some find that uniforms reduce differences, others that they limit expression. Research "
        "has shown mixed results.",
    ),
)


_LIVELY = ("Humor", "Vivid", "Emotion", "Persuasive")
"""Attributes whose style an imaginary lively person likes; of the others they like the opposite."""


def lively() -> list[Pair]:
    """The choices of somebody who likes lively and informal answers: a taste that can be known."""
    return [
        Pair(c.prompt, c.like, c.unlike)
        if c.attribute in _LIVELY
        else Pair(c.prompt, c.unlike, c.like)
        for c in CASES
        if c.attribute != "Concise"
    ]


def _user(block: str) -> Inject:
    def inject(prompt: str, style: str) -> list[Message]:
        return [Message(role="user", content=f"{prompt}\n{block.format(style)}")]

    return inject


def _system(text: str) -> Inject:
    def inject(prompt: str, style: str) -> list[Message]:
        return [
            Message(role="system", content=text.format(style)),
            Message(role="user", content=prompt),
        ]

    return inject


FORMS: dict[str, Inject] = {
    "user turn, '(The user prefers ...)'": _user("\n(The user prefers answers that are {}.)"),
    "user turn, '(I prefer ...)'": _user("\n(I prefer answers that are {}.)"),
    "user turn, 'Prefers ...'": _user("Prefers answers that are {}."),
    "user turn, 'Answer in this way: ...'": _user("Answer in this way: {}."),
    "user turn, 'Attributes: <...>'": _user("Attributes: <{}>"),
    "system, 'You are a helpful assistant. The user prefers ...'": _system(
        "You are a helpful assistant. The user prefers answers that are {}."
    ),
    "system, 'The user prefers ...'": _system("The user prefers answers that are {}."),
}


def understanding(model: LanguageModel, bank: AttributeBank) -> dict[str, dict[str, Any]]:
    """For every form: how often margins point the right way, and how far, over all cases.

    ``between`` compares the two opposite texts; ``one_sided`` compares each with no text.
    """
    return {name: _measure(model, bank, inject) for name, inject in FORMS.items()}


def _measure(model: LanguageModel, bank: AttributeBank, inject: Inject) -> dict[str, Any]:
    between, alone = [], []
    for case in CASES:
        attribute = bank[case.attribute]
        contexts = [
            [Message(role="user", content=case.prompt)],
            inject(case.prompt, attribute.wording),
            inject(case.prompt, attribute.opposite),
        ]
        totals = model.likelihoods(contexts, [case.like, case.unlike]).totals
        plain, like, unlike = totals[:, 0] - totals[:, 1]
        between.append(like - unlike)
        alone += [like - plain, plain - unlike]
    return {
        "between_right": float(np.mean(np.array(between) > 0)),
        "between_mean": float(np.mean(between)),
        "one_sided_right": float(np.mean(np.array(alone) > 0)),
        "cases": len(CASES),
    }
