"""The parsers that `parsers.py` tries: everything that reads what comes from outside.

Each is called the way the program calls it, from a file where it reads one; and what it gives is
then used, so that a value that breaks only later is noticed here. Archives are read by ``restore``
into a receiver that takes the place of a vault: what is looked for lies before the vault.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pocketpref.attributes import AttributeBank, read_attributes
from pocketpref.bootstrap.model_loading import Measurements
from pocketpref.config import Config, Places
from pocketpref.errors import ModelError, PocketprefError, TamperedError
from pocketpref.importers import BadEntry, Format, read
from pocketpref.lora import AdapterManifest, read_lora
from pocketpref.methods.palm.inference import infer
from pocketpref.methods.palm.portfolio import Portfolio
from pocketpref.methods.palm.service import choose
from pocketpref.models.bundled import Manifest
from pocketpref.models.discovery import foreign_models
from pocketpref.models.gguf_file import check_gguf, read_record
from pocketpref.models.registry import parse_handle
from pocketpref.records import Feedback, Learned, Memory
from pocketpref.vault import Vault, archive
from pocketpref.vault.crypto.key_stores import Argon2Cost, EphemeralKey, KeyFile, Passphrase
from pocketpref.vault.crypto.sealed_stream import SealedWriter
from pocketpref.vault.crypto.sealing import NONCE_BYTES, Place, Sealer
from pocketpref.vault.documents import Filed, dump_document
from pocketpref.vault.integrity.rollback import Anchor
from pocketpref.vault.integrity.set_hash import record_mark
from pocketpref.vault.recovery.recoverable import Remains
from pocketpref.vault.storage.rows import RowEntry
from pocketpref.vault.storage.serialization import (
    dump_learned,
    dump_memory,
    load_learned,
    load_memory,
)
from pocketpref.vault.storage.users import checked_name
from tools.fuzz.checks import Parser, UnusableError

CORPUS: Final = Path(__file__).resolve().parents[2] / "tests" / "fuzz" / "corpus"

LOG_BEHIND: Final = b"\n-- write-ahead log --\n"
"""Stands between a vault's file and its log in the corpus."""

_NOW: Final = datetime(2026, 11, 21, tzinfo=UTC)
_ID: Final = "abcdefghjkmn"
_VAULT: Final = bytes(range(16))
_KEY: Final = bytes(range(32))
_HEAD: Final = struct.Struct("<III")
_QUICK: Final = Argon2Cost(memory_kib=64, passes=1, lanes=1)
_PASSPHRASE: Final = Passphrase(lambda: "correct horse", _QUICK)
_STREAM_KEY: Final = KeyFile(CORPUS / "key-file" / "valid")
_FRAMES_KEY: Final = EphemeralKey()
_SHIPPED: Final = tuple(AttributeBank.standard())
_PUBLISHED: Final[tuple[Format, ...]] = ("prism", "tldr", "fspo", "alignx", "lamp", "prefeval")
_REPOSITORY: Final = ("model-Q4_K_M.gguf", "model-Q8_0.gguf", "mmproj-f16.gguf", "README.md")

# ------------------------------------------------------------------------------ files to import


def _entries(known: Format, content: bytes, path: Path) -> Iterator[str]:
    # Every fourth file has to be recognized first; which, depends on it alone.
    return _read(None if zlib.crc32(content) % 4 == 0 else known, path)


def _read(known: Format | None, path: Path) -> Iterator[str]:
    for entry in read(path, known):
        yield repr(entry)
        if isinstance(entry, BadEntry):
            yield entry.reason
        else:
            _use_feedback(entry)


def _use_feedback(feedback: Feedback) -> None:
    with _usable():
        load_memory(_ID, dump_memory(feedback, _NOW))
        if feedback.user is not None:
            checked_name(feedback.user)


@contextmanager
def _usable() -> Iterator[None]:
    """What was let pass must be fit to be kept, so not even an error of ours may come now."""
    refused = ""
    try:
        yield
    except PocketprefError as error:
        refused = type(error).__name__
    if refused:
        raise UnusableError(refused)


# ------------------------------------------------------------------------------ TOML and names


def _bank(_: bytes, path: Path) -> Iterable[str]:
    bank = AttributeBank([*_SHIPPED, *read_attributes(path)])
    with _usable():
        bank.strip(f"question\n{bank.block(bank.names)}")
        bank.block(bank.names, "names")
        bank.fingerprint.encode()
    return ()


def _config(_: bytes, path: Path) -> Iterable[str]:
    config = Config.load(Places.find({"POCKETPREF_HOME": str(path.parent)}), {})
    for place in (config.key_file, config.passphrase_file):
        if place is not None:
            with suppress(OSError):
                place.read_bytes()
    return ()


def _manifest(_: bytes, path: Path) -> Iterable[str]:
    manifest = Manifest(path.parent)
    threshold = manifest.relevance("all-MiniLM-L6-v2")
    if threshold is not None and not math.isfinite(threshold):
        raise UnusableError("a threshold that is no number")
    with suppress(ModelError):
        manifest.file("all-MiniLM-L6-v2/model.onnx").read()
    return ()


