"""Make 16-bit copies of quantized models, which score without 8-bit activations.

ggml multiplies quantized weights by activations quantized to 8 bits. For chat that is fine; for
margins of a nat or two it is as large as the signal. The same weights written as 16-bit numbers
are multiplied by 16-bit activations instead: the copy holds nothing new, it only computes better.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Literal

import psutil

from pocketpref.backends.llama.bindings import quantize
from pocketpref.backends.llama.gguf_tensors import Tensors
from pocketpref.errors import ModelError
from pocketpref.protocols import LanguageModel
from pocketpref.records import Message

# Which 16-bit copy of a model scores: a faithful one (F16), or a faster one (BF16).
#
# On a processor with BF16 arithmetic a BF16 copy scores 1.5 times as fast as an F16 one, and its
# margins move a fifth of a nat (docs/performance.md). That is enough where a few attributes are
# compared that are mostly nats apart.

WORTH = 1.2
"""The fast copy must be this many times as fast to be worth its noise."""


def speedup(faithful: LanguageModel, fast: LanguageModel) -> float:
    """How many times as fast the second copy scores, the better of two runs each; one second."""
    return _seconds(faithful) / _seconds(fast)


def _seconds(model: LanguageModel) -> float:
    question = [Message(role="user", content="What is a river?")]
    answers = ("A river is water that flows downhill, " * 6, "Rivers begin at a spring. " * 6)
    best = float("inf")
    for attempt in range(3):  # the first one warms up
        began = time.perf_counter()
        model.likelihoods([question], answers)
        if attempt:
            best = min(best, time.perf_counter() - began)
    return best


Precision = Literal["f16", "bf16"]

NOT_QUANTIZED = "the model is not quantized"
"""Why no copy is needed: the model's own weights score as well."""

_BYTES_PER_WEIGHT = 2
_FILE_TYPES: dict[Precision, int] = {"f16": 1, "bf16": 32}  # LLAMA_FTYPE_MOSTLY_F16, _BF16
_UNFINISHED = ".preparing-"
_STALE_SECONDS = 3600
_MEMORY_SHARE = 0.4  # of all memory; the rest is for the cache, the chat model and other programs


def prepared_path(folder: Path, sha256: str, precision: Precision = "f16") -> Path:
    """Where the copy of a model is kept."""
    return folder / f"{sha256[:32]}-{precision}.gguf"


def unfit_reason(source: Path, folder: Path, precision: Precision = "f16") -> str | None:
    """Why no copy can or need be made, in words; None if it can.

    The copies that are wanted fit if they take at most 40 % of the memory and leave as much room
    on the disk as they take. The fast BF16 copy is one beside the F16 copy, so two must fit.
    Only the file's header is read.

    Raises:
        ModelDamagedError: the source is not a GGUF file.
    """
    with closing(Tensors(source)) as tensors:
        if not tensors.quantized:
            return NOT_QUANTIZED
        size = _BYTES_PER_WEIGHT * tensors.elements
    size *= 1 if precision == "f16" else 2
    if size > _MEMORY_SHARE * psutil.virtual_memory().total:
        return f"16-bit copies need {size / 2**30:.1f} GiB of memory"
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if 2 * size > psutil.disk_usage(str(there)).free:
        return f"16-bit copies need {size / 2**30:.1f} GiB on the disk"
    return None


def prepare(source: Path, folder: Path, sha256: str, precision: Precision = "f16") -> Path:
    """Make a 16-bit copy if it is not there yet; takes a second or two for each GiB.

    Margins from F16 correlate 0.9998 with float32, from BF16 0.98: F16 decides, and BF16 is for
    screening on processors that are faster at it.

    Args:
        source: a GGUF file.
        folder: where copies are kept; made if it is not there.
        sha256: the source's hash, which names the copy.
        precision: of the copy.

    Returns:
        The copy, or the source itself if a copy is not needed or does not fit.

    Raises:
        ModelError: the source cannot be loaded or converted.
    """
    target = prepared_path(folder, sha256, precision)
    if target.is_file():
        return target
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if unfit_reason(source, folder, precision) is not None:
            return source
        return _copy(source, target, precision)
    except OSError as error:
        raise ModelError(
            f"a 16-bit copy of the model cannot be kept in {folder}: {error.strerror}",
            hint="check the room on the disk and the permissions of the folder",
        ) from error


def _copy(source: Path, target: Path, precision: Precision) -> Path:
    """Write the copy under another name first, so that it appears whole or not at all."""
    folder = target.parent
    # What a killed process left half written is removed; a young file may still be at work.
    for path in folder.glob(f"{_UNFINISHED}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _STALE_SECONDS:
                path.unlink()
    handle, name = tempfile.mkstemp(dir=folder, prefix=_UNFINISHED, suffix=".gguf")
    os.close(handle)
    try:
        quantize(source, Path(name), _FILE_TYPES[precision])
        Path(name).replace(target)
    except (ModelError, OSError, KeyboardInterrupt):
        with suppress(OSError):
            Path(name).unlink()
        raise
    return target
