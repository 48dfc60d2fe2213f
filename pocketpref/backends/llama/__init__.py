"""The llama.cpp language models, imported only on first use."""

from pocketpref.backends.llama.bindings import device, gpu_available
from pocketpref.backends.llama.half_precision import (
    NOT_QUANTIZED,
    WORTH,
    prepare,
    prepared_path,
    speedup,
    unfit_reason,
)
from pocketpref.backends.llama.model import LlamaModel

__all__ = [
    "NOT_QUANTIZED",
    "WORTH",
    "LlamaModel",
    "device",
    "gpu_available",
    "prepare",
    "prepared_path",
    "speedup",
    "unfit_reason",
]