def _handle(content: bytes, _: Path) -> Iterable[str]:
    handle = parse_handle(content.decode("utf-8", "surrogateescape"))
    with _usable():
        parse_handle(str(handle))
    with suppress(ModelError):  # names the model, which is what it is for
        handle.choose(_REPOSITORY)
    return ()


# ------------------------------------------------------------------------------ model files


def _model(_: bytes, path: Path) -> Iterable[str]:
    check_gguf(path)
    return ()


def _adapter(content: bytes, _: Path) -> Iterable[str]:
    for a, b in read_lora(content).pairs.values():
        np.matmul(b.values(content)[:1].astype(float), a.values(content))
    return ()


def _adapter_manifest(content: bytes, _: Path) -> Iterable[str]:
    found = AdapterManifest.load(content)
    if AdapterManifest.load(found.dump()) != found:
        raise UnusableError("it changes when it is written again")
    return ()


def _portfolio(_: bytes, path: Path) -> Iterable[str]:
    found = Portfolio.load(path.parent)
    chosen = choose(found, infer(found.differences([("Yes.", "No, not at all.")])))
    return (chosen.words().replace(chosen.policy.name, "") if chosen.policy else "",)


def _model_record(_: bytes, path: Path) -> Iterable[str]:
    record = read_record(path.with_name("model.gguf"))
    if record is not None:
        f"{record.handle} {record.source.rpartition('@')[0]} {record.sha256.lower()}"
    return ()


def _ollama(_: bytes, path: Path) -> Iterable[str]:
    store, nowhere = str(path.parents[4]), str(path.parent / "nowhere")
    return (repr(foreign_models({"OLLAMA_MODELS": store, "HF_HUB_CACHE": nowhere})),)


def _measurements(_: bytes, path: Path) -> Iterable[str]:
    if not math.isfinite(Measurements(path).known("noise", 0.0)):
        raise UnusableError("a measurement that is no number")
    return ()


# ------------------------------------------------------------------------------ keys


def _key_file(_: bytes, path: Path) -> Iterable[str]:
    KeyFile(path).unwrap(_WRAPPED, _VAULT)
    return ()


def _wrapped(content: bytes, _: Path) -> Iterable[str]:
    errors = []
    for keeper in (_PASSPHRASE, _STREAM_KEY):
        try:
            keeper.unwrap(content, _VAULT)
        except PocketprefError as error:
            errors.append(error)
    if len(errors) == 2:
        raise errors[0]
    return (str(error) for error in errors)


def affordable(case: bytes) -> bytes:
    """A wrapped key whose stated cost, where it is allowed but dear, is lowered.

    A gigabyte and 64 passes are within the bounds that `Argon2Cost.check` sets; to pay them tells
    nothing new.
    """
    if len(case) < _HEAD.size:
        return case
    memory, passes, lanes = _HEAD.unpack_from(case)
    with suppress(TamperedError):
        Argon2Cost(memory, passes, lanes).check()
        lanes = 1 + lanes % 3
        head = _HEAD.pack(8 * lanes + memory % 64, 1 + passes % 2, lanes)
        return head + case[_HEAD.size :]
    return case


_WRAPPED: Final = _STREAM_KEY.wrap(_KEY, _VAULT)

# ------------------------------------------------------------------------------ archives


class _Receiver:
    """Takes what ``restore`` hands to a vault, and reads it as the vault's owner would later."""

    def store(self, user: str) -> _Receiver:
        checked_name(user)
        return self

    def restore(self, entries: Iterable[RowEntry], documents: Iterable[Filed]) -> tuple[int, int]:
        added = 0
        for entry in entries:
            with _usable():
                _use_memory(load_memory(entry.id, entry.memory))
                if entry.learned is not None:
                    learned = load_learned(entry.id, entry.learned)
                    _use_learned(learned)
                    dump_learned(learned)
            added += 1
        for item in documents:
            with _usable():
                dump_document(item.document.content, item.document.sources)
        return added, 0


def _restore(key: Any, _: bytes, path: Path) -> Iterable[str]:
    plain = archive.custody(path) == archive.PLAINTEXT
    done = archive.restore(cast("Vault", _Receiver()), path, None if plain else key)
    return (repr(done),)


def sealed(frames: bytes) -> bytes:
    """A sound sealed archive around frames that may be unsound."""
    file = BytesIO()
    writer = SealedWriter(file, _FRAMES_KEY)
    writer.write(frames)
    writer.finish()
    return file.getvalue()


# ------------------------------------------------------------------------------ the vault


def _memory(content: bytes, _: Path) -> Iterable[str]:
    memory = load_memory(_ID, content)
    with _usable():
        _use_memory(memory)
    return (repr(memory),)


def _use_memory(memory: Memory) -> None:
    """Show it and export it."""
    kept = Feedback(memory.pair, None, memory.created, memory.origin, memory.meta)
    if load_memory(memory.id, dump_memory(kept, _NOW)) != memory:
        raise UnusableError("it changes when it is kept again")
    json.dumps({"meta": memory.meta, "created": memory.created.astimezone(UTC).isoformat()})


