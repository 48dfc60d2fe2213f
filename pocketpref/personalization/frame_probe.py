"""Find the frame that moves a model, by the likelihood of fixed answers in known styles.

For one question there are two sound answers in opposite styles, and an order for either. The
contrast of a frame is what the right order adds to the right answer, compared with the opposite
order, in nats a token:

    contrast = (l(A | order A) - l(B | order A)) - (l(A | order B) - l(B | order B))

with l(answer | context) the mean log-likelihood of a token. Nothing is generated: the whole probe
costs about as much as reading two pages of text. What any added line does to every answer cancels,
for both contexts have one.

The probe asks about style and layout, not about length: the end of a reply is not part of a
likelihood, so that an order for short answers shows in a likelihood only weakly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pocketpref.personalization.frames import FRAMES, QUESTION_ORDER, Frame, Instruction
from pocketpref.protocols import LanguageModel
from pocketpref.records import Message

PROBE_VERSION: Final = 1
"""Changes with the texts below: a result of another version is not used."""

ADVANTAGE: Final = 1.1
"""How many times the default frame's contrast another frame needs to replace it: on three models
the contrasts of one frame from one question to the next differ by about a tenth."""

LEAST_LIKELIHOOD_CHANGE: Final = -0.1
"""A frame that makes the wanted, sound answers less likely than the plain question does, by more
than this many nats a token, takes the model off the subject."""


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
    """

    model: str
    frame: str
    contrasts: Mapping[str, float]
    changes: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON, for the caller's cache."""
        return {
            "version": PROBE_VERSION,
            "model": self.model,
            "frame": self.frame,
            "contrasts": dict(self.contrasts),
            "changes": dict(self.changes),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> FrameResult | None:
        """Return a cached result, or None if another version wrote it or it is malformed."""
        names = {frame.name for frame in FRAMES}
        try:
            contrasts = {str(k): float(v) for k, v in data["contrasts"].items()}
            changes = {str(k): float(v) for k, v in data["changes"].items()}
            result = cls(str(data["model"]), str(data["frame"]), contrasts, changes)
        except (KeyError, TypeError, ValueError, AttributeError):
            return None
        return result if data.get("version") == PROBE_VERSION and result.frame in names else None


def probe_frames(
    model: LanguageModel,
    frames: Sequence[Frame] = FRAMES,
    probes: Sequence[StyleProbe] = PROBES,
) -> FrameResult:
    """Measure which frame moves a model most.

    Args:
        model: to probe; about 2,000 tokens are read, none is generated.
        frames: the candidates; the default frame is measured in any case.
        probes: questions with answers in opposite styles.

    Raises:
        ModelError: the model failed.
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
    return FrameResult(model.fingerprint, _best(contrasts, changes), contrasts, changes)


def _best(contrasts: Mapping[str, float], changes: Mapping[str, float]) -> str:
    """The name of the frame with the highest contrast; the default unless it is clearly beaten."""
    usable = [
        name
        for name, contrast in contrasts.items()
        if math.isfinite(contrast) and changes[name] >= LEAST_LIKELIHOOD_CHANGE
    ]
    default = QUESTION_ORDER.name
    best = max(usable, key=lambda name: contrasts[name], default=default)
    if default in usable and contrasts[best] < ADVANTAGE * max(contrasts[default], 0.0):
        return default
    return best
