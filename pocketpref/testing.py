"""Fakes for testing programs that embed pocketpref. Public API.

They stand in for the two heavy parts, a language model and an embedder, follow rules that can be
worked out by hand, and need no file, no network and no native library:

    from pocketpref.testing import HashEmbedder, ScriptedModel

    model = ScriptedModel({"short": {"Yes.": 3.0}})
    with pocketpref.open("ada", path=tmp / "vault.db", model=model, embedder=HashEmbedder()) as p:
        ...
"""

from __future__ import annotations

import hashlib
import itertools
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import ModelError
from pocketpref.records import Likelihoods, Message, Sampling, Vector

ReplyRule = Callable[[Sequence[Message], int], str]
"""Conversation and draw number to reply."""


class ScriptedModel:
    """A ``LanguageModel`` whose likelihoods and replies follow a rule.

    The rule: a token is a word (a run of characters without white space). Every word of an answer
    costs one nat. If a cue occurs in the last turn of the context (whatever its case), every word
    of the answer that the cue favours earns that many nats:

        log p(answer | context) = sum over words of (sum over cues present of tastes[cue][word] - 1)

    So with ``ScriptedModel({"short": {"Yes.": 3.0}})`` the anchored margin of a wording that
    contains "short" is 3 nats for each "Yes." more in the chosen answer than in the rejected one.

    A reply repeats the first line of the last turn, then says the words that cues favour, then
    which draw it is; drawing with a seed gives the draw of that number, drawing without one gives
    the next. Give ``replies`` for another rule.

    Attributes:
        conversations: what ``generate`` was asked, in order.
        scored: how many (context, answer) likelihoods were asked for.
        closed: whether ``close`` was called.
    """

    def __init__(
        self,
        tastes: Mapping[str, Mapping[str, float]] | None = None,
        *,
        replies: ReplyRule | None = None,
        name: str = "scripted",
        context_size: int = 2048,
    ) -> None:
        """Build the model.

        Args:
            tastes: for each cue the words it favours, and by how many nats.
            replies: another rule for replies.
            name: for people.
            context_size: longest conversation, in words, that the model claims to take.
        """
        self._tastes = {cue.casefold(): dict(words) for cue, words in (tastes or {}).items()}
        self._replies = replies or self._say
        self._name = name
        self._context_size = context_size
        self._draws = itertools.count(1)
        self._lock = threading.Lock()
        self.conversations: list[tuple[Message, ...]] = []
        self.scored = 0
        self.closed = False

    @property
    def name(self) -> str:
        """For people."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """Changes with the name and the tastes."""
        return hashlib.sha256(f"{self._name} {sorted(self._tastes.items())}".encode()).hexdigest()

    @property
    def context_size(self) -> int:
        """Longest conversation it claims to take, in words."""
        return self._context_size

    def likelihoods(
        self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
    ) -> Likelihoods:
        """Log p(answer | context) by the rule above, in nats.

        Raises:
            ModelError: the model was closed.
        """
        self._check_open()
        with self._lock:
            self.scored += len(contexts) * len(answers)
        words = [answer.split() for answer in answers]
        return Likelihoods(
            self._score(contexts, words), np.array([len(spoken) for spoken in words])
        )

    def estimates(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        signs: Sequence[float],
    ) -> NDArray[np.float64]:
        """What ``estimates`` of a real model approximates, by the rule above: exact here.

        Raises:
            ModelError: the model was closed.
        """
        self._check_open()
        totals = self._score(contexts, [answer.split() for answer in answers])
        return np.asarray(totals @ np.array(signs), dtype=np.float64)

    def _score(
        self, contexts: Sequence[Sequence[Message]], words: Sequence[list[str]]
    ) -> NDArray[np.float64]:
        totals = np.empty((len(contexts), len(words)))
        for row, context in enumerate(contexts):
            favours = self._favours(context)
            for column, spoken in enumerate(words):
                totals[row, column] = sum(favours.get(word, 0.0) - 1.0 for word in spoken)
        return totals

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        grammar: str | None = None,
    ) -> Iterator[str]:
        """Stream the reply that the rule above gives, word by word.

        Raises:
            ModelError: the model was closed, or a grammar was asked for (a rule cannot follow one).
        """
        self._check_open()
        if grammar is not None:
            raise ModelError("a scripted model follows no grammar")
        sampling = sampling or Sampling()
        with self._lock:
            draw = next(self._draws) if sampling.seed is None else sampling.seed
            self.conversations.append(tuple(messages))
        text = self._replies(messages, draw)
        for mark in stop:
            text = text.partition(mark)[0]
        yield from re.findall(r"\s*\S+|\s+$", text)[: sampling.max_tokens]

    def close(self) -> None:
        """Make every later call fail, as a real model's would."""
        self.closed = True

    def _favours(self, context: Sequence[Message]) -> dict[str, float]:
        said = context[-1]["content"].casefold() if context else ""
        favours: dict[str, float] = {}
        for cue, words in self._tastes.items():
            if cue in said:
                for word, nats in words.items():
                    favours[word] = favours.get(word, 0.0) + nats
        return favours

    def _say(self, messages: Sequence[Message], draw: int) -> str:
        heard = messages[-1]["content"].partition("\n")[0] if messages else ""
        favoured = [word for word, nats in self._favours(messages).items() if nats > 0]
        return " ".join(["You said:", heard, *favoured, f"(draw {draw})"])

    def _check_open(self) -> None:
        if self.closed:
            raise ModelError("the model has been closed")


class HashEmbedder:
    """An ``Embedder`` that counts words, hashed into a fixed number of places.

    Texts with the same words have cosine 1, texts without a common word (nearly) 0. A text without
    any word gets a direction of its own.
    """

    def __init__(self, dimensions: int = 256, *, relevance: float = 0.5) -> None:
        """Build the embedder.

        Args:
            dimensions: length of the vectors; the fewer, the more words collide.
            relevance: the cosine from which on two texts count as related.
        """
        if dimensions < 1:
            raise ValueError("at least one dimension")
        self._dimensions = dimensions
        self._relevance = relevance

    @property
    def name(self) -> str:
        """For people."""
        return f"hash-{self._dimensions}"

    @property
    def fingerprint(self) -> str:
        """Changes with the number of dimensions."""
        return hashlib.sha256(self.name.encode()).hexdigest()

    @property
    def relevance(self) -> float:
        """The cosine from which on two texts count as related."""
        return self._relevance

    def embed(self, texts: Sequence[str]) -> Vector:
        """Unit vectors, float32, shape (len(texts), dimensions)."""
        vectors = np.zeros((len(texts), self._dimensions), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.casefold()) or [""]:
                vectors[row, self._place(word)] += 1.0
        unit: Vector = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def _place(self, word: str) -> int:
        digest = hashlib.blake2b(word.encode("utf-8", "replace"), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self._dimensions
