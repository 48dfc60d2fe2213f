"""Store a person's own adapters, sealed in their vault.

Such an adapter is as personal as the choices it was made of. It is a document like a summary:
sealed under the person's key, gone with the first of its memories that is forgotten, and with the
person. It is opened into memory, and loaded from there. An archive does not carry it: it is
derived, and can be made again from what the archive carries.

    length of the manifest u32 | manifest (JSON) | adapter (GGUF)

(little-endian).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from pocketpref.errors import AdapterError, InputError, TamperedError
from pocketpref.lora.manifest import MOST_MANIFEST_BYTES, Adapter, AdapterManifest

if TYPE_CHECKING:
    from pocketpref.protocols import DocumentStore

KIND: Final = "adapter"
"""The kind of document that an adapter is kept as."""

MOST_BYTES: Final = 24 * 2**20
"""Largest adapter that is kept; a record of the vault has 32 MiB at most."""

_LENGTH: Final = struct.Struct("<I")


def keep(store: DocumentStore, adapter: Adapter, sources: Sequence[str]) -> str:
    """Seal an adapter in the vault. Returns its id.

    Args:
        store: whose.
        adapter: what was made for them.
        sources: ids of the memories that it was made of; with the first that is forgotten it goes.

    Raises:
        InputError: it is too large.
        AdapterError: manifest and file disagree.
        NotFoundError: a memory was forgotten meanwhile; nothing was kept.
        VaultError: it cannot be kept.
    """
    if len(adapter.data) > MOST_BYTES:
        raise InputError(f"an adapter of over {MOST_BYTES // 2**20} MiB cannot be kept")
    adapter.manifest.check(adapter.data, adapter.manifest.base.sha256)
    head = adapter.manifest.dump()
    AdapterManifest.load(head)  # what is sealed must open again
    with store.changing() as documents:
        return documents.insert(KIND, _LENGTH.pack(len(head)) + head + adapter.data, sources)


def kept(store: DocumentStore) -> dict[str, Adapter]:
    """A person's own adapters by their ids, the oldest first.

    Raises:
        TamperedError: one of them is none.
        VaultError: they cannot be read.
    """
    with store.documents() as documents:
        return {document.id: _load(document.content) for document in documents.all(KIND)}


def discard(store: DocumentStore, name: str) -> None:
    """Remove one of a person's adapters; one that is not there stays away.

    Raises:
        VaultError: it cannot be removed.
    """
    with store.changing() as documents:
        documents.delete(KIND, name)


def _load(content: bytes) -> Adapter:
    start = _LENGTH.size
    if len(content) >= start:
        end = start + _LENGTH.unpack_from(content)[0]
        if end - start <= MOST_MANIFEST_BYTES:
            try:
                manifest = AdapterManifest.load(content[start:end])
            except AdapterError:
                manifest = None
            if manifest is not None:
                return Adapter(manifest, content[end:], personal=True)
    raise TamperedError("an adapter in the vault is none", hint="make it again")
