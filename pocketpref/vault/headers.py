"""The header's row in a damaged vault: its master key, and whether its log continues its file.

SQLite applies any log beside a file whose checksums are right: one of another vault, or one that
was put back. Each change of a vault is counted in its header, in the same transaction, so a log
that continues a file has a header of at least the file's generation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from pocketpref.errors import KeyMissingError, TamperedError, VaultError, WrongKeyError
from pocketpref.protocols import KeyStore
from pocketpref.vault.carving import Row
from pocketpref.vault.ledger import Seal
from pocketpref.vault.sealing import KEY_BYTES
from pocketpref.vault.users import MasterKey

_VAULT_ID_BYTES = 16

# A damaged vault has one header, or a few versions of it. Of more than that, which were forged,
# each would have a passphrase stretched for it.
_MOST = 8


@dataclass(frozen=True, slots=True)
class Headers:
    """What the headers of a vault tell.

    Attributes:
        masters: the master key; from before it was exchanged too, if that is left.
        log_is_newer: whether the log continues the file.
    """

    masters: list[MasterKey]
    log_is_newer: bool


@dataclass(frozen=True, slots=True)
class _Header:
    vault_id: bytes
    wrapped: bytes = field(repr=False)
    state: object = field(repr=False)
    in_log: bool


def read_headers(rows: Iterable[Row], key: KeyStore) -> Headers:
    """Open everything that looks like a header.

    Args:
        rows: what looks like one; the file's before the log's.
        key: who keeps the master key.

    Raises:
        KeyringError: the key store has no key.
        KeyMissingError, WrongKeyError, TamperedError: no header opens.
    """
    masters: dict[bytes, tuple[MasterKey, Seal]] = {}
    generations = {False: 0, True: -1}
    refusal: VaultError = no_header()
    for header in _headers(rows):
        # The header of another vault opens too, but none of its records is one of these.
        if any(master.vault_id != header.vault_id for master, _ in masters.values()):
            continue
        try:
            opened = masters.get(header.wrapped) or _open(key, header)
        except (KeyMissingError, TamperedError, WrongKeyError) as error:
            refusal = error
            continue
        masters[header.wrapped] = opened
        with suppress(TamperedError):
            generation = opened[1].open(header.state).generation
            generations[header.in_log] = max(generations[header.in_log], generation)
    if not masters:
        raise refusal
    return Headers(
        [master for master, _ in masters.values()], generations[True] >= generations[False]
    )


def _headers(rows: Iterable[Row]) -> Iterator[_Header]:
    count = {False: 0, True: 0}
    for row in rows:
        vault_id, wrapped = row.values["vault"], row.values["master"]
        if isinstance(vault_id, bytes) and isinstance(wrapped, bytes):
            in_log = row.image.age > 0
            count[in_log] += 1
            if len(vault_id) == _VAULT_ID_BYTES and count[in_log] <= _MOST:
                yield _Header(vault_id, wrapped, row.values["state"], in_log)


def _open(key: KeyStore, header: _Header) -> tuple[MasterKey, Seal]:
    raw = key.unwrap(header.wrapped, header.vault_id)
    if len(raw) != KEY_BYTES:
        raise no_header()
    seal = Seal.of(header.vault_id, header.wrapped, raw)
    return MasterKey.of(header.vault_id, raw), seal


def no_header() -> TamperedError:
    """The error for a file without any."""
    return TamperedError(
        "no header of a vault is left in it, and so no key for anything else",
        hint="restore it from a backup or an archive; it was left as it is",
    )
