"""Fits the prior that comes with the library: what people have in common, on plain style measures.

    python tools/fit_prior.py ukp_workers.jsonl mtbench_votes.jsonl

It is written to ``pocketpref/methods/prior.json`` with what it was fitted on. It holds one weight
for each measure, nothing of any person. How such a prior predicts people and items that it never
saw is in docs/evaluation.md; on the pairs of these files themselves it would be flattered.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from pocketpref.evaluation.cases import by_user, cases_of
from pocketpref.evaluation.predictors.bradley_terry import WITHOUT_MODEL, FeatureSet
from pocketpref.importers import BadEntry, read
from pocketpref.methods.reranking import bradley_terry
from pocketpref.testing import HashEmbedder
from tools.eval.margins import item_of

TARGET = Path(bradley_terry.__file__).with_name("prior.json")
LICENCES = "UKPConvArg1 (CC-BY 4.0) and votes of MT-Bench (CC-BY 4.0)"


def main(argv: Sequence[str] | None = None) -> int:
    """Fit and write. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Fit the prior that comes with the library.")
    parser.add_argument("files", type=Path, nargs="+", help="pair files")
    parser.add_argument("--to", type=Path, default=TARGET)
    options = parser.parse_args(argv)
    traits = FeatureSet(WITHOUT_MODEL)
    people, sources = [], []
    for path in options.files:
        feedback = [entry for entry in read(path) if not isinstance(entry, BadEntry)]
        cases = cases_of(feedback, HashEmbedder(1), item_of=item_of)
        for theirs in by_user(cases).values():
            table = traits.table(theirs)
            people.append(bradley_terry.Person(table, tuple(case.item for case in theirs)))
        sources.append(_source(path, len(cases), len(by_user(cases))))
    with threadpool_limits(1):
        found = bradley_terry.fit_prior(traits.names, people)
    about: dict[str, Any] = {"fitted_on": sources, "licence": LICENCES}
    about["recipe"] = f"python tools/fit_prior.py {' '.join(path.name for path in options.files)}"
    options.to.write_text(json.dumps(found.to_dict() | about, indent=1) + "\n", "utf-8")
    for name, weight in sorted(zip(found.names, found.mean, strict=True), key=lambda w: -abs(w[1])):
        print(f"{name:20} {weight:+.3f}")
    print(f"loss on people and items left out: {found.loss:.4f} nats")
    print(f"spread of persons: {dict(zip(found.names, found.spread.tolist(), strict=True))}")
    return 0


def _source(path: Path, pairs: int, people: int) -> dict[str, Any]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": path.name, "sha256": digest, "pairs": pairs, "people": people}


if __name__ == "__main__":
    sys.exit(main())