def _learned(content: bytes, _: Path) -> Iterable[str]:
    learned = load_learned(_ID, content)
    with _usable():
        _use_learned(learned)
    return (repr(learned.selection),)


def _use_learned(learned: Learned) -> None:
    """Show it."""
    chosen = learned.selection
    if not all(isinstance(name, str) for name in chosen.attributes):
        raise UnusableError("an attribute that is no name")
    for number in (*chosen.gains, *chosen.singles.values(), *chosen.screened.values()):
        f"{number:+.2f}"
    f"{chosen.objective:.2f} {chosen.evaluations:,}"


def _blob(content: bytes, _: Path) -> Iterable[str]:
    row = _object(content)
    place = Place(_VAULT, row.get("user", 1), "memory", row.get("id", _ID), row.get("seq", 1))
    Sealer(_KEY).open(_sealed_part(row, content, place), place)
    return ()


def _sealed_part(row: dict[str, Any], content: bytes, place: Place) -> object:
    """The blob of a row; under ``padded``, a content that somebody with the key has sealed."""
    padded = row.get("padded")
    if isinstance(padded, str):
        with suppress(ValueError, AttributeError, struct.error):
            nonce, data = bytes(NONCE_BYTES), padded.encode("latin-1", "replace")
            return b"\x01" + nonce + AESGCM(_KEY).encrypt(nonce, data, place.to_bytes())
    blob = row.get("sealed", content)
    return blob.encode("latin-1", "replace") if isinstance(blob, str) else blob


def _mark(content: bytes, _: Path) -> Iterable[str]:
    row = _object(content)
    head = row.get("head", content[:13])
    head = head.encode("latin-1", "replace") if isinstance(head, str) else head
    record_mark(row.get("seq", 1), row.get("user", 1), row.get("kind", ""), row.get("id", ""), head)
    return ()


def _object(content: bytes) -> dict[str, Any]:
    """A row of a table, written as JSON in the corpus; {} if it is none any more."""
    with suppress(ValueError, RecursionError):
        row = json.loads(content)
        return row if isinstance(row, dict) else {}
    return {}


def _damaged_vault(content: bytes, _: Path) -> Iterable[str]:
    """What `doctor --repair` does with a file and its log, up to writing the new vault."""
    database, _between, log = content.partition(LOG_BEHIND)
    remains = Remains(BytesIO(database), BytesIO(log), _STREAM_KEY, lambda *_: None)
    for owner in remains.owners:
        _Receiver().restore(remains.entries(owner), remains.documents(owner))
    return ()


def _note(_: bytes, path: Path) -> Iterable[str]:
    Anchor(path.parent, _VAULT, _KEY).highest()
    return ()


def _reader(known: Format) -> Callable[[bytes, Path], Iterator[str]]:
    return partial(_entries, known)


def _published(known: Format) -> Callable[[bytes, Path], Iterator[str]]:
    """Published data, whose format is always named."""
    return lambda _, path: _read(known, path)


PARSERS: Final = (
    Parser("pair-file", "lines", _reader("jsonl"), "file"),
    Parser("chatgpt", "json", _reader("chatgpt"), "file"),
    Parser("openwebui", "json", _reader("openwebui"), "file"),
    *(Parser(name, "json", _published(name), "file") for name in _PUBLISHED),
    Parser("attribute-bank", "toml", _bank, "attributes.toml"),
    Parser(
        "configuration",
        "toml",
        _config,
        "config.toml",
        # The name of a setting that is not known, if it has the form of one.
        may_name=re.compile(r"config\.toml: [a-z_]{1,20} "),
    ),
    Parser("manifest", "toml", _manifest, "MANIFEST.toml"),
    Parser("handle", "text", _handle),
    Parser("model-file", "binary", _model, "model.gguf"),
    Parser("model-record", "json", _model_record, "model.gguf.json"),
    # The name of a weight, if it has the form of one.
    Parser("adapter", "binary", _adapter, may_name=re.compile(r"blk\.\d+\.[a-z_]{1,24}\.weight")),
    Parser("adapter-manifest", "json", _adapter_manifest),
    Parser("portfolio", "json", _portfolio, "manifest.json"),
    Parser("ollama", "json", _ollama, "manifests/registry.ollama.ai/library/smollm/latest"),
    Parser("measurements", "json", _measurements, "measured.json"),
    Parser("key-file", "text", _key_file, "key"),
    Parser("wrapped-key", "binary", _wrapped, prepare=affordable),
    Parser("archive-stream", "binary", partial(_restore, _STREAM_KEY), "archive"),
    Parser("archive-frames", "frames", partial(_restore, _FRAMES_KEY), "archive", prepare=sealed),
    Parser("archive-plain", "lines", partial(_restore, None), "archive.jsonl"),
    Parser("memory", "json", _memory),
    Parser("learned", "learned", _learned),
    Parser("blob", "json", _blob),
    Parser("mark", "json", _mark),
    Parser("note", "text", _note, f"{_VAULT.hex()}.generation"),
    Parser("damaged-vault", "binary", _damaged_vault),
)
