"""What a Pocket works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pocketpref.attributes import AttributeBank
from pocketpref.methods import Method
from pocketpref.protocols import EmbedderLoader, MemoryStore, ModelLoader


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one Pocket, each loaded when it is first needed.

    Attributes:
        store: the user's part of a vault.
        bank: the attributes.
        method: how choices are explained and recalled.
        recipe: what decides the index: model, embedder, bank and settings in one fingerprint.
        noise: the scoring model's noise floor, nats.
        model: loads the model that replies.
        scorer: loads the model that scores: the same weights in a form that adds less noise.
        embedder: loads the embedder.
        about: model, embedder, vault and egress for ``status``.
        on_close: frees whatever was opened for this Pocket.
    """

    store: MemoryStore
    bank: AttributeBank
    method: Method
    recipe: Callable[[], str]
    noise: Callable[[], float]
    model: ModelLoader
    scorer: ModelLoader
    embedder: EmbedderLoader
    about: Callable[[], dict[str, Any]]
    on_close: Callable[[], None] = lambda: None
