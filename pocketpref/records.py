"""The nouns of the library: frozen records that pass between its rooms.

A record that holds a person's text shows only its size in ``repr``, so that no log line, traceback
or debugger print-out can carry it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import PairError

MAX_TEXT_CHARACTERS = 1_000_000
"""Longest prompt or answer that is kept, in characters; the models read far less."""

Role = Literal["system", "user", "assistant"]
Origin = Literal["user", "import", "chat", "edit"]
Vector = NDArray[np.float32]
Matrix32 = NDArray[np.float32]
Matrix64 = NDArray[np.float64]


class Message(TypedDict):
    """One turn of a conversation, in the form every chat API takes."""

    role: Role
    content: str


def _veil(value: object) -> str:
    """Show the size of anything that may hold text, and plain numbers as they are."""
    if isinstance(value, str):
        return f"<{len(value)} characters>"
    if isinstance(value, np.ndarray):
        return f"<array {value.shape}>"
    if isinstance(value, bytes):
        return f"<{len(value)} bytes>"
    if isinstance(value, (Mapping, Sequence)):
        return f"<{len(value)} items>"
    return repr(value)


class RedactedRepr:
    """For dataclasses: ``repr`` shows ``_open`` fields in full and only the sizes of others."""

    _open: tuple[str, ...] = ()

    def __repr__(self) -> str:
        shown = (
            f"{f.name}={getattr(self, f.name)!r}"
            if f.name in self._open
            else f"{f.name}={_veil(getattr(self, f.name))}"
            for f in fields(self)  # type: ignore[arg-type]  # every subclass is a dataclass
        )
        return f"{type(self).__name__}({', '.join(shown)})"


@dataclass(frozen=True, slots=True, repr=False)
class Pair(RedactedRepr):
    """A prompt and two answers to it, of which a person preferred one.

    Raises:
        PairError: a text is empty, over-long or no valid Unicode, or the answers are the same.
    """

    prompt: str
    chosen: str
    rejected: str

    def __post_init__(self) -> None:
        for name in ("prompt", "chosen", "rejected"):
            _check_text(name, getattr(self, name))
        if self.chosen.strip() == self.rejected.strip():
            raise PairError(
                "the chosen and the rejected answer are the same",
                hint="a pair teaches only by the difference between its answers",
            )


def _check_text(name: str, text: object) -> None:
    if not isinstance(text, str):
        raise PairError(f"{name} must be text, not {type(text).__name__}", hint="pass a str")
    if not text.strip():
        raise PairError(
            f"{name} is empty", hint="a pair is a prompt and two answers, of which one is preferred"
        )
    if len(text) > MAX_TEXT_CHARACTERS:
        raise PairError(
            f"{name} has {len(text):,} characters; at most {MAX_TEXT_CHARACTERS:,} are kept",
            hint="cut it to the part that was judged",
        )
    if not _is_unicode(text):
        raise PairError(
            f"{name} is no valid Unicode text (lone surrogates)",
            hint="decode it as what it is, or replace what cannot be decoded",
        )


def _is_unicode(text: str) -> bool:
    # The caller raises, so that the error has no context: UnicodeEncodeError holds the text.
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True, repr=False)
class Feedback(RedactedRepr):
    """A pair on its way in: what a reader found in a file, or what ``add`` was given.

    Attributes:
        user: the name under which a file filed it, or None for whoever imports.
        created: when the choice was made; None means now.
        meta: JSON-able extras (a rating, a stated reason, the source's own id).
    """

    pair: Pair
    user: str | None = None
    created: datetime | None = None
    origin: Origin = "import"
    meta: Mapping[str, Any] = field(default_factory=dict)
    _open = ("origin",)


@dataclass(frozen=True, slots=True, repr=False)
class Memory(RedactedRepr):
    """A stored pair.

    Attributes:
        id: 12 characters, random, unique in the vault; safe to show and to log.
        created: when the choice was made (UTC).
    """

    id: str
    pair: Pair
    created: datetime
    origin: Origin
    meta: Mapping[str, Any]
    _open = ("id", "origin")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One named way of answering, as data (``attributes.toml``).

    Attributes:
        wording: what it asks for, in the words a small model understands.
        opposite: the wording of its contrary.
        category: style, tone, expertise or values (EXACT, Appendix C.2).
    """

    name: str
    wording: str
    opposite: str
    category: Literal["style", "tone", "expertise", "values"]


@dataclass(frozen=True, slots=True)
class Likelihoods:
    """Log-likelihoods of answers under contexts.

    Attributes:
        totals: log p(answer | context), shape (contexts, answers), nats.
        tokens: tokens scored of each answer, shape (answers,).
    """

    totals: NDArray[np.float64]
    tokens: NDArray[np.int64]


class Effort(IntEnum):
    """How thorough a search was; a better one refines what a lesser one found."""

    PARTIAL = 0
    """Time ended during the search: a valid beginning of the set."""
    DEFAULT = 1
    """Only the attributes that estimates put in front were evaluated."""
    EXHAUSTIVE = 2
    """Every attribute was evaluated in every round, as the paper does."""


@dataclass(frozen=True, slots=True, repr=False)
class Selection(RedactedRepr):
    """What one pair taught: the attributes that explain the choice (EXACT, Algorithm 1).

    Attributes:
        attributes: names, in the order in which greedy search added them; at most k, may be empty.
        gains: what each of them added to the anchored margin when it was chosen, nats.
        singles: anchored margins of attributes alone, nats, as far as the search evaluated them
            (all of them in an exhaustive one).
        screened: first-order estimates that decided which were evaluated; an order, not nats.
            Empty after an exhaustive search.
        evaluations: (condition, answer) likelihoods computed.
        effort: how thorough the search was.
    """

    attributes: tuple[str, ...]
    gains: tuple[float, ...]
    singles: Mapping[str, float] = field(default_factory=dict)
    screened: Mapping[str, float] = field(default_factory=dict)
    evaluations: int = 0
    effort: Effort = Effort.EXHAUSTIVE
    _open = ("gains", "evaluations", "effort")

    def __post_init__(self) -> None:
        if len(self.attributes) != len(self.gains):
            raise ValueError("one gain for each attribute")
        if not all(map(math.isfinite, self.gains)):
            raise ValueError("gains must be finite")

    @property
    def objective(self) -> float:
        """Anchored margin of the whole set, nats (0 for the empty set)."""
        return sum(self.gains)


@dataclass(frozen=True, slots=True, repr=False)
class Learned(RedactedRepr):
    """The indexed form of one memory: where it lies, and what it taught.

    Attributes:
        memory_id: the memory it was derived from; forgotten together with it.
        vector: the prompt's embedding, unit length, shape (dimensions,).
        prompt_digest: SHA-256 of the prompt, which finds duplicates without the text.
        recipe: fingerprint of model, embedder, attribute bank and settings; another recipe makes
            this entry stale.
    """

    memory_id: str
    vector: Vector
    prompt_digest: bytes
    selection: Selection
    recipe: str
    _open = ("memory_id", "recipe")

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the attributes that explain the choice."""
        return self.selection.attributes

    @property
    def objective(self) -> float:
        """Anchored margin of all of them together, nats."""
        return self.selection.objective

    @property
    def effort(self) -> Effort:
        """How thorough the search was."""
        return self.selection.effort


@dataclass(frozen=True, slots=True, repr=False)
class Document(RedactedRepr):
    """Something sealed beside the pairs: a summary, a grant, an entry of a log.

    Attributes:
        id: 12 characters, unique in the vault.
        content: what it says.
        sources: ids of the memories that it was made of; it goes with the first one forgotten.
    """

    id: str
    content: bytes
    sources: tuple[str, ...] = ()
    _open = ("id",)


@dataclass(frozen=True, slots=True)
class Source:
    """A past prompt that a condition was taken from.

    Attributes:
        id: the memory's id.
        similarity: cosine between the two prompts' embeddings, in [-1, 1].
    """

    id: str
    similarity: float


@dataclass(frozen=True, slots=True, repr=False)
class Condition(RedactedRepr):
    """What is put before the model besides the prompt: attributes, or nothing.

    Attributes:
        attributes: names, for people.
        block: the text that is injected after the prompt, or "" for nothing.
        sources: where it came from.
        method: the method that made it.
    """

    attributes: tuple[str, ...] = ()
    block: str = ""
    sources: tuple[Source, ...] = ()
    method: str = "none"
    _open = ("sources", "method")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What one call of ``forget`` removed.

    Attributes:
        ids: of the memories.
        learned: how many of them were indexed.
        documents: how many summaries, texts of releases and the like were made of them.
        dry_run: whether it only would have.
    """

    ids: tuple[str, ...]
    learned: int
    documents: int = 0
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Sampling:
    """How replies are drawn; the defaults are EXACT's (Appendix C.1).

    Attributes:
        max_tokens: longest reply, in tokens.
        seed: the same seed, model and prompt give the same reply; None draws a fresh one.
    """

    temperature: float = 0.7
    top_k: int = 50
    top_p: float = 0.95
    max_tokens: int = 512
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How much one user's part of the vault holds."""

    memories: int
    learned: int
