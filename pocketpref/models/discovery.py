"""Find GGUF files of other programs: Ollama, LM Studio and the Hugging Face cache.

They are only ever read. Where these programs keep their files is their own business and may
change: what is not found where it used to be is left out, without an error.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_OLLAMA_LAYER = "application/vnd.ollama.image.model"
_OLLAMA_REGISTRY = "registry.ollama.ai"
_OLLAMA_SERVICE = Path("/usr/share/ollama/.ollama/models")  # its Linux installer's own user
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """A model of another program.

    Attributes:
        handle: the name it has here.
        program: whose it is.
        sha256: what the program's own bookkeeping says, or None.
    """

    handle: str
    path: Path
    program: str
    sha256: str | None


def foreign_models(environ: Mapping[str, str] = os.environ) -> list[ForeignModel]:
    """All of them, by program and name."""
    found = [*ollama_models(environ), *lm_studio_models(), *hugging_face_models(environ)]
    return sorted(found, key=lambda model: (model.program, model.handle))


def ollama_models(environ: Mapping[str, str]) -> Iterator[ForeignModel]:
    """Models that Ollama fetched, under its own names.

    registry.ollama.ai/library/llama3.2/1b is ``ollama:llama3.2:1b``.
    """
    own = environ.get("OLLAMA_MODELS")
    for folder in [Path(own)] if own else [Path.home() / ".ollama" / "models", _OLLAMA_SERVICE]:
        manifests = folder / "manifests"
        for manifest in _files(manifests, "*"):
            digest = _ollama_digest(manifest)
            blob = folder / "blobs" / f"sha256-{digest}"
            if digest and blob.is_file():
                *space, name, tag = manifest.relative_to(manifests).parts
                if space[:1] == [_OLLAMA_REGISTRY]:
                    space = space[1:]
                path = [name] if space == ["library"] else [*space, name]
                yield ForeignModel(f"ollama:{'/'.join(path)}:{tag}", blob, "Ollama", digest)


def _ollama_digest(manifest: Path) -> str | None:
    """The sha256 of the one layer of a manifest that holds the weights."""
    try:
        layers = json.loads(manifest.read_bytes())["layers"]
        digests = [_SHA256.search(x["digest"]) for x in layers if x["mediaType"] == _OLLAMA_LAYER]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    # A model of several layers is split; none is complete by itself.
    match = digests[0] if len(digests) == 1 else None
    return match.group() if match else None


def lm_studio_models() -> Iterator[ForeignModel]:
    """Models that LM Studio fetched."""
    home = Path.home()
    for folder in (home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models"):
        for path in _files(folder, "*.gguf"):
            name = path.relative_to(folder).as_posix()
            yield ForeignModel(f"lmstudio:{name}", path, "LM Studio", None)


def hugging_face_models(environ: Mapping[str, str]) -> Iterator[ForeignModel]:
    """GGUF files in the Hugging Face cache, of each the newest snapshot's."""
    for repository in _folders(_hugging_face_cache(environ), "models--*--*"):
        name = repository.name.removeprefix("models--").replace("--", "/", 1)
        newest: dict[str, Path] = {}
        snapshots = _folders(repository / "snapshots", "*")
        for snapshot in sorted(snapshots, key=lambda path: path.stat().st_mtime):
            for path in _files(snapshot, "*.gguf"):
                newest[path.relative_to(snapshot).as_posix()] = path
        for file, path in newest.items():
            # The cache names what a snapshot links to by its sha256; on Windows without links the
            # snapshot holds the file itself.
            blob = path.readlink().name if path.is_symlink() else ""
            digest = blob if _SHA256.fullmatch(blob) else None
            yield ForeignModel(f"hf:{name}/{file}", path, "Hugging Face", digest)


def _hugging_face_cache(environ: Mapping[str, str]) -> Path:
    if cache := environ.get("HF_HUB_CACHE"):
        return Path(cache)
    if home := environ.get("HF_HOME"):
        return Path(home) / "hub"
    base = environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "huggingface" / "hub"


def _files(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder that may be absent, closed to us or being changed."""
    try:
        return sorted(path for path in folder.rglob(pattern) if path.is_file())
    except OSError:
        return []


def _folders(folder: Path, pattern: str) -> list[Path]:
    try:
        return sorted(path for path in folder.glob(pattern) if path.is_dir())
    except OSError:
        return []
