"""A person in a real vault, with a scripted model that also writes drafts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketpref.attributes import AttributeBank
from pocketpref.components import Components
from pocketpref.methods.exact import Exact
from pocketpref.records import Feedback, Message, Pair, Sampling
from pocketpref.summary.run import SummarizeRun
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile

SHORT, LONG, FUNNY = "short and to the point", "long and detailed", "funny and playful"
TASTES = {
    SHORT: {"brief": 4.0, "lengthy": -4.0},
    LONG: {"brief": -4.0, "lengthy": 4.0},
    FUNNY: {"haha": 3.0},
}
DRAFT = (
    "The user prefers answers that are kind and warm.\nThe user dislikes answers that are rude.\n"
)
START = datetime(2026, 3, 1, tzinfo=UTC)


class Writer(ScriptedModel):
    """A scripted model that writes drafts: a grammar is promised to hold by the reply given."""

    def __init__(self, draft: str = DRAFT) -> None:
        super().__init__(TASTES, replies=lambda messages, draw: self.draft)
        self.draft = draft
        self.drafts = 0
        self.estimated = 0
        self.compared = 0

    def estimates(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        signs: Sequence[float],
    ) -> NDArray[np.float64]:
        """Counts choices, and texts compared on them."""
        self.estimated += 1
        self.compared += len(contexts)
        return super().estimates(contexts, answers, signs)

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        grammar: str | None = None,
    ) -> Iterator[str]:
        self.drafts += 1
        sampling = replace(sampling or Sampling(), max_tokens=10_000)
        return super().generate(messages, sampling=sampling, stop=stop)


def choice(
    number: int, *, likes: str = "brief", days: float = 0, other: str = "lengthy", **meta: object
) -> Feedback:
    """A choice of one answer with a word over one with another word."""
    return Feedback(
        Pair(f"question {number} about thing{number}", f"{likes} {number}", f"{other} {number}"),
        created=START + timedelta(days=days),
        meta=meta,
    )


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def parts(tmp_path: Path, writer: Writer) -> Iterator[Components]:
    """What a Pocket works with: a real vault, a scripted model, an embedder that counts words."""
    with Vault.create(tmp_path / "vault.db", KeyFile.make(tmp_path / "key")) as vault:
        embedder = HashEmbedder()
        bank = AttributeBank.standard()
        yield Components(
            store=vault.store("ada"),
            bank=bank,
            method=Exact(bank),
            recipe=lambda: "recipe",
            noise=lambda: 0.0,
            model=lambda: writer,
            scorer=lambda: writer,
            embedder=lambda: embedder,
            about=dict,
        )


def summarize_run(parts, budget=None, tell=lambda _: None, settings=None) -> SummarizeRun:
    """A run on the components of a test."""
    return SummarizeRun(
        parts.store,
        parts.bank,
        parts.summary_models,
        parts.recipe,
        budget=budget,
        on_progress=tell,
        settings=settings,
    )
