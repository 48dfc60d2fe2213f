"""A transformer block in float32 with a backward pass, which llama.cpp does not offer.

Only what gradients of answers need: nothing is differentiated but the hidden states of the answer,
and of the attention biases of earlier tokens, whose own keys and values are constants.
Architectures: Llama and those that differ from it by biases, per-head norms or the RoPE layout.
Shapes: n tokens, d hidden, H heads of size e, G of them with keys and values of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama.bindings import Weights
from pocketpref.backends.llama.gguf_tensors import Tensors
from pocketpref.records import Matrix32

_Floats = NDArray[np.floating]

_QUERIES = 256
"""Queries whose attention is computed at a time: bounds memory for long prompts."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a model.

    Attributes:
        interleaved: RoPE turns neighbours (2i, 2i+1) rather than halves (i, i + e/2).
    """

    layers: int
    heads: int
    groups: int
    size: int
    epsilon: float
    rope_base: float
    interleaved: bool

    @classmethod
    def of(cls, weights: Weights) -> Shape | None:
        """The sizes of a loaded model; None if it is of a kind that is not supported."""
        kind = weights.metadata("general.architecture")
        if kind not in _ARCHITECTURES or weights.metadata(f"{kind}.expert_count") not in (
            None,
            "0",
        ):
            return None

        def number(key: str, default: float | None = None) -> float:
            value = weights.metadata(f"{kind}.{key}")
            if value is None and default is not None:
                return default
            return float(value or "nan")

        heads = int(number("attention.head_count"))
        return cls(
            layers=int(number("block_count")),
            heads=heads,
            groups=int(number("attention.head_count_kv", heads)),
            size=int(number("attention.key_length", number("embedding_length") / heads)),
            epsilon=number("attention.layer_norm_rms_epsilon"),
            rope_base=number("rope.freq_base", 10000.0),
            interleaved=_ARCHITECTURES[kind],
        )


_ARCHITECTURES = {"llama": True, "qwen2": False, "qwen3": False}


@dataclass(frozen=True, slots=True)
class Sight:
    """Which columns (earlier tokens, then the tokens at work) each of n queries sees.

    Attributes:
        shared: (n,) all columns before this one are seen.
        first: (n,) the first column that is seen besides.
        last: (n,) the last one, the query itself.
        bias: (earlier,) added to the scores of the earlier columns; None for nothing.
    """

    shared: NDArray[np.int64]
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    bias: Matrix32 | None = None

    def added(self, part: slice, columns: int) -> Matrix32:
        """What is added to the scores of some queries, (part, columns); -inf hides a column."""
        here = np.arange(columns)
        hidden = here > self.last[part, None]
        hidden |= (here >= self.shared[part, None]) & (here < self.first[part, None])
        added = np.where(hidden, np.float32(-np.inf), np.float32(0))
        if self.bias is not None:
            added[:, : len(self.bias)] += self.bias
        return added


@dataclass(frozen=True, slots=True)
class KeysValues:
    """Keys and values of some tokens in one layer, (n, G, e) each."""

    keys: Matrix32
    values: Matrix32

    def part(self, start: int, stop: int) -> KeysValues:
        """Those of some of the tokens."""
        return KeysValues(self.keys[start:stop], self.values[start:stop])

    def followed_by(self, *others: KeysValues) -> KeysValues:
        """Those of all, in this order."""
        every = (self, *others)
        return KeysValues(
            np.concatenate([one.keys for one in every]),
            np.concatenate([one.values for one in every]),
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """What a layer computed on its way forwards and needs on its way back.

    Attributes:
        before: its input, (n, d).
        queries: after RoPE, (n, H, e).
        own: keys and values of its tokens.
        middle: hidden states between attention and feed-forward, (n, d).
        gate, up: the two halves of the gated unit, (n, f) each.
    """

    before: Matrix32
    queries: Matrix32
    own: KeysValues
    middle: Matrix32
    gate: Matrix32
    up: Matrix32


class Rope:
    """Rotary position embedding of some positions (Su et al., arXiv 2104.09864)."""

    def __init__(
        self, shape: Shape, positions: NDArray[np.int64], factors: Matrix32 | None
    ) -> None:
        half = np.arange(shape.size // 2, dtype=np.float64)
        frequencies = shape.rope_base ** (-2 * half / shape.size)
        if factors is not None:
            frequencies = frequencies / factors
        angles = positions[:, None] * frequencies
        self._cos = np.cos(angles).astype(np.float32)[:, None, :]
        self._sin = np.sin(angles).astype(np.float32)[:, None, :]
        middle = shape.size // 2
        self._parts = (
            (slice(0, None, 2), slice(1, None, 2))
            if shape.interleaved
            else (slice(0, middle), slice(middle, None))
        )

    def turn(self, x: Matrix32, *, back: bool = False) -> Matrix32:
        """Rotate heads (n, heads, e); ``back`` is the inverse, which is also the gradient."""
        a, b = x[..., self._parts[0]], x[..., self._parts[1]]
        sin = -self._sin if back else self._sin
        turned = np.empty_like(x)
        turned[..., self._parts[0]] = a * self._cos - b * sin
        turned[..., self._parts[1]] = a * sin + b * self._cos
        return turned


class Block:
    """One layer."""

    def __init__(self, tensors: Tensors, shape: Shape, layer: int) -> None:
        self._tensors = tensors
        self._shape = shape
        self._prefix = f"blk.{layer}."

    def forward(
        self, x: Matrix32, rope: Rope, earlier: KeysValues, sight: Sight
    ) -> tuple[Matrix32, Trace]:
        """Hidden states after this layer, (n, d), and what it computed on the way."""
        normed = _norm(x, self._v("attn_norm"), self._shape.epsilon)
        queries = rope.turn(self._heads(normed, "attn_q", self._shape.heads))
        keys = rope.turn(self._heads(normed, "attn_k", self._shape.groups))
        own = KeysValues(keys, self._heads(normed, "attn_v", self._shape.groups))
        seen = earlier.followed_by(own)
        mixed = np.empty_like(queries)
        for part, group, seeing in self._parts(queries, seen, sight):
            mixed[part, group] = _unfold(seeing @ seen.values[:, group.start // self._ratio], part)
        middle = x + mixed.reshape(len(queries), -1) @ self._w("attn_output").T
        normed = _norm(middle, self._v("ffn_norm"), self._shape.epsilon)
        gate, up = normed @ self._w("ffn_gate").T, normed @ self._w("ffn_up").T
        up_gated: Matrix32 = up * (gate * _sigmoid(gate))
        return middle + up_gated @ self._w("ffn_down").T, Trace(x, queries, own, middle, gate, up)

    def backward(
        self, trace: Trace, gradient: Matrix32, rope: Rope, earlier: KeysValues, sight: Sight
    ) -> tuple[Matrix32, Matrix32]:
        """Gradients of the layer's input, (n, d), and of the biases of the earlier columns."""
        inner = gradient @ self._w("ffn_down")
        slope = _sigmoid(trace.gate)
        into = (inner * trace.gate * slope) @ self._w("ffn_up")
        slope *= 1 + trace.gate * (1 - slope)
        into += (inner * trace.up * slope) @ self._w("ffn_gate")
        scale = self._v("ffn_norm")
        gradient = gradient + _norm_back(trace.middle, scale, self._shape.epsilon, into)
        seen = earlier.followed_by(trace.own)
        mixed = gradient @ self._w("attn_output")
        queries, own, bias = self._mix_back(trace, seen, mixed, sight)
        return gradient + self._project_back(trace.before, rope, queries, own), bias

    # ------------------------------------------------------------------------- attention

    def _mix_back(
        self, trace: Trace, seen: KeysValues, gradient: Matrix32, sight: Sight
    ) -> tuple[Matrix32, KeysValues, Matrix32]:
        """Gradients of queries, of own keys and values, and of the biases of earlier columns.

        Attention weights are computed again: keeping them would take most of the memory.
        """
        earlier = len(seen.keys) - len(trace.queries)
        gradient = gradient.reshape(trace.queries.shape)
        queries = np.empty_like(trace.queries)
        keys, values = np.zeros_like(trace.own.keys), np.zeros_like(trace.own.values)
        bias = np.zeros(earlier, np.float32)
        for part, group, seeing in self._parts(trace.queries, seen, sight):
            place = group.start // self._ratio
            mixed = _fold(gradient[part, group])
            scores = mixed @ seen.values[:, place].T
            scores -= np.einsum("ij,ij->i", scores, seeing)[:, None]
            scores *= seeing
            bias += scores[:, :earlier].sum(axis=0)
            queries[part, group] = _unfold(scores @ seen.keys[:, place], part) * self._scale
            folded = _fold(trace.queries[part, group])
            keys[:, place] += scores[:, earlier:].T @ folded * self._scale
            values[:, place] += seeing[:, earlier:].T @ mixed
        return queries, KeysValues(keys, values), bias

    def _parts(
        self, queries: Matrix32, seen: KeysValues, sight: Sight
    ) -> Iterator[tuple[slice, slice, Matrix32]]:
        """Attention weights of some queries and a group's heads, (heads * part, columns)."""
        for start in range(0, len(queries), _QUERIES):
            part = slice(start, min(start + _QUERIES, len(queries)))
            added = sight.added(part, len(seen.keys))
            for place in range(self._shape.groups):
                group = slice(place * self._ratio, (place + 1) * self._ratio)
                scores = _fold(queries[part, group]) @ seen.keys[:, place].T
                scores *= self._scale
                scores.reshape(self._ratio, *added.shape)[...] += added
                scores -= scores.max(axis=1, keepdims=True)
                np.exp(scores, out=scores)
                scores /= scores.sum(axis=1, keepdims=True)
                yield part, group, scores

    def _heads(self, normed: Matrix32, name: str, heads: int) -> Matrix32:
        projected = self._project(normed, name).reshape(len(normed), heads, self._shape.size)
        norm = f"{self._prefix}{name}_norm.weight"
        if norm in self._tensors:
            projected = _norm(projected, self._tensors.vector(norm), self._shape.epsilon)
        return projected

    def _project(self, normed: Matrix32, name: str) -> Matrix32:
        projected = normed @ self._w(name).T
        if f"{self._prefix}{name}.bias" in self._tensors:
            projected += self._tensors.vector(f"{self._prefix}{name}.bias")
        return projected

    def _project_back(
        self, x: Matrix32, rope: Rope, queries: Matrix32, own: KeysValues
    ) -> Matrix32:
        normed = _norm(x, self._v("attn_norm"), self._shape.epsilon)
        total = np.zeros_like(x)
        for name, given in (
            ("attn_q", rope.turn(queries, back=True)),
            ("attn_k", rope.turn(own.keys, back=True)),
            ("attn_v", own.values),
        ):
            gradient, norm = given, f"{self._prefix}{name}_norm.weight"
            if norm in self._tensors:
                projected = self._project(normed, name).reshape(gradient.shape)
                scale = self._tensors.vector(norm)
                gradient = _norm_back(projected, scale, self._shape.epsilon, gradient)
            total += gradient.reshape(len(normed), -1) @ self._w(name)
        return _norm_back(x, self._v("attn_norm"), self._shape.epsilon, total)

    # --------------------------------------------------------------------------- weights

    @property
    def _ratio(self) -> int:
        return self._shape.heads // self._shape.groups

    @property
    def _scale(self) -> np.float32:
        return np.float32(self._shape.size**-0.5)

    def _w(self, name: str) -> Matrix32:
        return self._tensors.matrix(f"{self._prefix}{name}.weight")

    def _v(self, name: str) -> Matrix32:
        return self._tensors.vector(f"{self._prefix}{name}.weight")


