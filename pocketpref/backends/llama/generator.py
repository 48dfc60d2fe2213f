"""Stream replies: sampling, stop texts, grammar, and the cache between turns."""

from __future__ import annotations

import codecs
import secrets
import threading
from collections.abc import Iterator, Sequence

from pocketpref.backends.llama.adapters import AdapterPool, Wearing
from pocketpref.backends.llama.bindings import Context, Slot, Weights, library
from pocketpref.backends.llama.chat_template import ChatTemplate
from pocketpref.backends.llama.scorer import common_length
from pocketpref.backends.scheduling import courtesy
from pocketpref.errors import ModelError
from pocketpref.lora import Blend
from pocketpref.records import Message, Sampling

# llama.cpp's samplers: which token comes next.


class Sampler:
    """Draws the next token: grammar, top-k, top-p, temperature, in this order."""

    def __init__(
        self,
        weights: Weights,
        *,
        temperature: float,
        top_k: int,
        top_p: float,
        seed: int,
        grammar: str | None,
    ) -> None:
        """Make a sampler.

        Raises:
            ModelError: the grammar is not valid GBNF.
        """
        lib = library()
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        if grammar is not None:
            rules = lib.llama_sampler_init_grammar(weights.vocab, grammar.encode(), b"root")
            if not rules:
                self.close()
                raise ModelError("the grammar is not valid GBNF")
            lib.llama_sampler_chain_add(self._chain, rules)
        if temperature <= 0:
            lib.llama_sampler_chain_add(self._chain, lib.llama_sampler_init_greedy())
            return
        for part in (
            lib.llama_sampler_init_top_k(top_k),
            lib.llama_sampler_init_top_p(top_p, 1),
            lib.llama_sampler_init_temp(temperature),
            lib.llama_sampler_init_dist(seed & 0xFFFFFFFF),
        ):
            lib.llama_sampler_chain_add(self._chain, part)

    def draw(self, context: Context) -> int:
        """The next token, from the last wanted logits of the context."""
        return int(library().llama_sampler_sample(self._chain, context.pointer, -1))

    def close(self) -> None:
        """Free the sampler; a second call does nothing."""
        if self._chain:
            library().llama_sampler_free(self._chain)
            self._chain = None


_BATCH = 512
_WINDOW = 8192
"""Longest conversation and reply together, in tokens (or what the model was trained on)."""


class Generator:
    """Replies with a context of its own over shared weights.

    One reply at a time: a second thread waits until the first reply's iterator is exhausted or
    closed.
    """

    def __init__(
        self, weights: Weights, template: ChatTemplate, rack: AdapterPool, window: int | None
    ) -> None:
        self._weights = weights
        self._wearing = Wearing(rack)
        self._template = template
        self._lock = threading.Lock()
        self._context: Context | None = None
        self._cached: list[int] = []
        self.window = min(weights.trained_context, window or _WINDOW)

    def close(self) -> None:
        """Free the context."""
        with self._lock:
            if self._context is not None:
                self._wearing.take_off()
                self._context.close()
                self._context = None

    def take_off(self, blend: Blend) -> None:
        """Wear this blend no longer, unless a reply is being written: then with the next one."""
        if self._lock.acquire(blocking=False):
            try:
                if self._wearing.key == blend.key:
                    self._wearing.take_off()
                    self._cached = []
            finally:
                self._lock.release()

    def stream(
        self,
        messages: Sequence[Message],
        sampling: Sampling,
        stop: Sequence[str],
        grammar: str | None,
        blend: Blend,
    ) -> Iterator[str]:
        """Pieces of text, by the model wearing ``blend``; see ``LanguageModel.generate``."""
        limit = min(sampling.max_tokens, self.window // 2)
        prompt = self._template.fit(messages, self.window - limit)
        yield from held_back(self._texts(prompt, limit, sampling, grammar, blend), stop)

    def _texts(
        self,
        prompt: list[int],
        limit: int,
        sampling: Sampling,
        grammar: str | None,
        blend: Blend,
    ) -> Iterator[str]:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        with self._lock:
            sampler = Sampler(
                self._weights,
                temperature=sampling.temperature,
                top_k=sampling.top_k,
                top_p=sampling.top_p,
                seed=secrets.randbits(32) if sampling.seed is None else sampling.seed,
                grammar=grammar,
            )
            try:
                if sampling.seed is not None:
                    # What was computed in other batches differs in the last digits, and a sampler
                    # can turn these into another word. A seed promises the same reply.
                    self._cached = []
                for token in self._tokens(prompt, limit, sampler, blend):
                    if text := decoder.decode(self._weights.piece(token)):
                        yield text
            finally:
                sampler.close()
        if rest := decoder.decode(b"", final=True):
            yield rest

    def _tokens(
        self, prompt: list[int], limit: int, sampler: Sampler, blend: Blend
    ) -> Iterator[int]:
        with courtesy.replying():
            if self._context is None:
                self._context = Context(
                    self._weights, cells=self.window, batch=_BATCH, sequences=1, outputs=1
                )
            context = self._context
            if self._wearing.change(context, blend):
                self._cached = []
            self._prefill(context, prompt)
        for _ in range(limit):
            token = sampler.draw(context)
            if self._weights.ends(token):
                return
            yield token
            with courtesy.replying():
                context.decode([Slot(token, len(self._cached), (0,), output=True)])
            self._cached.append(token)

    def _prefill(self, context: Context, prompt: list[int]) -> None:
        """Decode what is new of the prompt; the last token always, for its logits."""
        shared = min(common_length(prompt, self._cached), len(prompt) - 1)
        context.cut(0, shared)
        self._cached = prompt[:shared]
        last = len(prompt) - 1
        for start in range(shared, len(prompt), _BATCH):
            part = range(start, min(start + _BATCH, len(prompt)))
            context.decode([Slot(prompt[i], i, (0,), output=i == last) for i in part])
            self._cached += prompt[part.start : part.stop]


def held_back(pieces: Iterator[str], stop: Sequence[str]) -> Iterator[str]:
    """Pass pieces on until a stop text appears, never showing the beginning of one."""
    held = ""
    longest = max(map(len, stop), default=0)
    for piece in pieces:
        held += piece
        ends = [place for text in stop if text and (place := held.find(text)) >= 0]
        if ends:
            if shown := held[: min(ends)]:
                yield shown
            return
        lengths = range(min(longest, len(held)), 0, -1)
        keep = next((n for n in lengths if any(s.startswith(held[-n:]) for s in stop)), 0)
        if shown := held[: len(held) - keep]:
            yield shown
        held = held[len(held) - keep :]
    if held:
        yield held
