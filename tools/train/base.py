"""The base of everything trained here: a GGUF file, dequantized, as a torch model.

What is trained is what runs: the weights are those of the file that the device loads, quantization
error included, and tokens come from llama.cpp's vocabulary and the file's own chat template.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketpref.backends.llama.bindings import Weights
from pocketpref.backends.llama.chat_template import ChatTemplate
from pocketpref.backends.scheduling import threads
from pocketpref.lora import Base as BaseName
from pocketpref.models import Catalogue
from pocketpref.models.gguf_file import file_sha256
from pocketpref.records import Message


def starter_path() -> Path:
    """The starter model's file.

    Raises:
        ModelMissingError: its package is not installed.
    """
    return Catalogue(Path()).find(None).path


def identity(path: Path) -> BaseName:
    """A GGUF file as manifests name it.

    Raises:
        ModelError: llama.cpp cannot read it.
    """
    with closing(Weights(path)) as weights:
        architecture = weights.metadata("general.architecture") or "unknown"
    return BaseName(path.stem, file_sha256(path), architecture)


@dataclass(frozen=True, slots=True)
class Shape:
    """What an export must know of the base.

    Attributes:
        architecture: llama.cpp's name of it.
        layers: how many blocks there are.
        heads: query heads of a block.
        key_heads: key and value heads of a block.
    """

    architecture: str
    layers: int
    heads: int
    key_heads: int


class Tokens:
    """Texts as token ids, exactly as the library makes them on the device."""

    def __init__(self, path: Path) -> None:
        """Read the vocabulary of a GGUF file; the weights are mapped, not copied.

        Raises:
            ModelError: it is missing or cannot be read.
        """
        self._weights = Weights(path)
        self._template = ChatTemplate(self._weights)
        self.end = self._weights.tokenize(self._weights.special_text("eos"), special=True)[0]

    def prompt(self, text: str) -> list[int]:
        """A user's turn, up to where the answer begins."""
        return self.conversation([Message(role="user", content=text)])

    def conversation(self, messages: list[Message]) -> list[int]:
        """Any conversation, up to where the answer begins."""
        return self._template.tokens(messages)

    def answer(self, text: str, *, ended: bool = True) -> list[int]:
        """An answer, and the token that ends the turn unless the answer was cut short."""
        found = self._weights.tokenize(text, special=False)
        return [*found, self.end] if ended else found

    def text(self, tokens: list[int]) -> str:
        """What tokens say, control tokens left out."""
        raw = b"".join(self._weights.piece(token) for token in tokens)
        return raw.decode("utf-8", errors="replace")

    def close(self) -> None:
        """Free the vocabulary; a second call does nothing."""
        self._weights.close()


@dataclass(frozen=True, slots=True)
class Base:
    """A dequantized model and all that belongs to it.

    Attributes:
        model: a transformers model for causal language modelling, frozen.
        identity: the file's name and hash, which adapters are bound to.
    """

    model: Any
    tokens: Tokens
    shape: Shape
    path: Path
    identity: BaseName


def load_base(path: Path, dtype: str = "float32") -> Base:
    """Load a GGUF file into torch.

    Args:
        path: a GGUF file of an architecture that transformers reads.
        dtype: "float32" to compare, "bfloat16" to train faster where the processor knows it.

    Raises:
        ModelError: llama.cpp cannot read the file.
    """
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.set_verbosity_error()
    torch.set_num_threads(threads())
    tokens = Tokens(path)
    model = AutoModelForCausalLM.from_pretrained(
        str(path.parent), gguf_file=path.name, dtype=getattr(torch, dtype)
    )
    model.requires_grad_(False)
    config = model.config
    named = identity(path)
    shape = Shape(
        architecture=named.architecture,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        key_heads=config.num_key_value_heads,
    )
    return Base(model.eval(), tokens, shape, path, named)
