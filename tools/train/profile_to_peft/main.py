"""Profile-to-PEFT: a hypernetwork that writes a person's adapter, trained once over many people.

    python -m tools.train.profile_to_peft train RUN --people PEOPLE.jsonl
    python -m tools.train.profile_to_peft measure RUN --people PEOPLE.jsonl [--oppu 10]
    python -m tools.train.profile_to_peft export RUN --into models/profile-to-peft

Loss (arXiv 2510.16282): what the base, wearing the adapter that a profile is made into, finds
unlikely of the person's later preferred answers, nats for each token, and the mean square of what
was generated. PEOPLE.jsonl is a pair file: of `tools.train.people`, or of real people. `train` goes
on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.backends.onnx.hypernetwork import OnnxHypernetwork
from pocketpref.importers import FORMATS
from pocketpref.lora import HypernetworkManifest

from ..base import Base, load_base, starter_path
from ..export import Made, write_json
from ..graphs import rounded
from ..loop import CHECKPOINT, CURVE, Plan, Run
from ..lora import MODULES, LoraShape
from ..people import Person, read_people
from ..prompts import LICENCES
from ..scoring import Row, batch
from .controls import Bench, as_shipped, judge, table, trained_alone
from .hypernetwork import Hypernetwork, Personalized, sizes
from .hypernetwork_export import graph as exported
from .hypernetwork_export import write
from .profiles import Material, material

RECIPE = "recipe.json"
REPORT = "report.json"
SCALE = "scale.npz"
COMMAND = "python -m tools.train.profile_to_peft train RUN --people PEOPLE.jsonl"
DATA = f"people of tools/train/people.py: {LICENCES}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a hypernetwork is trained.

    Attributes:
        shrink: weight of the mean square of generated weights.
        dtype: of the base's weights while training.
        lora: of what is generated.
        plan: how long and how fast.
    """

    shrink: float = 1.0
    dtype: str = "bfloat16"
    lora: LoraShape = field(default_factory=LoraShape)
    plan: Plan = field(
        default_factory=lambda: Plan(epochs=2, batch=16, micro=8, rate=1e-3, every=20)
    )


@dataclass(frozen=True, slots=True)
class Example:
    """An answer that somebody preferred later.

    Attributes:
        person: their place.
        row: prompt and answer as tokens.
    """

    person: int
    row: Row


def examples(people: Sequence[Person], base: Base) -> list[Example]:
    """All later preferred answers."""
    tokens = base.tokens
    return [
        Example(place, Row(tokens.prompt(pair.prompt), tokens.answer(pair.chosen)))
        for place, person in enumerate(people)
        for pair in person.later
    ]


def loss_of(found: Sequence[Example], known: Material, shrink: float) -> Any:
    """The loss of some examples, for the loop.

    Args:
        found: all examples.
        known: what profiles are drawn from.
        shrink: weight of the mean square of generated weights.
    """

    def loss(module: Any, places: Sequence[int]) -> torch.Tensor:
        some = [found[place] for place in places]
        device = next(module.parameters()).device
        profiles = known.drawn([one.person for one in some]).to(device)
        likely, size = module(profiles, batch([one.row for one in some], device))
        lengths = torch.tensor([len(one.row.answer) for one in some], device=device)
        return -(likely / lengths).sum() + shrink * size * len(some)

    return loss


def build(base: Base, recipe: Recipe) -> Personalized:
    """A steered base with a fresh hypernetwork for the library's embedder."""
    dimensions = 2 * open_embedder(None).embed(["size"]).shape[1]
    return Personalized(base, Hypernetwork(sizes(base, dimensions, recipe.lora), recipe.plan.seed))


def load(folder: Path, base: Base) -> Personalized:
    """A steered base with the hypernetwork that lies in a run's folder.

    Raises:
        OSError: there is none.
    """
    said = json.loads((folder / RECIPE).read_text("utf-8"))
    lora = LoraShape(**said["lora"] | {"targets": tuple(said["lora"]["targets"])})
    found = build(base, Recipe(lora=lora))
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["trained"]
    found.network.load_state_dict(
        {name.removeprefix("network."): value for name, value in state.items()}
    )
    with np.load(folder / SCALE) as kept:
        found.network.scale(torch.from_numpy(kept["middle"]), torch.from_numpy(kept["spread"]))
    found.eval()
    return found


