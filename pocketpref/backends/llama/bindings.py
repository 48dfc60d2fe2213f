"""Bindings to llama.cpp's C API: weights, contexts and batches.

Every pointer that is made here is freed here. llama.cpp's own log is silenced: it goes to stderr,
where it would drown what the program says.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.scheduling import patient_threads, threads
from pocketpref.errors import ModelDamagedError, ModelError, ModelMissingError


@cache
def library() -> Any:
    """The llama_cpp module, loaded when first used, with its log silenced.

    Raises:
        ModelMissingError: llama-cpp-python is not installed.
    """
    with patient_threads():
        try:
            import llama_cpp
        except ImportError as error:
            raise ModelMissingError(
                "llama-cpp-python is not installed", hint="pip install llama-cpp-python"
            ) from error
    silent = llama_cpp.llama_log_callback(lambda *_: None)
    _KEPT_ALIVE.append(silent)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    return llama_cpp


_KEPT_ALIVE: list[Any] = []  # what C holds a pointer to must never be collected


def gpu_available() -> bool:
    """Whether this build of llama.cpp can put layers on a GPU that is there."""
    return bool(library().llama_supports_gpu_offload())


def device() -> str:
    """Where models run, in words."""
    if gpu_available():
        return "GPU, all layers"
    count = threads()
    return f"CPU, {count} thread{'s' if count > 1 else ''}"


class Weights:
    """A loaded GGUF file with its vocabulary. Frees itself with ``close``.

    Attributes:
        wiring: held while adapters are loaded or freed, and while a context plans its graph, which
            reads the list of those that are loaded.
    """

    def __init__(self, path: Path) -> None:
        """Load a model, all layers on the GPU if the build can offload.

        Raises:
            ModelMissingError: there is no such file.
            ModelDamagedError: llama.cpp cannot read it.
        """
        if not path.is_file():
            raise ModelMissingError(
                f"the model file {path.name} is not there",
                hint="`pocketpref models ls` lists the models on this machine",
            )
        lib = library()
        self.wiring = threading.Lock()
        params = lib.llama_model_default_params()
        self.on_gpu = gpu_available()
        params.n_gpu_layers = -1 if self.on_gpu else 0
        self.pointer = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.pointer:
            raise ModelDamagedError(
                f"the model file {path.name} cannot be loaded",
                hint="it may be truncated or of a kind this llama.cpp does not know; pull it again",
            )
        self._vocab = lib.llama_model_get_vocab(self.pointer)
        self.vocabulary_size = int(lib.llama_vocab_n_tokens(self._vocab))
        self.trained_context = int(lib.llama_model_n_ctx_train(self.pointer))

    def close(self) -> None:
        """Free the weights; a second call does nothing."""
        if self.pointer:
            library().llama_model_free(self.pointer)
            self.pointer = None

    @property
    def vocab(self) -> Any:
        """Its vocabulary.

        Raises:
            ModelError: the weights were freed; native code would read what lies there now.
        """
        if not self.pointer:
            raise ModelError("the model was closed")
        return self._vocab

    def metadata(self, key: str) -> str | None:
        """A value of the file's metadata."""
        lib = library()
        length = lib.llama_model_meta_val_str(self.pointer, key.encode(), None, 0)
        if length < 0:
            return None
        buffer = ctypes.create_string_buffer(length + 1)
        lib.llama_model_meta_val_str(self.pointer, key.encode(), buffer, length + 1)
        return buffer.value.decode("utf-8", errors="replace")

    def tokenize(self, text: str, *, special: bool, begin: bool = False) -> list[int]:
        """Token ids of a text.

        Args:
            text: any text.
            special: read control tokens such as ``<|im_end|>``; False for a person's text.
            begin: put the vocabulary's begin-of-sequence token first, if it wants one.
        """
        lib = library()
        raw = text.encode("utf-8", errors="replace")
        room = len(raw) + 8
        while True:
            buffer = (lib.llama_token * room)()
            count = lib.llama_tokenize(self.vocab, raw, len(raw), buffer, room, begin, special)
            if count >= 0:
                return list(buffer[:count])
            room = -count

    def has_control_text(self, text: str) -> bool:
        """Whether the tokenizer would read a control token in a text."""
        if "<" not in text and "[" not in text and "|" not in text:
            return False
        return self.tokenize(text, special=True) != self.tokenize(text, special=False)

    def piece(self, token: int, *, special: bool = False) -> bytes:
        """The bytes of one token; control tokens are empty unless ``special``."""
        lib = library()
        room = 64
        while True:
            buffer = ctypes.create_string_buffer(room)
            count = lib.llama_token_to_piece(self.vocab, token, buffer, room, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            room = -count

    def ends(self, token: int) -> bool:
        """Whether a token ends the turn."""
        return bool(library().llama_vocab_is_eog(self.vocab, token))

    def special_text(self, which: str) -> str:
        """The text of the ``"bos"`` or ``"eos"`` token, "" if there is none."""
        lib = library()
        token = (lib.llama_vocab_bos if which == "bos" else lib.llama_vocab_eos)(self.vocab)
        if token < 0:
            return ""
        return self.piece(token, special=True).decode("utf-8", errors="replace")


_ABORTED = 2
"""What ``llama_decode`` returns when its abort callback said so."""


class Slot(NamedTuple):
    """One token of a batch.

    Attributes:
        position: its place in its sequences.
        sequences: the sequences it belongs to; it is computed once for all of them.
        output: whether its logits are wanted.
    """

    token: int
    position: int
    sequences: tuple[int, ...]
    output: bool


class Context:
    """A working memory (KV cache) over loaded weights. Not safe for threads; its owner locks."""

    def __init__(
        self,
        weights: Weights,
        *,
        cells: int,
        batch: int,
        sequences: int,
        outputs: int,
        gives_way: Callable[[], bool] | None = None,
    ) -> None:
        """Make a context.

        Args:
            weights: loaded weights; must outlive the context.
            cells: tokens that the cache holds, all sequences together.
            batch: most tokens of one decode.
            sequences: most sequences at a time.
            outputs: most tokens of one decode whose logits are wanted.
            gives_way: asked many times during a decode whether to abandon it (on a processor; a
                GPU ends what it has begun).

        Raises:
            ModelError: there is not enough memory.
        """
        lib = library()
        params = lib.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = params.n_ubatch = batch
        params.n_seq_max = sequences
        params.n_outputs_max = outputs
        params.n_threads = params.n_threads_batch = threads()
        params.kv_unified = True  # sequences share the cells of a common beginning
        params.no_perf = True
        self._gives_way = lib.ggml_abort_callback(lambda _: gives_way is not None and gives_way())
        if gives_way is not None:
            params.abort_callback = self._gives_way
        self.batch_size = batch
        self.cells = cells
        self._vocabulary_size = weights.vocabulary_size
        self._wiring = weights.wiring
        self._rewired = False
        with self._wiring:
            self.pointer = lib.llama_init_from_model(weights.pointer, params)
        if not self.pointer:
            raise ModelError(
                f"there is not enough memory for a context of {cells:,} tokens",
                hint="use a smaller model, or close other programs",
            )
        self.memory = lib.llama_get_memory(self.pointer)
        self._batch = lib.llama_batch_init(batch, 0, sequences)

    def close(self) -> None:
        """Free the context; a second call does nothing."""
        if self.pointer:
            lib = library()
            lib.llama_batch_free(self._batch)
            lib.llama_free(self.pointer)
            self.pointer = None

    def clear(self) -> None:
        """Forget everything."""
        library().llama_memory_clear(self.memory, False)

    def wear(self, adapter: Any | None, scale: float = 1.0) -> None:
        """Put on a loaded adapter, or take off what is worn.

        What was computed before is void; the caller clears it.

        Raises:
            ModelError: llama.cpp failed.
        """
        lib = library()
        count = 0 if adapter is None else 1
        adapters = (lib.llama_adapter_lora_p_ctypes * 1)(adapter)
        scales = (ctypes.c_float * 1)(scale)
        if lib.llama_set_adapters_lora(self.pointer, adapters, count, scales) != 0:
            raise ModelError("llama.cpp could not put an adapter on")
        self._rewired = True

    def cut(self, sequence: int, start: int) -> None:
        """Forget a sequence from a position on."""
        library().llama_memory_seq_rm(self.memory, sequence, start, -1)

    def share(self, source: int, target: int) -> None:
        """Let a sequence begin with all of another one; no cell is copied."""
        library().llama_memory_seq_cp(self.memory, source, target, -1, -1)

    def decode(self, slots: Sequence[Slot]) -> bool:
        """Run tokens through the model, at most ``batch_size`` of them.

        Returns:
            Whether it was done; False if it gave way. Then nothing has changed.

        Raises:
            ModelError: llama.cpp failed.
        """
        batch = self._batch
        batch.n_tokens = len(slots)
        for i, slot in enumerate(slots):
            batch.token[i] = slot.token
            batch.pos[i] = slot.position
            batch.n_seq_id[i] = len(slot.sequences)
            for j, sequence in enumerate(slot.sequences):
                batch.seq_id[i][j] = sequence
            batch.logits[i] = slot.output
        with self._wiring if self._rewired else nullcontext():
            status = library().llama_decode(self.pointer, batch)
        self._rewired = False
        if status == 0:
            return True
        if status != _ABORTED:
            raise ModelError(f"llama.cpp could not decode (status {status})")
        # llama.cpp leaves what an abandoned decode did with tokens that sequences share.
        begins: dict[int, int] = {}
        for slot in slots:
            for sequence in slot.sequences:
                begins[sequence] = min(slot.position, begins.get(sequence, slot.position))
        for sequence, position in begins.items():
            self.cut(sequence, position)
        return False

    def logits(self, rows: int) -> NDArray[np.float32]:
        """Logits of the wanted tokens of the last decode, in their order: (rows, vocabulary).

        A view into llama.cpp's buffer: valid until the next decode.
        """
        pointer = library().llama_get_logits(self.pointer)
        return np.ctypeslib.as_array(pointer, shape=(rows, self._vocabulary_size))


def quantize(source: Path, target: Path, file_type: int) -> None:
    """Write the weights again in another type (a ``LLAMA_FTYPE`` value).

    Raises:
        ModelError: llama.cpp failed, or the disk is full.
    """
    lib = library()
    params = lib.llama_model_quantize_default_params()
    params.ftype = file_type
    params.allow_requantize = True
    params.nthread = threads()
    if lib.llama_model_quantize(str(source).encode(), str(target).encode(), params) != 0:
        raise ModelError(
            f"{source.name} could not be converted", hint="is there enough room on the disk?"
        )
