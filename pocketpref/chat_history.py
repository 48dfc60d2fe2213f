"""The saved chat: at most one for each user, so that it can be continued.

It is a document like a summary: sealed, padded, and reached by forgetting. It names the choices
that were made in it, and is forgotten with the first of them.
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
"""The kind of its document."""

MOST_CHARACTERS: Final = 100_000
"""The most characters that are saved; the oldest exchanges are dropped. Local models read fewer."""


@dataclass(frozen=True, slots=True, repr=False)
class Exchange(RedactedRepr):
    """A prompt and its current answer.

    Attributes:
        prompt: what the person asked.
        answer: the answer they received, or their own version of it.
        choices: ids of the memories that were recorded from it.
    """

    prompt: str
    answer: str
    choices: tuple[str, ...] = ()
    _open = ("choices",)


def messages(exchanges: Sequence[Exchange]) -> tuple[Message, ...]:
    """Convert exchanges to the earlier turns of a conversation with a model."""
    return tuple(
        message
        for each in exchanges
        for message in (
            Message(role="user", content=each.prompt),
            Message(role="assistant", content=each.answer),
        )
    )


def kept(store: DocumentStore) -> tuple[Exchange, ...]:
    """Return the saved conversation, the oldest exchange first; () if there is none.

    Raises:
        VaultError: it cannot be read.
    """
    with store.documents() as documents:
        found = documents.all(KIND)
    return _load(found[-1]) if found else ()


def forget(store: DocumentStore) -> bool:
    """Forget the saved conversation. Return whether there was one."""
    with store.changing() as documents:
        return _clear(documents)


class ChatRecorder:
    """Saves a conversation as it continues, replacing the one saved before.

    What is forgotten meanwhile, here or by another program, is not saved again.
    """

    def __init__(self, store: DocumentStore, *, go_on: bool = False) -> None:
        """Begin; nothing is changed yet.

        Args:
            store: the user's documents.
            go_on: continue the saved conversation.

        Raises:
            NotFoundError: there is none to continue.
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
        return f"{type(self).__name__}(<{len(self._whole)} exchanges>)"

    def write(self, exchanges: Sequence[Exchange]) -> None:
        """Save the earlier exchanges and these; durable when it returns.

        Args:
            exchanges: all since the recorder was made.

        Raises:
            VaultError: the vault cannot be changed; the version saved before remains.
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
    """The newest exchanges that fit, the oldest of them first."""
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
