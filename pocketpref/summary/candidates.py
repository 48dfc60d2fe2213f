"""Proposals for a summary: from attribute evidence by a template, and from the local model.

A proposal names the choices that had a part in it, so that it is judged on others.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.protocols import LanguageModel
from pocketpref.records import Message, RedactedRepr, Sampling
from pocketpref.summary.draft_checks import MOST_CHARACTERS, ClauseDraft, flaw
from pocketpref.summary.evidence import TOPICS, Signal
from pocketpref.summary.records import Clause, Summary, Written
from pocketpref.summary.wording import LANGUAGE_NAMES, attribute_clause, headings, render

LEAST_FOR_TOPIC = 4
"""Choices of one topic that it takes to condition a clause on it."""

SHOWN = 4
"""Choices that the model is shown for one draft: more confuse a small model."""

_EXCERPT = 240
"""Characters of each answer that it is shown."""

_EVIDENCE = 8
"""Most ids of pairs that are named as evidence for a clause."""

_DRAFT_TOKENS = 90


@dataclass(frozen=True, slots=True, repr=False)
class Proposal(RedactedRepr):
    """A possible summary.

    Attributes:
        clauses: its clauses.
        origin: who wrote it.
        seen: ids of the memories that had a part in it, and so cannot judge it.
        language: of its text.
        made_of: ids of further memories that its words came from.
    """

    clauses: tuple[Clause, ...]
    origin: Written
    seen: frozenset[str]
    language: str = "en"
    made_of: frozenset[str] = frozenset()
    _open = ("origin", "language")

    @classmethod
    def of_summary(
        cls, summary: Summary, stated: Sequence[Clause], seen: frozenset[str]
    ) -> Proposal | None:
        """Return a summary in force as a proposal, or None if nothing is left of it.

        Args:
            summary: the summary.
            stated: the person's present statements, which take the place of its own.
            seen: ids of memories that had a part in the search, besides the summary's sources.
        """
        own = [clause for clause in summary.clauses if not clause.stated]
        if not summary.clauses or not (own or stated):
            return None
        sources = frozenset(summary.sources)
        return cls((*stated, *own), summary.origin, sources | seen, summary.language, sources)

    @property
    def text(self) -> str:
        """Its text as a summary."""
        return render(self.clauses, self.language) if self.clauses else ""


# ------------------------------------------------------------------------ attribute evidence


def attribute_evidence(signals: Sequence[Signal]) -> dict[str, float]:
    """Return the evidence for each attribute: its weighted mean leaning in standard errors.

    Attributes that were never compared are left out.
    """
    learned = [signal for signal in signals if signal.leanings]
    names = dict.fromkeys(name for signal in learned for name in signal.leanings)
    found = {}
    for name in names:
        with_name = [signal for signal in learned if name in signal.leanings]
        values = np.array([signal.leanings[name] for signal in with_name])
        weights = np.array([signal.weight for signal in with_name])
        effective = weights.sum() ** 2 / (weights**2).sum()
        found[name] = float(np.average(values, weights=weights) * math.sqrt(effective))
    return found


def single_clauses(
    signals: Sequence[Signal], bank: AttributeBank, *, wordings: int, opposites: int
) -> list[Clause]:
    """Return wordings of the attributes with most evidence, opposites of those with least.

    Where nothing was learned yet, all of both.

    Args:
        signals: the evidence.
        bank: the attributes.
        wordings: how many wordings at most.
        opposites: how many opposites at most.
    """
    evidence = {name: z for name, z in attribute_evidence(signals).items() if name in bank}
    if not evidence:
        return [attribute_clause(a, (), opposite=o) for o in (False, True) for a in bank]
    order = sorted(evidence, key=lambda name: (-evidence[name], name))
    found = [(name, False) for name in order[:wordings]]
    found += [(name, True) for name in order[::-1][:opposites]]
    clauses = []
    for name, against in found:
        sign = -1 if against else 1
        strength = {s.id: sign * s.weight * s.leanings.get(name, 0.0) for s in signals}
        speaking = [
            key for key in sorted(strength, key=lambda k: -strength[k]) if strength[key] > 0
        ]
        clauses.append(attribute_clause(bank[name], speaking[:_EVIDENCE], opposite=against))
    return clauses


def topics(signals: Sequence[Signal]) -> list[str]:
    """Topics that at least ``LEAST_FOR_TOPIC`` of these choices are about, if there are others."""
    names = [signal.topic for signal in signals]
    found = [name for name in TOPICS if names.count(name) >= LEAST_FOR_TOPIC]
    return [name for name in found if names.count(name) < len(names)]


# ------------------------------------------------------------------------------------ edits


def edits(
    best: Proposal, pool: Sequence[Clause], reword: Mapping[str, Sequence[Clause]]
) -> list[Proposal]:
    """Drop, add or reword one clause of a proposal. What the person stated stays.

    Args:
        best: the proposal.
        pool: clauses that may be added, the best first.
        reword: for the text of a clause, others that could replace it.
    """
    found = []
    for place, clause in enumerate(best.clauses):
        if clause.stated:
            continue
        before, after = best.clauses[:place], best.clauses[place + 1 :]
        found.append(before + after)
        found += [(*before, other, *after) for other in reword.get(clause.text, ())]
    said = {(clause.text, clause.topic) for clause in best.clauses}
    found += [(*best.clauses, clause) for clause in pool if (clause.text, clause.topic) not in said]
    possible = []
    for clauses in filter(None, dict.fromkeys(found)):
        texts = {(clause.text.casefold(), clause.topic) for clause in clauses}
        names = {(name, clause.topic) for clause in clauses for name in clause.attributes}
        # Nothing is said twice, and no attribute is asked for together with its opposite.
        if len(texts) == len(clauses) and not any((f"not {n}", t) in names for n, t in names):
            possible.append(replace(best, clauses=clauses))
    return possible


# ---------------------------------------------------------------------------- local model

SYMBOL = r"[^\x00-\x1F;:.<>{}\[\]|`#*0-9]"
"""GBNF of one character of a clause."""


def grammar(names: Sequence[str], language: str = "en") -> str:
    """Return the GBNF of a draft: what to do, what to avoid, and perhaps a line on one topic.

    Args:
        names: topics that it may have a line on.
        language: of the headings.
    """
    do, avoid, about = headings(language)
    places = " | ".join(f'"{name}"' for name in names)
    return "\n".join(
        [
            f'root ::= "{do} " clause ("; " clause)? ".\\n{avoid} " clause ".\\n" '
            + ("about?" if names else ""),
            f"clause ::= {SYMBOL}{{3,70}}",
            *([f'about ::= "{about} " topic ": {do} " clause ".\\n"'] if names else []),
            *([f"topic ::= {places}"] if names else []),
        ]
    )


@dataclass(frozen=True, slots=True)
class Refused:
    """A rejected draft, with the reason."""

    reason: str


def shown(signals: Sequence[Signal], draw: int) -> list[Signal]:
    """Return the choices that one draft is written from: with every draw the next ones in turn."""
    count = min(SHOWN, len(signals))
    start = draw * count
    return [signals[(start + i) % len(signals)] for i in range(count)]


def request(signals: Sequence[Signal], language: str) -> list[Message]:
    """Return the request for a draft, with the texts of choices cut to a few lines."""
    parts = ["Somebody compared answers. Find out how this person likes to be answered."]
    for signal in signals:
        pair = signal.pair
        lines = [
            f"Question: {_excerpt(pair.prompt)}",
            f"Liked: {_excerpt(pair.chosen)}",
            f"Disliked: {_excerpt(pair.rejected)}",
        ]
        parts.append(
            "\n".join([*lines, *([f"Why: {_excerpt(signal.reason)}"] if signal.reason else [])])
        )
    name = LANGUAGE_NAMES.get(language, "English")
    parts.append(
        "What do the liked answers have in common that the disliked ones lack? Describe style, "
        "length and tone in a few general words, not the subjects. Say what kind of answers the "
        f"user prefers, and what kind the user dislikes. Write in {name}."
    )
    return [Message(role="user", content="\n\n".join(parts))]


def _excerpt(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _EXCERPT else f"{line[:_EXCERPT]} ..."


def draft(
    model: LanguageModel,
    signals: Sequence[Signal],
    language: str,
    draw: int,
    most: Callable[[], bool],
) -> str | None:
    """Return what the model writes about some choices; None if it was stopped.

    Args:
        model: the model.
        signals: the choices it is shown.
        language: of the draft.
        draw: number of the draft; the same number and choices give the same draft.
        most: asked at every piece whether to stop.

    Raises:
        ModelError: the model failed.
    """
    rules = grammar(topics(signals), language)
    return generated(model, request(signals, language), rules, seed_of(signals, draw), most)


def seed_of(signals: Sequence[Signal], draw: int) -> str:
    """Return the text that seeds the sampling of a draft."""
    return f"{draw} {' '.join(signal.id for signal in signals)}"


def generated(
    model: LanguageModel,
    messages: Sequence[Message],
    rules: str,
    seed: str,
    most: Callable[[], bool],
) -> str | None:
    """Return what a model writes within a grammar; None if it was stopped. See ``draft``."""
    sampling = Sampling(
        max_tokens=_DRAFT_TOKENS,
        seed=int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big"),
    )
    pieces = []
    for piece in model.generate(messages, sampling=sampling, grammar=rules):
        if most():
            return None
        pieces.append(piece)
    return "".join(pieces)


def read_draft(text: str, signals: Sequence[Signal], language: str) -> Proposal | Refused:
    """Return a draft as a proposal, or the reason to refuse it."""
    clauses = _clauses(text, tuple(signal.id for signal in signals), language)
    if clauses is None:
        return Refused("it is not in the form that was asked for")
    evidence = [
        t for s in signals for t in (s.pair.prompt, s.pair.chosen, s.pair.rejected, s.reason)
    ]
    reason = flaw(ClauseDraft(clauses, language, tuple(evidence)))
    if reason is not None:
        return Refused(reason)
    return Proposal(clauses, "model", frozenset(signal.id for signal in signals), language)


def _clauses(text: str, pairs: tuple[str, ...], language: str) -> tuple[Clause, ...] | None:
    """The clauses of a draft; None if a line has another form, or the last one is cut."""
    if not text.strip():
        return ()
    if len(text) > 8 * MOST_CHARACTERS or not text.endswith(".\n"):
        return None
    do, avoid, about = map(re.escape, headings(language))
    form = re.compile(rf"(?:{about} ([a-z ]+): )?(?:{do}|({avoid})) (.*)\.")
    found = []
    for line in text.strip().split("\n"):
        match = form.fullmatch(line)
        if match is None or (match[1] and match[1] not in TOPICS):
            return None
        for part in match[3].split(";"):
            words = " ".join(part.split()).strip(" ,-")
            found.append(Clause(words, match[1] or "", pairs, (), avoid=bool(match[2])))
    return tuple(found)
