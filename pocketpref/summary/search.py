"""Search for the summary that explains one half of a person's choices best.

The search sees that half only: its finalists are judged on the other. It tries clauses alone, puts
the best together one by one, adds the local model's drafts and the present summary, and edits the
best so far until nothing gets better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.protocols import Embedder
from pocketpref.summary.candidates import Proposal, Refused, edits, single_clauses, topics
from pocketpref.summary.evidence import Signal
from pocketpref.summary.objective import Objective, halving, screened
from pocketpref.summary.records import Clause
from pocketpref.summary.wording import ENGLISH, render

SAME = 0.9
"""Least cosine of two clauses that say the same in other words."""

_JUDGED = 4
"""Single clauses that are judged on all choices of a half, and may be added."""

_OF_TOPIC = 2
"""Clauses that are confined to a topic, for each topic."""

_EDITS_JUDGED = 2
"""Edits of one round that are judged on all choices of a half."""

Write = Callable[[Sequence[Signal], int], Proposal | Refused]
"""Choices and draw number to the local model's proposal."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the person stated.

    Attributes:
        stated: clauses that are in every proposal.
        unwanted: texts of clauses that the person struck out.
    """

    stated: tuple[Clause, ...] = ()
    unwanted: tuple[str, ...] = ()

    @property
    def ground(self) -> str:
        """The text without any proposal: what the person stated, or nothing."""
        return render(self.stated) if self.stated else ""


class Meaning:
    """Compares the meaning of clauses and proposals by the embedder."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._vectors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}

    def same_text(self, a: str, b: str) -> bool:
        """Whether two texts say the same."""
        return a.casefold() == b.casefold() or float(self._vector(a) @ self._vector(b)) >= SAME

    def same_clause(self, a: Clause, b: Clause) -> bool:
        """Whether two clauses do; those of attributes by name, as opposites share words."""
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
        """Return the proposals without those that say the same as an earlier one."""
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
        tried: single clauses and drafts that were compared.
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
            objective: ranks proposals, and has the settings.
            meaning: finds duplicates.
            wishes: what the person stated.
            drafts: how many to ask for; None for as many as the settings say.
            on_part: told the present step and the part of the half's work done, in [0, 1].
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
        """Return the best proposals of this half, the best first.

        Args:
            write: asks the local model for a draft.
            current: the present summary.

        Raises:
            ModelError: a model failed.
        """
        self._on_part("comparing single preferences", 0.0)
        singles = self._alone(self._signals, self._settings.wordings, self._settings.opposites)
        if singles:
            merged = self._meaning.merged(singles)
            few = screened(self._objective, merged, self._signals, _JUDGED)
            singles = self._best(few, _JUDGED)
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
            if not found:
                break
            # Editing is worth it only for a proposal that explains its own half at all.
            texts = [found[0].text, self._wishes.ground]
            score, without = self._objective.scores(texts, self._signals)
            if score <= without:
                break
            self._on_part("editing the best", 0.7 + 0.3 * turn / self._settings.rounds)
            better = self._edited(found, pool)
            if better[0].text == found[0].text:
                break
            found = better
        return found

    def _alone(self, signals: Sequence[Signal], wordings: int, opposites: int) -> list[Proposal]:
        """Single clauses with attribute evidence from some choices."""
        clauses = single_clauses(signals, self._bank, wordings=wordings, opposites=opposites)
        return self._allowed([self._proposal((clause,)) for clause in clauses])

    def _topical(self) -> list[Clause]:
        """The clauses that explain the choices of one topic best, confined to it.

        They are looked for among the choices of that topic: a preference that holds for one topic
        only disappears in the mean of all.
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
        """The usable drafts of the local model."""
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
        """Other forms of a clause: as a dislike, or for a topic if it harms elsewhere."""
        known = self._objective.margins.known.get(self._proposal((clause,)).text, {})
        others = []
        for topic in [] if clause.topic else topics(self._signals):
            outside = [s for s in self._signals if s.topic != topic and s.id in known]
            if sum(s.weight * known[s.id] for s in outside) < 0:
                others.append(replace(clause, topic=topic))
        if len(clause.attributes) == 1:
            name = clause.attributes[0]
            attribute = self._bank[name.removeprefix("not ")]
            contrary = attribute.wording if name.startswith("not ") else attribute.opposite
            others.append(replace(clause, text=contrary, avoid=True))
        return others

    def _best(self, proposals: Sequence[Proposal], keep: int) -> list[Proposal]:
        merged = self._meaning.merged(proposals)
        return halving(self._objective, merged, self._signals, keep)[:keep]

    def _allowed(self, proposals: Sequence[Proposal]) -> list[Proposal]:
        """Those that are short enough and say nothing that the person struck out."""
        return [
            proposal
            for proposal in proposals
            if not any(
                self._meaning.same_text(clause.text, text)
                for clause in proposal.clauses
                if not clause.stated
                for text in self._wishes.unwanted
            )
            and self._objective.fits(proposal.text)
        ]

    def _proposal(self, clauses: tuple[Clause, ...], like: Proposal | None = None) -> Proposal:
        """Clauses as a proposal of this half, after what the person stated."""
        own = tuple(c for c in clauses if c not in self._wishes.stated)
        origin, language = (like.origin, like.language) if like else ("template", ENGLISH)
        return Proposal((*self._wishes.stated, *own), origin, self._seen, language)


def merge_finalists(halves: Sequence[Sequence[Proposal]], meaning: Meaning) -> list[Proposal]:
    """Join the finalists of all halves; one that several halves found is unseen by each."""
    found: list[Proposal] = []
    for proposal in (p for half in halves for p in half):
        for place, other in enumerate(found):
            if meaning.same(proposal, other):
                found[place] = replace(other, seen=other.seen & proposal.seen)
                break
        else:
            found.append(proposal)
    return found