def train(base: Base, people: Sequence[Person], recipe: Recipe, folder: Path) -> None:
    """Train a hypernetwork, or go on.

    Args:
        base: loaded in the recipe's type; its layers are wrapped.
        people: those of the part "train" are used.
        recipe: the same as before, if it goes on.
        folder: for the checkpoint and the curve.
    """
    chosen = [person for person in people if person.part == "train"]
    found = examples(chosen, base)
    known = material(chosen, open_embedder(None))
    module = build(base, recipe)
    folder.mkdir(parents=True, exist_ok=True)
    middle, spread = known.scale()
    np.savez(folder / SCALE, middle=middle.numpy(), spread=spread.numpy())
    module.network.scale(middle, spread)
    write_json(folder / RECIPE, asdict(recipe) | {"people": len(chosen), "examples": len(found)})
    run = Run(module, recipe.plan, folder)
    run.fit(len(found), loss_of(found, known, recipe.shrink), title="hypernetwork")


def measure(
    base: Base,
    people: Sequence[Person],
    folder: Path,
    judged: Sequence[Person],
    *,
    alone: int,
    shipped: Path | None = None,
) -> dict[str, Any]:
    """Every control, on people never trained on.

    Args:
        base: loaded; its layers are wrapped.
        people: of whom those trained on give the means; without any, these rows are left out.
        folder: of the run.
        judged: who is judged on, all with the same number of later choices.
        alone: people that an adapter is trained for, to compare (OPPU).
        shipped: the folder of an exported network, to judge what the device would write, too.

    Returns:
        By row: means and intervals over people; and seconds for each person.
    """
    module = load(folder, base)
    trained = [person for person in people if person.part == "train"]
    bench = Bench(module, base.tokens, judged)
    found = {}
    for name, one in judge(bench, open_embedder(None), trained, module.network):
        found[name] = one
        print(f"{name}: {one.surprise.mean():.4f} nats for each token", file=sys.stderr, flush=True)
    seconds: dict[str, list[float]] = {}
    if shipped is not None:
        network, embedder = OnnxHypernetwork(shipped), open_embedder(None)
        found["as shipped"], seconds["as shipped"] = as_shipped(
            bench, embedder, network, base.shape
        )
    if alone:
        found["trained alone"], seconds["trained alone"] = trained_alone(
            bench, module.network, count=alone
        )
    return {"rows": table(found), "seconds": seconds}


def export(
    base: Base, folder: Path, into: Path, *, data: str, small: bool = True
) -> HypernetworkManifest:
    """Write a trained hypernetwork as the device loads it.

    Args:
        base: what it was trained over.
        folder: of the run; if it holds a report, its figures stand in the manifest.
        into: the folder that is written.
        data: what it was trained on, with licences.
        small: matrices in eight bits.
    """
    network = load(folder, base).network
    said = json.loads((folder / RECIPE).read_text("utf-8"))
    report = folder / REPORT
    rows = json.loads(report.read_text("utf-8"))["rows"] if report.is_file() else {}
    made = Made(
        recipe="Profile-to-PEFT (arXiv 2510.16282): likelihood of later preferred answers",
        command=f"{COMMAND} --epochs {said['plan']['epochs']} --rate {said['plan']['rate']}",
        seed=said["plan"]["seed"],
        data=data,
    )
    graph = exported(network, base.shape)
    return write(
        into,
        rounded(graph) if small else graph,
        network,
        base,
        made,
        embedder=open_embedder(None).fingerprint,
        held_out={name: row["surprise"] for name, row in rows.items()},
    )


def _export(given: argparse.Namespace) -> None:
    base = load_base(given.base or starter_path())
    found = export(base, given.folder, given.into, data=given.data, small=not given.whole)
    print(f"{found.file}: {found.size:,} bytes, rank {found.rank} on {', '.join(found.targets)}")


def _plan(given: argparse.Namespace) -> Plan:
    return Plan(
        epochs=given.epochs, batch=given.batch, micro=16, rate=given.rate, every=20, seed=given.seed
    )


