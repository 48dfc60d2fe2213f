"""Ways to write the same answer, by rule, and how they are told from the text alone.

A style is one option of each axis it cares about. Whatever an option does to a text, ``noticed``
can find again in choices between such texts, with measures that do not know the rules' phrases:
what the trainer believes about a person comes from their choices, never from what they were made to
be. English only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from pocketpref.methods.palm.traits import log_length, words

from .rewrites import RULES, sentences

Style = Mapping[str, str]
"""Axis to option; an axis that is not there stays as it comes."""


@dataclass(frozen=True, slots=True)
class Option:
    """One way on an axis.

    Attributes:
        write: puts a text into it; the number draws between phrases.
        said: how a summary may call it. The first is the attribute bank's where that has one; the
            last is kept for people who are judged on.
        measure: more of it, the more a text is so.
    """

    write: Callable[[str, int], str]
    said: tuple[str, ...]
    measure: Callable[[str], float]


def _both(name: str, then: Callable[[str, int], str]) -> Callable[[str, int], str]:
    """A rule of ``rewrites``, and another one after it."""
    return lambda text, draw: then(RULES[name](text), draw)


def _first(text: str, _: int) -> str:
    return (sentences(text) or [text])[0]


def _lines(marker: Callable[[int], str]) -> Callable[[str, int], str]:
    def write(text: str, _: int) -> str:
        found = sentences(text) or [text]
        return "\n".join(f"{marker(n)}{sentence}" for n, sentence in enumerate(found, 1))

    return write


def _loud(text: str, draw: int) -> str:
    exclaimed = re.sub(r"[.](?=\s|$)", "!", text)
    return f"{_OUTCRIES[draw % len(_OUTCRIES)]} {exclaimed}"


def _led(openings: Sequence[str]) -> Callable[[str, int], str]:
    """Every second sentence, from the first on, begins with one of some phrases."""

    def write(text: str, draw: int) -> str:
        found = sentences(text) or [text]
        for place in range(0, len(found), 2):
            opening = openings[(draw + place) % len(openings)]
            found[place] = f"{opening} {_small(found[place])}"
        return " ".join(found)

    return write


def _small(sentence: str) -> str:
    """Without its capital, unless the word looks like a name or stands for the writer."""
    word = sentence.split(" ", 1)[0]
    return (
        sentence if word == "I" or not word[1:].islower() else sentence[:1].lower() + sentence[1:]
    )


def _opened(openings: Sequence[str]) -> Callable[[str, int], str]:
    return lambda text, draw: f"{openings[draw % len(openings)]}{_apart(text)}{text}"


def _closed(closings: Sequence[str]) -> Callable[[str, int], str]:
    return lambda text, draw: f"{text}{_apart(text)}{closings[draw % len(closings)]}"


def _apart(text: str) -> str:
    """What stands between a text and what is said before or after it."""
    return "\n" if text.startswith(("- ", "1. ")) else " "


def _rate(pattern: str) -> Callable[[str], float]:
    """Occurrences for each sentence."""
    found = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
    return lambda text: len(found.findall(text)) / max(1, len(sentences(text)))


_OUTCRIES = ("Wow, what a topic!", "This is exciting!", "Oh, I love this!", "Great stuff!")
_HEDGES = ("I think that", "It seems that", "Perhaps", "As far as I know,", "I may be wrong, but")
_CLAIMS = ("Clearly,", "Without any doubt,", "It is certain that", "Of course,", "Definitely,")
_STIFF = ("It should be noted that", "Furthermore,", "In addition,", "Accordingly,")
_CHATTY = ("Well,", "Okay, so", "Basically,", "You know,")
_WARM = (
    "Thank you for asking, I am glad to help you with this.",
    "I understand that this can be hard, and you are doing well.",
    "It is kind of you to ask, and I am happy to be here for you.",
    "Do not worry, I know how you feel.",
)
_COOL = ("Here are the facts.", "The facts are these.", "In factual terms:")
_QUESTIONS = (
    "What do you think about it?", "Would you like to know more?", "Does this help you?",
    "What else would you like to ask?",
)  # fmt: skip
_SAYINGS = (
    "As the saying goes, practice makes perfect.", "As they say, better late than never.",
    "Remember the proverb: slow and steady wins the race.",
    "As the old saying goes, knowledge is power.",
)  # fmt: skip

AXES: Mapping[str, Mapping[str, Option]] = MappingProxyType(
    {
        "register": {
            "formal": Option(
                _both("formal", _led(_STIFF)),
                ("formal and polite, in correct written language", "formal", "official"),
                _rate(r"\b(?:furthermore|noted|in addition|accordingly|moreover|observe)\b"),
            ),
            "casual": Option(
                _both("casual", _led(_CHATTY)),
                ("informal and relaxed, like talking to a friend", "casual", "in spoken language"),
                _rate(r"\w['’](?:s|t|re|ll|ve|m)\b|\b(?:well|okay|so|basically|you know),"),  # noqa: RUF001 - the apostrophe of print
            ),
        },
        "length": {
            "short": Option(
                _first,
                ("short and to the point, without extra words", "brief", "just one sentence"),
                lambda text: -log_length(text),
            ),
        },
        "certainty": {
            "modest": Option(
                _led(_HEDGES),
                ("modest and careful, admitting doubt and limits", "hedged", "not too sure"),
                _rate(r"\b(?:i think|seems?|perhaps|maybe|as far as|may be|might|probably)\b"),
            ),
            "certain": Option(
                _led(_CLAIMS),
                ("confident and certain, without any doubt", "sure of themselves", "decided"),
                _rate(r"\b(?:clearly|doubt|certain(?:ly)?|of course|definitely|surely)\b"),
            ),
        },
        "mood": {
            "lively": Option(
                _loud,
                ("energetic and enthusiastic", "excited, with exclamation marks", "loud and happy"),
                _rate("!"),
            ),
        },
        "layout": {
            "points": Option(
                _lines(lambda _: "- "),
                ("lists of points", "bulleted, one point a line", "laid out with dashes"),
                _rate(r"^\s*[-*•]\s"),
            ),
            "steps": Option(
                _lines(lambda n: f"{n}. "),
                ("numbered steps", "numbered, one step a line", "counted point by point"),
                _rate(r"^\s*\d+[.)]\s"),
            ),
        },
        "opening": {
            "warm": Option(
                _opened(_WARM),
                ("warm and understanding about how the reader feels", "kind", "caring"),
                _rate(r"\b(?:thank|glad|happy|kind|worry|feel|understand that|sorry)\b"),
            ),
            "cool": Option(
                _opened(_COOL),
                ("distant and impersonal", "factual from the first word", "matter of fact"),
                _rate(r"\bfact(?:s|ual)?\b"),
            ),
        },
        "closing": {
            "asking": Option(
                _closed(_QUESTIONS),
                ("closed with a question to the reader", "interested in the reader", "asking back"),
                lambda text: float(text.rstrip().endswith("?")),
            ),
            "saying": Option(
                _closed(_SAYINGS),
                ("with proverbs, sayings and quotations", "closed with a proverb", "proverbial"),
                _rate(r"\b(?:saying|proverb|as they say)\b"),
            ),
        },
    }
)  # fmt: skip
"""Every axis with its options. A text is put into a style axis by axis, in this order."""

_LEAST = 4
"""Choices that must differ in a measure before anything is said about it."""

_SURE = 1.5
"""Standard errors that the mean of a measure's differences must lie above zero."""