def _fold(heads: Matrix32) -> Matrix32:
    """(n, r, e) to (r * n, e): the heads of a group meet the same keys, so one product does."""
    return np.ascontiguousarray(heads.transpose(1, 0, 2)).reshape(-1, heads.shape[2])


def _unfold(folded: _Floats, part: slice) -> _Floats:
    """The inverse of ``_fold``: (n, r, e)."""
    count = part.stop - part.start
    return folded.reshape(-1, count, folded.shape[1]).transpose(1, 0, 2)


def _sigmoid(x: Matrix32) -> Matrix32:
    return np.asarray(0.5 + 0.5 * np.tanh(0.5 * x), np.float32)  # never overflows


def _norm(x: Matrix32, scale: Matrix32, epsilon: float) -> Matrix32:
    """RMSNorm (Zhang and Sennrich, arXiv 1910.07467) over the last axis."""
    return np.asarray(x * _inverse(x, epsilon) * scale, np.float32)


def _norm_back(x: Matrix32, scale: Matrix32, epsilon: float, gradient: _Floats) -> Matrix32:
    inverse = _inverse(x, epsilon)
    scaled = gradient * scale
    along = (scaled * x).mean(axis=-1, keepdims=True)
    return np.asarray(inverse * scaled - x * inverse**3 * along, np.float32)


