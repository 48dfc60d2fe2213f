"""Check and hash GGUF files, and read the record beside a pulled one.

Native code parses a GGUF file as it finds it, so its beginning is looked at here first.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from pocketpref.errors import ModelDamagedError, ModelError, ModelMissingError
from pocketpref.files import replace_file

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_HEADER = struct.Struct("<4sIQQ")  # magic, version, number of tensors, number of keys
_MOST_ENTRIES = 1_000_000  # the largest models have some thousands of each
_CHUNK = 1 << 20
_SUFFIX = ".json"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """What was known of a file when it was pulled, kept as JSON beside it.

    Attributes:
        handle: what was asked for.
        source: exactly where it came from, ``hf:ORG/REPO/FILE.gguf@REVISION``.
        sha256: hex digest, as the source published it and as it was found.
        bytes: size.
    """

    handle: str
    source: str
    sha256: str
    bytes: int


def check_gguf(path: Path) -> None:
    """Look at a file's beginning.

    Raises:
        ModelMissingError: there is no such file.
        ModelDamagedError: it is no GGUF file of a version that can be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
    except (FileNotFoundError, IsADirectoryError):
        raise ModelMissingError(
            f"there is no model file {path}", hint="see which there are: pocketpref models ls"
        ) from None
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}", hint="check its permissions and its disk"
        ) from error
    if len(header) < _HEADER.size:
        raise ModelDamagedError(f"{path} is no GGUF file: it is too short", hint=_again(path))
    magic, version, tensors, keys = _HEADER.unpack(header)
    if magic != _MAGIC:
        raise ModelDamagedError(
            f"{path} is no GGUF file",
            hint="models are kept in the GGUF format; look for a repository with -GGUF in its name",
        )
    if version not in _VERSIONS or not 0 < tensors < _MOST_ENTRIES or not 0 < keys < _MOST_ENTRIES:
        raise ModelDamagedError(f"{path} has a damaged GGUF header", hint=_again(path))


def _again(path: Path) -> str:
    return f"fetch {path.name} again (pocketpref models pull); a download may have ended early"


def file_sha256(path: Path, on_chunk: Callable[[int], None] = lambda _: None) -> str:
    """SHA-256 of a file, as hex.

    Args:
        path: the file.
        on_chunk: told the size of each part that was read.

    Raises:
        ModelError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                on_chunk(len(chunk))
    except FileNotFoundError:
        raise ModelMissingError(
            f"there is no model file {path}", hint="see which there are: pocketpref models ls"
        ) from None
    except OSError as error:
        raise ModelError(
            f"{path} cannot be read: {error.strerror}", hint="check its permissions and its disk"
        ) from error
    return digest.hexdigest()


def record_path(model: Path) -> Path:
    """Where the record of a pulled file lies."""
    return model.with_name(model.name + _SUFFIX)


def read_record(model: Path) -> ModelRecord | None:
    """The record of a pulled file; None if it has none that can be read."""
    try:
        record = ModelRecord(**json.loads(record_path(model).read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    texts = (record.handle, record.source, record.sha256)
    return record if all(isinstance(text, str) for text in texts) else None


def write_record(model: Path, record: ModelRecord) -> None:
    """Keep the record of a pulled file beside it.

    Raises:
        OSError: the folder cannot be written.
    """
    replace_file(record_path(model), (json.dumps(asdict(record), indent=2) + "\n").encode())
