"""What a back end must do. The rooms above know these shapes and no library behind them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pocketpref.records import (
    Counts,
    Document,
    Effort,
    Feedback,
    Forgotten,
    Learned,
    Likelihoods,
    Memory,
    Message,
    Sampling,
    Vector,
)

if TYPE_CHECKING:
    pass


@runtime_checkable
class LanguageModel(Protocol):
    """A causal language model with a chat template. Safe to call from several threads."""

    @property
    def name(self) -> str:
        """For people: the handle or file name it was loaded by."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the weights, which tells one model from another."""

    @property
    def context_size(self) -> int:
        """Longest conversation it takes, in tokens."""

    def likelihoods(
        self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
    ) -> Likelihoods:
        """Log p(answer | context) for every context and answer, in nats.

        Contexts that begin alike share the work of their common beginning. The end-of-turn token
        is not part of an answer.

        Args:
            contexts: conversations ending with a user turn.
            answers: what the assistant might say next.

        Raises:
            ModelError: the model failed.
        """

    def estimates(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        signs: Sequence[float],
    ) -> NDArray[np.float64] | None:
        """Roughly what each context does to sum(sign * log p(answer)), shape (contexts,).

        Only the order means something: it tells which contexts are worth ``likelihoods``, at a
        fraction of the cost. A model that has no cheap way returns None.

        Args:
            contexts: conversations that differ in a few words.
            answers: what the assistant might say next.
            signs: one for each answer.

        Raises:
            ModelError: the model failed.
        """

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        grammar: str | None = None,
    ) -> Iterator[str]:
        """Stream a reply as pieces of text.

        Args:
            messages: the conversation; the oldest turns are dropped if it does not fit.
            sampling: how to draw; None for the defaults.
            stop: texts at which the reply ends (not included in it).
            grammar: a GBNF grammar that the reply must follow.

        Raises:
            ModelError: the model failed.
        """

    def close(self) -> None:
        """Free the weights. The model must not be used afterwards."""


@runtime_checkable
class Embedder(Protocol):
    """Maps texts to points such that texts of one meaning lie close. Safe to call from threads."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def fingerprint(self) -> str:
        """Tells one embedder from another: vectors of different ones are never compared."""

    @property
    def relevance(self) -> float:
        """The cosine from which on two prompts count as related (measured for this embedder)."""

    def embed(self, texts: Sequence[str]) -> Vector:
        """Embeddings of unit length, float32, shape (len(texts), dimensions).

        Raises:
            ModelError: the embedder failed.
        """


@runtime_checkable
class KeyStore(Protocol):
    """Custody of the key that opens a vault: it wraps the vault's master key and unwraps it.

    Implementations: a key file, a passphrase, the operating system's keyring.
    """

    @property
    def kind(self) -> str:
        """``"key-file"``, ``"passphrase"``, ``"keyring"`` or ``"ephemeral"``."""

    def describe(self) -> str:
        """In words, for ``status``; names no secret."""

    def wrap(self, master: bytes, vault_id: bytes) -> bytes:
        """Seal the master key (32 bytes) for keeping in the vault's header.

        Raises:
            KeyMissingError, KeyringError: there is no key to wrap with.
        """

    def unwrap(self, wrapped: bytes, vault_id: bytes) -> bytes:
        """Open what ``wrap`` made.

        Raises:
            KeyMissingError, KeyringError: there is no key.
            WrongKeyError: there is one, but not for this vault.
        """


class Lesson(Protocol):
    """What recall needs of a `Learned`, which is one."""

    @property
    def memory_id(self) -> str:
        """The memory it was derived from."""

    @property
    def vector(self) -> Vector:
        """The prompt's embedding, unit length, shape (dimensions,)."""

    @property
    def prompt_digest(self) -> bytes:
        """SHA-256 of the prompt."""

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes that explain the choice."""

    @property
    def objective(self) -> float:
        """Anchored margin of all of them together, nats."""

    @property
    def effort(self) -> Effort:
        """How thorough the search was."""

    @property
    def recipe(self) -> str:
        """Fingerprint of what it was learned with."""


class Documents(Protocol):
    """A user's documents, sealed beside the pairs, for as long as a transaction lasts.

    Kinds: ``summary``, ``statement`` (a preference in the person's own words), ``verdict`` (what
    "auto" applies), ``policy`` (the one in force), ``adapter`` (made for the person),
    ``conversation`` (a chat that is kept), ``grant``, ``release`` (an entry of the log of what
    left), ``released`` (the bytes that left), ``api-key``.
    """

    def all(self, kind: str) -> list[Document]:
        """Every document of a kind, the oldest first."""

    def get(self, kind: str, name: str) -> Document | None:
        """One document, or None."""

    def insert(self, kind: str, content: bytes, sources: Sequence[str] = ()) -> str:
        """Keep a new document. Returns its id.

        Raises:
            NotFoundError: one of the sources has been forgotten meanwhile.
        """

    def put(self, kind: str, name: str, content: bytes, sources: Sequence[str] = ()) -> None:
        """Keep a document under an id, in place of an older one; raises what ``insert`` does."""

    def delete(self, kind: str, name: str) -> None:
        """Remove a document; one that is not there stays away."""


@runtime_checkable
class DocumentStore(Protocol):
    """Gives access to one user's documents. Safe to use from several threads and processes."""

    @property
    def restored(self) -> int:
        """How many times an older copy of the vault was knowingly accepted for the present one.

        What was allowed before such a time may have been revoked in what was lost.
        """

    def documents(self) -> AbstractContextManager[Documents]:
        """One consistent view to read from.

        Raises:
            VaultError: it cannot be read.
        """

    def changing(self) -> AbstractContextManager[Documents]:
        """One change: read and write; durable when the block ends, undone if it raises.

        Nobody else changes anything meanwhile, in another process either. Inside the block nothing
        else of the store may be called.

        Raises:
            VaultError: it cannot be changed.
        """