def written(text: str, style: Style, draw: int) -> str:
    """A text in a style.

    Args:
        text: prose.
        style: what to do on which axis.
        draw: decides between phrases; the same gives the same text.
    """
    flat = RULES["flowing"](text)
    for place, (axis, options) in enumerate(AXES.items()):
        if axis in style:
            flat = options[style[axis]].write(flat, draw + place)
    return flat


def noticed(choices: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The style that choices speak for: of each axis the surest option, if any is sure.

    Args:
        choices: what was chosen and what was rejected.
    """
    found = {}
    for axis, options in AXES.items():
        scores = {name: _speaks_for(option, choices) for name, option in options.items()}
        best = max(scores, key=lambda name: scores[name])
        if scores[best] > _SURE:
            found[axis] = best
    return found


def _speaks_for(option: Option, choices: Sequence[tuple[str, str]]) -> float:
    """Mean difference of a measure over its standard error; 0 where too few choices differ."""
    moved = [option.measure(chosen) - option.measure(rejected) for chosen, rejected in choices]
    told = np.array([value for value in moved if value])
    if len(told) < _LEAST:
        return 0.0
    # One choice against the others keeps the error from vanishing where all differ alike.
    error = np.sqrt((told.var() + told.mean() ** 2 / len(told)) / len(told))
    return float(told.mean() / error)


def described(style: Style, draw: int, *, unheard: bool = False) -> str:
    """A style as a summary says it, in the form of the library's own; "" for none.

    Args:
        style: what to say.
        draw: decides between wordings and their order.
        unheard: in the wordings that are kept for people who are judged on.
    """
    rng = np.random.default_rng(draw)
    clauses = []
    for axis in rng.permutation(sorted(style)).tolist():
        said = AXES[axis][style[axis]].said
        clauses.append(said[-1] if unheard else said[int(rng.integers(len(said) - 1))])
    return f"The user prefers answers that are {'; '.join(clauses)}." if clauses else ""


def readable(text: str) -> bool:
    """Whether rules have something to work on: two sentences of prose at least."""
    return len(sentences(text)) >= 2 and len(words(text)) >= 12
