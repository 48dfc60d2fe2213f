"""What a small model must not get into a summary, whatever it wrote.

A grammar keeps a model in form; it cannot keep it from refusing, from repeating itself, from
copying what it was shown, or from obeying an instruction that stands in somebody's answer. Each
check looks for one such fault. A reply with a fault is dropped whole, and the reason is shown.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pocketpref.records import RedactedRepr
from pocketpref.summary.language import detect
from pocketpref.summary.records import Clause

MOST_CHARACTERS = 100
"""Longest clause; the wordings of attributes have 60 at most."""

_COPIED = 5
"""Words in a row that also stand in the evidence: then a clause is a quotation."""

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
_OPEN_ENDED = frozenset(_SMALL.split())


@dataclass(frozen=True, slots=True, repr=False)
class ClauseDraft(RedactedRepr):
    """A reply and what it has to agree with.

    Attributes:
        clauses: what it says.
        language: which language was asked for.
        evidence: texts that the model was shown.
    """

    clauses: tuple[Clause, ...]
    language: str
    evidence: tuple[str, ...] = ()

    @property
    def texts(self) -> list[str]:
        """The texts of its clauses."""
        return [clause.text for clause in self.clauses]


Check = Callable[[ClauseDraft], bool]
"""Whether a draft has one fault."""


def flaw(draft: ClauseDraft) -> str | None:
    """Why a draft cannot be used, in words without any of its text; None if it can."""
    return next((reason for reason, found in CHECKS if found(draft)), None)


def _says_nothing(draft: ClauseDraft) -> bool:
    return not draft.clauses or any(len(_words(text)) < 1 for text in draft.texts)


def _unprintable(draft: ClauseDraft) -> bool:
    return any(
        unicodedata.category(c) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp") or c == "\ufffd"
        for text in draft.texts
        for c in text
    )


def _too_long(draft: ClauseDraft) -> bool:
    return any(len(text) > MOST_CHARACTERS for text in draft.texts)


def _refuses(draft: ClauseDraft) -> bool:
    return any(_REFUSALS.search(text) for text in draft.texts)


def _instructs(draft: ClauseDraft) -> bool:
    return any(_ORDERS.search(text) for text in draft.texts)


def _marked_up(draft: ClauseDraft) -> bool:
    return any(_MARKUP.search(text) for text in draft.texts)


def _loops(draft: ClauseDraft) -> bool:
    """One word or one phrase again and again, in a clause or from clause to clause."""
    texts = [text.casefold() for text in draft.texts]
    return len(set(texts)) < len(texts) or any(_repeats(_words(text)) for text in texts)


def _repeats(words: Sequence[str]) -> bool:
    doubled = any(a == b for a, b in pairwise(words))
    return doubled or (len(words) >= 6 and len(set(words)) * 5 <= len(words) * 3)


def _unfinished(draft: ClauseDraft) -> bool:
    """A clause that ends with a word after which something has to come: it was cut."""
    return any(_words(text)[-1:] and _words(text)[-1] in _OPEN_ENDED for text in draft.texts)


def _contradicts(draft: ClauseDraft) -> bool:
    """The same thing is asked for and to be avoided."""
    wanted = {c.text.casefold() for c in draft.clauses if not c.avoid}
    return any(c.avoid and c.text.casefold() in wanted for c in draft.clauses)


def _foreign(draft: ClauseDraft) -> bool:
    found = detect(". ".join(draft.texts))
    return found is not None and found != draft.language


def _copies(draft: ClauseDraft) -> bool:
    shown = {run for text in draft.evidence for run in _runs(text)}
    return any(run in shown for text in draft.texts for run in _runs(text))


def _runs(text: str) -> Iterable[tuple[str, ...]]:
    words = _words(text)
    return (tuple(words[i : i + _COPIED]) for i in range(len(words) - _COPIED + 1))


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text.casefold())


CHECKS: tuple[tuple[str, Check], ...] = (
    ("it is empty", _says_nothing),
    ("it has characters that do not print", _unprintable),
    ("it is too long", _too_long),
    ("it refuses", _refuses),
    ("it gives orders that are no preference", _instructs),
    ("it has marks, addresses or long numbers in it", _marked_up),
    ("it ends in the middle", _unfinished),
    ("it contradicts itself", _contradicts),
    ("it repeats itself", _loops),
    ("it is in another language", _foreign),
    ("it copies what the person or a model wrote", _copies),
)
"""Reasons and what finds them, in the order in which they are asked."""
