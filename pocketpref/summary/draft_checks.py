"""Checks that keep the faults of a small model out of a summary.

A grammar keeps a model in form; it cannot keep it from refusing, from repeating itself, from
copying what it was shown, or from obeying an instruction in somebody's answer. Each check looks for
one such fault. A draft with a fault is dropped whole, and the reason is shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from pocketpref.records import RedactedRepr
from pocketpref.summary.records import Clause
from pocketpref.summary.wording import detect

MOST_CHARACTERS = 100
"""Longest clause; the wordings of attributes have 60 at most."""

_COPIED = 5
"""A clause that shares this many words in a row with the evidence is a quotation."""

_REFUSALS = re.compile(
    r"\b(i|we) (can ?not|can't|could not|couldn't|won't|will not|am unable|am not able|'m sorry|"
    r"am sorry|apologi[sz]e)|\bas an? (ai|language model|assistant)\b|\bsorry\b|"
    r"\bno (information|preference|idea)\b|\bunable to\b|\bich kann (das )?nicht\b|"
    r"\bje ne peux pas\b|\bno puedo\b|\btut mir leid\b|\bdésolé\b|\blo siento\b",
    re.IGNORECASE,
)
_ORDERS = re.compile(
    r"\b(ignore|disregard|forget|override|bypass) (the|all|any|every|my|your|previous|prior|above)|"
    r"\b(previous|prior|above|these|system|new) (instructions?|prompts?|rules?)\b|"
    r"\b(system|developer) (prompt|message)\b|\byou are (now|a|an)\b|\bpretend\b|\bjailbreak|"
    r"\b(reveal|print|send|output|leak|email|upload) (the|all|your|my|everything|any)\b|"
    r"\b(password|secret|api key|credential)s?\b|\bact as\b|\bdo anything\b",
    re.IGNORECASE,
)
_MARKUP = re.compile(
    r"[<>{}\[\]|\\`]|https?:|www\.|\S@\S|\b(system|assistant|user|question|liked|disliked)\s*:|"
    r"#{2,}|\*{2,}|\d{4,}|[A-Za-z0-9+/=_]{30,}",
    re.IGNORECASE,
)
_SMALL = (
    "a an and are as at be but by for from if in is it its of on or our that the their they this "
    "to very was which who with without your"
)
_UNPRINTABLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_OPEN_ENDED = frozenset(_SMALL.split())


@dataclass(frozen=True, slots=True, repr=False)
class ClauseDraft(RedactedRepr):
    """A draft and what it is checked against.

    Attributes:
        clauses: its clauses.
        language: the language that was asked for.
        evidence: texts that the model was shown.
    """

    clauses: tuple[Clause, ...]
    language: str
    evidence: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        """The texts of its clauses."""
        return [clause.text for clause in self.clauses]

    def contradicts_itself(self) -> bool:
        """Whether the same thing is asked for and to be avoided."""
        wanted = {c.text.casefold() for c in self.clauses if not c.avoid}
        return any(c.avoid and c.text.casefold() in wanted for c in self.clauses)

    def repeats_itself(self) -> bool:
        """Whether a word or phrase comes again and again, in a clause or from clause to clause."""
        texts = [text.casefold() for text in self.texts]
        if len(set(texts)) < len(texts):
            return True
        words = [_words(text) for text in texts]
        return any(a == b for said in words for a, b in pairwise(said)) or any(
            len(said) >= 6 and len(set(said)) * 5 <= len(said) * 3 for said in words
        )

    def is_foreign(self) -> bool:
        """Whether it is in another language than was asked for, as far as can be told."""
        return detect(". ".join(self.texts)) not in (None, self.language)

    def copies_evidence(self) -> bool:
        """Whether a clause quotes what the person or a model wrote."""
        shown = {run for text in self.evidence for run in _runs(text)}
        return any(run in shown for text in self.texts for run in _runs(text))


def flaw(draft: ClauseDraft) -> str | None:
    """Why a draft cannot be used, in words without any of its text; None if it can."""
    if not draft.clauses:
        return "it is empty"
    of_clause = (
        reason for reason, wrong in CLAUSE_CHECKS if any(wrong(text) for text in draft.texts)
    )
    return next(of_clause, None) or next(
        (reason for reason, wrong in DRAFT_CHECKS if wrong(draft)), None
    )


def _runs(text: str) -> Iterable[tuple[str, ...]]:
    words = _words(text)
    return (tuple(words[i : i + _COPIED]) for i in range(len(words) - _COPIED + 1))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


CLAUSE_CHECKS: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("it is empty", lambda text: not _words(text)),
    (
        "it has characters that do not print",
        lambda text: any(unicodedata.category(c) in _UNPRINTABLE or c == "\ufffd" for c in text),
    ),
    ("it is too long", lambda text: len(text) > MOST_CHARACTERS),
    ("it refuses", _REFUSALS.search),
    ("it gives orders that are no preference", _ORDERS.search),
    ("it has marks, addresses or long numbers in it", _MARKUP.search),
    # A word after which something has to come: it was cut.
    ("it ends in the middle", lambda text: not _OPEN_ENDED.isdisjoint(_words(text)[-1:])),
)
"""Reasons and what finds them in the text of a clause, in the order in which they are asked."""

DRAFT_CHECKS: tuple[tuple[str, Callable[[ClauseDraft], bool]], ...] = (
    ("it contradicts itself", ClauseDraft.contradicts_itself),
    ("it repeats itself", ClauseDraft.repeats_itself),
    ("it is in another language", ClauseDraft.is_foreign),
    ("it copies what the person or a model wrote", ClauseDraft.copies_evidence),
)
"""Reasons and what finds them in a whole draft, asked after those of its clauses."""
