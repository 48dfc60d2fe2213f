"""Reads and writes ``models/MANIFEST.toml``, for the tools that make what lies in ``models/``."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import tomli_w

NAME = "MANIFEST.toml"
HEADER = (
    "# What lies in this folder, and how to make it again. Written by the tools it names; every\n"
    "# file is compared with its sha256 each time it is loaded.\n\n"
)


def read(models: Path) -> dict[str, Any]:
    """The manifest of a models folder; an empty one if there is none yet."""
    path = models / NAME
    if not path.exists():
        return {"format": 1, "file": [], "relevance": {}}
    return tomllib.loads(path.read_text("utf-8"))


def write(models: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a models folder."""
    # Bytes, since text mode would write other line ends on Windows.
    (models / NAME).write_bytes((HEADER + tomli_w.dumps(manifest)).encode())


def put_file(manifest: dict[str, Any], models: Path, file: str, facts: dict[str, Any]) -> None:
    """Describe one file, in the place of an older description of it.

    Args:
        manifest: changed in place.
        models: the folder.
        file: relative to the folder, with ``/``.
        facts: what is known of it besides its size and digest.
    """
    data = (models / file).read_bytes()
    entry = {"role": facts["role"], "file": file}
    entry |= {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} | facts
    others = [e for e in manifest["file"] if e["file"] != file]
    manifest["file"] = sorted([*others, entry], key=lambda e: str(e["file"]))
