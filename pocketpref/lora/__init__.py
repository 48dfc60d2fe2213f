"""LoRA adapters: files, manifests, and the checks before llama.cpp loads them."""

from pocketpref.lora.blend import Blend
from pocketpref.lora.lora_file import Lora, lora_bytes, permuted, read_lora
from pocketpref.lora.manifest import Adapter, AdapterManifest, Base, HypernetworkManifest

__all__ = [
    "Adapter",
    "AdapterManifest",
    "Base",
    "Blend",
    "HypernetworkManifest",
    "Lora",
    "lora_bytes",
    "permuted",
    "read_lora",
]
