"""The probe picks the frame that moves a model, and keeps the default where nothing beats it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pocketpref.personalization.frame_probe import (
    CANDIDATES,
    KNOWN_FRAMES,
    QUESTIONS,
    FrameResult,
    frame_for,
    probe_frames,
)
from pocketpref.personalization.frames import FRAMES, QUESTION_ORDER, Frame, frame_named
from pocketpref.records import Message, Vector
from pocketpref.testing import HashEmbedder, ScriptedModel

LONG = "flowers and the sea are kept with cold fresh water and a clean vase by the window"
OPENING = frame_named("opening-order")
SYSTEM = frame_named("system-order")


def follower(obeys: Callable[[Sequence[Message]], bool], derails: str = "nothing") -> ScriptedModel:
    """A model that obeys orders where ``obeys`` says so, and derails where the last line does."""

    def reply(messages: Sequence[Message], _: int) -> str:
        text = " ".join(message["content"] for message in messages)
        if messages[-1]["content"].splitlines()[-1].startswith(derails):
            return "My friends are very nice people."
        if obeys(messages) and "short" in text:
            return "flowers sea"
        if obeys(messages) and "bulleted" in text:
            return "- flowers\n- sea"
        return LONG

    return ScriptedModel(replies=reply)


class SeaEmbedder(HashEmbedder):
    """Tells texts about flowers or the sea from others."""

    def embed(self, texts: Sequence[str]) -> Vector:
        about = ["flowers" in text or "sea" in text for text in texts]
        return np.array([[1.0, 0.0] if it_is else [0.0, 1.0] for it_is in about], dtype=np.float32)


def in_system(messages: Sequence[Message]) -> bool:
    return messages[0]["role"] == "system"


def anywhere(_: Sequence[Message]) -> bool:
    return True


def nowhere(_: Sequence[Message]) -> bool:
    return False


def test_probe_picks_the_system_frame_for_a_model_that_reads_only_the_system_prompt() -> None:
    result = probe_frames(follower(in_system))
    assert result.frame == "system-order"
    assert result.moved["question-order"] == 0
    assert result.moved["system-order"] > 0.8


@pytest.mark.parametrize("obeys", [anywhere, nowhere])
def test_probe_keeps_the_default_when_no_frame_is_better(
    obeys: Callable[[Sequence[Message]], bool],
) -> None:
    assert probe_frames(follower(obeys)).frame == QUESTION_ORDER.name


def test_probe_passes_over_a_frame_that_leaves_the_subject() -> None:
    model = follower(anywhere, derails="Answer casually")
    assert probe_frames(model, frames=[OPENING]).frame == QUESTION_ORDER.name
    result = probe_frames(model, SeaEmbedder(), frames=[OPENING])
    assert result.frame == "opening-order"
    assert result.sound == {"question-order": pytest.approx(2 / 3), "opening-order": 1.0}


def test_empty_replies_are_not_taken_for_short_ones() -> None:
    model = ScriptedModel(replies=lambda messages, _: "" if in_system(messages) else LONG)
    assert probe_frames(model, frames=[SYSTEM]).frame == QUESTION_ORDER.name


def test_probe_writes_six_replies_a_frame_and_two_plain_ones() -> None:
    model = follower(anywhere)
    probe_frames(model)
    assert len(model.conversations) == 6 * len(CANDIDATES) + len(QUESTIONS)


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_probe_measures_the_default_frame_in_any_case(frame: Frame) -> None:
    result = probe_frames(follower(anywhere), frames=[frame])
    assert set(result.moved) == set(result.sound) == {QUESTION_ORDER.name, frame.name}


def test_result_survives_json() -> None:
    result = probe_frames(follower(in_system))
    assert FrameResult.from_json(json.loads(json.dumps(result.to_json()))) == result


@pytest.mark.parametrize(
    "change", [{"version": 0}, {"frame": "unknown"}, {"moved": None}, {"sound": {"a": "b"}}]
)
def test_malformed_or_old_result_is_not_used(change: dict[str, object]) -> None:
    data = probe_frames(follower(in_system)).to_json()
    assert FrameResult.from_json({**data, **change}) is None


def test_measured_models_need_no_probe() -> None:
    assert all(frame_for(model) == frame_named(name) for model, name in KNOWN_FRAMES.items())


def test_unknown_model_has_the_default_until_it_is_probed() -> None:
    result = probe_frames(follower(in_system))
    assert frame_for(result.model) == QUESTION_ORDER
    assert frame_for(result.model, result) == SYSTEM
    assert frame_for("another model", result) == QUESTION_ORDER
