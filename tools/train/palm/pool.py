"""A pool of policies in a folder, and what each of them answers to held-out prompts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pocketpref.backends.llama import prepare
from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.models.gguf_file import file_sha256
from pocketpref.protocols import Embedder

from ..base import starter_path
from ..export import write_json
from ..measure import Judge, Said, fluency, measure, read_said, relevance, write_said
from ..prompts import Part, Prompt
from ..sampling import Drawing
from .policy import ADAPTER

BASE = "base"
POOL = "pool.json"
LESS_RELEVANT = 0.1
"""By how much the mean cosine of a policy's answers to their prompts may lie below the base's."""

MORE_SURPRISING = 1.5
"""How many times the base's perplexity a policy's answers may have under the base."""

LOOKED_AT: tuple[Part, ...] = ("tune", "guard")
"""Parts that a policy must be sound on before it is in a portfolio; the test part is none."""

HOW = Drawing(tokens=112, seed=7, side_by_side=12)


@dataclass(frozen=True, slots=True)
class Member:
    """One policy of the pool.

    Attributes:
        name: of its folder.
        weights: what it is for, sum 1; () for the base.
        parts: names of trained policies and their scales; a trained one has itself.
    """

    name: str
    weights: tuple[float, ...]
    parts: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Cost:
    """What a policy loses against the base.

    Attributes:
        less_relevant: by how much the mean cosine of answers and prompts is lower.
        more_surprising: the perplexity of its answers under the base, over that of the base's own.
    """

    less_relevant: float
    more_surprising: float


class Pool:
    """The policies of one folder, and what they earn. Everything in it is kept as it is made."""

    def __init__(
        self,
        folder: Path,
        traits: Sequence[str],
        prompts: dict[Part, list[Prompt]],
        draws: int = 1,
    ) -> None:
        """Read what the folder holds.

        Args:
            folder: made if it is not there.
            traits: names of rewards.
            prompts: what each part is measured on.
            draws: how often each prompt is answered.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.traits = tuple(traits)
        self._prompts = prompts
        self._draws = draws
        self._relevances: dict[tuple[str, Part], float] = {}

    def members(self) -> list[Member]:
        """The pool, the base first."""
        path = self.folder / POOL
        if not path.is_file():
            return [Member(BASE, (), ())]
        entries = json.loads(path.read_text("utf-8"))
        return [
            Member(e["name"], tuple(e["weights"]), tuple((n, s) for n, s in e["parts"]))
            for e in entries
        ]

    def add(self, member: Member) -> None:
        """Keep one more."""
        entries = [
            {"name": m.name, "weights": list(m.weights), "parts": [list(p) for p in m.parts]}
            for m in [*self.members(), member]
        ]
        write_json(self.folder / POOL, entries)

    def said(self, member: Member, part: Part) -> list[Said]:
        """What a policy answers to a part's prompts, all of them as often as is wanted.

        Raises:
            ValueError: what was kept are answers to other prompts.
        """
        return [one for draw in range(self._draws) for one in self._drawn(member, part, draw)]

    def topics(self, part: Part) -> list[str]:
        """What each of a policy's answers is about, in the order of ``said``."""
        return [prompt.topic for prompt in self._prompts[part]] * self._draws

    def _drawn(self, member: Member, part: Part, draw: int) -> list[Said]:
        """One answer to each prompt; drawn and measured once."""
        folder = self.folder / member.name
        folder.mkdir(exist_ok=True)
        path = folder / f"{part}-{draw}.jsonl"
        asked = [prompt.text for prompt in self._prompts[part]]
        if not path.is_file():
            print(f"{member.name} answers {part} ({draw + 1})", file=sys.stderr, flush=True)
            parts = [(self.folder / name / ADAPTER, scale) for name, scale in member.parts]
            how = replace(HOW, seed=HOW.seed + draw)
            write_said(path, measure(self._judge, asked, self.traits, how=how, parts=parts))
        found = read_said(path)
        if [one.prompt for one in found] != asked:
            raise ValueError(f"{path} answers other prompts; remove it, or ask for those")
        return found

    def sound(self, member: Member) -> bool:
        """Whether a policy still answers what it is asked, on each part that may be looked at.

        Rewards can be earned without: brief and plain is also who says nothing to the point.
        """
        return all(self._sound(member, part) for part in LOOKED_AT)

    def _sound(self, member: Member, part: Part) -> bool:
        found = self.cost(member, part)
        return found.less_relevant <= LESS_RELEVANT and found.more_surprising <= MORE_SURPRISING

    def cost(self, member: Member, part: Part) -> Cost:
        """What a policy loses against the base on a part."""
        base = Member(BASE, (), ())
        own, said = fluency(self.said(base, part)), fluency(self.said(member, part))
        return Cost(
            self.relevance(base, part) - self.relevance(member, part),
            said["perplexity"] / own["perplexity"],
        )

    def relevance(self, member: Member, part: Part) -> float:
        """Mean cosine of a policy's answers and a part's prompts, computed once."""
        key = member.name, part
        if key not in self._relevances:
            self._relevances[key] = relevance(self.said(member, part), self.embedder)
        return self._relevances[key]

    @cached_property
    def embedder(self) -> Embedder:
        """The bundled one."""
        return open_embedder(None)

    @cached_property
    def _judge(self) -> Judge:
        path = starter_path()
        return Judge(prepare(path, self.folder, file_sha256(path), "bf16"))
