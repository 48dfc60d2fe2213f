"""Locate and verify the models that come with pocketpref.

``MANIFEST.toml`` beside them names each file with its role, sha256, size, licence and source, and
the command that makes it again.
"""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pocketpref.errors import ModelDamagedError, ModelMissingError
from pocketpref.files import TomlError, parse_toml

MANIFEST = "MANIFEST.toml"
_REINSTALL = "install pocketpref again: its own models come with it"


def models_folder() -> Path:
    """The folder of the bundled models: inside an installed wheel, or beside a checkout's package.

    Raises:
        ModelMissingError: there is neither.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_models", package.parent / "models"):
        if (folder / MANIFEST).is_file():
            return folder
    raise ModelMissingError("the models that come with pocketpref are missing", hint=_REINSTALL)


@dataclass(frozen=True, slots=True)
class BundledFile:
    """One line of the manifest.

    Attributes:
        path: the file itself.
        sha256: hex digest that it must have.
        size: in bytes.
    """

    path: Path
    role: str
    sha256: str
    size: int
    licence: str
    source: str

    def read(self) -> bytes:
        """The file's content, compared with the manifest.

        Whoever uses these bytes, rather than the path, uses what was checked.

        Raises:
            ModelMissingError: there is no such file.
            ModelDamagedError: it is not the file the manifest describes.
        """
        data = read_file(self.path)
        if len(data) != self.size or hashlib.sha256(data).hexdigest() != self.sha256:
            raise ModelDamagedError(
                f"{self.path} is not the file that its manifest describes", hint=_REINSTALL
            )
        return data


class Manifest:
    """``MANIFEST.toml`` of one models folder.

    Raises:
        ModelMissingError: there is no manifest.
        ModelDamagedError: it cannot be read as one.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / MANIFEST
        # Raised outside of the handler: these errors quote the file.
        with suppress(TomlError, ValueError, KeyError, TypeError, AttributeError, OverflowError):
            tables = parse_toml(read_file(self.path))
            self.files = tuple(
                BundledFile(
                    path=folder / entry["file"],
                    role=str(entry["role"]),
                    sha256=str(entry["sha256"]),
                    size=int(entry["bytes"]),
                    licence=str(entry["licence"]),
                    source=str(entry["source"]),
                )
                for entry in tables["file"]
            )
            measured = tables.get("relevance", {}).items()
            thresholds = {model: facts["threshold"] for model, facts in measured}
            if all(map(math.isfinite, thresholds.values())):
                self._thresholds = {model: float(value) for model, value in thresholds.items()}
                return
        raise ModelDamagedError(f"{self.path} is no manifest of models", hint=_REINSTALL)

    def file(self, name: str) -> BundledFile:
        """The line of one file.

        Args:
            name: relative to the folder, with ``/``.

        Raises:
            ModelMissingError: the manifest has no such line.
        """
        wanted = self.path.parent / name
        for entry in self.files:
            if entry.path == wanted:
                return entry
        raise ModelMissingError(f"{self.path} does not list {name}", hint=_REINSTALL)

    def relevance(self, model: str) -> float | None:
        """The measured relevance threshold of an embedder, or None if none was measured."""
        return self._thresholds.get(model)


def read_file(path: Path) -> bytes:
    """A model's file as bytes.

    Raises:
        ModelMissingError: there is no such file.
        ModelDamagedError: it is there but cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelMissingError(f"there is no file {path}", hint=_REINSTALL) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ModelDamagedError(f"{path} cannot be read: {reason}", hint=_REINSTALL) from error
