"""Find the recoverable part of a damaged vault: master key, users, and every record that opens.

Only the places of records are kept, not their contents, so that a large vault takes little memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import BinaryIO

from sqlite_utils import Database

from pocketpref.errors import KeyMissingError, TamperedError, VaultError, WrongKeyError
from pocketpref.protocols import KeyStore
from pocketpref.vault.crypto.sealing import KEY_BYTES, LEAST_PADDED, NONCE_BYTES, TAG_BYTES, Place
from pocketpref.vault.documents import KINDS, NOT_SAVED, Filed, load_document
from pocketpref.vault.integrity.set_hash import UserState
from pocketpref.vault.integrity.transactions import Seal
from pocketpref.vault.recovery.sqlite_pages import (
    Column,
    Image,
    Pages,
    Row,
    Table,
    layouts,
    row_at,
    rows,
)
from pocketpref.vault.storage.rows import LEARNED, MEMORY, RowEntry
from pocketpref.vault.storage.schema import migrate
from pocketpref.vault.storage.serialization import is_id
from pocketpref.vault.storage.users import KEY, NEXT, STATE, DataKey, MasterKey

# The header's row in a damaged vault: its master key, and whether its log continues its file.
#
# SQLite applies any log beside a file whose checksums are right: one of another vault, or one that
# was put back. Each change of a vault is counted in its header, in the same transaction, so a log
# that continues a file has a header of at least the file's generation.

_VAULT_ID_BYTES = 16

# A damaged vault has one header, or a few versions of it. Of more than that, which were forged,
# each would have a passphrase stretched for it.
_MOST = 8


@dataclass(frozen=True, slots=True)
class Headers:
    """The readable headers of a vault.

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

    def open(self, key: KeyStore) -> tuple[MasterKey, Seal]:
        """Unwrap the master key."""
        raw = key.unwrap(self.wrapped, self.vault_id)
        if len(raw) != KEY_BYTES:
            raise no_header()
        return MasterKey.of(self.vault_id, raw), Seal.of(self.vault_id, self.wrapped, raw)


def read_headers(rows: Iterable[Row], key: KeyStore) -> Headers:
    """Open everything that looks like a header.

    Args:
        rows: what looks like one; the file's before the log's.
        key: the key store.

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
            opened = masters.get(header.wrapped) or header.open(key)
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


def no_header() -> TamperedError:
    """The error for a file without any."""
    return TamperedError(
        "no header of a vault is left in it, and so no key for anything else",
        hint="restore it from a backup or an archive; it was left as it is",
    )


ProgressCallback = Callable[[int, int], None]
"""Called with the number of pages searched and the number of all pages."""

_LOOKUP_BYTES = 32
_LEAST_SEALED = 1 + NONCE_BYTES + LEAST_PADDED + TAG_BYTES


@dataclass(frozen=True, slots=True)
class Find:
    """The place of a record that opens."""

    seq: int
    pages: Pages = field(repr=False)
    image: Image
    position: int


@dataclass(slots=True)
class Owner:
    """A user whose key is intact.

    Attributes:
        number: of their row.
        name: None if it is damaged.
        expected: how many records they should have; None if the note of that is damaged.
        found: their records that open, by kind and id.
        damaged: kind and id of records that did not open somewhere.
    """

    number: int
    name: str | None = field(default=None, repr=False)
    expected: int | None = None
    keys: list[DataKey] = field(default_factory=list, repr=False)
    found: dict[tuple[str, str], Find] = field(default_factory=dict)
    damaged: set[tuple[str, str]] = field(default_factory=set)

    @property
    def has_records(self) -> bool:
        """Whether any record opens that can be restored without another one."""
        return any(kind != LEARNED for kind, _ in self.found)

    @property
    def documents(self) -> int:
        """The number of their documents that open."""
        return sum(kind in KINDS for kind, _ in self.found)

    def learn(self, master: MasterKey, row: Row, lookup: bytes) -> None:
        """Take over what one version of the user's row gives under a master key."""
        keys: list[DataKey] = []
        for column, kind in (("key", KEY), ("next", NEXT)):
            with suppress(TamperedError):
                raw = master.unwrap(row.values[column], kind, self.number, lookup)
                keys.append(DataKey.of(raw))
        if not keys:
            return
        known = {key.raw for key in self.keys}
        self.keys.extend(key for key in keys if key.raw not in known)
        with suppress(TamperedError):
            self.name = self.name or master.open_name(self.number, lookup, row.values["name"])
        place = master.place(STATE, self.number, lookup)
        for key in keys if self.expected is None else ():  # of several versions the first is newest
            with suppress(TamperedError):
                state = UserState.load(key.states.open(row.values["state"], place))
                self.expected = state.records.count

    def lost_ids(self) -> tuple[str, ...]:
        """Ids of records without a version that opens."""
        return tuple(sorted({name for kind, name in self.damaged - self.found.keys()}))


def stated_custody(database: BinaryIO, log: BinaryIO) -> str:
    """Return the kind of key store named in the first header that is left.

    Raises:
        TamperedError: there is none.
    """
    for _, row in _rows(_sources(database, log), _tables()["header"]):
        return str(row.values["custody"])
    raise no_header()


