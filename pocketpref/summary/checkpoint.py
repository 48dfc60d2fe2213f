"""Search results kept between two runs, so that an interrupted search resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from pocketpref.errors import NotFoundError
from pocketpref.protocols import Documents, DocumentStore
from pocketpref.records import Document, RedactedRepr
from pocketpref.summary.records import KIND

_NOTES = b"search/"
"""What the notes of a search begin with, which lie beside the summaries."""


# ------------------------------------------------------------------------------------- notes


@dataclass(slots=True, repr=False)
class SearchCheckpoint(RedactedRepr):
    """What a search found so far, so that it can go on where it was stopped.

    Attributes:
        recipe: of the model and the settings; notes under another are of no use.
        margins: text to memory id to anchored margin, nats.
        estimates: text to memory id to first-order estimate of it.
        drafts: what the local model wrote, by what it was asked.
        sources: ids of every memory that had a part in any of it, of earlier runs, too.
        choices: how many choices there were.
    """

    recipe: str
    margins: dict[str, dict[str, float]] = field(default_factory=dict)
    estimates: dict[str, dict[str, float]] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)
    sources: frozenset[str] = frozenset()
    choices: int = 0
    _open = ("recipe", "choices")

    def dump(self) -> bytes:
        """As the content of a document."""
        content = {
            "recipe": self.recipe,
            "margins": self.margins,
            "estimates": self.estimates,
            "drafts": self.drafts,
            "choices": self.choices,
        }
        return _NOTES + json.dumps(content, ensure_ascii=False, sort_keys=True).encode()

    def only(self, ids: frozenset[str]) -> SearchCheckpoint:
        """Without margins of other memories; texts may be made of any of the sources still."""
        return replace(
            self,
            margins=_only(ids, self.margins),
            estimates=_only(ids, self.estimates),
            sources=self.sources | ids,
        )


def _only(ids: frozenset[str], numbers: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Numbers of these memories only, without texts that have none left."""
    found = {
        text: {name: value for name, value in of_text.items() if name in ids}
        for text, of_text in numbers.items()
    }
    return {text: of_text for text, of_text in found.items() if of_text}


def read_checkpoint(store: DocumentStore, recipe: str) -> SearchCheckpoint:
    """The notes of a search under this recipe, or empty ones.

    Raises:
        VaultError: they cannot be read.
    """
    found = last_checkpoint(store)
    return found if found is not None and found.recipe == recipe else SearchCheckpoint(recipe)


def last_checkpoint(store: DocumentStore) -> SearchCheckpoint | None:
    """The notes of the last search, under whatever recipe; None if there are none.

    Raises:
        VaultError: they cannot be read.
    """
    with store.documents() as documents:
        return next(
            (n for d in _checkpoints(documents) if (n := _load_checkpoint(d)) is not None), None
        )


def write_checkpoint(store: DocumentStore, notes: SearchCheckpoint, ids: frozenset[str]) -> bool:
    """Keep notes in place of older ones; they go with the first of their sources forgotten.

    Args:
        store: whose.
        notes: what was found.
        ids: the memories looked at; margins of others are dropped.

    Returns:
        False if a source was forgotten meanwhile: nothing is kept then.
    """
    kept = notes.only(ids)
    with suppress(NotFoundError), store.changing() as documents:
        for document in _checkpoints(documents):
            documents.delete(KIND, document.id)
        documents.insert(KIND, kept.dump(), sorted(kept.sources))
        return True
    return False


def _checkpoints(documents: Documents) -> list[Document]:
    return [d for d in documents.all(KIND) if d.content.startswith(_NOTES)]


def _load_checkpoint(document: Document) -> SearchCheckpoint | None:
    """Notes as they were kept, or None: they can always be made again."""
    with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError):
        content = json.loads(document.content.removeprefix(_NOTES).decode())
        margins, estimates = (_numbers(content.get(kind, {})) for kind in ("margins", "estimates"))
        drafts = {str(key): str(text) for key, text in content["drafts"].items()}
        sources, choices = frozenset(document.sources), int(content["choices"])
        return SearchCheckpoint(
            str(content["recipe"]), margins, estimates, drafts, sources, choices
        )
    return None


def _numbers(content: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {
        str(text): {str(name): float(value) for name, value in found.items()}
        for text, found in content.items()
    }
