"""llama.cpp's samplers: which token comes next."""

from __future__ import annotations

from pocketpref.backends.llama.native import Context, Weights, library
from pocketpref.errors import ModelError


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
