"""One person's preferences: inferred from their vault, put into words, ready for a prompt.

No language model is needed. What is inferred lives in this process and is inferred again when the
vault has changed, so what was forgotten is gone at once.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from typing import Final

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.personalization import beliefs as believing
from pocketpref.personalization import decisions as correcting
from pocketpref.personalization.beliefs import Beliefs
from pocketpref.personalization.decisions import Correction
from pocketpref.personalization.dimensions import Dimensions
from pocketpref.personalization.evidence import Evidence
from pocketpref.personalization.feedback import targets
from pocketpref.personalization.measures import MEASURES
from pocketpref.personalization.prediction import PreferencePredictor
from pocketpref.personalization.questions import (
    Question,
    bundled_questions,
    differences_of_questions,
    pick_questions,
)
from pocketpref.personalization.topics import LEAST_CHOICES, MOST_JOINED
from pocketpref.personalization.words import PreferenceWords, StatedPreference, compose
from pocketpref.protocols import EmbedderLoader, MemoryStore, MemoryVersion
from pocketpref.records import Matrix64, Vector
from pocketpref.results import Preference
from pocketpref.summary import store as summary_store
from pocketpref.summary.records import Clause, Summary
from pocketpref.summary.wording import ENGLISH, render

INFERRED_FROM: Final = 1000
"""The newest choices that count: measuring and fitting a thousand takes less than 0.2 s."""

_CONTRARY: Final = 0.1
"""Share of contrary choices up to which a preference explains the choices by itself."""
_BY_TOPIC: Final = 0.5
"""Probability of a taste that differs by topic from which topics are told apart."""
_ABOUT: Final = 0.4
"""Part of the relevance of another prompt that makes a prompt one about a topic named in a word:
with the bundled embedder questions have cosines of 0.2 to 0.5 with their topic's name, 0.15 at most
with another one's."""
_TOKENS_A_WORD: Final = 1.3


@dataclass(frozen=True, slots=True, eq=False)
class _Choices:
    """A person's choices, the oldest first.

    Attributes:
        ids: of the memories.
        prompts: what was asked.
        contrasts: of the text, shape (choices, dimensions), NaN where a measure is missing.
        lengths: words of the chosen answers, shape (choices,).
    """

    ids: tuple[str, ...]
    prompts: tuple[str, ...]
    contrasts: Matrix64
    lengths: Matrix64


@dataclass(frozen=True, slots=True, eq=False)
class _PersonState:
    """What the memories of one version say."""

    version: Hashable
    choices: _Choices
    predictor: PreferencePredictor
    beliefs: Beliefs


