"""Control vectors in llama.cpp: add a direction to the hidden state, and read hidden states.

llama.cpp adds the vector of a layer to that layer's output for every token. What was computed with
another vector, or with none, is void afterwards: the caller clears the cache.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama.native import Context, Weights, library
from pocketpref.errors import ModelError


def hidden_size(weights: Weights) -> int:
    """The length of a hidden state."""
    return int(library().llama_model_n_embd(weights.pointer))


def layer_count(weights: Weights) -> int:
    """How many layers the model has."""
    return int(library().llama_model_n_layer(weights.pointer))


def steer(
    context: Context, weights: Weights, layer: int, vector: NDArray[np.float32] | None
) -> None:
    """Add a vector to the output of one layer from now on, or to none.

    The caller clears the context: keys and values computed before are void.

    Args:
        context: to be steered.
        weights: its model.
        layer: counted from 0; llama.cpp cannot steer layer 0.
        vector: shape (hidden size,); None takes the present one away.

    Raises:
        ValueError: the layer or the shape does not fit the model.
        ModelError: llama.cpp refused.
    """
    lib = library()
    size, layers = hidden_size(weights), layer_count(weights)
    if not 0 < layer < layers:
        raise ValueError(f"a layer from 1 to {layers - 1} can be steered")
    if vector is None:
        status = lib.llama_set_adapter_cvec(context.pointer, None, 0, size, layer, layer)
    elif vector.shape != (size,):
        raise ValueError(f"the model's hidden states have {size} numbers")
    else:
        # One row for each layer from 1 on.
        rows = np.zeros((layers - 1, size), dtype=np.float32)
        rows[layer - 1] = vector
        data = rows.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        status = lib.llama_set_adapter_cvec(context.pointer, data, rows.size, size, layer, layer)
    if status != 0:
        raise ModelError("llama.cpp could not set a control vector")


@cache
def _tensors() -> Any:
    """Functions of ggml that read a tensor; llama_cpp does not bind them."""
    folder = Path(library().__file__).parent / "lib"
    names = ("libggml-base.so", "libggml-base.dylib", "ggml-base.dll")
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        raise ModelError("this build of llama-cpp-python has no library ggml-base")
    ggml = ctypes.CDLL(str(found))
    ggml.ggml_get_name.restype = ctypes.c_char_p
    ggml.ggml_get_name.argtypes = [ctypes.c_void_p]
    ggml.ggml_nbytes.restype = ctypes.c_size_t
    ggml.ggml_nbytes.argtypes = [ctypes.c_void_p]
    ggml.ggml_backend_tensor_get.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_size_t,
    ]
    return ggml


class HiddenStates:
    """Reads the outputs of layers, in a context of its own. Works for every architecture."""

    def __init__(self, weights: Weights, *, longest: int = 1024) -> None:
        """Make a context for texts of at most ``longest`` tokens.

        Raises:
            ModelError: there is not enough memory, or ggml's functions are not there.
        """
        self._size = hidden_size(weights)
        self._states: dict[int, NDArray[np.float32]] = {}
        ggml = _tensors()

        def read(tensor: int, asked: bool, _: object) -> bool:
            name = ggml.ggml_get_name(tensor)
            if not name.startswith(b"l_out-"):
                return not asked
            if not asked:
                count = ggml.ggml_nbytes(tensor) // 4
                state = np.empty(count, dtype=np.float32)
                ggml.ggml_backend_tensor_get(tensor, state.ctypes.data, 0, count * 4)
                self._states[int(name[6:])] = state.reshape(-1, self._size)
            return True

        lib = library()
        params = lib.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = longest
        params.no_perf = True
        self._callback = lib.llama_cpp.ggml_backend_sched_eval_callback(read)
        params.cb_eval = self._callback
        self._pointer = lib.llama_init_from_model(weights.pointer, params)
        if not self._pointer:
            raise ModelError(f"there is not enough memory for a context of {longest:,} tokens")
        self._batch = lib.llama_batch_init(longest, 0, 1)
        self.longest = longest

    def read(self, tokens: Sequence[int]) -> NDArray[np.float32]:
        """The outputs of all layers but the last, shape (layers - 1, tokens, hidden size).

        The last layer is computed for the last token alone.

        Raises:
            ValueError: there are no tokens, or too many.
            ModelError: llama.cpp failed.
        """
        if not 0 < len(tokens) <= self.longest:
            raise ValueError(f"from 1 to {self.longest} tokens can be read")
        lib = library()
        lib.llama_memory_clear(lib.llama_get_memory(self._pointer), False)
        self._states.clear()
        batch = self._batch
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens):
            batch.token[place] = token
            batch.pos[place] = place
            batch.n_seq_id[place] = 1
            batch.seq_id[place][0] = 0
            batch.logits[place] = place == len(tokens) - 1
        if lib.llama_decode(self._pointer, batch) != 0:
            raise ModelError("llama.cpp could not decode")
        last = max(self._states, default=0)
        return np.stack([self._states[layer] for layer in range(last)])

    def close(self) -> None:
        """Free the context; a second call does nothing."""
        if self._pointer:
            lib = library()
            lib.llama_batch_free(self._batch)
            lib.llama_free(self._pointer)
            self._pointer = None
