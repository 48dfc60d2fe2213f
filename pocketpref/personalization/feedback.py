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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pocketpref.personalization.feedback_phrases import (
    Cue,
    Grammar,
    MessageClause,
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
_MIN_TOPIC_LETTERS: Final = 4  # shorter words are mostly grammar
_TOPIC_CHARACTERS: Final = 20_000  # of the previous answer
# A drafted letter starts with a salutation or a subject line. "Hello!" starts chats as well, so it
# needs a closing formula at the end.
_FORMAL_OPENING = re.compile(
    r"[ \t]*(?:dear|to whom|subject ?:|sehr geehrte[rs]?|betreff ?:|estimad[oa]s?|asunto ?:"
    r"|ch[eè]re?s?|madame|monsieur|objet ?:|尊敬的)[^\n]{0,80}\n",
    re.IGNORECASE,
)
_CASUAL_OPENING = re.compile(
    r"[ \t]*(?:hi|hello|hey|hallo|liebe[rs]?|hola|querid[oa]s?|bonjour|salut|亲爱的)"
    r"[^\n]{0,80}\n",
    re.IGNORECASE,
)
_CLOSING = re.compile(
    r"\n[ \t]*(?:(?:kind|best|warm)? ?regards|sincerely|yours|best|cheers|love|thanks"
    r"|(?:mit )?(?:freundlichen|lieben|liebe|herzliche|viele|beste)? ?gr(?:ü|u)(?:ß|ss)e?n?"
    r"|(?:un )?(?:cordial )?saludos?|atentamente|(?:bien )?cordialement|amicalement|此致|祝)",
    re.IGNORECASE,
)
_DRAFT_OPENING: Final = 300  # characters: "Here is your letter:" may come before the salutation
_DRAFT_CLOSING: Final = 200  # characters
_FENCE: Final = "```"
_COLONS: Final = (":", "\uff1a")
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
    read = _best_reading(clauses, previous_answer)
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
    read = _best_reading(clauses_of(statement), "")
    if read is None:
        return ()
    grammar, readings = read
    rest = [r.clause.tokens for r in readings if r.kind == "rest"]
    if _any(grammar.conditions, rest):
        return ()
    return _consistent(c for r in readings if r.kind == "cue" for c in r.cues)


def _best_reading(
    clauses: Sequence[MessageClause], previous_answer: str
) -> tuple[Grammar, list[Reading]] | None:
    """Read the clauses in every language and return the language that explains most words."""
    best: tuple[tuple[int, int], Grammar, list[Reading]] | None = None
    for grammar in grammars().values():
        readings = [_with_topic(grammar, grammar.read(c), previous_answer) for c in clauses]
        covered = sum(len(r.clause.tokens) for r in readings if r.kind != "rest")
        cues = sum(r.kind == "cue" for r in readings)
        if cues and (best is None or (covered, cues) > best[0]):
            best = ((covered, cues), grammar, readings)
    return None if best is None else best[1:]


def _with_topic(grammar: Grammar, reading: Reading, previous_answer: str) -> Reading:
    """Accept unknown words that name the subject of the last answer, beside a complaint."""
    unknown = reading.uncovered
    if (
        reading.kind == "rest"
        and 0 < len(unknown) <= _MAX_TOPIC_WORDS
        and not _BACKWARD.isdisjoint(cue.strength for cue in reading.cues)
        and all(len(word) >= _MIN_TOPIC_LETTERS for word in unknown)
        and not grammar.documents.found(unknown)
        and set(unknown) <= set(tokens_of(previous_answer[:_TOPIC_CHARACTERS]))
    ):
        return Reading(reading.clause, "cue", reading.cues, ())
    return reading


def _is_about_the_answer(
    grammar: Grammar, readings: Sequence[Reading], previous_answer: str
) -> bool:
    said = [r.clause.tokens for r in readings if r.kind != "rest"]
    if _any(grammar.anchors, said) or _any(grammar.always, said):
        return True
    strengths = {cue.strength for r in readings if r.kind == "cue" for cue in r.cues}
    # "Short and simple, thanks" is praise, "short and simple, please" is a wish.
    adjectives_only = strengths == {"adjective"} and not _any(grammar.please, said)
    if (adjectives_only and _any(grammar.praise, said)) or _is_draft(previous_answer):
        return False
    return _goes_with_the_rest(grammar, readings, backward=not strengths.isdisjoint(_BACKWARD))


def _goes_with_the_rest(grammar: Grammar, readings: Sequence[Reading], *, backward: bool) -> bool:
    """Whether the rest of a message leaves its wish one about the last answer.

    It does if it explains the wish, or follows a wish that looks backward.
    """
    rest = [r.clause for r in readings if r.kind == "rest"]
    # "Shorten this: ..." brings its own text, "shorter, and mention my dog" is about a document.
    introduces = any(r.kind == "cue" and r.clause.text.endswith(_COLONS) for r in readings)
    if rest and (introduces or _any(grammar.documents, [clause.tokens for clause in rest])):
        return False
    reasons = [grammar.reasons.starts(c.tokens) and not c.question for c in rest]
    # "Write an essay about dogs. No bullet points." is a new task and a condition of it.
    first_cue = next(i for i, r in enumerate(readings) if r.kind == "cue")
    before = sum(r.kind == "rest" for r in readings[:first_cue])
    return all(reasons[:before]) and (backward or all(reasons))


def _is_draft(answer: str) -> bool:
    """Whether an answer is mostly a drafted letter or code."""
    lines = [f"{line}\n" for line in answer[:_DRAFT_OPENING].split("\n")]
    if any(_FORMAL_OPENING.match(line) for line in lines):
        return True
    if any(map(_CASUAL_OPENING.match, lines)) and _CLOSING.search(answer[-_DRAFT_CLOSING:]):
        return True
    blocks = answer.split(_FENCE)[1::2]
    return sum(map(len, blocks)) > 0.6 * len(answer) > 0


def _is_request(grammar: Grammar, clause: MessageClause) -> bool:
    return clause.question or grammar.asks.starts(clause.tokens)


def _consistent(cues: Iterable[Cue]) -> tuple[Preference, ...]:
    """Return each preference once, without those of which the contrary is said as well."""
    wished = list(dict.fromkeys(cue.preference for cue in cues))
    dimensions = [dimension for dimension, _ in wished]
    return tuple(p for p in wished if dimensions.count(p[0]) == 1)


def _any(phrases: PhraseSet, tokens: Sequence[Sequence[str]]) -> bool:
    return any(phrases.found(t) for t in tokens)
