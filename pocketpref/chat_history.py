"""The one chat that is kept, if its person wants that, so that it can be gone on with.

It is a document like a summary: sealed, padded, part of what forgetting reaches. It names the
choices that were made in it, and goes with the first of them that is forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pocketpref.errors import NotFoundError, TamperedError
from pocketpref.protocols import Documents, DocumentStore
from pocketpref.records import Document, Message, RedactedRepr

KIND: Final = "conversation"
"""The kind of document that it is kept as."""

MOST_CHARACTERS: Final = 100_000
"""Of all that is kept; the oldest exchanges are left out. A model here reads less at once."""


@dataclass(frozen=True, slots=True, repr=False)
class Exchange(RedactedRepr):
    """A prompt, and the answer to it that stands.

    Attributes:
        prompt: what the person asked.
        answer: what they were answered, or made of the answer.
        choices: ids of what was remembered of it.
    """

    prompt: str
    answer: str
    choices: tuple[str, ...] = ()
    _open = ("choices",)


def messages(exchanges: Sequence[Exchange]) -> tuple[Message, ...]:
    """As the earlier turns of a conversation with a model."""
    return tuple(
        message
        for each in exchanges
        for message in (
            Message(role="user", content=each.prompt),
            Message(role="assistant", content=each.answer),
        )
    )


def kept(store: DocumentStore) -> tuple[Exchange, ...]:
    """The conversation that is kept, the oldest exchange first; () if none is.

    Raises:
        VaultError: it cannot be read.
    """
    with store.documents() as documents:
        found = documents.all(KIND)
    return _load(found[-1]) if found else ()


def forget(store: DocumentStore) -> bool:
    """Forget the conversation that is kept. Returns whether there was one."""
    with store.changing() as documents:
        return _clear(documents)


class ChatRecorder:
    """Keeps a conversation as it goes on, in place of the one that was kept before.

    What is forgotten meanwhile, here or by another program, is not written down again.
    """

    def __init__(self, store: DocumentStore, *, go_on: bool = False) -> None:
        """Begin; nothing is changed yet.

        Args:
            store: whose.
            go_on: with the conversation that is kept.

        Raises:
            NotFoundError: there is none to go on with.
        """
        self._store = store
        with store.documents() as documents:
            found = documents.all(KIND) if go_on else []
        if go_on and not found:
            raise NotFoundError(
                "no conversation is kept", hint="`pocketpref chat --keep` keeps one"
            )
        self.earlier: tuple[Exchange, ...] = _load(found[-1]) if found else ()
        self._name = found[-1].id if found else None
        self._whole = self.earlier
        self._first = 0
        self._ended = False

    def __repr__(self) -> str:
        return f"Notebook(<{len(self._whole)} exchanges>)"

    def write(self, exchanges: Sequence[Exchange]) -> None:
        """Keep the earlier exchanges and these; durable when it returns.

        Args:
            exchanges: all since the notebook was begun.

        Raises:
            VaultError: the vault cannot be changed; what was kept before still is.
        """
        whole = (*self.earlier, *exchanges)
        if self._ended or whole == self._whole:
            return
        try:
            with self._store.changing() as documents:
                self._put(documents, whole)
        except NotFoundError:  # a choice of it was forgotten this moment
            self._name, self._first = None, len(whole)
        self._whole = whole

    def _put(self, documents: Documents, whole: Sequence[Exchange]) -> None:
        gone = self._name is not None and documents.get(KIND, self._name) is None
        if gone and documents.all(KIND):
            self._ended = True  # another chat took its place
            return
        if gone:
            self._name, self._first = None, len(self._whole)
        fitting = _newest(whole[self._first :])
        sources = list(dict.fromkeys(name for each in fitting for name in each.choices))
        if self._name is not None and fitting:
            documents.put(KIND, self._name, _dump(fitting), sources)
            return
        _clear(documents)
        self._name = documents.insert(KIND, _dump(fitting), sources) if fitting else None


def _clear(documents: Documents) -> bool:
    found = documents.all(KIND)
    for document in found:
        documents.delete(KIND, document.id)
    return bool(found)


def _newest(exchanges: Sequence[Exchange]) -> list[Exchange]:
    """As many of the newest as may be kept, the oldest of them first."""
    room, fitting = MOST_CHARACTERS, list[Exchange]()
    for each in reversed(exchanges):
        room -= len(each.prompt) + len(each.answer)
        if room < 0:
            break
        fitting.insert(0, each)
    return fitting


def _dump(exchanges: Sequence[Exchange]) -> bytes:
    content = [[each.prompt, each.answer, list(each.choices)] for each in exchanges]
    return json.dumps(content, ensure_ascii=False).encode()


def _load(document: Document) -> tuple[Exchange, ...]:
    # Raised outside of the handler: the decoder's error holds the text.
    with suppress(TypeError, ValueError, RecursionError):
        content = json.loads(document.content.decode())
        found = [Exchange(prompt, answer, tuple(names)) for prompt, answer, names in content]
        texts = [text for each in found for text in (each.prompt, each.answer, *each.choices)]
        if found and all(isinstance(text, str) for text in texts):
            return tuple(found)
    raise TamperedError(
        "the conversation in the vault is not in a form that this version can read",
        hint="it may come from a later version; `pocketpref forget --chat` forgets it",
    )
