"""How much of a profile somebody who has the adapter can read back: inversion and membership.

    python -m tools.train.profile_to_peft.probe RUN --people PEOPLE.jsonl
        --network models/profile-to-peft

The attacker has the hypernetwork (it is public), profiles of people of their own, and one adapter
that was stolen. From their own they learn, by kernel ridge regression, to go back from an adapter
to its profile. Asked on people whose styles and prompts they never saw:

* inversion: which of so many profiles is this adapter's, and which options does its owner like;
* membership: was this choice one of the two that the profile was made of, or another one of the
  same person's. An area under the ROC curve of 0.5 is guessing.

Written into RUN: probe.json.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.backends.onnx.hypernetwork import OnnxHypernetwork
from pocketpref.methods.profile_to_peft import ITEMS, join
from pocketpref.protocols import Embedder

from ..export import write_json
from ..people import Person, read_people
from ..styles import AXES
from .profiles import summary_of

PROBE = "probe.json"

Matrix = NDArray[np.float64]

_RIDGE = 1e-3  # of the mean diagonal of the kernel
_CANDIDATES = 6  # choices of each person that did not enter the profile


@dataclass(frozen=True, slots=True)
class Victim:
    """Somebody's profile, what it was made of, and what was not.

    Attributes:
        profile: shape (2 x dimensions,).
        inside: differences of the choices that it was made of, shape (2, dimensions).
        outside: of others of the same person, shape (n, dimensions).
        likes: options of style.
    """

    profile: NDArray[np.float32]
    inside: NDArray[np.float32]
    outside: NDArray[np.float32]
    likes: frozenset[str]


def victims(people: Sequence[Person], embedder: Embedder) -> list[Victim]:
    """Read people as the device would, and some of their other choices beside."""
    found = []
    for person in people:
        newest = person.signals[::-1][: ITEMS + _CANDIDATES]
        text = summary_of(person.signals)
        answers = [answer for pair in newest for answer in (pair.chosen, pair.rejected)]
        read = embedder.embed([text, *answers])
        shown = read[1::2] - read[2::2]
        profile = join(read[0] if text else None, shown[:ITEMS])
        likes = frozenset(person.style.values())
        found.append(Victim(profile, shown[:ITEMS], shown[ITEMS:], likes))
    return found


def stolen(people: Sequence[Victim], network: OnnxHypernetwork) -> Matrix:
    """Their adapters as vectors, shape (people, numbers of all B)."""
    rows = []
    for one in people:
        factors = network.write(one.profile)
        rows.append(np.concatenate([v.ravel() for n, v in factors.items() if n.endswith("_b")]))
    return np.array(rows, float)


class Inversion:
    """Kernel ridge regression from adapters to whatever is known of their people."""

    def __init__(self, adapters: Matrix, targets: Matrix) -> None:
        """Learn from the attacker's own people, shape (n, numbers) and (n, targets)."""
        self._own = adapters
        self._middle = targets.mean(axis=0)
        kernel = adapters @ adapters.T
        ridge = _RIDGE * np.trace(kernel) / len(kernel) * np.eye(len(kernel))
        self._weights = np.linalg.solve(kernel + ridge, targets - self._middle)

    def __call__(self, adapters: Matrix) -> Matrix:
        """What it believes of others, shape (m, targets)."""
        return np.asarray(adapters @ self._own.T @ self._weights + self._middle)


def probe(known: Sequence[Victim], asked: Sequence[Victim], network: OnnxHypernetwork) -> Any:
    """Attack the second with what the first teach.

    Args:
        known: the attacker's own people.
        asked: people who were stolen from.
        network: public.
    """
    own, theirs = stolen(known, network), stolen(asked, network)
    back = Inversion(own, np.array([one.profile for one in known], float))(theirs)
    options = sorted(name for axis in AXES.values() for name in axis)
    told = np.array([[name in one.likes for name in options] for one in known], float)
    truth = np.array([[name in one.likes for name in options] for one in asked])
    liked = Inversion(own, told)(theirs)
    half = back.shape[1] // 2
    return {
        "attacker_has": len(known),
        "asked": len(asked),
        "profile_found": _found(back, np.array([one.profile for one in asked])),
        "guessing": 1 / len(asked),
        "options_auc": area(liked[truth], liked[~truth]),
        "membership_auc": _membership(back[:, half:], asked),
    }


def _found(back: Matrix, profiles: NDArray[np.float32]) -> float:
    """How often the profile that is nearest to the one read back is the right one."""
    near = _unit(back) @ _unit(profiles.astype(float)).T
    return float((near.argmax(axis=1) == np.arange(len(near))).mean())


def _membership(items: Matrix, asked: Sequence[Victim]) -> float:
    """How well choices inside of a profile are told from others of the same person."""
    areas = []
    for guess, one in zip(_unit(items), asked, strict=True):
        inside, outside = (_unit(part.astype(float)) @ guess for part in (one.inside, one.outside))
        areas.append(area(inside, outside))
    return float(np.mean(areas))


def area(positive: Matrix, negative: Matrix) -> float:
    """The area under the ROC curve: how often a positive value is above a negative one."""
    above = positive[:, None] > negative[None]
    equal = positive[:, None] == negative[None]
    return float((above + 0.5 * equal).mean())


def _unit(rows: Matrix) -> Matrix:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the probe."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="RUN")
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--network", type=Path, required=True, help="its folder")
    parser.add_argument("--known", type=int, default=200, help="people the attacker has")
    parser.add_argument("--asked", type=int, default=40, help="people who are stolen from")
    given = parser.parse_args(argv)
    people, embedder = read_people(given.people), open_embedder(None)
    known = [person for person in people if person.part == "train"][: given.known]
    asked = [person for person in people if person.part == "test"][: given.asked]
    network = OnnxHypernetwork(given.network)
    found = probe(victims(known, embedder), victims(asked, embedder), network)
    given.folder.mkdir(parents=True, exist_ok=True)
    write_json(given.folder / PROBE, found)
    for name, value in found.items():
        print(f"{name}: {value:.3g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
