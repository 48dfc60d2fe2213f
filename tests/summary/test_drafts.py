"""A trained summarizer's drafts: proposals like any other, wherever one is there for the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pocketpref.backends.llama import LlamaModel
from pocketpref.components import Components
from pocketpref.errors import AdapterError
from pocketpref.lora import Adapter, AdapterManifest, Base, Blend, lora_bytes
from pocketpref.lora.blend import wearing
from pocketpref.models.bundled import models_folder
from pocketpref.records import Pair
from pocketpref.summary import drafts
from pocketpref.summary.candidates import Proposal, Refused, read_draft
from pocketpref.summary.drafts import Drafting
from pocketpref.summary.evidence import Signal
from pocketpref.summary.objective import PopiSettings
from tests.summary.conftest import FUNNY, SHORT, Writer, choice, summarize_run

SIGNALS = [
    Signal(f"{n}", Pair(f"prompt {n}", f"brief {n}", f"lengthy {n}"), 1.0, f"prompt {n}")
    for n in range(8)
]


class Wearable(Writer):
    """A scripted model that says something else with an adapter on."""

    def __init__(self, trained: str) -> None:
        super().__init__()
        self.trained = Writer(trained)
        self.worn = 0
        self.closed = 0

    def adapted(self, blend: Blend) -> Writer:
        self.worn += len(blend.parts)
        self.trained.close = self.note_closed  # type: ignore[method-assign]  # counted here
        return self.trained

    def note_closed(self) -> None:
        self.closed += 1


def adapter() -> Adapter:
    """An adapter of one small matrix, with its manifest."""
    matrix = np.ones((1, 4), dtype=np.float32)
    data = lora_bytes(
        {"blk.0.attn_q.weight": (matrix, matrix.T)}, architecture="llama", alpha=1.0, name="one"
    )
    digest = hashlib.sha256(data).hexdigest()
    base = Base("starter", "ab" * 32, "llama")
    manifest = AdapterManifest(
        "popi-summarizer", "popi-summarizer.gguf", base, digest, len(data), 1, 1.0, ("attn_q",),
        "Apache-2.0", "by hand",
    )  # fmt: skip
    return Adapter(manifest, data)


def drafting(parts, **settings) -> Drafting:
    return Drafting(parts.summary_models, PopiSettings(**settings), "en", {}, lambda: False)


@pytest.fixture
def trained(parts) -> Components:
    """Parts whose model has a summarizer, which always writes that answers should be funny."""
    model = Wearable(f"The user prefers answers that are {FUNNY}.")
    return replace(parts, model=lambda: model, summarizer=adapter)


def test_without_a_summarizer_only_the_model_is_asked(parts):
    assert drafting(parts, drafts=2, trained=3).count == 2


def test_its_drafts_join_those_of_the_model(trained):
    writing = drafting(trained, drafts=1, trained=2)
    found = [writing.write(SIGNALS, draw) for draw in range(writing.count)]
    assert [type(one) for one in found] == [Proposal] * 3
    assert [c.text for c in found[1].clauses] == [c.text for c in found[2].clauses] == [FUNNY]
    assert found[1].seen == {"0", "1", "2", "3"}, "what it saw cannot judge it"
    assert found[2].seen == {"4", "5", "6", "7"}
    writing.close()
    assert (trained.model().worn, trained.model().closed) == (1, 1)


def test_another_language_is_left_to_the_model(trained):
    settings = PopiSettings(drafts=2)
    assert Drafting(trained.summary_models, settings, "de", {}, lambda: False).count == 2


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("The user prefers answers that are kind; kind.", "repeats"),
        ("I am sorry.", "form"),
        ("The user prefers answers that are brief one brief two brief three.", "copies"),
    ],
)
def test_what_it_writes_passes_the_same_checks(parts, said, reason):
    copied = "brief one brief two brief three"
    signals = [replace(s, pair=replace(s.pair, chosen=copied)) for s in SIGNALS]
    model = Wearable(said)
    worn = replace(parts, model=lambda: model, summarizer=adapter)
    found = drafting(worn, drafts=0).write(signals, 0)
    assert isinstance(found, Refused)
    assert reason in found.reason


def test_one_that_cannot_be_read_is_told_and_keeps_nothing_from_going_on(parts, writer):
    def broken() -> Adapter:
        raise AdapterError("the adapter's manifest is no JSON object")

    parts.store.add_many(choice(n) for n in range(24))
    report = summarize_run(replace(parts, summarizer=broken)).run()
    assert report.summary is not None
    assert SHORT in report.summary.text
    told = [reason for reason, _ in report.refused]
    assert told == [
        "the trained summarizer cannot be used: the adapter's manifest is no JSON object"
    ]


def test_a_model_that_wears_nothing_is_told(parts):
    found = drafting(replace(parts, summarizer=adapter), drafts=0).write(SIGNALS, 0)
    assert isinstance(found, Refused)
    assert "takes no adapters" in found.reason


def test_its_draft_wins_where_it_explains_most(trained):
    """No attribute was ever compared here: funny is found because the summarizer says so."""
    trained.store.add_many(choice(n, likes="haha", other=f"hmm{n}") for n in range(24))
    report = summarize_run(trained, settings=PopiSettings(wordings=0, opposites=0)).run()
    assert report.summary is not None
    assert report.summary.text == f"The user prefers answers that are {FUNNY}."
    assert report.summary.origin == "model"


def test_what_it_was_asked_once_is_noted(trained):
    writing, noted = drafting(trained, drafts=0), {}
    for _ in range(2):
        writing = Drafting(
            trained.summary_models, PopiSettings(drafts=0), "en", noted, lambda: False
        )
        writing.write(SIGNALS, 0)
    assert trained.model().trained.drafts == 1


def test_a_run_that_is_stopped_asks_no_further(trained):
    writing = Drafting(trained.summary_models, PopiSettings(drafts=0), "en", {}, lambda: True)
    assert writing.write(SIGNALS, 0) is None


# ------------------------------------------------------------------------------- the request


def test_it_is_shown_how_long_answers_are_and_how_they_differ_and_no_prompts():
    pair = Pair(
        "What about Ada Miller?", "Oh, it's blue! The sky is.", "The sky is blue.\nSo is tea."
    )
    (message,) = drafts.request([pair])
    assert "Miller" not in message["content"]
    assert "Liked (6): Oh , it's !\n" in message["content"]
    assert "Disliked (7): is . / So tea\n" in message["content"]


def test_of_answers_that_have_nothing_in_common_it_sees_little():
    words = [" ".join(f"{letter}{n}" for n in range(400)) for letter in "ab"]
    (message,) = drafts.request([Pair("p", *words)])
    assert len(message["content"]) < 200


def test_it_is_found_for_its_base_only(tmp_path):
    one = adapter()
    (tmp_path / one.manifest.file).write_bytes(one.data)
    (tmp_path / drafts.FILE_NAME).write_bytes(one.manifest.dump())
    folders = (tmp_path / "nothing", tmp_path)
    found = drafts.find(folders, "ab" * 32)
    assert found is not None
    assert (found.manifest, found.data) == (one.manifest, one.data)
    assert drafts.find(folders, "cd" * 32) is None


def test_a_damaged_manifest_is_refused(tmp_path):
    (tmp_path / drafts.FILE_NAME).write_text("{")
    with pytest.raises(AdapterError):
        drafts.find((tmp_path,), "ab" * 32)


TEXTS = (
    "Rust is what iron becomes when it meets oxygen and water. Salt makes it faster.",
    "A tide is the rise of the sea. The moon pulls the water, and so does the sun.",
    "Yeast eats sugar and gives off gas. The gas makes the dough rise in an hour.",
    "A compass needle is a small magnet. It turns until it points to the north.",
)


@pytest.fixture(scope="module")
def starter(starter_path: Path) -> Iterator[LlamaModel]:
    with closing(LlamaModel(starter_path)) as model:
        yield model


LIKED = {
    "excited": lambda text: f"Wow, what a topic! {text.replace('.', '!')}",
    "numbered steps": lambda text: "1. {}.\n2. {}".format(*text.split(". ")),
    "question": lambda text: f"{text} Would you like to know more?",
    "sayings": lambda text: f"{text} As the old saying goes, knowledge is power.",
}


def test_the_summarizer_that_comes_along_reads_what_is_liked(starter):
    """The real model under the real adapter, asked as the device asks it."""
    found = drafts.find([models_folder() / "adapters"], starter.fingerprint)
    assert found is not None
    worn = wearing(starter, Blend(((found, 1.0),)))
    read = []
    for said, write in LIKED.items():
        signals = [
            Signal(str(n), Pair(f"Question {n}?", write(text), text), 1.0, f"Question {n}?")
            for n, text in enumerate(TEXTS)
        ]
        text = drafts.trained_draft(worn, signals, 0, lambda: False)
        assert isinstance(read_draft(f"{text}\n", signals, "en"), Proposal)
        read.append(said in text)
    worn.close()
    assert sum(read) >= len(LIKED) - 1
