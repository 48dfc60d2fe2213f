"""A model that wears adapters, whoever asks for it."""

from __future__ import annotations

from pocketpref.errors import AdapterError
from pocketpref.lora import Blend
from pocketpref.protocols import Adaptable, LanguageModel


def wearing(model: LanguageModel, blend: Blend) -> LanguageModel:
    """A view of a model that wears a blend, over the same weights.

    Raises:
        AdapterError: the model takes no adapters, or not these; the message says why.
    """
    if not isinstance(model, Adaptable):
        raise AdapterError("the model in use takes no adapters")
    return model.adapted(blend)
