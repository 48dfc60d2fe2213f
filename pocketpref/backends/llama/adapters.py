"""Load LoRA adapters into llama.cpp from memory, apply them, and verify their effect.

An adapter is checked by our own reader before llama.cpp sees a byte (``pocketpref.lora``). It
is read from a file in memory, so one that was made for a person touches no disk. What a context has
computed belongs to what it wore at the time: when that changes, its cache is emptied.
"""

from __future__ import annotations

import ctypes
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama.bindings import Context, Slot, Weights, library
from pocketpref.backends.llama.gguf_tensors import Tensors
from pocketpref.errors import AdapterError, ModelError
from pocketpref.lora import Blend, Lora
from pocketpref.lora.blend import Key, merged

_CANARY = "Hello there"
"""What the model goes on from when an adapter is tried on: two tokens or so, for with one alone the
attention has nothing to choose, and queries and keys would not matter."""


@dataclass
class _Loaded:
    """One adapter as llama.cpp has it, and how many contexts wear it."""

    pointer: Any
    wearers: int = 0


class AdapterPool:
    """The adapters that are loaded over one copy of the weights. Safe for threads.

    One stays loaded for as long as a context wears it; loading again takes milliseconds.
    """

    def __init__(self, weights: Weights, path: Path, fingerprint: str) -> None:
        """Nothing is loaded yet.

        Args:
            weights: what the adapters change.
            path: the weights' GGUF file, for its shapes.
            fingerprint: SHA-256 of the GGUF file that manifests name as their base.
        """
        self._weights = weights
        self._path = path
        self._fingerprint = fingerprint
        self._lock = threading.Lock()
        self._loaded: dict[Key, _Loaded] = {}
        self._proven: set[Key] = set()
        self._shapes: dict[str, tuple[int, int]] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._loaded

    def hold(self, blend: Blend) -> tuple[Any, float]:
        """Load a blend if it is not loaded, and keep it until it is let go as often as held.

        Returns:
            llama.cpp's adapter, and the scale to put it on with.

        Raises:
            AdapterError: it cannot be used with this model; the message says why.
        """
        with self._lock:
            found = self._loaded.get(blend.key)
            if found is None:
                found = self._loaded[blend.key] = _Loaded(self._load(blend))
            found.wearers += 1
            return found.pointer, _scale(blend)

    def let_go(self, key: Key) -> None:
        """Free an adapter if nobody wears it any more."""
        with self._lock:
            found = self._loaded[key]
            found.wearers -= 1
            if found.wearers == 0:
                del self._loaded[key]
                self.free(found.pointer)

    def _load(self, blend: Blend) -> Any:
        if not self._weights.pointer:
            raise ModelError("the model was closed")
        data = self.checked(blend)
        with self._weights.wiring:
            pointer = from_memory(self._weights, data, personal=blend.personal)
        if not pointer:
            raise AdapterError("llama.cpp cannot load the adapter")
        if blend.key not in self._proven:
            try:
                prove(self._weights, pointer, _scale(blend), self._bare)
            except ModelError:
                self.free(pointer)
                raise
            self._proven.add(blend.key)
        return pointer

    @cached_property
    def _bare(self) -> NDArray[np.float32]:
        return bare(self._weights)

    def free(self, pointer: Any) -> None:
        """Free an adapter that no context wears."""
        with self._weights.wiring:
            library().llama_adapter_lora_free(pointer)

    def checked(self, blend: Blend) -> bytes:
        """The adapter file that does what a blend does, every part of it checked.

        Raises:
            AdapterError: a part is damaged, hostile, for another model, or disagrees with its
                manifest.
        """
        parts: list[tuple[Lora, bytes, float]] = []
        for adapter, scale in blend.parts:
            found = adapter.manifest.check(adapter.data, self._fingerprint)
            parts.append((found, adapter.data, scale))
        # A manifest names its base by hash; the shapes are compared with the weights themselves.
        if not self._shapes:
            with closing(Tensors(self._path)) as tensors:
                self._shapes = tensors.shapes()
        architecture = self._weights.metadata("general.architecture")
        for lora, _, _ in parts:
            if lora.architecture != architecture:
                raise AdapterError("the adapter is for a model of another architecture")
            lora.fit(self._shapes)
        return parts[0][1] if len(parts) == 1 else merged(parts)


