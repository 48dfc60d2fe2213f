"""llama.cpp: the library's language models. Nothing here is imported before it is needed."""

from pocketpref.backends.llama.model import LlamaModel
from pocketpref.backends.llama.native import device, gpu_available
from pocketpref.backends.llama.precisions import WORTH, speedup
from pocketpref.backends.llama.prepare import NOT_QUANTIZED, prepare, prepared_path, unfit_reason

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
