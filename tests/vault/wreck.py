"""Vaults to be damaged, and what must be saved of them, found without the code that saves it.

Where a record lies is found by looking for its sealed bytes in the intact file: they are random,
so they stand nowhere else.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from pocketpref.vault.recovery.salvage import Salvaged, salvage
from tests.vault.making import feedback, learned

PAGE = 4096
FRAME = PAGE + 24
LOG_HEAD = 32
_WINDOW = 48
_HEAD = 48  # bytes; more than stands before a sealed blob in its row

Damage = tuple[str, int, int]  # "db" or "log", begin, end


@dataclass(frozen=True)
class Piece:
    """Something whose bytes must be intact: a record, a user's row or the header's."""

    spans: tuple[Damage, ...]

    def is_hit(self, damage: Iterable[Damage]) -> bool:
        return any(
            file == other and begin < other_end and other_begin < end
            for file, begin, end in self.spans
            for other, other_begin, other_end in damage
        )


@dataclass
class Wreck:
    """A vault as bytes, its key, and what it holds."""

    key: KeyFile
    db: bytes
    log: bytes
    texts: dict[str, str]
    owners: dict[str, str]
    learned: set[str]
    header: Piece = field(init=False)
    users: dict[str, Piece] = field(init=False)
    records: dict[tuple[str, str], Piece] = field(init=False)

    def locate(self, folder: Path) -> None:
        """Find out where everything lies."""
        path = self.write(folder, self.db, self.log)
        connection = sqlite3.connect(path)
        header = connection.execute("SELECT vault, master FROM header").fetchone()
        users = connection.execute("SELECT id, lookup, key FROM users").fetchall()
        records = connection.execute("SELECT user, kind, id, sealed FROM records").fetchall()
        connection.close()
        self.header = self._piece(*header)
        pieces = {number: self._piece(*blobs) for number, *blobs in users}
        names = {number: self.owners[name] for number, _, name, _ in records}
        self.users = {names[number]: pieces[number] for number in names}
        self.records = {(kind, name): self._piece(sealed) for _, kind, name, sealed in records}

    def _piece(self, *blobs: bytes) -> Piece:
        return Piece(tuple(span for blob in blobs for span in self._spans(blob)))

    def _spans(self, blob: bytes) -> Iterator[Damage]:
        file, at = self._find(blob[:_WINDOW])
        whole = self.log if file == "log" else self.db
        page, frame_head = self._page(file, at)
        if frame_head:
            yield frame_head
        if whole[at : at + len(blob)] == blob and at + len(blob) <= page[2]:
            yield file, at - _HEAD, at + len(blob)
            return
        yield file, at - _HEAD, page[2]
        for begin in range(0, len(blob) - _WINDOW, _WINDOW):
            where = self._find(blob[begin : begin + _WINDOW], missing_ok=True)
            if where is not None:
                overflow, frame_head = self._page(*where)
                if overflow != page:
                    yield overflow
                    if frame_head:
                        yield frame_head

    def _find(self, part: bytes, *, missing_ok: bool = False):
        if (at := self.log.rfind(part)) >= 0:
            return "log", at
        at = self.db.find(part)
        if at < 0 and missing_ok:
            return None  # it stands across the border of two pages
        assert at >= 0
        return "db", at

    def _page(self, file: str, at: int) -> tuple[Damage, Damage | None]:
        if file == "db":
            begin = at // PAGE * PAGE
            return (file, begin, begin + PAGE), None
        begin = LOG_HEAD + (at - LOG_HEAD) // FRAME * FRAME
        return (file, begin + 24, begin + FRAME), (file, begin, begin + 24)

    # ------------------------------------------------------------------------------ damaging

    def write(self, folder: Path, db: bytes, log: bytes) -> Path:
        folder.mkdir(exist_ok=True)
        path = folder / "vault.db"
        path.write_bytes(db)
        (folder / "vault.db-wal").write_bytes(log)
        return path

    def zeroed(self, *damage: Damage) -> tuple[bytes, bytes]:
        return self._changed(damage, lambda _: 0)

    def flipped(self, *damage: Damage) -> tuple[bytes, bytes]:
        return self._changed(damage, lambda byte: byte ^ 1 << byte % 8)

    def _changed(self, damage: Iterable[Damage], change) -> tuple[bytes, bytes]:
        files = {"db": bytearray(self.db), "log": bytearray(self.log)}
        for file, begin, end in damage:
            files[file][begin:end] = bytes(change(byte) for byte in files[file][begin:end])
        return bytes(files["db"]), bytes(files["log"])

    # ------------------------------------------------------------------------------ saving

    def save(self, folder: Path, db: bytes, log: bytes) -> tuple[Salvaged, dict[str, str]]:
        """Salvage, see that nothing else was touched, and read what was saved."""
        path = self.write(folder, db, log)
        target = folder / "new.db"
        target.unlink(missing_ok=True)
        before = digests(folder)
        saved = salvage(path, target, self.key)
        assert {name: digests(folder)[name] for name in before} == before
        assert digests(folder).keys() - before.keys() == {"new.db"}
        found = read(target, self.key)
        self.check(saved, found)
        return saved, found

    def check(self, saved: Salvaged, found: dict[str, str]) -> None:
        """Nothing that was never there, and the report says what was done."""
        assert found.items() <= self.texts.items()
        assert sum(user.memories for user in saved.users) == len(found)

    def must_be_saved(self, damage: Iterable[Damage]) -> set[str]:
        """Memories whose own bytes and whose keys are intact."""
        damage = list(damage)
        if self.header.is_hit(damage):
            return set()
        return {
            name
            for (kind, name), piece in self.records.items()
            if kind == "memory"
            and not self.users[self.owners[name]].is_hit(damage)
            and not piece.is_hit(damage)
        }


def digests(folder: Path) -> dict[str, str]:
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.rglob("*")
        if file.is_file()
    }


def read(path: Path, key: KeyFile) -> dict[str, str]:
    """Prompts by id, of everyone."""
    with Vault.open(path, key) as vault:
        stores = [vault.store(user) for user in vault.users()]
        return {m.id: m.pair.prompt for store in stores for m in store.memories()}


USERS = {"ada": 140, "bob": 90, "cleo": 60}


def build(folder: Path, *, with_log: bool) -> Wreck:
    """A vault of several people, in the middle of its life; its log copied back or not."""
    folder.mkdir()
    key, path = KeyFile.make(folder / "key"), folder / "vault.db"
    wreck = Wreck(key, b"", b"", {}, {}, set())
    with Vault.create(path, key) as vault:
        for user, count in USERS.items():
            _fill(wreck, vault, user, count)
        _forget_some(wreck, vault)
    if with_log:
        with Vault.open(path, key) as vault:
            _fill(wreck, vault, "ada", 20)
            _fill(wreck, vault, "dora", 30)
            wreck.db, wreck.log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    else:
        wreck.db = path.read_bytes()
    wreck.locate(folder / "intact")
    return wreck


def _fill(wreck: Wreck, vault: Vault, user: str, count: int) -> None:
    store = vault.store(user)
    # Most fit into one page with others, some need a page or several of their own.
    texts = [f"{user} {n} " + "x" * (7_000 if n % 40 == 7 else n % 50) for n in range(count)]
    ids = store.add_many(feedback(text) for text in texts)
    wreck.texts.update(zip(ids, texts, strict=True))
    wreck.owners.update(dict.fromkeys(ids, user))
    for name in ids[::8]:
        store.put_learned(learned(name))
        wreck.learned.add(name)


def _forget_some(wreck: Wreck, vault: Vault) -> None:
    store = vault.store("bob")
    gone = [memory.id for memory in store.memories()][::5]
    store.forget(gone)
    for name in gone:
        del wreck.texts[name], wreck.owners[name]
    wreck.learned.difference_update(gone)
