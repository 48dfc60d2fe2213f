"""A GGUF model as the library's ``LanguageModel``."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama.adapters import AdapterPool
from pocketpref.backends.llama.bindings import Weights
from pocketpref.backends.llama.chat_template import ChatTemplate
from pocketpref.backends.llama.estimates import FirstOrder
from pocketpref.backends.llama.generator import Generator
from pocketpref.backends.llama.scorer import BARE, Scorer
from pocketpref.backends.llama.transformer import Shape
from pocketpref.lora import Blend
from pocketpref.models.gguf_file import file_sha256
from pocketpref.protocols import LanguageModel
from pocketpref.records import Likelihoods, Message, Sampling

_CANARY = (Message(role="user", content="Why is the sky blue at noon and red in the evening?"),)
_CANARY_ANSWER = (
    "Light is scattered by the air, blue light most of all. In the evening it comes far."
)

_AGREE = 0.05
"""Nats a token by which our log-likelihood of the canary may differ from llama.cpp's. Quantized
weights cost a hundredth; a model that is computed wrongly is off by more than one."""


class LlamaModel:
    """One copy of the weights, used for scoring and for replies, each with its own context.

    Safe to use from several threads.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        sha256: str | None = None,
        context_size: int | None = None,
    ) -> None:
        """Load a model.

        Args:
            path: a GGUF file.
            name: how people know it; the file's name by default.
            sha256: the file's hash if it is known, else it is computed.
            context_size: longest conversation in tokens; None for 8,192 in replies and 4,096 in
                scoring, or less if the model was trained on less.

        Raises:
            ModelMissingError: there is no such file, or llama-cpp-python is not installed.
            ModelDamagedError: llama.cpp cannot read it.
        """
        self._weights = Weights(path)
        self._name = name or path.stem
        self._fingerprint = sha256 or file_sha256(path)
        self._template = ChatTemplate(self._weights)
        self._rack = AdapterPool(self._weights, path, self._fingerprint)
        self._scorer = Scorer(self._weights, self._rack, context_size)
        self._generator = Generator(self._weights, self._template, self._rack, context_size)
        self._path = path
        self._lock = threading.Lock()
        self._first_order: FirstOrder | Literal[False] | None = None

    def __repr__(self) -> str:
        return f"LlamaModel({self._name!r})"

    @property
    def name(self) -> str:
        """How people know it."""
        return self._name

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of its file."""
        return self._fingerprint

    @property
    def context_size(self) -> int:
        """Longest conversation and reply together, in tokens."""
        return self._generator.window

    @property
    def on_gpu(self) -> bool:
        """Whether its layers were offloaded to a GPU."""
        return self._weights.on_gpu

    def likelihoods(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        *,
        blend: Blend = BARE,
    ) -> Likelihoods:
        """See ``LanguageModel.likelihoods``; ``blend`` is what the model wears meanwhile."""
        return self._scorer.score(self._contexts(contexts), self._answers(answers), blend)

    def adapted(self, blend: Blend) -> LanguageModel:
        """This model wearing a blend: a view of it, over the same weights.

        Every part of the blend is checked now, and tried on: it must change what the model says,
        and leave no trace when it is taken off. The base can be used beside the view.

        Raises:
            AdapterError: it cannot be used with this model; the message says why.
        """
        if not blend.parts:
            return self
        self._rack.hold(blend)
        self._rack.let_go(blend.key)
        return AdaptedModel(self, blend)

    def take_off(self, blend: Blend) -> None:
        """Free a blend wherever it is worn and nothing is being computed with it."""
        self._scorer.take_off(blend)
        self._generator.take_off(blend)

    def estimates(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        signs: Sequence[float],
    ) -> NDArray[np.float64] | None:
        """See ``LanguageModel.estimates``.

        Llama, Qwen 2 and Qwen 3 on a processor have them. On a GPU evaluating is fast enough.
        """
        with self._lock:
            if self._first_order is None:
                self._first_order = self.open_first_order() or False
            first_order = self._first_order
        if not first_order:
            return None
        return first_order.estimates(self._contexts(contexts), self._answers(answers), signs)

    def _contexts(self, contexts: Sequence[Sequence[Message]]) -> list[list[int]]:
        return [self._template.tokens(messages) for messages in contexts]

    def _answers(self, answers: Sequence[str]) -> list[list[int]]:
        return [self._weights.tokenize(answer, special=False) for answer in answers]

    def open_first_order(self) -> FirstOrder | None:
        """The same weights as matrices; None on a GPU, or if they compute something else.

        Raises:
            ModelDamagedError: the file cannot be read.
        """
        shape = Shape.of(self._weights)
        if shape is None or self.on_gpu:
            return None
        found = FirstOrder(self._path, shape, self._scorer.window)
        context, answer = self._contexts([_CANARY])[0], self._answers([_CANARY_ANSWER])[0]
        theirs = float(self._scorer.score([context], [answer]).totals[0, 0])
        if abs(found.log_likelihood(context, answer) - theirs) <= _AGREE * len(answer):
            return found
        found.close()  # a variant of the architecture that we do not know
        return None

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        grammar: str | None = None,
        blend: Blend = BARE,
    ) -> Iterator[str]:
        """See ``LanguageModel.generate``; ``blend`` is what the model wears meanwhile."""
        return self._generator.stream(messages, sampling or Sampling(), stop, grammar, blend)

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._weights.tokenize(text, special=False))

    def close(self) -> None:
        """Free contexts and weights; a second call does nothing."""
        if self._first_order:
            self._first_order.close()
        self._scorer.close()
        self._generator.close()
        self._weights.close()


# A language model that wears adapters: the same weights, scored and replying as another model.


class AdaptedModel:
    """A view of a model with a blend on, as a ``LanguageModel`` of its own.

    Its fingerprint is made of the base's and the blend's, so that nothing computed with it is ever
    taken for something computed with the base or with another blend.
    """

    def __init__(self, base: LlamaModel, blend: Blend) -> None:
        self._base = base
        self._blend = blend

    def __repr__(self) -> str:
        return f"AdaptedModel({self.name!r})"

    @property
    def name(self) -> str:
        """How people know it."""
        names = ", ".join(f"{a.manifest.name} x {scale:g}" for a, scale in self._blend.parts)
        return f"{self._base.name} with {names}"

    @property
    def fingerprint(self) -> str:
        """Tells it from its base and from other blends over it; hex."""
        return self._blend.fingerprint(self._base.fingerprint)

    @property
    def context_size(self) -> int:
        """Longest conversation and reply together, in tokens."""
        return self._base.context_size

    @property
    def on_gpu(self) -> bool:
        """Whether its layers were offloaded to a GPU."""
        return self._base.on_gpu

    def likelihoods(
        self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
    ) -> Likelihoods:
        """See ``LanguageModel.likelihoods``."""
        return self._base.likelihoods(contexts, answers, blend=self._blend)

    def estimates(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        signs: Sequence[float],
    ) -> NDArray[np.float64] | None:
        """None: what estimates knows the base's matrices only."""
        del contexts, answers, signs
        return None

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        grammar: str | None = None,
    ) -> Iterator[str]:
        """See ``LanguageModel.generate``."""
        return self._base.generate(
            messages, sampling=sampling, stop=stop, grammar=grammar, blend=self._blend
        )

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return self._base.count_tokens(text)

    def close(self) -> None:
        """Take the blend off and free it; the base stays. A second call does nothing."""
        self._base.take_off(self._blend)
