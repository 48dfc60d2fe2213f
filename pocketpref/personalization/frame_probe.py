"""Find the frame that moves a model without taking it off the subject, by short replies.

Three orders (short answers, a list, casual language) are given in each candidate frame with two
easy questions. What counts is how far replies move on the two that a text shows within a few words,
times the share of replies that stay fluent and on the subject:

    score = mean movement in [0, 1] * share of sound replies

The casual order is there for the second factor alone: small models take it for the subject. The
starter, told "Answer casually, like chatting with a good friend!" after the question, chats about
friends in three replies of four, and in one of five when the order comes first.

A cheaper probe, by the likelihood of fixed answers in known styles under an order and under its
opposite, was tried first and picked the wrong frame for the starter: likelihoods of given answers
do not show whether a model keeps to the question once it writes by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pocketpref.personalization.fluency import problem_of
from pocketpref.personalization.frames import (
    FRAMES,
    QUESTION_ORDER,
    Frame,
    Instruction,
    frame_named,
)
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.records import Message, Sampling

PROBE_VERSION: Final = 1
"""Changes with the texts below: a result of another version is not used."""

ADVANTAGE: Final = 1.1
"""How many times the default frame's score another frame needs to replace it."""

REPLY_TOKENS: Final = 48
"""Length of a short reply: by then a list has begun and a small model has left the subject."""

CANDIDATES: Final[tuple[Frame, ...]] = (
    QUESTION_ORDER,
    frame_named("opening-order"),
    frame_named("question-preference"),
    frame_named("system-order"),
)
"""Frames worth probing: each was the best or near it on some model and style."""

QUESTIONS: Final = ("How can I keep cut flowers fresh?", "Why is the sea salty?")

SHORT: Final = Instruction(
    ("Answer in one or two short sentences.",), ("very short, one or two sentences",)
)
LIST: Final = Instruction(("Answer as a bulleted list.",), ("written as bulleted lists",))
CASUAL: Final = Instruction(
    ("Answer casually, like chatting with a good friend!",),
    ("casual, like chatting with a good friend",),
)

KNOWN_FRAMES: Final[Mapping[str, str]] = {
    # SmolLM2-135M-Instruct Q4_1, the starter
    "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53": "opening-order",
    # Qwen2.5-Coder-0.5B-Instruct Q4_K_M
    "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32": "question-order",
    # Qwen2.5-Coder-1.5B-Instruct Q4_K_M
    "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046": "question-order",
}
"""Frames of models whose whole replies were measured (``tools/eval/taste_generation.py``), by
fingerprint. They need no probe."""

_ITEM: Final = re.compile(r"^\s*(?:[-*•+]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What a probe found for one model.

    Attributes:
        model: fingerprint of the model.
        frame: name of the frame to use.
        moved: how far replies move under each frame, in [0, 1].
        sound: share of the replies under each frame that are fluent and on the subject.
    """

    model: str
    frame: str
    moved: Mapping[str, float]
    sound: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON, for the caller's cache."""
        return {
            "version": PROBE_VERSION,
            "model": self.model,
            "frame": self.frame,
            "moved": dict(self.moved),
            "sound": dict(self.sound),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FrameResult | None:
        """Return a cached result, or None if another version wrote it or it is malformed."""
        names = {frame.name for frame in FRAMES}
        try:
            moved = {str(name): float(share) for name, share in data["moved"].items()}
            sound = {str(name): float(share) for name, share in data["sound"].items()}
            result = cls(str(data["model"]), str(data["frame"]), moved, sound)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return result if data.get("version") == PROBE_VERSION and result.frame in names else None


def frame_for(model: str, result: FrameResult | None = None) -> Frame:
    """Return the frame to use with a model; it costs nothing.

    Args:
        model: fingerprint of the model.
        result: of an earlier probe, if there is one. A result for another model is not used.
    """
    if model in KNOWN_FRAMES:
        return frame_named(KNOWN_FRAMES[model])
    if result is not None and result.model == model:
        return frame_named(result.frame)
    return QUESTION_ORDER


def probe_frames(
    model: LanguageModel,
    embedder: Embedder | None = None,
    *,
    frames: Sequence[Frame] = CANDIDATES,
) -> FrameResult:
    """Measure which frame moves a model most while it stays on the subject.

    The model writes 26 replies of at most 48 tokens with the standard candidates: 25 seconds of
    processor time with the starter, so it belongs in idle time.

    Args:
        model: to probe.
        embedder: compares the subjects of question and reply; without one, only loops, noise and
            repeated instructions count against a frame.
        frames: the candidates; the default frame is measured in any case.

    Raises:
        ModelError: the model or the embedder failed.
    """
    plain = [_reply(model, None, Instruction(), question) for question in QUESTIONS]
    moved: dict[str, float] = {}
    sound: dict[str, float] = {}
    for frame in dict.fromkeys((QUESTION_ORDER, *frames)):
        movements, problems = [], []
        for told in (SHORT, LIST, CASUAL):
            for question, before in zip(QUESTIONS, plain, strict=True):
                reply = _reply(model, frame, told, question)
                problems.append(problem_of(question, reply, instruction=told, embedder=embedder))
                if told is not CASUAL:
                    movements.append(_movement(told, before, reply))
        moved[frame.name] = sum(movements) / len(movements)
        sound[frame.name] = sum(problem is None for problem in problems) / len(problems)
    scores = {name: moved[name] * sound[name] for name in moved}
    best = max(scores, key=lambda name: scores[name])
    default = QUESTION_ORDER.name
    clear = scores[best] > 0 and scores[best] >= ADVANTAGE * scores[default]
    return FrameResult(model.fingerprint, best if clear else default, moved, sound)


def _reply(model: LanguageModel, frame: Frame | None, told: Instruction, question: str) -> str:
    """One short reply, at the temperature of ordinary ones: greedy replies wander off less."""
    asked = [Message(role="user", content=question)]
    messages = asked if frame is None else frame.apply(asked, told)
    sampling = Sampling(max_tokens=REPLY_TOKENS, seed=QUESTIONS.index(question))
    return "".join(model.generate(messages, sampling=sampling))


def _movement(told: Instruction, before: str, reply: str) -> float:
    """How far a reply moved towards what was asked for, in [0, 1].

    An empty reply is no short one.
    """
    if not reply.strip():
        return 0.0
    if told is SHORT:
        return max(0.0, 1 - len(reply.split()) / max(1, len(before.split())))
    return max(0.0, _item_share(reply) - _item_share(before))


def _item_share(text: str) -> float:
    lines = [line for line in text.splitlines() if line.strip()]
    return sum(bool(_ITEM.match(line)) for line in lines) / len(lines) if lines else 0.0
