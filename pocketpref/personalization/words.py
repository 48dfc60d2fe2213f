"""Words: from beliefs and statements to at most four clauses, for a model and for the person.

Statements are the person's own sentences. They come first, verbatim and in quotes, so a statement
that reads like an order to the model stays a quotation. The newer of two contradictory statements
wins, and a statement silences every belief that contradicts it. Nothing that is not sure is said;
a person without a taste gets no words at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pocketpref.formatting import certainty
from pocketpref.personalization.beliefs import Belief, Beliefs
from pocketpref.personalization.dimensions import Dimensions
from pocketpref.records import RedactedRepr

MOST_CLAUSES: Final = 4
LONGEST_STATEMENT: Final = 240
"""Characters of a statement that are quoted; a longer one is cut at a word."""

# Line breaks and control characters could end the line that the statement is quoted in, and
# <|...|> marks could end the turn in the chat templates of many models.
_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\ufeff]+")
_TURN_MARKS: Final = re.compile(r"<\|.{0,40}?\|>|</?s>|\[/?INST\]|<(?:start|end)_of_turn>")
_QUOTES: Final = str.maketrans({'"': "'", "\u201c": "'", "\u201d": "'", "\u201e": "'"})
_WORDS_IN_A_SENTENCE: Final = 18

_LANGUAGES: Final = {
    "ar": "Arabic", "de": "German", "el": "Greek", "en": "English", "es": "Spanish",
    "fr": "French", "he": "Hebrew", "hi": "Hindi", "it": "Italian", "ja": "Japanese",
    "ko": "Korean", "nl": "Dutch", "pl": "Polish", "pt": "Portuguese", "ru": "Russian",
    "sv": "Swedish", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian", "zh": "Chinese",
}  # fmt: skip
"""English names of languages, which small models know better than codes."""

Preference = tuple[str, str]  # dimension, pole

_SHORT: Final[Preference] = ("length", "low")
_LAID_OUT: Final[frozenset[Preference]] = frozenset({("bullets", "high"), ("steps", "high")})
"""Layouts that take lines: "one or two sentences" beside them would ask for both at once."""


@dataclass(frozen=True, slots=True, repr=False)
class StatedPreference(RedactedRepr):
    """A sentence in which a person says how they want to be answered.

    Attributes:
        text: their own words.
        preferences: the (dimension, pole) that it expresses; empty if unknown.
    """

    text: str
    preferences: tuple[Preference, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class InstructionClause(RedactedRepr):
    """One thing to say, in its three forms.

    Attributes:
        clause: completes "The user prefers answers that are ..."; for a statement, its quotation.
        order: tells a model what to do, one or two full sentences.
        plain: tells the person what is believed, how sure, and from how many choices.
        preference: the (dimension, pole), or None for a statement of unknown meaning.
        belief: what it comes from, or None for a statement.
        stated: whether the person said it.
    """

    clause: str
    order: str
    plain: str
    preference: Preference | None
    belief: Belief | None = None
    stated: bool = False
    _open = ("stated",)


@dataclass(frozen=True, slots=True, repr=False)
class PreferenceWords(RedactedRepr):
    """What is said of a person's preferences, the most important first; may be empty."""

    clauses: tuple[InstructionClause, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.clauses)

    @property
    def sentence(self) -> str:
        """One line in parentheses that describes the user, or "" for nothing."""
        stated = " ".join(c.clause for c in self.clauses if c.stated)
        # Semicolons, since clauses hold commas themselves.
        learned = "; ".join(c.clause for c in self.clauses if not c.stated)
        parts = [f"The user says: {stated}"] if stated else []
        if learned:
            parts.append(f"The user prefers answers that are {learned}.")
        return f"({' '.join(parts)})" if parts else ""

    @property
    def order(self) -> str:
        """One line that tells a model how to answer, or "" for nothing."""
        return " ".join(c.order for c in self.clauses)

    @property
    def plain(self) -> tuple[str, ...]:
        """One line for the person about each preference."""
        return tuple(c.plain for c in self.clauses)


