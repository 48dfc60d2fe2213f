"""The measures tell answers in known styles apart; the reply cache survives a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from pocketpref.personalization.frames import QUESTION_ORDER
from tools.eval.batched_replies import ReplyCache, Request, draw
from tools.eval.taste_generation import QUESTIONS, asked, effect
from tools.eval.taste_measures import TASTES, Taste, item_share, layout_share

CORPUS = Path(__file__).parent.parent / "data" / "tastes.jsonl"
OPPOSITES = {
    "short": "long", "long": "short", "bullets": "prose", "prose": "bullets",
    "formal": "casual", "casual": "formal", "simple": "expert", "expert": "simple",
}  # fmt: skip


class CountingModel:
    """Writes the last question back, and counts what it was asked."""

    fingerprint = "counting"

    def __init__(self) -> None:
        self.written = 0

    def write(self, requests: Sequence[Request]) -> Iterator[tuple[int, str]]:
        for place, request in reversed(list(enumerate(requests))):
            self.written += 1
            yield place, request.messages[-1]["content"]


@pytest.mark.parametrize("taste", TASTES, ids=lambda taste: taste.name)
def test_measure_tells_a_style_from_its_opposite(taste: Taste) -> None:
    entries = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    wanted = [e["answer"] for e in entries if e["style"] == taste.name]
    against = [e["answer"] for e in entries if e["style"] == OPPOSITES[taste.name]]
    assert taste.shown(wanted) > taste.shown(against)


def test_item_share_counts_marked_lines_alone() -> None:
    assert item_share("Look:\n\n- one\n2. two\n* three\n") == pytest.approx(0.75)
    assert item_share("2 eggs\n-5 degrees\n") == 0
    assert item_share("") == 0


def test_layout_share_counts_headings_and_bold_as_well() -> None:
    assert layout_share("# Eggs\nBoil **long**.\nDone.\nEat.") == pytest.approx(0.5)


def test_requests_of_a_frame_hold_the_order_and_plain_ones_do_not() -> None:
    taste = TASTES[0]
    (plain,) = asked(taste, None, QUESTIONS[:1], 1)
    (framed,) = asked(taste, QUESTION_ORDER, QUESTIONS[:1], 1)
    assert plain.messages[0]["content"] == QUESTIONS[0]
    assert framed.messages[0]["content"].endswith(taste.order)


def test_effect_pairs_replies_to_the_same_question() -> None:
    mean, error = effect([1.0, 10.0, 100.0], [2.0, 11.0, 101.0])
    assert (mean, error) == (1.0, 0.0)


def test_cache_writes_each_reply_once_and_skips_a_torn_line(tmp_path: Path) -> None:
    model = CountingModel()
    requests = asked(TASTES[0], None, QUESTIONS[:2], 1)
    path = tmp_path / "replies.jsonl"
    first = ReplyCache(path).replies(model, [*requests, requests[0]])  # type: ignore[arg-type]
    assert first == [QUESTIONS[0], QUESTIONS[1], QUESTIONS[0]]
    with path.open("a") as file:
        file.write('{"key": "torn')
    more = asked(TASTES[0], None, QUESTIONS[:3], 1)
    assert ReplyCache(path).replies(model, more) == list(QUESTIONS[:3])  # type: ignore[arg-type]
    assert ReplyCache(path).replies(model, more) == list(QUESTIONS[:3])  # type: ignore[arg-type]
    assert model.written == 3


def test_draw_takes_the_likeliest_token_at_temperature_zero() -> None:
    logits = np.linspace(0, 5, 100, dtype=np.float32)
    request = Request((), 0, temperature=0)
    assert draw(logits, request, np.random.default_rng(0)) == 99


def test_draw_follows_the_probabilities_of_the_top_tokens() -> None:
    logits = np.full(100, -20, dtype=np.float32)
    logits[[3, 7]] = [np.log(0.75), np.log(0.25)]
    request = Request((), 0, temperature=1.0)
    random = np.random.default_rng(0)
    drawn = [draw(logits, request, random) for _ in range(2000)]
    assert set(drawn) == {3, 7}
    assert drawn.count(3) / 2000 == pytest.approx(0.75, abs=0.04)
