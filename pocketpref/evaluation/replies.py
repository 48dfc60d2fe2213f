"""Do replies move to where a person's choices point? Plain and personalized ones, side by side.

A local model answers a few prompts twice, without and with what is known of the person, and the
text measures of the dimensions that it was told about are compared. Words are learned from all
choices and say nothing of a prompt, so the person's own prompts may be used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from pocketpref.formatting import plural
from pocketpref.messages import compose
from pocketpref.personalization.beliefs import NOTICED
from pocketpref.personalization.dimensions import Dimensions, PoleName
from pocketpref.personalization.fluency import problem_of
from pocketpref.personalization.frames import Instruction
from pocketpref.personalization.measures import MEASURES, measures
from pocketpref.personalization.words import PreferenceWords
from pocketpref.protocols import LanguageModel
from pocketpref.records import Message, Sampling

TOKENS: Final = 200
"""Longest reply, in tokens; twice as many where long answers are asked for. The starter's plain
replies are often longer, so what moves to short answers is understated."""

BUDGET: Final = 300.0
"""Seconds after which no further prompt is begun."""

QUESTIONS: Final = (
    "How do I keep houseplants alive?",
    "Why is the sky blue?",
    "What should I look for when I buy a used bicycle?",
    "How can I fall asleep faster?",
)
"""Asked where a person has too few prompts of their own."""

_LENGTH: Final = MEASURES.index("length")


@dataclass(frozen=True, slots=True)
class Move:
    """How far replies moved to one thing that the model was asked for.

    Attributes:
        dimension: its name.
        likes: the pole, in words ("short answers").
        mean: move to it, in usual differences of two answers; negative is away from it.
        toward: on how many prompts the personalized reply was nearer to it.
        prompts: on how many it was asked for.
    """

    dimension: str
    likes: str
    mean: float
    toward: int
    prompts: int


@dataclass(frozen=True, slots=True)
class MovedReplies:
    """What personalization did to generated replies.

    Attributes:
        prompts: that were answered twice.
        own: how many of them are the person's own.
        words_before: mean words of the plain replies.
        words_after: mean words of the personalized ones.
        moves: one for each thing that the model was asked for and a text measure sees.
        broken: sound replies that lost fluency (loops, noise, off the subject, ...).
    """

    prompts: int = 0
    own: int = 0
    words_before: float = 0.0
    words_after: float = 0.0
    moves: tuple[Move, ...] = ()
    broken: int = 0

    @property
    def _mean(self) -> float:
        return float(np.mean([move.mean for move in self.moves])) if self.moves else 0.0

    @property
    def moved(self) -> bool:
        """Whether they moved to where the choices point, by as much as a reader notices."""
        return self._mean >= NOTICED

    @property
    def hurt(self) -> bool:
        """Whether they moved away from it, or half of them lost fluency."""
        return self._mean <= -NOTICED or bool(self.prompts and 2 * self.broken >= self.prompts)

    def words(self) -> str:
        """Return what happened, for people."""
        if not self.moves:
            return "Replies were not compared: nothing is asked of the model that can be measured."
        parts = [
            f"{self.words_before:.0f} -> {self.words_after:.0f} words"
            if move.dimension == "length"
            else f"{move.likes} in {move.toward} of {move.prompts}"
            for move in self.moves
        ]
        said = "Replies moved" if self.moved else "Replies did not move"
        if self._mean <= -NOTICED:
            said = "Replies moved the other way"
        whose = plural(self.prompts, "prompt")
        if self.own == self.prompts:
            whose = f"{self.prompts} of your prompts"
        found = f"{said}: {', '.join(parts)} on {whose}."
        if self.broken:
            found += f" {self.broken} of {self.prompts} lost fluency."
        return found

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "prompts": self.prompts,
            "own": self.own,
            "words_before": self.words_before,
            "words_after": self.words_after,
            "moves": [asdict(move) for move in self.moves],
            "moved": self.moved,
            "broken": self.broken,
        }


def compare_replies(
    model: LanguageModel,
    own_prompts: Sequence[str],
    words: Callable[[str], PreferenceWords],
    personalize: Callable[[str], Sequence[Message]],
    dimensions: Dimensions,
    *,
    count: int,
    tokens: int = TOKENS,
    seed: int = 0,
    budget: float = BUDGET,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> MovedReplies:
    """Answer prompts without and with what is known of the person, and compare the replies.

    Args:
        model: replies.
        own_prompts: of the person, the newest first; bundled questions make up for missing ones.
        words: gives what is said of the person for a prompt.
        personalize: gives the conversation with it in its frame.
        dimensions: that the words speak of.
        count: prompts that are answered twice.
        tokens: longest reply; twice as many where long answers are asked for.
        seed: of the draws; both replies to a prompt have the same.
        budget: seconds after which no further prompt is begun.
        on_progress: told of every reply.

    Raises:
        ModelError: the model failed.
    """
    own = list(dict.fromkeys(own_prompts))[:count]
    prompts = [*own, *(each for each in QUESTIONS if each not in own)][:count]

    def reply(messages: Sequence[Message], most: int) -> str:
        sampling = Sampling(temperature=0.0, max_tokens=most, seed=seed)
        return "".join(model.generate(messages, sampling=sampling))

    began = time.monotonic()
    lengths: list[tuple[float, float]] = []
    found: dict[tuple[str, PoleName], list[float]] = {}
    broken = answered_own = 0
    for place, prompt in enumerate(prompts):
        said = words(prompt)
        poles = _measurable(said, dimensions)
        if not poles or (lengths and time.monotonic() - began > budget):
            continue
        on_progress(2 * place, 2 * len(prompts))
        most = 2 * tokens if ("length", "high") in poles else tokens
        plain = reply(compose(prompt, "", ()), most)
        on_progress(2 * place + 1, 2 * len(prompts))
        personal = reply(personalize(prompt), most)
        before, after = measures(plain), measures(personal)
        lengths.append((float(np.expm1(before[_LENGTH])), float(np.expm1(after[_LENGTH]))))
        contrasts = np.nan_to_num(dimensions.text_contrasts((after - before)[None])[0])
        for name, pole in poles:
            high = float(contrasts[dimensions.index(name)])
            found.setdefault((name, pole), []).append(high if pole == "high" else -high)
        told = Instruction(orders=tuple(clause.order for clause in said.clauses))
        sound = problem_of(prompt, plain) is None
        broken += sound and problem_of(prompt, personal, instruction=told) is not None
        answered_own += prompt in own
    on_progress(2 * len(prompts), 2 * len(prompts))
    means = np.array(lengths).reshape(-1, 2).mean(axis=0) if lengths else np.zeros(2)
    return MovedReplies(
        prompts=len(lengths),
        own=answered_own,
        words_before=float(means[0]),
        words_after=float(means[1]),
        moves=tuple(
            Move(
                name,
                dimensions[name].pole(pole).label,
                mean=float(np.mean(moves)),
                toward=sum(move > 0 for move in moves),
                prompts=len(moves),
            )
            for (name, pole), moves in found.items()
        ),
        broken=broken,
    )


def _measurable(said: PreferenceWords, dimensions: Dimensions) -> list[tuple[str, PoleName]]:
    """Return the (dimension, pole) that a model is told and a text measure sees."""
    asked = {clause.preference for clause in said.clauses}
    poles: tuple[PoleName, PoleName] = ("high", "low")
    return [
        (d.name, pole) for d in dimensions if d.measure for pole in poles if (d.name, pole) in asked
    ]
