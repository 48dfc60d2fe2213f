"""Run a hypernetwork on onnxruntime: profile vector in, adapter factors out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.onnx.embedder import failures, session
from pocketpref.errors import ModelError
from pocketpref.lora import HypernetworkManifest
from pocketpref.lora.manifest import FILE_NAME
from pocketpref.records import Vector


class OnnxHypernetwork:
    """A hypernetwork from a folder with its manifest. Safe to call from several threads."""

    def __init__(self, folder: Path, *, cuda: bool = True) -> None:
        """Load it, after comparing its file with its manifest.

        Args:
            folder: holds both.
            cuda: use a CUDA device if onnxruntime can.

        Raises:
            AdapterError: a file is not there, or not what it should be.
            ModelMissingError: onnxruntime is not installed.
            ModelDamagedError: onnxruntime cannot load it.
        """
        self.manifest = HypernetworkManifest.load(folder)
        graph = self.manifest.read_graph(folder)
        self._session = session(graph, folder / self.manifest.file, cuda=cuda)

    @property
    def device(self) -> str:
        """``"cuda"`` or ``"cpu"``: where it runs."""
        return "cuda" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"

    def __repr__(self) -> str:
        return f"OnnxHypernetwork({self.manifest.base.name!r}, device={self.device!r})"

    def write(self, profile: Vector) -> dict[str, NDArray[np.float32]]:
        """The factors of an adapter.

        Args:
            profile: shape (dimensions,).

        Returns:
            ``KIND.lora_a`` of shape (layers, rank, in) and ``KIND.lora_b`` of shape (layers, out,
            rank) for each kind of matrix, in GGUF's order of rows.

        Raises:
            ModelError: onnxruntime failed, or the profile is of another length than it takes.
        """
        names = [output.name for output in self._session.get_outputs()]
        fed = {"profile": np.asarray(profile, np.float32)[None]}
        try:
            values = self._session.run(names, fed)
        except failures() as error:
            # The library's message names tensors and shapes, never what is in them.
            raise ModelError(f"onnxruntime failed on the hypernetwork: {error}") from None
        return dict(zip(names, values, strict=True))


def find_hypernetwork(folders: Iterable[Path], base_sha256: str) -> OnnxHypernetwork | None:
    """The first hypernetwork in these folders that is for a base model; None if there is none.

    Raises:
        AdapterError: a folder has one that is not what it should be.
        ModelError: onnxruntime is missing, or cannot load it.
    """
    for folder in folders:
        if not (folder / FILE_NAME).is_file():
            continue
        if HypernetworkManifest.load(folder).base.sha256 == base_sha256:
            return OnnxHypernetwork(folder)
    return None
