"""Drafts of a summary by the local model and by a trained summarizer.

The trained summarizer is the local model with an adapter that was trained to write summaries which
explain choices (``tools/train/popi``). Its request is that of its training: a few choices, by the
words and marks in which the answers differ, without their prompts. The drafts of both are proposals
like any other: they pass the same checks, and are judged by the same choices.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pocketpref.errors import AdapterError, ModelError
from pocketpref.lora import Adapter, AdapterManifest, Blend
from pocketpref.lora.blend import wearing
from pocketpref.protocols import EmbedderLoader, LanguageModel, ModelLoader
from pocketpref.records import Message, Pair
from pocketpref.summary.candidates import (
    SYMBOL,
    Proposal,
    Refused,
    draft,
    generated,
    read_draft,
    seed_of,
    shown,
)
from pocketpref.summary.evidence import Signal
from pocketpref.summary.objective import PopiSettings
from pocketpref.summary.wording import ENGLISH, headings

FILE_NAME = "popi-summarizer.json"
"""The summarizer's manifest; its GGUF file is in the same folder."""

_MOST_PIECES = 10
"""Words and marks of an answer that the summarizer is shown."""

_MOST_CLAUSES = 4

_QUESTION = "How does this person like to be answered?"


def request(pairs: Sequence[Pair]) -> list[Message]:
    """Return the summarizer's request about some choices."""
    shown = [
        f"Liked {_apart(pair.chosen, pair.rejected)}\nDisliked {_apart(pair.rejected, pair.chosen)}"
        for pair in pairs
    ]
    return [Message(role="user", content="\n\n".join([*shown, _QUESTION]))]


def _apart(text: str, other: str) -> str:
    """An answer's number of words, and the words and marks that it has more often than another."""
    said = _pieces(text)
    more = Counter(said) - Counter(_pieces(other))
    first = [piece for piece in dict.fromkeys(said) if piece in more][:_MOST_PIECES]
    return f"({len(text.split())}): {' '.join(first)}"


def _pieces(text: str) -> list[str]:
    """Words and marks; a line break counts as a slash."""
    return re.findall(r"\w+(?:['\u2019]\w+)?|[^\w\s]", text.replace("\n", " / "))


def heading() -> str:
    """Return the beginning of every answer."""
    return headings("en")[0]


def grammar() -> str:
    """Return the GBNF of an answer: one sentence of one to four clauses."""
    more = ' ("; " clause)?' * (_MOST_CLAUSES - 1)
    return f'root ::= "{heading()} " clause{more} "."\nclause ::= {SYMBOL}{{3,70}}'


def trained_draft(
    model: LanguageModel, signals: Sequence[Signal], draw: int, most: Callable[[], bool]
) -> str | None:
    """Return what the summarizer writes about some choices; see ``candidates.draft``.

    Raises:
        ModelError: the model failed.
    """
    messages = request([signal.pair for signal in signals])
    return generated(model, messages, grammar(), seed_of(signals, draw), most)


def find(folders: Iterable[Path], base_sha256: str) -> Adapter | None:
    """Return the first summarizer in these folders for a base model, or None.

    Raises:
        AdapterError: a folder has one that cannot be read.
    """
    for folder in folders:
        path = folder / FILE_NAME
        if path.is_file():
            manifest = AdapterManifest.load(path)
            if manifest.base.sha256 == base_sha256:
                return Adapter.load(path, folder / manifest.file)
    return None


@dataclass(frozen=True, slots=True)
class SummaryModels:
    """The models that write and judge summaries, each loaded when it is first needed.

    Attributes:
        model: loads the model that replies; it writes drafts.
        scorer: loads the model that scores.
        embedder: loads the embedder.
        summarizer: reads the adapter that makes ``model`` write summaries, or None.
    """

    model: ModelLoader
    scorer: ModelLoader
    embedder: EmbedderLoader
    summarizer: Callable[[], Adapter | None] = lambda: None


class Drafting:
    """Asks the models for drafts, and keeps each for later runs."""

    def __init__(
        self,
        models: SummaryModels,
        settings: PopiSettings,
        language: str,
        noted: MutableMapping[str, str],
        stopped: Callable[[], bool],
    ) -> None:
        """Look for a trained summarizer; it writes English only.

        Args:
            models: the models.
            settings: how many drafts of each.
            language: of the drafts.
            noted: drafts by a key of the request; added to.
            stopped: asked at every piece whether to stop.
        """
        self._models = models
        self._settings = settings
        self._language = language
        self._noted = noted
        self._stopped = stopped
        self._problem = ""
        self._adapter: Adapter | None = None
        self._worn: LanguageModel | None = None
        if language == ENGLISH:
            try:
                self._adapter = models.summarizer()
            except AdapterError as error:
                self._problem = error.message

    @property
    def count(self) -> int:
        """Drafts to ask for, for each half; those of the trained summarizer come last."""
        trained = self._adapter or self._problem
        return self._settings.drafts + (self._settings.trained if trained else 0)

    def write(self, signals: Sequence[Signal], draw: int) -> Proposal | Refused | None:
        """Return one draft as a proposal, or the reason to refuse it; None if it was stopped.

        Args:
            signals: the half that it is written for.
            draw: number of the draft, below ``count``.
        """
        adapter, trained_draw = self._adapter, draw - self._settings.drafts
        if trained_draw < 0:
            seen = shown(signals, draw)
            text = self._noting(
                f"{self._language} {draw} {' '.join(signal.id for signal in seen)}",
                lambda: draft(self._models.model(), seen, self._language, draw, self._stopped),
            )
            return read_draft(text, seen, self._language) if isinstance(text, str) else text
        if adapter is None:
            return Refused(f"the trained summarizer cannot be used: {self._problem}")

        def write() -> str | None:
            if self._worn is None:
                self._worn = wearing(self._models.model(), Blend(((adapter, 1.0),)))
            return trained_draft(self._worn, seen, trained_draw, self._stopped)

        seen = shown(signals, trained_draw)
        ids = " ".join(signal.id for signal in seen)
        text = self._noting(f"{adapter.manifest.sha256} {trained_draw} {ids}", write)
        return read_draft(f"{text}\n", seen, ENGLISH) if isinstance(text, str) else text

    def _noting(self, key: str, write: Callable[[], str | None]) -> str | Refused | None:
        """The draft of a key, written unless an earlier run did; None if it was stopped."""
        if key not in self._noted:
            try:
                text = write()
            except (AdapterError, ModelError) as error:
                return Refused(f"the model could not write it: {error.message}")
            if text is None:
                return None
            self._noted[key] = text
        return self._noted[key]

    def close(self) -> None:
        """Take the summarizer's adapter off; a second call does nothing."""
        if self._worn is not None:
            self._worn.close()
            self._worn = None
