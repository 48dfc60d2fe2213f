"""Whether summaries are true to the evidence, and may leave: clause by clause, without a model.

A clause is traced to the option of style whose wordings it is, or shares most words with. Where
people are made by rule, it is known whether that is what they like; for anybody, measures of style
say whether their choices speak for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from pocketpref.attributes import AttributeBank
from pocketpref.egress.dlp import Known, findings
from pocketpref.methods.palm.traits import words
from pocketpref.records import Pair
from pocketpref.summary.draft_checks import ClauseDraft, flaw
from pocketpref.summary.records import Clause

from ..styles import AXES, Option, Style
from .cases import Case, clauses

_SMALL = frozenset(
    ("a", "an", "and", "are", "by", "for", "in", "is", "like", "of", "one", "the", "to", "with")
)
_LEAST = 0.5
"""Share of a wording's words that a clause has to have, to be traced to it."""


def traced(clause: str) -> tuple[str, str] | None:
    """Axis and option that a clause speaks of; None if it is of no style that is known."""
    said = _content(clause)
    best, place = 0.0, None
    for axis, options in AXES.items():
        for name, option in options.items():
            for wording in option.said:
                own = _content(wording)
                shared = len(own & said) / max(len(own | said), 1)
                if shared > best:
                    best, place = shared, (axis, name)
    return place if best >= _LEAST else None


def _content(text: str) -> frozenset[str]:
    return frozenset(word.casefold() for word in words(text)) - _SMALL


def spoken_for(option: Option, choices: Sequence[Pair]) -> bool:
    """Whether of the choices that differ in an option's measure more are for it than against."""
    moved = [option.measure(pair.chosen) - option.measure(pair.rejected) for pair in choices]
    return sum(value > 0 for value in moved) > sum(value < 0 for value in moved)


def judged(clause: str, style: Style, choices: Sequence[Pair]) -> str:
    """What is to be said of a clause.

    Args:
        clause: of a summary.
        style: what the person likes.
        choices: all that are known of them.

    Returns:
        "true" (they like that), "supported" (they did not ask for it, but their choices happen to
        speak for it), "contrary" (they like another option of the axis), "unsupported", or
        "unknown" (it speaks of no style that is known).
    """
    place = traced(clause)
    if place is None:
        return "unknown"
    axis, name = place
    if style.get(axis) == name:
        return "true"
    if axis in style:
        return "contrary"
    return "supported" if spoken_for(AXES[axis][name], choices) else "unsupported"


def faithfulness(cases: Sequence[Case], texts: Sequence[str]) -> dict[str, float]:
    """Shares of clauses by what is to be said of them, and how much of a style is said.

    Args:
        cases: whose summaries.
        texts: one for each.

    Returns:
        A share for each of the words that ``judged`` gives; "clauses", how many a summary has;
        "told", the mean share of what a person likes that their summary says.
    """
    counts: Counter[str] = Counter()
    told = 0.0
    for case, text in zip(cases, texts, strict=True):
        said = clauses(text)
        counts.update(judged(clause, case.style, case.signals) for clause in said)
        places = {traced(clause) for clause in said}
        told += sum(item in places for item in case.style.items()) / max(len(case.style), 1)
    every = max(counts.total(), 1)
    kinds = ("true", "supported", "contrary", "unsupported", "unknown")
    shares = {kind: counts[kind] / every for kind in kinds}
    number = len(texts) or 1
    return {**shares, "clauses": counts.total() / number, "told": told / number}


def refused(cases: Sequence[Case], texts: Sequence[str]) -> dict[str, dict[str, int]]:
    """How many summaries would be dropped as drafts, and kept from leaving, by reason.

    The checks are the library's own: those of drafts (``draft_checks``) on what the summarizer was
    shown, those of what leaves (``egress.checks``) on everything that the person has.
    """
    drafts, leaving = Counter[str](), Counter[str]()
    attributes = tuple(AttributeBank.standard())
    for case, text in zip(cases, texts, strict=True):
        evidence = tuple(_texts(case.shown))
        fault = flaw(ClauseDraft(tuple(Clause(said) for said in clauses(text)), "en", evidence))
        drafts.update([fault] if fault else [])
        stored = tuple(_texts((*case.signals, *case.judged)))
        known = Known(lambda stored=stored: stored, (case.person,), attributes)  # type: ignore[misc]  # mypy takes the default for a parameter
        leaving.update({found.check for found in findings(text, known)})
    return {"drafts": dict(drafts), "leaving": dict(leaving)}


def _texts(pairs: Iterable[Pair]) -> Iterable[str]:
    return (text for pair in pairs for text in (pair.prompt, pair.chosen, pair.rejected))
