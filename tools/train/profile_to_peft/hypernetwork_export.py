"""A hypernetwork as the files that the device loads: an ONNX graph, and a manifest beside it.

The graph takes one profile and gives the factors of all layers in GGUF's order of rows, so that the
device writes them as they come.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pocketpref.lora import HypernetworkManifest, permuted
from pocketpref.lora.manifest import FILE_NAME

from ..base import Base, Shape
from ..export import LICENCE, Made, permuted_heads
from ..graphs import described_by_nobody
from ..lora import MODULES
from .hypernetwork import Hypernetwork

GRAPH = "hypernetwork.onnx"
_OPSET = 18


class _Graph(nn.Module):
    """What is exported: factors by name, without the batch's dimension."""

    def __init__(self, network: Hypernetwork, shape: Shape) -> None:
        super().__init__()
        self.network = network
        self._orders = {name: _order(network, shape, name) for name in network.of.modules}

    def forward(self, profile: torch.Tensor) -> tuple[torch.Tensor, ...]:
        found = []
        for name, (a, b) in self.network(profile).items():
            order = self._orders[name]
            found += [a[0], b[0] if order is None else b[0].index_select(1, order)]
        return tuple(found)


def _order(network: Hypernetwork, shape: Shape, name: str) -> torch.Tensor | None:
    """Which of torch's rows of B stands at each place in GGUF; None if they agree."""
    heads = permuted_heads(shape, name)
    if not heads:
        return None
    rows = np.arange(network.of.modules[name][1], dtype=np.float32)[:, None]
    return torch.from_numpy(permuted(rows, heads)[:, 0].astype(np.int64))


def output_names(network: Hypernetwork) -> list[str]:
    """What the graph's outputs are called, in their order."""
    return [f"{MODULES[name]}.lora_{half}" for name in network.of.modules for half in "ab"]


def graph(network: Hypernetwork, shape: Shape) -> bytes:
    """The network as an ONNX graph in float32.

    Args:
        network: trained.
        shape: of its base.
    """
    made = _Graph(network, shape).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / GRAPH
        torch.onnx.export(
            made,
            (torch.zeros(1, network.of.profile),),
            path,
            input_names=["profile"],
            output_names=output_names(network),
            opset_version=_OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        return described_by_nobody(path.read_bytes())


def write(
    into: Path,
    data: bytes,
    network: Hypernetwork,
    base: Base,
    made: Made,
    *,
    embedder: str,
    held_out: Mapping[str, Any],
) -> HypernetworkManifest:
    """Write graph and manifest.

    Args:
        into: the folder, made if it is not there.
        data: the graph.
        network: what it was made of.
        base: what its adapters are for.
        made: how.
        embedder: fingerprint of what reads profiles.
        held_out: figures by name.
    """
    of = network.of
    manifest = HypernetworkManifest(
        base=base.identity,
        file=GRAPH,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        embedder=embedder,
        rank=of.lora.rank,
        alpha=of.lora.alpha,
        targets=tuple(sorted(MODULES[name] for name in of.modules)),
        layers=of.layers,
        licence=LICENCE,
        recipe=made.recipe,
        made={
            "command": made.command,
            "seed": made.seed,
            "data": made.data,
            "versions": {name: version(name) for name in ("torch", "transformers", "onnx")},
        },
        held_out=held_out,
    )
    into.mkdir(parents=True, exist_ok=True)
    (into / GRAPH).write_bytes(data)
    (into / FILE_NAME).write_bytes(manifest.dump())
    return manifest
