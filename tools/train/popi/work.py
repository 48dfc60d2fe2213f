"""A run of the POPI recipe: its folder, how much of everything, and what its steps share."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pocketpref.backends.llama import LlamaModel, prepare
from pocketpref.models.gguf_file import file_sha256

from ..base import Tokens, load_base, starter_path
from ..export import Factors, read_gguf
from ..people import PEOPLE, Person, read_people
from .cases import Case, training_cases
from .joint import Turns
from .policy import ADAPTER, Recipe, Summarizer
from .reward import Reward, remembering
from .understood import usable
from .warm import Target, compositions, from_the_bank, noticed_best

UNDERSTOOD = "understood.json"
TARGETS = "targets.jsonl"
REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything.

    Attributes:
        tried: answers on which each wording is tried.
        trained: people to train on.
        noticed: further people, whose target is what measures notice, without being judged.
        draws: cases of each person, of either kind.
        judged: choices that judge a person's cases.
        samples: what the untrained model proposes for a person.
        composed: compositions that are proposed for a person, at most.
        joint: cases that generator and summarizer are trained on by turns.
        rounds: turns of each.
        tested: people to report on.
        later: choices that judge each of them.
        written: summaries of each stage for each of them.
        selected: of these, people for whom the library's search is run.
        searched: choices of each that it looks at.
        history: of these, people whose whole history is put before the prompt.
    """

    tried: int = 6
    trained: int = 24
    noticed: int = 520
    draws: int = 3
    judged: int = 3
    samples: int = 1
    composed: int = 4
    joint: int = 8
    rounds: int = 2
    tested: int = 40
    later: int = 5
    written: int = 2
    selected: int = 8
    searched: int = 10
    history: int = 6


@dataclass
class Work:
    """A run's folder, and what its steps share.

    Attributes:
        folder: where everything is kept.
        data: the people's folder.
        sizes: how much of everything.
        recipe: of the summarizer.
        path: the base's GGUF file.
    """

    folder: Path
    data: Path
    sizes: Sizes = field(default_factory=Sizes)
    recipe: Recipe = field(default_factory=Recipe)
    path: Path = field(default_factory=starter_path)

    @cached_property
    def copy(self) -> Path:
        """The base in BF16: what draws, and what judges."""
        return prepare(self.path, self.data, file_sha256(self.path), "bf16")

    @cached_property
    def tokens(self) -> Tokens:
        """The base's vocabulary."""
        return Tokens(self.path)

    @cached_property
    def people(self) -> list[Person]:
        """Everybody."""
        return read_people(self.data / PEOPLE)

    @property
    def turns(self) -> Turns:
        """The joint mode's plan."""
        return Turns(rounds=self.sizes.rounds)

    @cached_property
    def summarizer(self) -> Summarizer:
        """The base in torch, with an adapter."""
        base = load_base(self.path, self.recipe.dtype)
        return Summarizer(base, self.recipe, self.copy, self.folder)

    def of_part(self, part: str, most: int) -> list[Person]:
        """The first people of a part."""
        return [person for person in self.people if person.part == part][:most]

    def read(self, name: str) -> Any:
        """A JSON file of the run."""
        return json.loads((self.folder / name).read_text("utf-8"))

    def learners(self) -> list[Person]:
        """People to train on who care about something that the generator follows."""
        known = usable(self.read(UNDERSTOOD))
        return [
            person
            for person in self.of_part("train", len(self.people))
            if not self.styled or any(known[option] for option in person.style.values())
        ]

    def cases(self) -> list[Case]:
        """One case of each person for whom proposals are judged."""
        return self._cases(self.learners()[: self.sizes.trained], 1)

    def _cases(self, people: Sequence[Person], draws: int) -> list[Case]:
        return training_cases(people, draws, self.sizes.judged, seed=0)

    @property
    def styled(self) -> bool:
        """Whether it is known what people like: they were made by rule."""
        return any(person.style for person in self.people)

    def composed(self, case: Case, model: LlamaModel) -> list[str]:
        """Summaries put together for a case, to be judged beside what the model writes."""
        if not self.styled:
            return from_the_bank(case, model, self.sizes.composed)
        return compositions(case, usable(self.read(UNDERSTOOD)), self.sizes.composed, seed=0)

    def targets(self) -> tuple[list[Case], list[Target]]:
        """Cases and what the summarizer should write: the best that was judged, or was noticed."""
        lines = (self.folder / TARGETS).read_text("utf-8").splitlines()
        found = [json.loads(line) for line in lines]
        every = self._cases(self.learners()[: len(found)], self.sizes.draws)
        kept = [(c, Target(**t)) for n, c in enumerate(every) if (t := found[n % len(found)])]
        further = self.learners()[len(found) :][: self.sizes.noticed] if self.styled else []
        known = usable(self.read(UNDERSTOOD))
        kept += [
            (case, Target(text, 0.0, "noticed", 1))
            for case in self._cases(further, self.sizes.draws)
            if (text := noticed_best(case, known))
        ]
        return [case for case, _ in kept], [target for _, target in kept]

    def factors(self, stage: str) -> Factors:
        """A stage's adapter."""
        data = (self.folder / stage / ADAPTER).read_bytes()
        return read_gguf(data, self.summarizer.base.shape)[0]

    def judge(self, model: LlamaModel, name: str = "base") -> Reward:
        """The reward under a frozen generator, its likelihoods kept under a name."""
        kept = remembering(model, self.folder / "likelihoods", name)
        return Reward(kept, kept)

    def open(self, path: Path | None = None) -> LlamaModel:
        """A generator: the base's BF16 copy, or another file."""
        if path is not None:
            return LlamaModel(path)
        return LlamaModel(self.copy, sha256=file_sha256(self.path))