def compose(
    dimensions: Dimensions, beliefs: Beliefs, statements: Sequence[StatedPreference] = ()
) -> PreferenceWords:
    """Put a person's preferences into words.

    Args:
        dimensions: the registry that the beliefs come from.
        beliefs: what was learned.
        statements: what the person said, the oldest first.
    """
    clauses: list[InstructionClause] = []
    said: list[Preference] = []
    for statement in reversed(statements):
        quotation = quote(statement.text)
        repeated = statement.preferences and set(statement.preferences) <= set(said)
        if not quotation or repeated or any(c.clause == quotation for c in clauses):
            continue
        standing = [p for p in statement.preferences if not _contradicted(dimensions, p, said)]
        if len(standing) == len(statement.preferences):
            clauses.append(_stated(dimensions, quotation, statement))
        else:  # a newer statement took something back: the rest is said in our words
            clauses.extend(_rest(dimensions, p) for p in standing if p[0] in dimensions)
        said.extend(standing)
    laid_out = _LAID_OUT & {*said, *((b.dimension, b.pole) for b in beliefs.sure)}
    for belief in beliefs.sure:
        preference = (belief.dimension, belief.pole)
        if preference not in said and not _contradicted(dimensions, preference, said):
            learned = _learned(dimensions, belief)
            if preference == _SHORT and laid_out:
                learned = replace(learned, clause="short", order="Keep it short.")
            clauses.append(learned)
            said.append(preference)
    return PreferenceWords(tuple(clauses[:MOST_CLAUSES]))


def quote(text: str) -> str:
    """Return a statement as a quotation on one line, or "" if nothing of it is left.

    Double quotes inside it become single ones, so that it cannot end its own quotation.
    """
    plain = _TURN_MARKS.sub(" ", _CONTROLS.sub(" ", text)).translate(_QUOTES)
    plain = " ".join(plain.split())
    if len(plain) > LONGEST_STATEMENT:
        head = plain[: LONGEST_STATEMENT - 1]
        plain = (head.rsplit(" ", 1)[0] if " " in head else head) + "…"
    if not plain:
        return ""
    return f'"{plain}"' if plain[-1] in ".!?…。！？" else f'"{plain}."'  # noqa: RUF001


def contradict(dimensions: Dimensions, one: Preference, other: Preference) -> bool:
    """Return whether two preferences cannot both be asked for."""
    if one[0] == other[0]:
        return one[1] != other[1]
    return _forbids(dimensions, one, other) or _forbids(dimensions, other, one)


def _forbids(dimensions: Dimensions, one: Preference, other: Preference) -> bool:
    if one[0] not in dimensions or one[1] not in {"high", "low"}:
        return False
    dimension = dimensions[one[0]]
    pole = dimension.high if one[1] == "high" else dimension.low
    return ":".join(other) in pole.contradicts


def _contradicted(dimensions: Dimensions, one: Preference, others: Iterable[Preference]) -> bool:
    return any(contradict(dimensions, one, other) for other in others)


def _stated(
    dimensions: Dimensions, quotation: str, statement: StatedPreference
) -> InstructionClause:
    order = f"The user asks: {quotation}"
    known = [_rest(dimensions, p).order for p in statement.preferences if p[0] in dimensions]
    # A statement with a number ("at most 80 words") is more exact than the pole's order.
    if not any(c.isdigit() for c in quotation):
        order = " ".join([order, *known])
    return InstructionClause(
        clause=quotation,
        order=order,
        plain=f"{quotation}: you said so",
        preference=statement.preferences[0] if len(statement.preferences) == 1 else None,
        stated=True,
    )


def _rest(dimensions: Dimensions, preference: Preference) -> InstructionClause:
    dimension = dimensions[preference[0]]
    if preference[1] not in {"high", "low"}:  # a language, by its code
        name = _LANGUAGES.get(preference[1], preference[1])
        return InstructionClause(
            f"in {name}", f"Answer in {name}.", f"{name}: you said so", preference
        )
    pole = dimension.high if preference[1] == "high" else dimension.low
    return InstructionClause(pole.clause, pole.order, f"{pole.label}: you said so", preference)


def _learned(dimensions: Dimensions, belief: Belief) -> InstructionClause:
    pole = dimensions[belief.dimension].pole(belief.pole)
    clause, order = pole.clause, pole.order
    if belief.target is not None:
        clause, order = _with_length(belief.pole, belief.target)
    total = belief.supporting + belief.contrary
    return InstructionClause(
        clause=clause,
        order=order,
        plain=f"{pole.label}: {belief.supporting} of {total} choices, "
        f"{certainty(belief.probability)}",
        preference=(belief.dimension, belief.pole),
        belief=belief,
    )


def _with_length(pole: str, words: int) -> tuple[str, str]:
    """Return the clause and the order for a number of words.

    Small models follow a number of sentences better than one of words, so short answers get both.
    """
    if pole == "high":
        return (
            f"long and detailed, about {words} words",
            f"Answer at length, in several detailed paragraphs, about {words} words.",
        )
    sentences = round(words / _WORDS_IN_A_SENTENCE)
    if sentences <= 1:
        count = "one or two short sentences"
    elif sentences <= 4:
        count = f"{('two', 'three', 'four')[sentences - 2]} short sentences"
    else:
        return (
            f"short and to the point, about {words} words",
            f"Answer briefly, in about {words} words.",
        )
    return (
        f"short and to the point, {count}, about {words} words",
        f"Answer in {count}, about {words} words.",
    )
