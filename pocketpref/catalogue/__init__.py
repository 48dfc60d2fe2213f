"""The models on this machine: what they are called, where they lie, whether they are intact."""

from pocketpref.catalogue.models import Catalogue, ModelEntry

__all__ = ["Catalogue", "ModelEntry"]