def _train(given: argparse.Namespace) -> None:
    recipe = Recipe(
        shrink=given.shrink,
        lora=LoraShape(rank=given.rank, alpha=2.0 * given.rank, targets=tuple(given.targets)),
        plan=_plan(given),
    )
    base = load_base(given.base or starter_path(), recipe.dtype)
    people = read_people(given.people, given.format)[: given.most]
    train(base, people, recipe, given.folder)
    curve = [json.loads(line) for line in (given.folder / CURVE).read_text("utf-8").splitlines()]
    tail = np.mean([entry["loss"] for entry in curve[-20:]])
    print(f"{len(curve)} steps, loss {curve[0]['loss']:.3f} -> {tail:.3f} nats for each token")


def _measure(given: argparse.Namespace) -> None:
    base = load_base(given.base or starter_path(), given.dtype)
    people = read_people(given.people, given.format)
    judged = [person for person in people if given.everybody or person.part == "test"]
    some = [
        replace(person, later=person.later[: given.choices])
        for person in judged
        if len(person.later) >= given.choices
    ]
    if not some:
        raise SystemExit(f"nobody to judge on has {given.choices} later choices: lower --choices")
    report = measure(
        base, people, given.folder, some[: given.judged], alone=given.oppu, shipped=given.network
    )
    write_json(given.folder / given.into, report)
    for name, each in report["seconds"].items():
        print(f"{name}: {np.median(each):.3f} s for a person (median of {len(each)})")
    for name, row in report["rows"].items():
        print(
            f"{name:24} {_said(row['surprise'])}  less {_said(row['less_than_none'])}  "
            f"right {_said(row['right'])}  anchored {_said(row['anchored'])}"
        )


def _said(found: dict[str, float]) -> str:
    return f"{found['mean']:.3f} ({found['low']:.3f} to {found['high']:.3f})"


def main(argv: Sequence[str] | None = None) -> int:
    """Train, measure or export."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    steps = parser.add_subparsers(required=True, dest="step")
    begin = steps.add_parser("train")
    begin.add_argument("folder", type=Path, metavar="RUN")
    begin.add_argument("--people", type=Path, required=True)
    begin.add_argument("--format", choices=FORMATS, help="of published data")
    begin.add_argument("--base", type=Path, help="a GGUF base [default: the starter]")
    begin.add_argument("--epochs", type=int, default=2)
    begin.add_argument("--batch", type=int, default=16)
    begin.add_argument("--rate", type=float, default=1e-3)
    begin.add_argument("--rank", type=int, default=8)
    begin.add_argument("--targets", nargs="+", choices=list(MODULES), default=["q_proj", "v_proj"])
    begin.add_argument("--shrink", type=float, default=1.0)
    begin.add_argument("--seed", type=int, default=0)
    begin.add_argument("--most", type=int, help="people that are read")
    begin.set_defaults(run=_train)
    tell = steps.add_parser("measure")
    tell.add_argument("folder", type=Path, metavar="RUN")
    tell.add_argument("--people", type=Path, required=True)
    tell.add_argument("--base", type=Path)
    tell.add_argument("--dtype", default="bfloat16", help="of the base's weights")
    tell.add_argument("--oppu", type=int, default=0, help="people to train an adapter for")
    tell.add_argument("--format", choices=FORMATS, help="of published data")
    tell.add_argument("--network", type=Path, help="an exported one, to judge that, too")
    tell.add_argument("--judged", type=int, help="people who are judged on [default: all]")
    tell.add_argument("--everybody", action="store_true", help="nobody was trained on")
    tell.add_argument("--choices", type=int, default=4, help="later choices of each")
    tell.add_argument("--into", default=REPORT, help="the report's name, in RUN")
    tell.set_defaults(run=_measure)
    ship = steps.add_parser("export")
    ship.add_argument("folder", type=Path, metavar="RUN")
    ship.add_argument("--into", type=Path, required=True)
    ship.add_argument("--data", default=DATA, help="what it was trained on, with licences")
    ship.add_argument("--base", type=Path)
    ship.add_argument("--whole", action="store_true", help="in float32")
    ship.set_defaults(run=_export)
    given = parser.parse_args(argv)
    given.run(given)
    return 0


if __name__ == "__main__":
    sys.exit(main())