class Wearing:
    """What one context wears. Its owner's lock guards it."""

    def __init__(self, rack: AdapterPool) -> None:
        self._rack = rack
        self._context: Context | None = None
        self.key: Key = ()

    def change(self, context: Context, blend: Blend) -> bool:
        """Put a blend on a context, in place of what it wears.

        Returns:
            Whether something changed: then what the context has computed is void, and is cleared.

        Raises:
            AdapterError: the blend cannot be used; the context wears what it wore.
        """
        if context is self._context and blend.key == self.key:
            return False
        pointer, scale = self._rack.hold(blend) if blend.parts else (None, 1.0)
        context.wear(pointer, scale)
        context.clear()
        if self.key:
            self._rack.let_go(self.key)
        self._context, self.key = context, blend.key
        return True

    def take_off(self) -> None:
        """Wear nothing; call it before the context is closed, too."""
        if self._context is not None and self.key:
            self.change(self._context, Blend())
        self._context = None


def bare(weights: Weights) -> NDArray[np.float32]:
    """What a model says to the canary without any adapter: logits, shape (1, vocabulary)."""
    with _fitting(weights) as (context, tokens):
        return _logits(context, tokens)


def prove(weights: Weights, pointer: Any, scale: float, plain: NDArray[np.float32]) -> None:
    """Try an adapter on: it must change what the model says, and leave no trace when taken off.

    Args:
        weights: what the adapter changes.
        pointer: llama.cpp's adapter.
        scale: to put it on with.
        plain: what the model says without it (``bare``), of the same weights.

    Raises:
        AdapterError: the model says the same with it, or no numbers any more.
        ModelError: without it the model does not say what it said before, to the last bit.
    """
    with _fitting(weights) as (context, tokens):
        context.wear(pointer, scale)
        try:
            worn = _logits(context, tokens)
        finally:
            context.wear(None)
        after = _logits(context, tokens)
    if not np.isfinite(worn).all():
        raise AdapterError("with the adapter the model computes no numbers any more")
    if np.array_equal(worn, plain):
        raise AdapterError("the adapter changes nothing")
    if not np.array_equal(after, plain):
        raise ModelError("taking an adapter off did not restore the model")


@contextmanager
def _fitting(weights: Weights) -> Iterator[tuple[Context, list[int]]]:
    """A context to try adapters on, and the tokens of the canary."""
    tokens = weights.tokenize(_CANARY, special=False)
    context = Context(weights, cells=256, batch=len(tokens), sequences=1, outputs=1)
    try:
        yield context, tokens
    finally:
        context.close()


def _logits(context: Context, tokens: list[int]) -> NDArray[np.float32]:
    context.clear()
    last = len(tokens) - 1
    context.decode([Slot(token, i, (0,), output=i == last) for i, token in enumerate(tokens)])
    return context.logits(1).copy()


def _scale(blend: Blend) -> float:
    return blend.parts[0][1] if len(blend.parts) == 1 else 1.0


# ------------------------------------------------------------------------------ files in memory


def from_memory(weights: Weights, data: bytes, *, personal: bool) -> Any:
    """Load an adapter without writing it anywhere, where the system can.

    Linux and macOS make a file of a piece of memory (POSIX ``fmemopen``). Windows has nothing of
    the kind: there an adapter that anybody may see goes through a private temporary file, and one
    that was made for a person is refused.

    Raises:
        AdapterError: it was made for a person, and this system would have to write it.
    """
    opener = memory_files()
    if opener is not None:
        return opener(weights, data)
    if personal:
        raise AdapterError(
            "an adapter made for a person cannot be used on this system",
            hint="it would have to be written to the disk in the clear; Linux and macOS need not",
        )
    with tempfile.TemporaryDirectory(prefix="pocketpref-") as folder:
        path = Path(folder) / "adapter.gguf"
        path.write_bytes(data)
        return library().llama_adapter_lora_init(weights.pointer, str(path).encode())


@cache
def memory_files() -> Callable[[Weights, bytes], Any] | None:
    """What loads an adapter from a file in memory; None where the system has no such files."""
    try:
        c = ctypes.CDLL(None)
        fmemopen, fclose = c.fmemopen, c.fclose
    except (AttributeError, OSError, TypeError):  # Windows
        return None
    fmemopen.restype = ctypes.c_void_p
    fmemopen.argtypes = (ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p)
    fclose.argtypes = (ctypes.c_void_p,)

    def load(weights: Weights, data: bytes) -> Any:
        file = fmemopen(data, len(data), b"rb")
        if not file:
            raise AdapterError(
                "there is not enough memory to load the adapter", hint="close other programs"
            )
        try:
            return library().llama_adapter_lora_init_from_file_ptr(weights.pointer, file)
        finally:
            fclose(file)

    return load