def _inverse(x: Matrix32, epsilon: float) -> Matrix32:
    mean = np.einsum("...i,...i->...", x, x)[..., None] / x.shape[-1]
    return np.asarray(1 / np.sqrt(mean + epsilon), np.float32)


class Head:
    """The last norm and the vocabulary."""

    def __init__(self, tensors: Tensors, shape: Shape) -> None:
        self._tensors = tensors
        self._epsilon = shape.epsilon
        self._name = "output.weight" if "output.weight" in tensors else "token_embd.weight"

    def log_likelihood(self, x: Matrix32, targets: list[int]) -> tuple[float, Matrix32]:
        """Sum of log p(targets), nats, and its gradient with regard to x, (n, d)."""
        scale = self._tensors.vector("output_norm.weight")
        vocabulary = self._tensors.matrix(self._name)
        total, gradients = 0.0, []
        for start in range(0, len(x), _QUERIES):
            rows = x[start : start + _QUERIES]
            wanted = targets[start : start + _QUERIES]
            normed = _norm(rows, scale, self._epsilon)
            logits = normed @ vocabulary.T
            own = logits[np.arange(len(rows)), wanted].astype(np.float64)
            peaks = logits.max(axis=1, keepdims=True)
            logits -= peaks
            np.exp(logits, out=logits)
            sums = logits.sum(axis=1, keepdims=True, dtype=np.float64)
            total += float((own - peaks[:, 0] - np.log(sums[:, 0])).sum())
            logits *= (-1 / sums).astype(np.float32)
            logits[np.arange(len(rows)), wanted] += 1
            gradients.append(_norm_back(rows, scale, self._epsilon, logits @ vocabulary))
        return total, np.concatenate(gradients)