class Preferences:
    """What one person likes. Safe to use from several threads."""

    def __init__(self, store: MemoryStore, bank: AttributeBank, embedder: EmbedderLoader) -> None:
        """Build the service; nothing is read yet.

        Args:
            store: the person's part of the vault.
            bank: the attributes, with the person's own.
            embedder: loads the embedder, which tells prompts that are alike.
        """
        self._store = store
        self._bank = bank
        self._embedder = embedder
        self._version = MemoryVersion(store)
        self._lock = threading.RLock()
        self._inferred: _PersonState | None = None
        self._vectors: dict[str, Vector] = {}  # of prompts, by the memory's id

    @cached_property
    def dimensions(self) -> Dimensions:
        """What a person can like."""
        return Dimensions.standard(self._bank)

    def clear(self) -> None:
        """Drop what was inferred, and the prompts with it; the next call infers it again."""
        with self._lock:
            self._inferred = None
            self._vectors = {}

    # ---------------------------------------------------------------------------- inferring

    def beliefs(self, prompt: str = "") -> Beliefs:
        """Return what is believed of the person, where a prompt is given for prompts like it.

        Raises:
            VaultError: the vault cannot be read.
        """
        state = self._infer()
        vector = self._vector(state, prompt)
        if vector is None:
            return state.beliefs
        return self._believe(state.choices, state.predictor.counts(vector))

    def rank(self, prompt: str, answers: Sequence[str]) -> tuple[float, ...]:
        """Return the probability of each answer to be the preferred one.

        Args:
            prompt: what they answer.
            answers: at least one.

        Raises:
            InputError: there is no answer.
            VaultError: the vault cannot be read.
        """
        state = self._infer()
        return tuple(state.predictor.rank(answers, self._vector(state, prompt)).tolist())

    def question(self, skipped: Collection[str] = ()) -> Question | None:
        """Return the bundled question whose answer would tell most now; None if all were asked.

        Args:
            skipped: prompts of questions that were not answered.

        Raises:
            VaultError: the vault cannot be read.
        """
        state = self._infer()
        bank = bundled_questions()
        prompts = [question.prompt for question in bank]
        done = {*state.choices.prompts, *skipped}
        asked = [place for place, prompt in enumerate(prompts) if prompt in done]
        if len(asked) == len(bank):
            return None
        differences = differences_of_questions(bank)
        posterior = state.predictor.posterior()
        (best,) = pick_questions(posterior, differences, 1, prompts=prompts, asked=asked)
        return bank[best]

    def _infer(self) -> _PersonState:
        """Infer, unless the memories are those of the last call."""
        with self._lock:
            version = self._version()
            if self._inferred is None or self._inferred.version != version:
                self._inferred = self._inferred_from(version)
            return self._inferred

    def _inferred_from(self, version: Hashable) -> _PersonState:
        newest = islice(self._store.memories(), INFERRED_FROM)
        evidence = [Evidence.of_memory(memory) for memory in newest]
        measured: dict[str, Matrix64] = {}  # by text: lives as long as this call
        predictor = PreferencePredictor(evidence, measured=measured)
        choices = self._choices_of(evidence, predictor, measured)
        beliefs = self._believe(choices, predictor.counts())
        # Prompts are embedded only where choices contradict one another: else taste is the same
        # everywhere, and a prompt costs nothing.
        agreed = any(
            belief.contrary <= _CONTRARY * (belief.supporting + belief.contrary)
            for belief in (*beliefs.sure, *beliefs.open)
        )
        if len(evidence) >= 2 * LEAST_CHOICES and not agreed:
            recent = evidence[:MOST_JOINED]  # the newest first
            divided = PreferencePredictor(recent, self._embedded(recent), measured=measured)
            if divided.topics is not None and divided.topics.by_topic >= _BY_TOPIC:
                predictor, choices = divided, self._choices_of(recent, divided, measured)
                beliefs = self._believe(choices, predictor.counts())
        return _PersonState(version, choices, predictor, beliefs)

    def _embedded(self, evidence: Sequence[Evidence]) -> Vector:
        """Vectors of the prompts, shape (len(evidence), dimensions); each is embedded once."""
        missing = {one.id: one.prompt for one in evidence if one.id not in self._vectors}
        if missing:
            found = self._embedder().embed(list(missing.values()))
            self._vectors |= dict(zip(missing, found, strict=True))
        return np.stack([self._vectors[one.id] for one in evidence])

    def _choices_of(
        self,
        evidence: Sequence[Evidence],
        predictor: PreferencePredictor,
        measured: dict[str, Matrix64],
    ) -> _Choices:
        ordered = [evidence[place] for place in predictor.differences.places]
        shape = (len(ordered), len(MEASURES))
        better = np.array([measured[str(one.better)] for one in ordered]).reshape(shape)
        worse = np.array([measured[str(one.worse)] for one in ordered]).reshape(shape)
        return _Choices(
            ids=tuple(one.id for one in ordered),
            prompts=tuple(one.prompt for one in ordered),
            contrasts=self.dimensions.text_contrasts(better - worse),
            lengths=np.expm1(better[:, MEASURES.index("length")]),
        )

    def _believe(self, choices: _Choices, weights: Matrix64) -> Beliefs:
        return believing.infer(
            self.dimensions, choices.contrasts, weights=weights, lengths=choices.lengths
        )

    def _vector(self, state: _PersonState, prompt: str) -> Vector | None:
        """The prompt's embedding where taste differs by topic, else None."""
        topics = state.predictor.topics
        if not prompt or topics is None:
            return None
        vector: Vector = self._embedder().embed([prompt])[0]
        return vector

    # -------------------------------------------------------------------------------- words

    def words(self, prompt: str = "") -> PreferenceWords:
        """Return what is said of the person to a model, for prompts like this one.

        Raises:
            VaultError: the vault cannot be read.
        """
        statements = summary_store.statements(self._store)
        # The newest come first; what an assistant reported counts as older than the person's own.
        ordered = sorted(statements, key=lambda s: not s.program)
        stated = [StatedPreference(s.text, targets(s.text)) for s in ordered if s.wanted]
        struck = {p for s in statements if not s.wanted for p in targets(s.text)}
        found = self.beliefs(prompt)
        if found.sure:
            refused = struck | self._refused(prompt)
            sure = tuple(b for b in found.sure if (b.dimension, b.pole) not in refused)
            found = replace(found, sure=sure)
        return compose(self.dimensions, found, stated)

    def summary(self) -> Summary | None:
        """Return the words as a summary, or None where nothing is sure.

        It is not kept: it changes with every choice. Its ``tokens`` are estimated, since counting
        them takes a model.

        Raises:
            VaultError: the vault cannot be read.
        """
        said = self.words().clauses
        if not said:
            return None
        choices = self._infer().choices
        stated = [s for s in summary_store.statements(self._store) if s.wanted]
        learned = tuple(
            Clause(  # without a number of words: it changes often, and numbers may not leave
                self.dimensions[clause.belief.dimension].pole(clause.belief.pole).clause,
                pairs=tuple(choices.ids[place] for place in clause.belief.choices),
                attributes=(clause.belief.dimension,),
            )
            for clause in said
            if clause.belief is not None
        )
        clauses = (*learned, *(statement.clause for statement in stated))
        text = render(clauses)
        sources = [
            *(name for clause in learned for name in clause.pairs),
            *(name for statement in stated for name in statement.sources),
        ]
        return Summary(
            id="",
            text=text,
            tokens=round(len(text.split()) * _TOKENS_A_WORD),
            language=ENGLISH,
            clauses=clauses,
            margin=None,
            sources=tuple(dict.fromkeys(sources)),
            origin="template" if learned else "edit",
            model="",
            recipe="",
            created=datetime.now(UTC),
        )

    def labels(self, words: PreferenceWords) -> tuple[str, ...]:
        """Return what is said, in names for people."""
        return tuple(
            self.dimensions[clause.belief.dimension].pole(clause.belief.pole).label
            if clause.belief is not None
            else clause.clause
            for clause in words.clauses
        )

    def _refused(self, prompt: str) -> set[tuple[str, str]]:
        """Beliefs that the person corrected, as far as the correction holds for this prompt."""
        found = set()
        for one in self.corrections():
            if not one.only or not self._is_about(prompt, one.only):
                found.add((one.dimension, str(one.pole)))
        return found

    def _is_about(self, prompt: str, topic: str) -> bool:
        if not prompt:
            return True
        embedder = self._embedder()
        asked, named = embedder.embed([prompt, topic])
        return float(asked @ named) >= _ABOUT * embedder.relevance

    # -------------------------------------------------------------------------- corrections

    def corrections(self) -> list[Correction]:
        """Return what the person said of beliefs, the oldest first."""
        return correcting.corrections(self._store)

    def correct(self, dimension: str, pole: str, only: str = "") -> str:
        """Keep a correction; see ``corrections.correct``."""
        return correcting.correct(self._store, self.dimensions, dimension, pole, only)

    # ------------------------------------------------------------------------------ looking

    def known(self) -> tuple[Preference, ...]:
        """Return every belief for people, sure ones first, with the choices behind each.

        Raises:
            VaultError: the vault cannot be read.
        """
        state = self._infer()
        applied = {clause.preference for clause in self.words().clauses}
        refused = {(one.dimension, one.pole): one for one in self.corrections()}
        return tuple(
            Preference(
                name=belief.dimension,
                pole=belief.pole,
                likes=self.dimensions[belief.dimension].pole(belief.pole).label,
                probability=belief.probability,
                supporting=belief.supporting,
                contrary=belief.contrary,
                choices=tuple(state.choices.ids[place] for place in belief.choices),
                applied=(belief.dimension, belief.pole) in applied,
                correction=_correction_words(refused.get((belief.dimension, belief.pole))),
            )
            for belief in (*state.beliefs.sure, *state.beliefs.open)
        )


def _correction_words(correction: Correction | None) -> str:
    if correction is None:
        return ""
    return f"only for {correction.only}" if correction.only else "you said this is wrong"
