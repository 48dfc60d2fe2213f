"""The manifest of a hypernetwork: what writes adapters, checked before it is loaded.

A folder holds it and the graph that it describes:

    {"schema", "file", "sha256", "bytes", "base_sha256", "base", "architecture",
     "embedder": fingerprint, "rank", "alpha", "targets", "layers", "licence", "recipe",
     "made": {...}, "held_out": {...}}
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from pocketpref.adapters.manifest import SHA256, TARGET, Base, Fields, parse_object, read_bounded
from pocketpref.errors import AdapterError

FILE_NAME: Final = "manifest.json"
SCHEMA: Final = 1

_GRAPH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}\.onnx")  # no way out of the folder
_WHOSE: Final = "the hypernetwork's manifest"
_MOST_BYTES: Final = 256 * 1024
_MOST_GRAPH: Final = 512 * 2**20
_MOST_LAYERS: Final = 256
_MOST_RANK: Final = 64


@dataclass(frozen=True, slots=True)
class HypernetworkManifest:
    """What is known of a hypernetwork.

    Attributes:
        base: the model that its adapters are for.
        file: the name of its graph.
        sha256: of that file, hex.
        size: of that file, bytes.
        embedder: fingerprint of the embedder that profiles must be read with.
        rank: of the adapters.
        alpha: the product of an adapter's matrices is scaled by alpha / rank.
        targets: the kinds of matrices that are changed, in GGUF's words, sorted.
        layers: blocks of the base.
        licence: an SPDX expression, or words.
        recipe: how it was trained, in words.
        made: command, seed, data, versions.
        held_out: figures by name.
    """

    base: Base
    file: str
    sha256: str
    size: int
    embedder: str
    rank: int
    alpha: float
    targets: tuple[str, ...]
    layers: int
    licence: str
    recipe: str
    made: Mapping[str, Any] = field(default_factory=dict)
    held_out: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read the manifest of a folder.

        Raises:
            AdapterError: it is not there, or not in the form described above.
        """
        content = read_bounded(folder / FILE_NAME, _MOST_BYTES)
        fields = Fields(parse_object(content, _WHOSE), _WHOSE)
        if fields.whole("schema", 1, 10**6) != SCHEMA:
            raise AdapterError("the hypernetwork is of another version of pocketpref")
        return cls(
            base=fields.base(),
            file=fields.text("file", _GRAPH),
            sha256=fields.text("sha256", SHA256),
            size=fields.whole("bytes", 1, _MOST_GRAPH),
            embedder=fields.text("embedder", SHA256),
            rank=fields.whole("rank", 1, _MOST_RANK),
            alpha=fields.number("alpha", 0.0, 1000.0),
            targets=tuple(sorted(set(fields.texts("targets", TARGET)))),
            layers=fields.whole("layers", 1, _MOST_LAYERS),
            licence=fields.text("licence"),
            recipe=fields.text("recipe"),
            made=fields.object("made"),
            held_out=fields.object("held_out"),
        )

    def dump(self) -> bytes:
        """The manifest as a file: JSON, ASCII, keys in a fixed order."""
        content = {
            "schema": SCHEMA,
            "file": self.file,
            "sha256": self.sha256,
            "bytes": self.size,
            **self.base.said(),
            "embedder": self.embedder,
            "rank": self.rank,
            "alpha": self.alpha,
            "targets": list(self.targets),
            "layers": self.layers,
            "licence": self.licence,
            "recipe": self.recipe,
            "made": dict(self.made),
            "held_out": dict(self.held_out),
        }
        return json.dumps(content, indent=1).encode() + b"\n"

    def read_graph(self, folder: Path) -> bytes:
        """The graph beside the manifest, compared with it.

        Raises:
            AdapterError: it is not there, or not the file that the manifest means.
        """
        data = read_bounded(folder / self.file, self.size)
        if len(data) != self.size or hashlib.sha256(data).hexdigest() != self.sha256:
            raise AdapterError("the hypernetwork is not the file that its manifest means")
        return data
