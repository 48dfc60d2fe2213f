"""What models write for one search for a summary: the local model, and a trained summarizer.

Whatever they write is a proposal: it passes the same checks, and is judged by the same choices.
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
from pocketpref.summary.language import ENGLISH
from pocketpref.summary.objective import PopiSettings
from pocketpref.summary.wording import headings

# A trained summarizer: what it is asked, in which form it answers, and where its adapter is found.
#
# It is the local model with an adapter that was trained to write summaries which explain choices
# (``tools/train/popi``). It is asked just as it was in training: of a few choices, by which
# words and marks the answers differ, without their prompts. What it writes is a proposal like any
# other.

FILE_NAME = "popi-summarizer.json"
"""The adapter's manifest; its GGUF file lies beside it."""

_MOST_PIECES = 10
"""Words and marks of an answer that it is shown."""

_MOST_CLAUSES = 4

_QUESTION = "How does this person like to be answered?"


def request(pairs: Sequence[Pair]) -> list[Message]:
    """What the summarizer is asked about some choices."""
    shown = [
        f"Liked {_apart(pair.chosen, pair.rejected)}\nDisliked {_apart(pair.rejected, pair.chosen)}"
        for pair in pairs
    ]
    return [Message(role="user", content="\n\n".join([*shown, _QUESTION]))]


def _apart(text: str, other: str) -> str:
    """How many words an answer has, and which words and marks the other one has not, or less."""
    said = _pieces(text)
    more = Counter(said) - Counter(_pieces(other))
    first = [piece for piece in dict.fromkeys(said) if piece in more][:_MOST_PIECES]
    return f"({len(text.split())}): {' '.join(first)}"


def _pieces(text: str) -> list[str]:
    """Words and marks; a new line is a stroke."""
    return re.findall(r"\w+(?:['\u2019]\w+)?|[^\w\s]", text.replace("\n", " / "))


def heading() -> str:
    """What every answer begins with."""
    return headings("en")[0]


def grammar() -> str:
    """GBNF of an answer: one sentence of one to four clauses."""
    more = ' ("; " clause)?' * (_MOST_CLAUSES - 1)
    return f'root ::= "{heading()} " clause{more} "."\nclause ::= {SYMBOL}{{3,70}}'


def trained_draft(
    model: LanguageModel, signals: Sequence[Signal], draw: int, most: Callable[[], bool]
) -> str | None:
    """What the summarizer writes about some choices; see ``popi_proposals.draft``.

    Raises:
        ModelError: the model failed.
    """
    messages = request([signal.pair for signal in signals])
    return generated(model, messages, grammar(), seed_of(signals, draw), most)


def find(folders: Iterable[Path], base_sha256: str) -> Adapter | None:
    """The first summarizer in these folders that is for a base model; None if there is none.

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
    """Asks the models for drafts; what was written once is noted."""

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
            models: what writes.
            settings: how many drafts of each.
            language: what drafts are written in.
            noted: drafts by a name of what was asked; added to.
            stopped: asked at every piece whether to stop.
        """
        self._models = models
        self._settings = settings
        self._language = language
        self._noted = noted
        self._stopped = stopped
        self._problem = ""
        self._adapter = self._found() if language == ENGLISH else None
        self._worn: LanguageModel | None = None

    def _found(self) -> Adapter | None:
        try:
            return self._models.summarizer()
        except AdapterError as error:
            self._problem = error.message
        return None

    @property
    def count(self) -> int:
        """How many drafts to ask for, for each half: those of the trained summarizer come last."""
        trained = self._adapter or self._problem
        return self._settings.drafts + (self._settings.trained if trained else 0)

    def write(self, signals: Sequence[Signal], draw: int) -> Proposal | Refused | None:
        """One draft as a proposal, or why it is none; None if it was stopped.

        Args:
            signals: the half that it is written for.
            draw: which draft it is, below ``count``.
        """
        number = draw - self._settings.drafts
        if number < 0:
            return self._draft(signals, draw)
        if self._adapter is None:
            return Refused(f"the trained summarizer cannot be used: {self._problem}")
        return self._trained(signals, number, self._adapter)

    def _draft(self, signals: Sequence[Signal], draw: int) -> Proposal | Refused | None:
        seen = shown(signals, draw)
        text = self._noting(
            f"{self._language} {draw} {' '.join(signal.id for signal in seen)}",
            lambda: draft(self._models.model(), seen, self._language, draw, self._stopped),
        )
        return read_draft(text, seen, self._language) if isinstance(text, str) else text

    def _trained(
        self, signals: Sequence[Signal], draw: int, adapter: Adapter
    ) -> Proposal | Refused | None:
        seen = shown(signals, draw)
        text = self._noting(
            f"{adapter.manifest.sha256} {draw} {' '.join(signal.id for signal in seen)}",
            lambda: trained_draft(self._wearing(adapter), seen, draw, self._stopped),
        )
        return read_draft(f"{text}\n", seen, ENGLISH) if isinstance(text, str) else text

    def _noting(self, key: str, write: Callable[[], str | None]) -> str | Refused | None:
        if key not in self._noted:
            try:
                text = write()
            except (AdapterError, ModelError) as error:
                return Refused(f"the model could not write it: {error.message}")
            if text is None:
                return None
            self._noted[key] = text
        return self._noted[key]

    def _wearing(self, adapter: Adapter) -> LanguageModel:
        if self._worn is None:
            self._worn = wearing(self._models.model(), Blend(((adapter, 1.0),)))
        return self._worn

    def close(self) -> None:
        """Take the summarizer's adapter off; a second call does nothing."""
        if self._worn is not None:
            self._worn.close()
            self._worn = None
