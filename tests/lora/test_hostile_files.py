"""Adapter files are taken as hostile: llama.cpp sees none that our own reader has not passed."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import numpy as np
import pytest

from pocketpref.backends.llama import LlamaModel
from pocketpref.errors import AdapterError
from pocketpref.lora import Adapter, Blend, lora_bytes, read_lora
from pocketpref.lora.lora_file import read_header
from pocketpref.records import Sampling
from tests.lora.making import adapter_of, with_data

WEIGHT = "blk.0.attn_v.weight"


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def key(name: str, kind: int, value: bytes) -> bytes:
    return text(name) + struct.pack("<I", kind) + value


KEYS = [
    key("general.architecture", 8, text("llama")),
    key("general.type", 8, text("adapter")),
    key("adapter.type", 8, text("lora")),
    key("adapter.lora.alpha", 6, struct.pack("<f", 2.0)),
]


def entry(
    name: str, rows: int, columns: int, offset: int, kind: int = 0, *, dims: int = 2
) -> bytes:
    sizes = struct.pack("<QQ", columns, rows) if dims == 2 else struct.pack("<Q", columns)
    return text(name) + struct.pack("<I", dims) + sizes + struct.pack("<IQ", kind, offset)


A = entry(f"{WEIGHT}.lora_a", 1, 8, 0)
B = entry(f"{WEIGHT}.lora_b", 8, 1, 32)
DATA = bytes(64)


def gguf(
    keys: list[bytes] | None = None,
    tensors: list[bytes] | None = None,
    data: bytes = DATA,
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    n_tensors: int | None = None,
    n_keys: int | None = None,
) -> bytes:
    """A file written by hand, so that everything in it can be wrong."""
    keys = KEYS if keys is None else keys
    tensors = [A, B] if tensors is None else tensors
    counts = (
        len(tensors) if n_tensors is None else n_tensors,
        len(keys) if n_keys is None else n_keys,
    )
    head = magic + struct.pack("<IQQ", version, *counts) + b"".join(keys) + b"".join(tensors)
    return head + bytes(-len(head) % 32) + data


def test_what_is_written_by_hand_is_read() -> None:
    """Or else every refusal below would prove nothing."""
    assert read_lora(gguf()).rank == 1


def without(name: str) -> list[bytes]:
    return [k for k in KEYS if name.encode() not in k]


REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "truncated"),
    "no GGUF": (gguf(magic=b"GGML"), "no GGUF"),
    "an old version": (gguf(version=2), "version 2"),
    "other byte order": (gguf(version=3 << 24), "version"),
    "no tensors": (gguf(tensors=[]), "impossible number"),
    "2^63 tensors": (gguf(n_tensors=1 << 63), "impossible number"),
    "2^32 keys": (gguf(n_keys=1 << 32), "impossible number"),
    "more keys than there are": (gguf(n_keys=200), "adapter file"),
    "more tensors than there are": (gguf(n_tensors=200), "adapter file"),
    "a key of 2^60 bytes": (gguf([struct.pack("<Q", 1 << 60), *KEYS]), "too long"),
    "a value of 2^40 bytes": (
        gguf([*KEYS, key("x", 8, struct.pack("<Q", 1 << 40))]),
        "too long",
    ),
    "a list of 2^50 items": (
        gguf([*KEYS, key("x", 9, struct.pack("<IQ", 4, 1 << 50))]),
        "list that is too long",
    ),
    "a list of lists": (
        gguf([*KEYS, key("x", 9, struct.pack("<IQ", 9, 1) + struct.pack("<IQ", 4, 1))]),
        "unknown type",
    ),
    "an unknown type": (gguf([*KEYS, key("x", 77, b"")]), "unknown type"),
    "a key that is no text": (gguf([*KEYS, key("x", 8, text(b"\xff\xfe"))]), "text that is none"),
    "a text with a zero in it": (gguf([*KEYS, key("x", 8, text("a\0b"))]), "text that is none"),
    "a key twice": (gguf([*KEYS, KEYS[3]]), "a key twice"),
    "no type": (gguf(without("general.type")), r"does not say its general\.type"),
    "no architecture": (gguf(without("architecture")), r"general\.architecture"),
    "a model": (gguf([key("general.type", 8, text("model")), *without("general.type")]), "adapter"),
    "no LoRA": (gguf([key("adapter.type", 8, text("cvec")), *without("adapter.type")]), "LoRA"),
    "alpha of another type": (
        gguf([*without("alpha"), key("adapter.lora.alpha", 5, struct.pack("<i", 2))]),
        r"adapter\.lora\.alpha",
    ),
    "alpha as a text": (
        gguf([*without("alpha"), key("adapter.lora.alpha", 8, text("16"))]),
        r"adapter\.lora\.alpha",
    ),
    "alpha that is no number": (
        gguf([*without("alpha"), key("adapter.lora.alpha", 6, struct.pack("<f", math.nan))]),
        "alpha is out of range",
    ),
    "infinite alpha": (
        gguf([*without("alpha"), key("adapter.lora.alpha", 6, struct.pack("<f", math.inf))]),
        "alpha is out of range",
    ),
    "an aLoRA": (
        gguf([*KEYS, key("adapter.alora.invocation_tokens", 9, struct.pack("<IQI", 4, 1, 7))]),
        "aLoRA",
    ),
    "another alignment": (
        gguf([*KEYS, key("general.alignment", 4, struct.pack("<I", 1))]),
        "not aligned",
    ),
    "alignment of another type": (
        gguf([*KEYS, key("general.alignment", 10, struct.pack("<Q", 32))]),
        "not aligned",
    ),
    "a tensor twice": (gguf(tensors=[A, entry(f"{WEIGHT}.lora_a", 8, 1, 32)]), "a tensor twice"),
    "a half": (gguf(tensors=[A], data=bytes(32)), "only one of two"),
    "a vector": (gguf(tensors=[entry(f"{WEIGHT}.lora_a", 1, 8, 0, dims=1), B]), "no matrix"),
    "four dimensions": (
        gguf(tensors=[text("x") + struct.pack("<IQQQQIQ", 4, 1, 1, 1, 1, 0, 0), B]),
        "no matrix",
    ),
    "a quantized tensor": (gguf(tensors=[entry(f"{WEIGHT}.lora_a", 1, 32, 0, 2), B]), "F32"),
    "an unknown tensor type": (gguf(tensors=[entry(f"{WEIGHT}.lora_a", 1, 8, 0, 99), B]), "F32"),
    "no columns": (gguf(tensors=[entry(f"{WEIGHT}.lora_a", 1, 0, 0), B]), "impossible size"),
    "2^62 columns": (gguf(tensors=[entry(f"{WEIGHT}.lora_a", 4, 1 << 62, 0), B]), "impossible"),
    "sizes whose product overflows": (
        gguf(tensors=[entry(f"{WEIGHT}.lora_a", 1 << 33, 1 << 33, 0), B]),
        "impossible size",
    ),
    "an offset outside": (gguf(tensors=[A, entry(f"{WEIGHT}.lora_b", 8, 1, 1 << 40)]), "after"),
    "tensors that overlap": (gguf(tensors=[A, entry(f"{WEIGHT}.lora_b", 8, 1, 0)]), "after"),
    "an offset off the grid": (gguf(tensors=[A, entry(f"{WEIGHT}.lora_b", 8, 1, 33)]), "after"),
    "data that ends early": (gguf(data=bytes(40)), "truncated"),
    "data behind the end": (gguf(data=bytes(64 + 32)), "goes on behind"),
    "a name of 64 bytes": (gguf(tensors=[entry("n" * 64, 1, 8, 0), B]), "too long"),
    "no LoRA tensor": (gguf(tensors=[entry("blk.0.attn_norm.weight", 1, 8, 0), B]), "no LoRA"),
    "the embeddings": (
        gguf(tensors=[entry("token_embd.weight.lora_a", 1, 8, 0), B]),
        "belongs to no LoRA",
    ),
    "a suffix twice": (
        gguf(tensors=[entry(f"{WEIGHT}.lora_a.lora_a", 1, 8, 0), B]),
        "belongs to no LoRA",
    ),
    "A and B of different ranks": (
        gguf(tensors=[A, entry(f"{WEIGHT}.lora_b", 4, 2, 32)]),
        "do not fit one another",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_hostile_file_is_refused_by_name(what: str) -> None:
    data, message = REFUSED[what]
    with pytest.raises(AdapterError, match=message):
        read_lora(data)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 6e4])
def test_numbers_that_would_break_the_arithmetic_are_refused(value: float) -> None:
    a, b = np.ones((1, 8), np.float16), np.ones((8, 1), np.float16)
    b[3, 0] = value
    data = lora_bytes({WEIGHT: (a, b)}, architecture="llama", alpha=1, name="x")
    with pytest.raises(AdapterError, match=r"lora_b holds"):
        read_lora(data)


def test_matrices_of_different_ranks_are_refused() -> None:
    one, two = np.ones((1, 8), np.float16), np.ones((2, 8), np.float16)
    pairs = {WEIGHT: (one, one.T), "blk.1.attn_v.weight": (two, two.T)}
    with pytest.raises(AdapterError, match="different ranks"):
        read_lora(lora_bytes(pairs, architecture="llama", alpha=1, name="x"))


def test_a_file_cut_off_anywhere_is_refused(small: Adapter) -> None:
    """At every byte of the header, and at the last bytes of the data."""
    size = len(small.data)
    start = min(tensor.offset for tensor in read_header(small.data).tensors)
    last = max(tensor.offset + tensor.size for tensor in read_header(small.data).tensors)
    for end in (*range(start + 1), last - 1):
        with pytest.raises(AdapterError):
            read_lora(small.data[:end])
    assert read_lora(small.data[:size])


def test_a_file_damaged_at_random_is_refused_or_harmless(
    small: Adapter, starter: LlamaModel
) -> None:
    """Whatever our reader lets through, llama.cpp takes or refuses, too: it never aborts."""
    rng = np.random.default_rng(5)
    start = min(tensor.offset for tensor in read_header(small.data).tensors)
    refused, reached = 0, 0
    for _ in range(1000):
        data = bytearray(small.data)
        for place in rng.integers(0, start, rng.integers(1, 4)):
            data[place] = rng.choice([0, 1, 2, 8, 9, 0xFF, int(rng.integers(256))])
        try:
            read_lora(bytes(data))
        except AdapterError:
            refused += 1
            continue
        reached += 1
        if reached > 12:  # each is tried on, which takes a tenth of a second
            continue
        changed = with_data(small, bytes(data))
        try:
            starter.adapted(Blend(((changed, 1.0),))).close()  # type: ignore[attr-defined]
        except AdapterError:
            refused += 1
    assert refused > 300
    assert reached > 40


def other_base(adapter: Adapter) -> Adapter:
    return adapter_of(
        {WEIGHT: (np.ones((1, 8), np.float16), np.ones((8, 1), np.float16))},
        "ab" * 32,
    )


def no_such_layer(adapter: Adapter) -> Adapter:
    matrix = np.ones((1, 576), np.float16)
    pairs = {"blk.99.attn_v.weight": (matrix, np.ones((192, 1), np.float16))}
    return adapter_of(pairs, adapter.manifest.base.sha256)


def other_shape(adapter: Adapter) -> Adapter:
    """Queries are 576 wide; these would be those of a model with fewer heads."""
    matrix = np.ones((1, 576), np.float16)
    pairs = {"blk.0.attn_q.weight": (matrix, np.ones((192, 1), np.float16))}
    return adapter_of(pairs, adapter.manifest.base.sha256)


def of_no_effect(adapter: Adapter) -> Adapter:
    matrix = np.ones((1, 576), np.float16)
    pairs = {"blk.0.attn_q.weight": (matrix, np.zeros((576, 1), np.float16))}
    return adapter_of(pairs, adapter.manifest.base.sha256)


def of_other_bytes(adapter: Adapter) -> Adapter:
    data = bytearray(adapter.data)
    data[-1] ^= 1
    return Adapter(adapter.manifest, bytes(data))


def overflowing(adapter: Adapter) -> Adapter:
    """Every number by itself is in range; together they exceed what 16 bits hold."""
    matrix = np.full((4, 576), 900, np.float16)
    pairs = {f"blk.{i}.attn_q.weight": (matrix, np.full((576, 4), 900, np.float16)) for i in (0, 1)}
    pairs |= {
        f"blk.{i}.ffn_up.weight": (matrix, np.full((1536, 4), 900, np.float16)) for i in (0, 1)
    }
    return adapter_of(pairs, adapter.manifest.base.sha256, alpha=1000.0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (other_base, "made for another model"),
        (no_such_layer, "the base does not have"),
        (other_shape, "do not fit the base"),
        (of_no_effect, "changes nothing"),
        (of_other_bytes, "not the file its manifest means"),
        (lambda a: Adapter(a.manifest, a.data[:-32]), "bytes, not"),
        (overflowing, "no numbers any more"),
    ],
)
def test_what_does_not_belong_to_the_model_is_refused(
    make: Callable[[Adapter], Adapter], message: str, small: Adapter, starter: LlamaModel
) -> None:
    with pytest.raises(AdapterError, match=message):
        starter.adapted(Blend(((make(small), 1.0),)))
    sampling = Sampling(max_tokens=3)
    assert "".join(starter.generate([{"role": "user", "content": "Hello"}], sampling=sampling))
