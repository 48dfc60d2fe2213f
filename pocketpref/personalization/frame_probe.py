"""Find the frame that moves a model, by the likelihood of fixed answers in known styles.

For one question there are two sound answers in opposite styles, and an order for either. The
contrast of a frame is what the right order adds to the right answer, compared with the opposite
order, in nats a token:

    contrast = (l(A | order A) - l(B | order A)) - (l(A | order B) - l(B | order B))

with l(answer | context) the mean log-likelihood of a token. What any added line does to every
answer cancels, for both contexts have one. It costs about as much as reading two pages of text.

The probe asks about style and layout, not about length: the end of a reply is not part of a
likelihood, so that an order for short answers shows in a likelihood only weakly.

What a likelihood does not show is whether the model keeps to the question once it writes by itself.
Small models take an order at the end for the subject: the starter, told "Answer casually, like
chatting with a good friend!" after the question, chats about friends in three replies of four, and
in one of four when the order comes first. So with an embedder at hand, the frames that move the
model most also write a few short replies, and a frame that leaves the subject more often than
another one is passed over.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pocketpref.personalization.fluency import problem_of
from pocketpref.personalization.frames import FRAMES, QUESTION_ORDER, Frame, Instruction
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.records import Message, Sampling

PROBE_VERSION: Final = 1
"""Changes with the texts below: a result of another version is not used."""

ADVANTAGE: Final = 1.1
"""How many times the default frame's contrast another frame needs to replace it: on three models
the contrasts of one frame from one question to the next differ by about a tenth."""

LEAST_LIKELIHOOD_CHANGE: Final = -0.1
"""A frame that makes the wanted, sound answers less likely than the plain question does, by more
than this many nats a token, takes the model off the subject."""


REPLY_TOKENS: Final = 48
"""Length of the short replies: by then a small model that leaves the subject has left it."""

FINALISTS: Final = 3
"""Frames that write replies: those with the highest contrasts, the default always among them."""


@dataclass(frozen=True, slots=True)
class StyleProbe:
    """A question, an answer in each of two opposite styles, and what asks for either."""

    question: str
    answers: tuple[str, str]
    instructions: tuple[Instruction, Instruction]


PROBES: Final[tuple[StyleProbe, ...]] = (
    StyleProbe(
        "What causes rain?",
        (
            "- The sun warms water, and it evaporates.\n- The vapor rises and cools.\n"
            "- Drops form in clouds and fall as rain.",
            "The sun warms water, and it evaporates. The vapor rises and cools, and drops form in "
            "clouds and fall as rain.",
        ),
        (
            Instruction(("Answer as a bulleted list.",), ("written as bulleted lists",)),
            Instruction(
                ("Answer in flowing paragraphs, without lists.",),
                ("flowing paragraphs without lists",),
            ),
        ),
    ),
    StyleProbe(
        "What causes rain?",
        (
            "Oh, that's a fun one! So the sun heats up the water, it floats up, gets chilly up "
            "there, and boom, it's raining!",
            "Precipitation occurs when water vapor in the atmosphere condenses into droplets that "
            "are sufficiently heavy to fall.",
        ),
        (
            Instruction(
                ("Answer casually, like chatting with a good friend!",),
                ("casual, like chatting with a good friend",),
            ),
            Instruction(("Answer in formal, impersonal language.",), ("formal and impersonal",)),
        ),
    ),
    StyleProbe(
        "How do I clean a window?",
        (
            "Get some warm water and soap. Rub the glass with a wet cloth. Then make it dry.",
            "Apply a dilute surfactant solution to the glazing to emulsify hydrophobic residues, "
            "then remove it with a squeegee.",
        ),
        (
            Instruction(
                ("Use only very simple, everyday words.",), ("in very simple, everyday words",)
            ),
            Instruction(
                ("Use precise technical terms, as for an expert.",),
                ("technical and precise, for an expert",),
            ),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What a probe found for one model.

    Attributes:
        model: fingerprint of the model.
        frame: name of the frame to use.
        contrasts: mean contrast of each frame, nats a token.
        changes: what each frame does to the likelihood of the wanted answers, nats a token.
        sound: share of the short replies without a problem, for the frames that wrote some.
    """

    model: str
    frame: str
    contrasts: Mapping[str, float]
    changes: Mapping[str, float]
    sound: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON, for the caller's cache."""
        return {
            "version": PROBE_VERSION,
            "model": self.model,
            "frame": self.frame,
            "contrasts": dict(self.contrasts),
            "changes": dict(self.changes),
            "sound": dict(self.sound),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FrameResult | None:
        """Return a cached result, or None if another version wrote it or it is malformed."""
        names = {frame.name for frame in FRAMES}
        try:
            contrasts = {str(k): float(v) for k, v in data["contrasts"].items()}
            changes = {str(k): float(v) for k, v in data["changes"].items()}
            sound = {str(k): float(v) for k, v in data["sound"].items()}
            result = cls(str(data["model"]), str(data["frame"]), contrasts, changes, sound)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return result if data.get("version") == PROBE_VERSION and result.frame in names else None


def probe_frames(
    model: LanguageModel,
    frames: Sequence[Frame] = FRAMES,
    probes: Sequence[StyleProbe] = PROBES,
    *,
    embedder: Embedder | None = None,
) -> FrameResult:
    """Measure which frame moves a model most without taking it off the subject.

    About 2,000 tokens are read and, with an embedder, some 600 written.

    Args:
        model: to probe.
        frames: the candidates; the default frame is measured in any case.
        probes: questions with answers in opposite styles.
        embedder: compares the subjects of short replies; None leaves these out.

    Raises:
        ModelError: the model or the embedder failed.
    """
    candidates = tuple(dict.fromkeys((QUESTION_ORDER, *frames)))
    contrasts = dict.fromkeys((frame.name for frame in candidates), 0.0)
    changes = dict(contrasts)
    for probe in probes:
        plain = [Message(role="user", content=probe.question)]
        contexts = [plain]
        for frame in candidates:
            contexts += [frame.apply(plain, told) for told in probe.instructions]
        found = model.likelihoods(contexts, probe.answers)
        rates = found.totals / found.tokens
        for place, frame in enumerate(candidates):
            first, second = rates[1 + 2 * place], rates[2 + 2 * place]
            contrast = (first[0] - first[1]) - (second[0] - second[1])
            wanted = (first[0] + second[1]) - (rates[0][0] + rates[0][1])
            contrasts[frame.name] += float(contrast) / len(probes)
            changes[frame.name] += float(wanted) / 2 / len(probes)
    usable = {
        name: contrast
        for name, contrast in contrasts.items()
        if math.isfinite(contrast) and changes[name] >= LEAST_LIKELIHOOD_CHANGE
    }
    sound: dict[str, float] = {}
    if embedder is not None:
        first_ones = sorted(usable, key=lambda name: -usable[name])[:FINALISTS]
        finalists = [f for f in candidates if f.name in first_ones or f == QUESTION_ORDER]
        sound = {f.name: sound_share(model, f, probes, embedder) for f in finalists}
        best = max(sound.values())
        usable = {name: usable[name] for name in usable if sound.get(name, 0.0) >= best}
    return FrameResult(model.fingerprint, _strongest(usable), contrasts, changes, sound)


def sound_share(
    model: LanguageModel, frame: Frame, probes: Sequence[StyleProbe], embedder: Embedder
) -> float:
    """The share of short replies under a frame that are fluent and on the subject.

    Every instruction of the first pole is given with every question.

    Raises:
        ModelError: the model or the embedder failed.
    """
    sampling = Sampling(temperature=0.0, max_tokens=REPLY_TOKENS, seed=0)
    questions = dict.fromkeys(probe.question for probe in probes)
    problems = []
    for told in (probe.instructions[0] for probe in probes):
        for question in questions:
            messages = frame.apply([Message(role="user", content=question)], told)
            reply = "".join(model.generate(messages, sampling=sampling))
            problems.append(problem_of(question, reply, instruction=told, embedder=embedder))
    return sum(problem is None for problem in problems) / len(problems)


def _strongest(contrasts: Mapping[str, float]) -> str:
    """The name of the frame with the highest contrast; the default unless it is clearly beaten."""
    default = QUESTION_ORDER.name
    best = max(contrasts, key=lambda name: contrasts[name], default=default)
    if default in contrasts and contrasts[best] < ADVANTAGE * max(contrasts[default], 0.0):
        return default
    return best
