"""What was trained for a model: the machine's own before what comes along with pocketpref."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pocketpref.backends.onnx.hypernetwork import find_hypernetwork
from pocketpref.lora import Adapter
from pocketpref.lora.manifest import Hypernetwork
from pocketpref.methods.palm import portfolio
from pocketpref.methods.palm.portfolio import Portfolio
from pocketpref.models.bundled import models_folder
from pocketpref.summary import drafts


class TrainedArtifacts:
    """Finds what there is for the model in use, anew with every call."""

    def __init__(self, own: Path, fingerprint: Callable[[], str]) -> None:
        """Nothing is read yet.

        Args:
            own: the folder of the machine's own models.
            fingerprint: SHA-256 of the GGUF file in use, which everything trained names.
        """
        self._own = own
        self._fingerprint = fingerprint

    def portfolio(self) -> Portfolio | None:
        """Policies.

        Raises:
            AdapterError: there is a portfolio that cannot be read.
        """
        return portfolio.find(self._folders("palm"), self._fingerprint())

    def hypernetwork(self) -> Hypernetwork | None:
        """What writes a person's adapter.

        Raises:
            AdapterError: there is one that cannot be read.
            ModelError: onnxruntime is missing, or cannot load it.
        """
        return find_hypernetwork(self._folders("profile-to-peft"), self._fingerprint())

    def summarizer(self) -> Adapter | None:
        """What writes summaries.

        Raises:
            AdapterError: there is one that cannot be read.
        """
        return drafts.find(self._folders("adapters"), self._fingerprint())

    def _folders(self, name: str) -> tuple[Path, Path]:
        return self._own / name, models_folder() / name
