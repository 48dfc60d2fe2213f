"""Find, verify and pull language models."""

from __future__ import annotations

from pocketpref.models.registry import Catalogue, ModelEntry

__all__ = ["Catalogue", "ModelEntry"]