@runtime_checkable
class MemoryStore(DocumentStore, Protocol):
    """One user's part of a vault. Safe to use from several threads and processes."""

    @property
    def user(self) -> str:
        """The name it was opened under."""

    def add(self, feedback: Feedback) -> str:
        """Keep a pair; durable on return. Returns its id.

        Raises:
            VaultError: it could not be kept; nothing was changed.
        """

    def add_many(self, feedback: Iterable[Feedback]) -> list[str]:
        """Keep many pairs in one transaction: all of them or none."""

    def get(self, memory_id: str) -> Memory:
        """One memory.

        Raises:
            NotFoundError: there is none of this id.
        """

    def memories(self) -> Iterator[Memory]:
        """All memories, the newest (last added) first."""

    def pending(self, recipe: str, effort: Effort = Effort.DEFAULT) -> list[str]:
        """Ids of memories that wait to be learned, newest first.

        First those that have no ``Learned`` of this recipe, then those whose search was less
        thorough than ``effort``.
        """

    def put_learned(self, learned: Learned) -> bool:
        """Keep the indexed form of a memory, replacing an older one; durable on return.

        Returns:
            False if the memory has been forgotten meanwhile; nothing is kept then.
        """

    def learned(self, recipe: str) -> list[Learned]:
        """Everything indexed under this recipe, newest memory first."""

    def lessons(self, recipe: str) -> Sequence[Lesson]:
        """The same, as far as recall needs it: the same object until one of them changes."""

    def forget(self, ids: Sequence[str], *, dry_run: bool = False) -> Forgotten:
        """Remove memories and everything derived from them, from free pages and WAL too.

        Raises:
            NotFoundError: one of the ids is unknown; nothing was removed.
        """

    def forget_everything(self) -> None:
        """Destroy this user's key, then their records."""

    def counts(self) -> Counts:
        """How many memories there are, and how many of them are indexed."""

    def version(self) -> int:
        """A number that changes whenever any process changed the vault: caches compare it."""


class MemoryVersion:
    """A token that changes when a person's memories do, and with no other change of the vault."""

    def __init__(self, store: MemoryStore) -> None:
        """Watch one person's memories."""
        self._store = store
        self._seen: tuple[int, Hashable] | None = None

    def __call__(self) -> Hashable:
        """Return the token. Cheap while nothing in the vault changes."""
        version = self._store.version()
        if self._seen is None or self._seen[0] != version:
            newest = next(self._store.memories(), None)
            self._seen = version, (self._store.counts().memories, newest and newest.id)
        return self._seen[1]


class ModelLoader(Protocol):
    """Loads a language model when it is first needed."""

    def __call__(self) -> LanguageModel:
        """The model; the same object on every call."""


EmbedderLoader = Callable[[], Embedder]
