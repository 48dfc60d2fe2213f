"""A GGUF model as the library's ``LanguageModel``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pocketpref.backends.llama.generation import Generator
from pocketpref.backends.llama.likelihoods import Scorer
from pocketpref.backends.llama.native import Weights
from pocketpref.backends.llama.template import ChatTemplate
from pocketpref.catalogue.files import file_sha256
from pocketpref.records import Likelihoods, Message, Sampling


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
        self._scorer = Scorer(self._weights, context_size)
        self._generator = Generator(self._weights, self._template, context_size)

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
        first: int | None = None,
    ) -> Likelihoods:
        """See ``LanguageModel.likelihoods``."""
        return self._scorer.score(
            [self._template.tokens(messages) for messages in contexts],
            [self._weights.tokenize(answer, special=False) for answer in answers],
            first,
        )

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        grammar: str | None = None,
    ) -> Iterator[str]:
        """See ``LanguageModel.generate``."""
        return self._generator.stream(messages, sampling or Sampling(), stop, grammar)

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return len(self._weights.tokenize(text, special=False))

    def close(self) -> None:
        """Free contexts and weights; a second call does nothing."""
        self._scorer.close()
        self._generator.close()
        self._weights.close()
