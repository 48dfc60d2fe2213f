"""The search for what explains one half of a person's choices best.

It sees that half only: what it finds is judged on the other. In it, clauses are tried alone, the
best are put together one by one, the local model's drafts and the present summary join, and the
best so far is edited until nothing gets better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.protocols import Embedder
from pocketpref.summary.candidates import Proposal, Refused, edits, single_clauses, topics
from pocketpref.summary.evidence import Signal
from pocketpref.summary.language import ENGLISH
from pocketpref.summary.objective import Objective, halving, screened
from pocketpref.summary.records import Clause
from pocketpref.summary.wording import render

SAME = 0.9
"""Cosine from which on two clauses in other words say the same."""

_JUDGED = 4
"""Single clauses that are judged on all choices of a half, and may be added."""

_OF_TOPIC = 2
"""Clauses that are confined to a topic, for each topic."""

_EDITS_JUDGED = 2
"""Edits of one round that are judged on all choices of a half."""

Write = Callable[[Sequence[Signal], int], Proposal | Refused]
"""Choices and draw number to what the local model proposes."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person said themselves.

    Attributes:
        stated: clauses that stand in every proposal.
        unwanted: texts of clauses that the person struck out.
    """

    stated: tuple[Clause, ...] = ()
    unwanted: tuple[str, ...] = ()

    @property
    def ground(self) -> str:
        """What stands there without any proposal: what the person stated, or nothing."""
        return render(self.stated) if self.stated else ""


class Meaning:
    """Which clauses and proposals say the same, by the embedder."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}

    def same_text(self, a: str, b: str) -> bool:
        """Whether two texts say the same."""
        return a.casefold() == b.casefold() or float(self._vector(a) @ self._vector(b)) >= SAME

    def same_clause(self, a: Clause, b: Clause) -> bool:
        """Whether two clauses do; attributes are told apart by name, as opposites share words."""
        if (a.topic, a.avoid) != (b.topic, b.avoid):
            return False
        if a.attributes and b.attributes:
            return a.attributes == b.attributes
        return self.same_text(a.text, b.text)

    def same(self, a: Proposal, b: Proposal) -> bool:
        """Whether two proposals do: each clause of one is in the other, and the other way round."""
        if len(a.clauses) != len(b.clauses):
            return False
        return all(any(self.same_clause(c, d) for d in b.clauses) for c in a.clauses) and all(
            any(self.same_clause(c, d) for d in a.clauses) for c in b.clauses
        )

    def merged(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Without those that say what an earlier one does."""
        kept: list[Proposal] = []
        for proposal in proposals:
            if not any(self.same(proposal, other) for other in kept):
                kept.append(proposal)
        return kept

    def _vector(self, text: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        if text not in self._vectors:
            self._vectors[text] = self._embedder.embed([text])[0]
        return self._vectors[text]


class HalfSearch:
    """One search over one half.

    Attributes:
        refused: why drafts of the local model were not taken.
        tried: the single clauses and drafts that were compared.
    """

    def __init__(
        self,
        signals: Sequence[Signal],
        bank: AttributeBank,
        objective: Objective,
        *,
        meaning: Meaning,
        wishes: Wishes,
        drafts: int | None = None,
        on_part: Callable[[str, float], None] = lambda note, part: None,
    ) -> None:
        """Build the search.

        Args:
            signals: the half, the worthiest first.
            bank: the attributes.
            objective: what decides, and how to search.
            meaning: tells duplicates.
            wishes: what the person said.
            drafts: how many to ask for; None for as many as the settings say.
            on_part: told what is being done and how much of the half's work is done, in [0, 1].
        """
        self._signals = list(signals)
        self._seen = frozenset(signal.id for signal in signals)
        self._bank = bank
        self._settings = objective.settings
        self._objective = objective
        self._meaning = meaning
        self._wishes = wishes
        self._drafts_wanted = self._settings.drafts if drafts is None else drafts
        self._on_part = on_part
        self.refused: list[str] = []
        self.tried: list[Proposal] = []

    def finalists(self, write: Write, current: Proposal | None) -> list[Proposal]:
        """The best proposals of this half, the best first.

        Args:
            write: asks the local model for a draft.
            current: the present summary.

        Raises:
            ModelError: a model failed.
        """
        self._on_part("comparing single preferences", 0.0)
        singles = self._singles()
        self._on_part("putting preferences together", 0.35)
        found = self._composed(singles)
        self._on_part("reading drafts", 0.55)
        drafts = self._drafts(write)
        self.tried = [*singles, *drafts]
        topical = [self._proposal((clause,)) for clause in self._topical()]
        rivals = self._allowed([*drafts, *topical, *([current] if current else [])])
        found = self._best([*found, *rivals], self._settings.finalists)
        pool = [p.clauses[-1] for p in (*singles, *topical)]
        pool += [clause for d in drafts if d.language == ENGLISH for clause in d.clauses]
        for turn in range(self._settings.rounds):
            if not found or not self._helps(found[0]):
                break
            self._on_part("editing the best", 0.7 + 0.3 * turn / self._settings.rounds)
            better = self._edited(found, pool)
            if better[0].text == found[0].text:
                break
            found = better
        return found

    def _singles(self) -> list[Proposal]:
        """Single clauses from attribute evidence, the best first."""
        settings = self._settings
        proposals = self._alone(self._signals, settings.wordings, settings.opposites)
        if not proposals:
            return []
        merged = self._meaning.merged(proposals)
        return self._best(screened(self._objective, merged, self._signals, _JUDGED), _JUDGED)

    def _alone(self, signals: Sequence[Signal], wordings: int, opposites: int) -> list[Proposal]:
        """Single clauses that the attribute evidence of some choices speaks for."""
        clauses = single_clauses(signals, self._bank, wordings=wordings, opposites=opposites)
        return self._allowed([self._proposal((clause,)) for clause in clauses])

    def _topical(self) -> list[Clause]:
        """What explains the choices of one topic best, confined to it.

        They are looked for among the choices of that topic: what holds for one topic and not for
        others is nothing in the mean of all.
        """
        found: list[Clause] = []
        for topic in topics(self._signals):
            here = [signal for signal in self._signals if signal.topic == topic]
            alone = self._alone(here, _OF_TOPIC, _OF_TOPIC)
            if alone:
                best = halving(self._objective, alone, here, _OF_TOPIC)[:_OF_TOPIC]
                found += [replace(p.clauses[-1], topic=topic) for p in best]
        return found

    def _composed(self, singles: Sequence[Proposal]) -> list[Proposal]:
        """The best clause, with others added one by one for as long as that helps."""
        found = list(singles)
        for size in (2, 3):
            if not found or len(found[0].clauses) < size - 1 + len(self._wishes.stated):
                break
            longer = edits(found[0], [single.clauses[-1] for single in singles], {})
            longer = [p for p in self._allowed(longer) if len(p.clauses) > len(found[0].clauses)]
            best = found[0].text
            found = self._best([*found, *longer], self._settings.finalists)
            if found[0].text == best:
                break
        return found

    def _drafts(self, write: Write) -> list[Proposal]:
        """What the local model proposes, as far as it can be used."""
        found = []
        for draw in range(self._drafts_wanted):
            self._on_part("asking the model for a draft", 0.55 + 0.15 * draw / self._drafts_wanted)
            written = write(self._signals, draw)
            if isinstance(written, Refused):
                self.refused.append(written.reason)
            else:
                found.append(self._proposal(written.clauses, like=written))
        return self._meaning.merged(self._allowed(found))

    def _edited(self, found: Sequence[Proposal], pool: Sequence[Clause]) -> list[Proposal]:
        """The best after one round of edits of the best: drop, add, reword a clause."""
        best = found[0]
        reword = {clause.text: self._rewordings(clause) for clause in best.clauses}
        # Wordings of attributes are English: they do not go into a text in another language.
        changed = self._allowed(edits(best, pool if best.language == ENGLISH else (), reword))
        changed = [p for p in changed if not any(p.text == known.text for known in found)]
        if not changed:
            return list(found)
        tops = halving(self._objective, changed, self._signals, _EDITS_JUDGED)
        return self._best([*found, *tops], self._settings.finalists)

    def _rewordings(self, clause: Clause) -> list[Clause]:
        """Other ways to say a clause: as what to avoid, or for a topic if it harms elsewhere."""
        others = [
            replace(clause, topic=topic)
            for topic in topics(self._signals)
            if not clause.topic and self._harms_outside(topic, clause)
        ]
        if len(clause.attributes) == 1:
            name = clause.attributes[0]
            attribute = self._bank[name.removeprefix("not ")]
            contrary = attribute.wording if name.startswith("not ") else attribute.opposite
            others.append(replace(clause, text=contrary, avoid=True))
        return others

    def _harms_outside(self, topic: str, clause: Clause) -> bool:
        """Whether what is known of a clause alone speaks against it where the topic is another."""
        known = self._objective.margins.known.get(self._proposal((clause,)).text, {})
        outside = [s for s in self._signals if s.topic != topic and s.id in known]
        return sum(s.weight * known[s.id] for s in outside) < 0

    def _helps(self, proposal: Proposal) -> bool:
        """Whether it explains its own half better than what stands there without it."""
        texts = [proposal.text, self._wishes.ground]
        score, without = self._objective.scores(texts, self._signals)
        return bool(score > without)

    def _best(self, proposals: Sequence[Proposal], keep: int) -> list[Proposal]:
        merged = self._meaning.merged(proposals)
        return halving(self._objective, merged, self._signals, keep)[:keep]

    def _allowed(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Those that are short enough and say nothing that the person struck out."""
        return [
            proposal
            for proposal in proposals
            if not any(self._struck(clause) for clause in proposal.clauses)
            and self._objective.fits(proposal.text)
        ]

    def _struck(self, clause: Clause) -> bool:
        unwanted = self._wishes.unwanted
        return not clause.stated and any(
            self._meaning.same_text(clause.text, text) for text in unwanted
        )

    def _proposal(self, clauses: tuple[Clause, ...], like: Proposal | None = None) -> Proposal:
        """Clauses as a proposal of this half, with what the person stated before them."""
        own = tuple(c for c in clauses if c not in self._wishes.stated)
        origin, language = (like.origin, like.language) if like else ("template", ENGLISH)
        return Proposal((*self._wishes.stated, *own), origin, self._seen, language)


def merge_finalists(halves: Sequence[Sequence[Proposal]], meaning: Meaning) -> list[Proposal]:
    """Finalists of all halves. What several halves found independently is unseen by each."""
    found: list[Proposal] = []
    for proposal in (p for half in halves for p in half):
        for place, other in enumerate(found):
            if meaning.same(proposal, other):
                found[place] = replace(other, seen=other.seen & proposal.seen)
                break
        else:
            found.append(proposal)
    return found
