"""Feedback in words: is a chat message about how the last answer was given?

"Shorter please" and "no bullet points" are the commonest signal a person gives. ``detect`` finds
such messages, ``statement_of`` words the preference so that it can be offered to be remembered, and
``targets`` reads the same preferences from a statement.

A clause counts as feedback only if known phrases cover every word of it and one of them is a cue;
"make the second paragraph of my letter shorter" fails at "second". This makes wrong detections
rare, at the price of unusual wordings that are missed. The phrases of each language are data
(``feedback_phrases.toml``); there is no model and no randomness, and the time is linear in the
length of a message, which is limited as well.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pocketpref.personalization.phrases import (
    Clause,
    Cue,
    Grammar,
    PhraseSet,
    Reading,
    clauses_of,
    grammars,
    tokens_of,
)
from pocketpref.records import RedactedRepr

Scope = Literal["always", "once", "unsaid"]
Preference = tuple[str, str]

MAX_CHARACTERS: Final = 600
"""Longest message that is read. Longer ones are tasks or pasted texts."""

_MAX_TOPIC_WORDS: Final = 2
# A draft starts with a salutation or a subject line; a wish about it is a task, not a preference.
_DRAFT = re.compile(
    r"\s*(?:dear|hi|hello|hey|subject:|sehr geehrte[rs]?|liebe[rs]?|hallo|betreff:|estimad[oa]s?"
    r"|querid[oa]s?|asunto:|ch[eè]re?s?|cher|madame|monsieur|bonjour|objet ?:|尊敬的|亲爱的)"
    r"[^\n]{0,80}[,:：，!]?[ \t]*\n",
    re.IGNORECASE,
)
_DRAFT_PREAMBLE: Final = 300  # characters: "Here is your letter:" may come before the salutation
_FENCE: Final = "```"
_BACKWARD: Final = frozenset({"complaint", "comparison"})  # cues that are about an earlier answer


@dataclass(frozen=True, slots=True, repr=False)
class FeedbackInWords(RedactedRepr):
    """A message about how the last answer was given.

    Attributes:
        preferences: what is wished for, as (dimension, pole), in the order of the message; never
            empty. Names are those of ``dimensions.toml``, with poles "high" and "low"; besides, the
            dimension "language" has ISO 639-1 codes as poles.
        scope: "always" if the wish sounds lasting ("from now on"), "once" if it is limited to this
            answer ("just this time"), else "unsaid".
        rework: whether the last answer is asked for again, in the wished form.
        rest: the part of the message that is no feedback, such as a new question; may be empty.
        language: ISO 639-1 code of the language the feedback is written in.
    """

    _open = ("scope", "rework", "language")

    preferences: tuple[Preference, ...]
    scope: Scope
    rework: bool
    rest: str
    language: str


def detect(message: str, *, previous_answer: str = "") -> FeedbackInWords | None:
    """Return the feedback a message gives on the last answer, or None.

    Deterministic and local. Reads English, German, Spanish, French and Chinese.

    Args:
        message: what the person typed after the answer.
        previous_answer: the answer the message follows, if known. Words of it may name the subject
            ("explain photosynthesis more simply"), and a wish that follows a drafted letter or a
            block of code is about the draft, unless it speaks of the answers.
    """
    if len(message) > MAX_CHARACTERS:
        return None
    clauses = clauses_of(message)
    topic = frozenset(tokens_of(previous_answer[:20_000]))
    read = _best_reading(clauses, topic)
    if read is None:
        return None
    grammar, readings = read
    if not _is_about_the_answer(grammar, readings, previous_answer):
        return None
    preferences = _consistent(c for r in readings if r.kind == "cue" for c in r.cues)
    if not preferences:
        return None
    tokens = [r.clause.tokens for r in readings if r.kind != "rest"]
    scope: Scope = "unsaid"
    if _any(grammar.once, tokens):
        scope = "once"
    elif _any(grammar.always, tokens):
        scope = "always"
    rest = [r.clause for r in readings if r.kind == "rest"]
    asks_on = any(_is_request(grammar, clause) for clause in rest)
    rework = _any(grammar.again, tokens) or (scope != "always" and not asks_on)
    return FeedbackInWords(
        preferences=preferences,
        scope=scope,
        rework=rework,
        rest=" ".join(clause.text for clause in rest),
        language=grammar.language,
    )


def statement_of(feedback: FeedbackInWords) -> str:
    """Return the sentence to offer as a statement to remember.

    It is in the language of the message: "Short answers, please." Several preferences give several
    sentences.
    """
    grammar = grammars()[feedback.language]
    return " ".join(grammar.statement(preference) for preference in feedback.preferences)


def targets(statement: str) -> tuple[Preference, ...]:
    """Return the preferences, as (dimension, pole), that a statement expresses.

    The parser is that of ``detect``, without the question whether an earlier answer is meant.
    Returns () for what it cannot read, and for statements that hold under a condition only ("for
    cooking, short answers"). Poles that contradict each other are left out.
    """
    if len(statement) > MAX_CHARACTERS:
        return ()
    read = _best_reading(clauses_of(statement), frozenset())
    if read is None:
        return ()
    grammar, readings = read
    rest = [r.clause.tokens for r in readings if r.kind == "rest"]
    if _any(grammar.conditions, rest):
        return ()
    return _consistent(c for r in readings if r.kind == "cue" for c in r.cues)


def _best_reading(
    clauses: Sequence[Clause], topic: Collection[str]
) -> tuple[Grammar, list[Reading]] | None:
    """Read the clauses in every language and return the language that explains most words."""
    best: tuple[tuple[int, int], Grammar, list[Reading]] | None = None
    for grammar in grammars().values():
        readings = [_with_topic(grammar, grammar.read(c), topic) for c in clauses]
        covered = sum(len(r.clause.tokens) for r in readings if r.kind != "rest")
        cues = sum(r.kind == "cue" for r in readings)
        if cues and (best is None or (covered, cues) > best[0]):
            best = ((covered, cues), grammar, readings)
    return None if best is None else best[1:]


def _with_topic(grammar: Grammar, reading: Reading, topic: Collection[str]) -> Reading:
    """Accept unknown words that name the subject of the last answer, beside a complaint."""
    unknown = reading.uncovered
    if (
        reading.kind == "rest"
        and 0 < len(unknown) <= _MAX_TOPIC_WORDS
        and not _BACKWARD.isdisjoint(cue.strength for cue in reading.cues)
        and all(len(word) >= 4 and word in topic for word in unknown)
        and not grammar.documents.found(unknown)
    ):
        return Reading(reading.clause, "cue", reading.cues, ())
    return reading


def _is_about_the_answer(
    grammar: Grammar, readings: Sequence[Reading], previous_answer: str
) -> bool:
    said = [r.clause.tokens for r in readings if r.kind != "rest"]
    anchored = _any(grammar.anchors, said) or _any(grammar.always, said)
    if anchored:
        return True
    if _is_draft(previous_answer):
        return False
    strengths = {cue.strength for r in readings if r.kind == "cue" for cue in r.cues}
    # "Short and simple, thanks" is praise, "short and simple, please" is a wish.
    if strengths == {"adjective"} and _any(grammar.praise, said) and not _any(grammar.please, said):
        return False
    rest = [r.clause for r in readings if r.kind == "rest"]
    if not rest:
        return True
    # "Shorten this: ..." brings its own text.
    if any(r.kind == "cue" and r.clause.text.endswith((":", "：")) for r in readings):
        return False
    if _any(grammar.documents, [clause.tokens for clause in rest]):
        return False
    reasons = [grammar.reasons.starts(c.tokens) and not c.question for c in rest]
    # "Write an essay about dogs. No bullet points." is a new task and a condition of it.
    first_cue = next(i for i, r in enumerate(readings) if r.kind == "cue")
    before = sum(r.kind == "rest" for r in readings[:first_cue])
    if not all(reasons[:before]):
        return False
    if not strengths.isdisjoint(_BACKWARD):
        return True
    return all(reasons)


def _is_draft(answer: str) -> bool:
    head = answer[:_DRAFT_PREAMBLE]
    starts = [0, *(i + 1 for i, character in enumerate(head) if character == "\n")]
    if any(_DRAFT.match(answer, start) for start in starts):
        return True
    blocks = answer.split(_FENCE)[1::2]
    return sum(map(len, blocks)) > 0.6 * len(answer) > 0


def _is_request(grammar: Grammar, clause: Clause) -> bool:
    return clause.question or grammar.asks.starts(clause.tokens)


def _consistent(cues: Iterable[Cue]) -> tuple[Preference, ...]:
    """Return each preference once, without those of which the contrary is said as well."""
    wished = list(dict.fromkeys(cue.preference for cue in cues))
    dimensions = [dimension for dimension, _ in wished]
    return tuple(p for p in wished if dimensions.count(p[0]) == 1)


def _any(phrases: PhraseSet, tokens: Sequence[Sequence[str]]) -> bool:
    return any(phrases.found(t) for t in tokens)
