"""How far a reply shows a taste: one number for each of eight tastes, from the text alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)*")
_ITEM = re.compile(r"^\s*(?:[-*•+]|\d+[.)])\s+")
_CONTRACTION = re.compile(r"(?i)\b\w+['\u2019](?:s|re|ve|ll|d|m|t)\b")
_CASUAL_WORDS = (
    "hey yo dude buddy folks guys yeah yep nope ok okay gonna wanna gotta kinda sorta cool awesome "
    "super stuff lol haha wow hi hello pretty totally basically just lot lots bunch trick chill "
    "grab toss bit mate pal cheers oh man bro fam bestie easy fun"
)
_PERSONAL_WORDS = "i you your yours me my mine we us our let's you're i'm you'll"
_CASUAL = frozenset(_CASUAL_WORDS.split())
_PERSONAL = frozenset(_PERSONAL_WORDS.split())


def words(text: str) -> list[str]:
    """The words of a text in lower case, numbers left out."""
    return [word.lower().replace("\u2019", "'") for word in _WORD.findall(text)]


def item_share(text: str) -> float:
    """The share of non-empty lines that are list items."""
    lines = [line for line in text.splitlines() if line.strip()]
    return sum(bool(_ITEM.match(line)) for line in lines) / len(lines) if lines else 0.0


def layout_share(text: str) -> float:
    """The share of non-empty lines that are list items, headings or hold bold text."""
    lines = [line for line in text.splitlines() if line.strip()]
    marked = [bool(_ITEM.match(line)) or "**" in line or line.startswith("#") for line in lines]
    return sum(marked) / len(lines) if lines else 0.0


def informality(text: str) -> float:
    """Contractions, exclamation marks, casual words and half of the pronouns, per 100 words."""
    said = words(text)
    casual = sum(word in _CASUAL for word in said) + text.count("!")
    casual += len(_CONTRACTION.findall(text))
    personal = sum(word in _PERSONAL for word in said)
    return 100 * (casual + 0.5 * personal) / len(said) if said else 0.0


def word_length(text: str) -> float:
    """Mean letters of a word."""
    said = words(text)
    return sum(map(len, said)) / len(said) if said else 0.0


@dataclass(frozen=True, slots=True)
class Taste:
    """A known taste.

    Attributes:
        name: of the taste.
        measure: the number that a reply is measured by.
        more: whether the person likes more of it (False: less).
        order: how it is told outright.
        clause: the same, completing "answers that are".
        most: the longest replies that it is measured on, in tokens.
    """

    name: str
    measure: Callable[[str], float]
    more: bool
    order: str
    clause: str
    most: int = 120

    def shown(self, replies: Sequence[str]) -> float:
        """Return the mean over replies; more is closer to the taste."""
        mean = sum(map(self.measure, replies)) / len(replies)
        return mean if self.more else -mean


TASTES: tuple[Taste, ...] = (
    Taste(
        "short",
        lambda text: float(len(words(text))),
        False,
        "Answer in one or two short sentences.",
        "very short, one or two sentences",
    ),
    Taste(
        "long",
        lambda text: float(len(words(text))),
        True,
        "Answer at length, in several detailed paragraphs.",
        "long and detailed, several paragraphs",
        220,
    ),
    Taste(
        "bullets",
        item_share,
        True,
        "Answer as a bulleted list.",
        "written as bulleted lists",
    ),
    Taste(
        "prose",
        layout_share,
        False,
        "Answer in flowing paragraphs, without lists.",
        "flowing paragraphs without lists",
    ),
    Taste(
        "formal",
        informality,
        False,
        "Answer in formal, impersonal language.",
        "formal and impersonal",
    ),
    Taste(
        "casual",
        informality,
        True,
        "Answer casually, like chatting with a good friend!",
        "casual, like chatting with a good friend",
    ),
    Taste(
        "simple",
        word_length,
        False,
        "Use only very simple, everyday words.",
        "in very simple, everyday words",
    ),
    Taste(
        "expert",
        word_length,
        True,
        "Use precise technical terms, as for an expert.",
        "technical and precise, for an expert",
    ),
)
