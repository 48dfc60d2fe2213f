"""The probe picks the frame that moves a model, and keeps the default where nothing beats it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pocketpref.personalization.frame_probe import (
    PROBES,
    FrameResult,
    probe_frames,
)
from pocketpref.personalization.frames import FRAMES, QUESTION_ORDER, Frame, frame_named
from pocketpref.records import Likelihoods, Message, Vector
from pocketpref.testing import HashEmbedder, ReplyRule, ScriptedModel


class FrameReader(ScriptedModel):
    """A model that follows instructions as strongly as ``strength`` says, by the conversation."""

    def __init__(
        self,
        strength: Callable[[Sequence[Message]], float],
        replies: ReplyRule | None = None,
    ) -> None:
        super().__init__(replies=replies)
        self.strength = strength

    def likelihoods(
        self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
    ) -> Likelihoods:
        told = {
            i: side
            for p in PROBES
            if p.answers == tuple(answers)
            for side, i in enumerate(i.text("order") for i in p.instructions)
        }
        words = np.array([len(answer.split()) for answer in answers])
        totals = np.zeros((len(contexts), len(answers)))
        for row, context in enumerate(contexts):
            text = " ".join(message["content"] for message in context)
            for order, side in told.items():
                if order in text:
                    totals[row, side] += self.strength(context) * words[side]
        return Likelihoods(totals, words)


def follows_system(context: Sequence[Message]) -> float:
    return 1.0 if context[0]["role"] == "system" else 0.2


def test_probe_picks_the_system_frame_for_a_model_that_reads_only_the_system_prompt() -> None:
    orders = [frame_named("system-order"), QUESTION_ORDER, frame_named("opening-order")]
    result = probe_frames(FrameReader(follows_system), orders)
    assert result.frame == "system-order"
    assert result.contrasts["system-order"] == pytest.approx(2.0)
    assert result.contrasts["question-order"] == pytest.approx(0.4)


def test_probe_keeps_the_default_when_frames_do_equally_well() -> None:
    result = probe_frames(FrameReader(lambda _: 0.5), [frame_named("system-order")])
    assert result.frame == QUESTION_ORDER.name


def test_probe_keeps_the_default_for_a_model_that_follows_nothing() -> None:
    assert probe_frames(FrameReader(lambda _: 0.0)).frame == QUESTION_ORDER.name


def test_probe_refuses_a_frame_that_makes_sound_answers_unlikely() -> None:
    model = FrameReader(lambda c: 3.0 if c[0]["role"] == "system" else 0.5)
    assert probe_frames(model, [frame_named("system-order")]).frame == "system-order"

    class Derailed(FrameReader):
        def likelihoods(
            self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
        ) -> Likelihoods:
            found = super().likelihoods(contexts, answers)
            for row, context in enumerate(contexts):
                if context[0]["role"] == "system":
                    found.totals[row] -= 4 * found.tokens
            return found

    derailed = Derailed(model.strength)
    assert probe_frames(derailed, [frame_named("system-order")]).frame == QUESTION_ORDER.name


class AboutFirstWord(HashEmbedder):
    """Two texts have one subject if they begin with the same word."""

    def embed(self, texts: Sequence[str]) -> Vector:
        same = texts[0].split()[0] == texts[-1].split()[0]
        return np.array([[1.0, 0.0], [1.0, 0.0] if same else [0.0, 1.0]], dtype=np.float32)


def test_probe_passes_over_a_frame_that_leaves_the_subject() -> None:
    def reply(messages: Sequence[Message], _: int) -> str:
        last = messages[-1]["content"].splitlines()[-1]
        return f"{last} I say so." if last.endswith("?") else "Friends are nice."

    model = FrameReader(lambda c: 0.8 if c[-1]["content"].endswith("?") else 1.0, replies=reply)
    frames = [frame_named("opening-order")]
    assert probe_frames(model, frames).frame == QUESTION_ORDER.name
    result = probe_frames(model, frames, embedder=AboutFirstWord())
    assert result.frame == "opening-order"
    assert result.sound["question-order"] == 0


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_probe_measures_the_default_frame_in_any_case(frame: Frame) -> None:
    result = probe_frames(FrameReader(lambda _: 0.5), [frame])
    assert set(result.contrasts) == {QUESTION_ORDER.name, frame.name}


def test_result_survives_json() -> None:
    result = probe_frames(FrameReader(follows_system))
    assert FrameResult.from_json(json.loads(json.dumps(result.to_json()))) == result


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"frame": "unknown"},
        {"contrasts": None},
        {"changes": {"a": "b"}},
        {"sound": 1},
    ],
)
def test_malformed_or_old_result_is_not_used(change: dict[str, object]) -> None:
    data = probe_frames(FrameReader(follows_system)).to_json()
    assert FrameResult.from_json({**data, **change}) is None