class Remains:
    """Everything of a damaged vault that its key still opens.

    Attributes:
        owners: the users, in the order of their rows.
        ownerless: how many records there seem to be of users without a key.
    """

    def __init__(
        self, database: BinaryIO, log: BinaryIO, key: KeyStore, on_progress: ProgressCallback
    ) -> None:
        """Search all pages.

        Raises:
            KeyMissingError, KeyringError: the key store has no key.
            WrongKeyError: the key does not open it, or the header's row is damaged.
            TamperedError: no header's row is left.
            OSError: the files cannot be read.
        """
        self._sources = _sources(database, log)
        self._tables = _tables()
        headers = read_headers((row for _, row in self._rows("header")), key)
        self._masters = headers.masters
        for pages in self._sources:
            pages.log_is_newer = headers.log_is_newer
        self.owners = self._find_owners()
        self.ownerless = self._search(self._sources, on_progress)
        if any(owner.damaged for owner in self.owners):
            # Once more, for the damage may be to the number of a frame rather than to a record.
            self._search([pages.with_sound_chains() for pages in self._sources])
        for pages in self._sources:
            pages.renew_patience()

    def entries(self, owner: Owner) -> Iterator[RowEntry]:
        """A user's memories with what was learned from them, the oldest first."""
        found = owner.found.items()
        for _, name in sorted((find.seq, name) for (kind, name), find in found if kind == MEMORY):
            memory = self._content(owner, MEMORY, name)
            if memory is not None:
                yield RowEntry(name, memory, self._content(owner, LEARNED, name))

    def documents(self, owner: Owner) -> Iterator[Filed]:
        """A user's documents, the oldest first."""
        found = owner.found.items()
        for _, kind, name in sorted((find.seq, kind, name) for (kind, name), find in found):
            if kind not in KINDS or kind in NOT_SAVED:
                continue
            content = self._content(owner, kind, name)
            if content is not None:
                with suppress(TamperedError):
                    yield Filed(kind, load_document(name, content))

    def _content(self, owner: Owner, kind: str, name: str) -> bytes | None:
        find = owner.found.get((kind, name))
        if find is None:
            return None
        row = row_at(find.pages, find.image, find.position, self._tables["records"])
        return None if row is None else self._opened(owner, row)

    def _rows(self, table: str, on_progress: ProgressCallback | None = None) -> Iterator[_Found]:
        return _rows(self._sources, self._tables[table], on_progress)

    # ------------------------------------------------------------------------------ keys

    def _find_owners(self) -> list[Owner]:
        owners: dict[int, Owner] = {}
        for _, row in self._rows("users"):
            lookup = row.values["lookup"]
            if isinstance(lookup, bytes) and len(lookup) == _LOOKUP_BYTES:
                for master in self._masters:
                    owner = owners.get(row.number) or Owner(row.number)
                    owner.learn(master, row, lookup)
                    if owner.keys:
                        owners[row.number] = owner
        return [owners[number] for number in sorted(owners)]

    # ------------------------------------------------------------------------------ records

    def _search(self, sources: list[Pages], on_progress: ProgressCallback | None = None) -> int:
        """Find all records; returns how many there seem to be of users without a key."""
        owners = {owner.number: owner for owner in self.owners}
        ownerless: set[int] = set()
        for pages, row in _rows(sources, self._tables["records"], on_progress):
            if not _is_record(row):
                continue
            user = row.values["user"]
            owner = owners.get(user) if isinstance(user, int) else None
            if owner is None:
                ownerless.add(row.number)
                continue
            kind, name = str(row.values["kind"]), str(row.values["id"])
            other = owner.found.get((kind, name))
            if self._opened(owner, row) is None:
                owner.damaged.add((kind, name))
            elif other is None or row.number > other.seq:  # of two versions, the first is newer
                owner.found[kind, name] = Find(row.number, pages, row.image, row.position)
        return len(ownerless)

    def _opened(self, owner: Owner, row: Row) -> bytes | None:
        kind, name = str(row.values["kind"]), str(row.values["id"])
        place = Place(self._masters[0].vault_id, owner.number, kind, name, row.number)
        for key in owner.keys:
            with suppress(TamperedError):
                return key.records.open(row.values["sealed"], place)
        return None


_Found = tuple[Pages, Row]


def _sources(database: BinaryIO, log: BinaryIO) -> list[Pages]:
    return [Pages(database, log, layout) for layout in layouts(database, log)]


def _rows(
    sources: list[Pages], table: Table, on_progress: ProgressCallback | None = None
) -> Iterator[_Found]:
    count, done = sum(pages.count for pages in sources), 0
    for pages in sources:
        pages.renew_patience()
        for image in pages.images():
            for row in rows(pages, image, table):
                yield pages, row
            done += 1
            if on_progress is not None:
                on_progress(done, count)


def _is_record(row: Row) -> bool:
    kind, name, sealed = (row.values[column] for column in ("kind", "id", "sealed"))
    if not isinstance(sealed, bytes) or len(sealed) < _LEAST_SEALED:
        return False
    return kind in (MEMORY, LEARNED, *KINDS) and isinstance(name, str) and is_id(name)


def _tables() -> dict[str, Table]:
    """The tables as the newest format has them."""
    db = Database(sqlite3.connect(":memory:"), execute_plugins=False)
    try:
        migrate(db)
        return {
            name: Table.of(
                [
                    Column(column, kind, is_number=bool(key), may_be_null=not required)
                    for _, column, kind, required, _, key in db.execute(
                        f"PRAGMA table_info({name})"
                    ).fetchall()
                ]
            )
            for name in ("header", "users", "records")
        }
    finally:
        db.close()
