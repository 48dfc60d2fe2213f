"""llama.cpp: the library's language models. Nothing here is imported before it is needed."""

from pocketpref.backends.llama.model import LlamaModel
from pocketpref.backends.llama.native import gpu_available

__all__ = ["LlamaModel", "gpu_available"]
