"""LoRA adapters: files, manifests, and the checks that come before llama.cpp sees a byte."""

from pocketpref.adapters.blend import Blend
from pocketpref.adapters.hypernetwork import HypernetworkManifest
from pocketpref.adapters.lora import Lora, read_lora
from pocketpref.adapters.manifest import Adapter, AdapterManifest, Base
from pocketpref.adapters.writer import lora_bytes, permuted

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
