"""Adapters and their manifests, checked before loading.

A GGUF adapter does not say which model it was made for, and one for another model of the same shape
loads without a word. So beside every adapter stands a manifest that names its base by hash:

    {"schema", "name", "file", "sha256", "bytes", "base_sha256", "base", "architecture", "rank",
     "alpha", "targets", "licence", "recipe", "made": {...}, "held_out": {...}}
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import AdapterError
from pocketpref.lora.lora_file import MAX_BYTES, Lora, read_lora
from pocketpref.records import RedactedRepr, Vector

SCHEMA: Final = 1

MOST_MANIFEST_BYTES: Final = 256 * 1024
NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}")
FILE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}\.gguf")  # no way out of the folder
SHA256: Final = re.compile(r"[0-9a-f]{64}")
TARGET: Final = re.compile(r"[a-z_]{1,24}")
_MOST_RANK: Final = 256


@dataclass(frozen=True, slots=True)
class Base:
    """The model an adapter was made for.

    Attributes:
        name: for people.
        sha256: of its GGUF file, hex.
        architecture: as GGUF calls it, ``llama`` for example.
    """

    name: str
    sha256: str
    architecture: str

    def said(self) -> dict[str, str]:
        """As manifests say it."""
        return {
            "base_sha256": self.sha256,
            "base": self.name,
            "architecture": self.architecture,
        }


@dataclass(frozen=True, slots=True, repr=False)
class AdapterManifest(RedactedRepr):
    """What is known of an adapter.

    Attributes:
        name: for people.
        file: the name of its GGUF file.
        base: the model it was made for.
        sha256: of the adapter's GGUF file, hex.
        size: of that file, in bytes.
        rank: of its matrices.
        alpha: the product of its matrices is scaled by alpha / rank.
        targets: the kinds of matrices it changes, in GGUF's words, sorted: ``attn_q``, ``attn_v``.
        licence: an SPDX expression, or words.
        recipe: how it was made, in words.
        made: command, seed, data, date and versions: how to make it again.
        held_out: figures by name.
    """

    _open = ("base", "sha256", "size", "rank", "alpha", "targets")

    name: str
    file: str
    base: Base
    sha256: str
    size: int
    rank: int
    alpha: float
    targets: tuple[str, ...]
    licence: str
    recipe: str
    made: Mapping[str, Any] = field(default_factory=dict)
    held_out: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, source: bytes | Path) -> Self:
        """Read a manifest.

        Args:
            source: its content, or its file.

        Raises:
            AdapterError: it is not there, too large, or not in the form described here.
        """
        content = read_bounded(source, MOST_MANIFEST_BYTES) if isinstance(source, Path) else source
        fields = parse_object(content, "the adapter's manifest")
        return cls._from(Fields(fields, "the adapter's manifest"))

    @classmethod
    def _from(cls, fields: Fields) -> Self:
        if fields.whole("schema", 1, 10**6) != SCHEMA:
            raise AdapterError("the adapter's manifest is of another version of pocketpref")
        return cls(
            name=fields.text("name", NAME),
            file=fields.text("file", FILE),
            base=fields.base(),
            sha256=fields.text("sha256", SHA256),
            size=fields.whole("bytes", 1, MAX_BYTES),
            rank=fields.whole("rank", 1, _MOST_RANK),
            alpha=fields.number("alpha", 0.0, 1000.0),
            targets=tuple(sorted(set(fields.texts("targets", TARGET)))),
            licence=fields.text("licence"),
            recipe=fields.text("recipe"),
            made=fields.object("made"),
            held_out=fields.object("held_out"),
        )

    def dump(self) -> bytes:
        """The manifest as a file: JSON, ASCII, keys in a fixed order."""
        content = {
            "schema": SCHEMA,
            "name": self.name,
            "file": self.file,
            "sha256": self.sha256,
            "bytes": self.size,
            **self.base.said(),
            "rank": self.rank,
            "alpha": self.alpha,
            "targets": list(self.targets),
            "licence": self.licence,
            "recipe": self.recipe,
            "made": dict(self.made),
            "held_out": dict(self.held_out),
        }
        return json.dumps(content, indent=1).encode() + b"\n"

    def check(self, data: bytes, base_sha256: str) -> Lora:
        """Compare with an adapter file and the model it is to be used with.

        Args:
            data: the adapter's GGUF file.
            base_sha256: of the model's GGUF file, hex.

        Returns:
            What the file holds.

        Raises:
            AdapterError: it was made for another model, is not the file the manifest means, is
                damaged or hostile, or the two disagree; the message says which.
        """
        if self.base.sha256 != base_sha256:
            raise AdapterError(
                f"the adapter {self.name} was made for another model",
                hint=f"it belongs to {self.base.name}",
            )
        if len(data) != self.size:
            raise AdapterError(
                f"the adapter {self.name} has {len(data):,} bytes, not {self.size:,}"
            )
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise AdapterError(f"the adapter {self.name} is not the file its manifest means")
        found = read_lora(data)
        for what, said, is_ in (
            ("architecture", self.base.architecture, found.architecture),
            ("rank", self.rank, found.rank),
            ("alpha", self.alpha, found.alpha),
            ("targets", self.targets, found.targets),
        ):
            if said != is_:
                raise AdapterError(
                    f"the manifest of the adapter {self.name} says another {what} than its file"
                )
        return found


@dataclass(frozen=True, slots=True, repr=False)
class Adapter(RedactedRepr):
    """An adapter file with its manifest.

    Attributes:
        manifest: what is known of it.
        data: the GGUF file.
        personal: made from one person's choices: it never touches a disk in the clear.
    """

    _open = ("personal",)

    manifest: AdapterManifest
    data: bytes
    personal: bool = False

    @classmethod
    def load(cls, manifest: Path, data: Path) -> Self:
        """Read both files; ``LanguageModel.adapted`` checks them.

        Raises:
            AdapterError: one of them is not there or too large, or the manifest is none.
        """
        return cls(AdapterManifest.load(manifest), read_bounded(data, MAX_BYTES))


class Fields:
    """Takes values out of parsed JSON, each in the form that is wanted."""

    def __init__(self, values: Mapping[str, Any], whose: str) -> None:
        self._values = values
        self._whose = whose

    def _refuse(self, name: str) -> NoReturn:
        raise AdapterError(f"{self._whose} does not say its {name} in the right form")

    def has(self, name: str) -> bool:
        """Whether something is said under a name; null is nothing."""
        return self._values.get(name) is not None

    def text(self, name: str, form: re.Pattern[str] | None = None) -> str:
        """A text, printable and of at most 1,000 characters, of a form if one is given."""
        value = self._values.get(name)
        if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 1000:
            self._refuse(name)
        if form is not None and not form.fullmatch(value):
            self._refuse(name)
        return value

    def texts(self, name: str, form: re.Pattern[str] | None = None) -> list[str]:
        """A list of texts, at least one and at most 64."""
        found = self.items(name)
        if not found:
            self._refuse(name)
        return [Fields({name: item}, self._whose).text(name, form) for item in found]

    def items(self, name: str) -> list[Any]:
        """A list of at most 64 items."""
        value = self._values.get(name)
        if not isinstance(value, list) or len(value) > 64:
            self._refuse(name)
        return value

    def parts(self, name: str) -> list[Fields]:
        """A list of objects."""
        return [Fields({name: item}, self._whose).part(name) for item in self.items(name)]

    def whole(self, name: str, least: int, most: int) -> int:
        """A whole number within bounds."""
        value = self._values.get(name)
        if type(value) is not int or not least <= value <= most:
            self._refuse(name)
        return value

    def number(self, name: str, least: float, most: float) -> float:
        """A finite number within bounds."""
        value: Any = self._values.get(name)
        # True is an int, too; and an int may be too large for a float.
        if type(value) not in (int, float) or not least <= value <= most:
            self._refuse(name)
        return float(value)

    def numbers(self, name: str, least: float, most: float) -> list[float]:
        """A list of numbers within bounds."""
        return [
            Fields({name: item}, self._whose).number(name, least, most) for item in self.items(name)
        ]

    def object(self, name: str) -> dict[str, Any]:
        """A JSON object, empty if there is none."""
        value = self._values.get(name, {})
        if not isinstance(value, dict):
            self._refuse(name)
        return value

    def base(self) -> Base:
        """The model that something was made for."""
        return Base(
            name=self.text("base", NAME),
            sha256=self.text("base_sha256", SHA256),
            architecture=self.text("architecture", NAME),
        )

    def part(self, name: str) -> Fields:
        """A JSON object whose fields are wanted."""
        if name not in self._values:
            self._refuse(name)
        return Fields(self.object(name), self._whose)


def read_bounded(path: Path, most: int) -> bytes:
    """A file's content.

    Raises:
        AdapterError: it cannot be read, or is larger than ``most`` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise AdapterError(f"{path.name} cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise AdapterError(f"{path.name} has more than {most:,} bytes")
    return content


def parse_object(content: bytes, whose: str) -> dict[str, Any]:
    """A JSON object, taken as hostile.

    Raises:
        AdapterError: it is none, or too large.
    """
    value: object = None
    if len(content) <= MOST_MANIFEST_BYTES:
        try:
            value = json.loads(content, parse_constant=_finite, parse_float=_finite)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise AdapterError(f"{whose} is no JSON object")
    return value


def _finite(text: str) -> float:
    # NaN and Infinity are no JSON; 1e999 is, but no number that can be used.
    if not math.isfinite(value := float(text)):
        raise ValueError(text)
    return value


# The manifest of a hypernetwork: what writes adapters, checked before it is loaded.
#
# A folder holds it and the graph that it describes:
#
#     {"schema", "file", "sha256", "bytes", "base_sha256", "base", "architecture",
#      "embedder": fingerprint, "rank", "alpha", "targets", "layers", "licence", "recipe",
#      "made": {...}, "held_out": {...}}

FILE_NAME: Final = "manifest.json"
HYPERNETWORK_SCHEMA: Final = 1

_GRAPH: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+-]{0,63}\.onnx")  # no way out of the folder
_WHOSE: Final = "the hypernetwork's manifest"
_MOST_BYTES: Final = 256 * 1024
_MOST_GRAPH: Final = 512 * 2**20
_MOST_LAYERS: Final = 256
_MOST_WRITTEN_RANK: Final = 64


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
        if fields.whole("schema", 1, 10**6) != HYPERNETWORK_SCHEMA:
            raise AdapterError("the hypernetwork is of another version of pocketpref")
        return cls(
            base=fields.base(),
            file=fields.text("file", _GRAPH),
            sha256=fields.text("sha256", SHA256),
            size=fields.whole("bytes", 1, _MOST_GRAPH),
            embedder=fields.text("embedder", SHA256),
            rank=fields.whole("rank", 1, _MOST_WRITTEN_RANK),
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
            "schema": HYPERNETWORK_SCHEMA,
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


class Hypernetwork(Protocol):
    """Writes adapters from profiles."""

    @property
    def manifest(self) -> HypernetworkManifest:
        """What is known of it."""

    def write(self, profile: Vector) -> dict[str, NDArray[np.float32]]:
        """The factors of an adapter.

        Args:
            profile: shape (dimensions,).

        Returns:
            ``KIND.lora_a`` of shape (layers, rank, in) and ``KIND.lora_b`` of shape (layers, out,
            rank) for each kind of matrix, in GGUF's order of rows.

        Raises:
            ModelError: it failed, or the profile is of another length than it takes.
        """
