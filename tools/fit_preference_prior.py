"""Fits the prior over people's preferences that comes with the library.

    python -m tools.fit_preference_prior descriptions.jsonl ukp_workers.jsonl mtbench_votes.jsonl

Writes ``pocketpref/personalization/prior.json`` with the files it was fitted on. It holds numbers
about measures, no text and nothing of any person. How such a prior predicts people and items it
was not fitted on is measured by ``tools/eval/real_people.py``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.importers import BadEntry, read
from pocketpref.personalization import prior
from pocketpref.personalization.measures import MEASURES, differences
from pocketpref.records import Matrix64, Pair
from tools.preference_prior import fit_prior

TARGET = Path(prior.__file__).with_name("prior.json")
LICENCES = (
    "descriptions: rkapur102/information-density (MIT); UKPConvArg1 (CC-BY 4.0); "
    "MT-Bench human judgments (votes CC-BY 4.0, answers Apache-2.0)"
)
ALIKE = ("ukp_workers", "mtbench_votes")
"""Sets whose people have a taste in common. Those of descriptions.jsonl do not: the weights of the
others among them predict one of them in 50 % of choices."""

LEAST_CHOICES = 10
"""Fewest choices of a person who is fitted on."""


def main(argv: Sequence[str] | None = None) -> int:
    """Fit and write. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Fit the prior over people's preferences.")
    parser.add_argument("files", type=Path, nargs="+", help="pair files, one a set of people")
    parser.add_argument("--to", type=Path, default=TARGET)
    options = parser.parse_args(argv)
    sets = {path.stem: _people(path) for path in options.files}
    found = fit_prior(sets, ALIKE)
    about = {
        "fitted_on": [
            {
                "file": path.name,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "people": len(sets[path.stem]),
                "choices": sum(map(len, sets[path.stem])),
            }
            for path in options.files
        ],
        "licence": LICENCES,
        "recipe": f"python tools/{Path(__file__).name} {' '.join(p.name for p in options.files)}",
    }
    options.to.write_text(layout(about | found.to_dict()), "utf-8")
    strongest = np.argsort(-np.abs(found.crowd))[:8]
    print(", ".join(f"{MEASURES[i]} {found.crowd[i]:+.2f}" for i in strongest))
    return 0


def layout(values: Mapping[str, Any]) -> str:
    """Return a dictionary as JSON, one line for each value, or for each item of lists of lists."""
    lines = []
    for key, value in values.items():
        nested = isinstance(value, list) and isinstance(value[0], list | dict)
        text = ",\n  ".join(map(json.dumps, value)) if nested else json.dumps(value)
        lines.append(f" {json.dumps(key)}: " + (f"[\n  {text}\n ]" if nested else text))
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _people(path: Path) -> list[Matrix64]:
    pairs: dict[str | None, list[Pair]] = {}
    for entry in read(path):
        if not isinstance(entry, BadEntry):
            pairs.setdefault(entry.user, []).append(entry.pair)
    return [differences(theirs) for theirs in pairs.values() if len(theirs) >= LEAST_CHOICES]


if __name__ == "__main__":
    sys.exit(main())
