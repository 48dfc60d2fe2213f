"""Forgeries of whole files: other tables, foreign logs beside a vault, older and other files."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing

from tools.torture.scene import Scene, feedback
from tools.torture.target import Forgery, Victim, run_sql


def of_the_file() -> Iterator[tuple[str, Forgery]]:
    """Tables that are not a vault's, and other numbers in the file's head."""
    for statement in (
        "CREATE TABLE more (one)",
        "CREATE VIEW more AS SELECT * FROM records",
        "CREATE TRIGGER more AFTER INSERT ON records BEGIN DELETE FROM records; END",
        "CREATE INDEX more ON records (sealed)",
        "CREATE VIRTUAL TABLE more USING fts5(one)",
        "DROP INDEX records_by_user",
        "DROP TABLE records",
        "ALTER TABLE records ADD COLUMN more",
        "ALTER TABLE users RENAME TO people",
        "PRAGMA user_version = 0",
        "PRAGMA user_version = 3",
        "PRAGMA user_version = 5",
        "PRAGMA user_version = -1",
        "PRAGMA application_id = 1",
    ):
        yield statement, run_sql(statement)


def beside(victim: Victim) -> Iterator[tuple[str, Forgery]]:
    """Logs and other files that SQLite would take for the vault's own."""
    logs = {
        "another vault's": _log_of(victim.stranger),
        "yesterday's": _log_of(victim.yesterday),
        "random": os.urandom(100_000),
        "zeros": bytes(100_000),
        "empty": b"",
    }
    own = _log_of(victim.yesterday)
    logs |= {"yesterday's, cut": own[:-100], "yesterday's, one bit": _flipped(own)}
    yield "yesterday's true -journal", _plant({"vault.db-journal": _journal_of(victim.yesterday)})
    for name, log in logs.items():
        yield f"{name} -wal", _plant({"vault.db-wal": log})
        yield f"{name} -shm", _plant({"vault.db-shm": log[: 64 * 1024]})
        yield f"{name} -wal and -shm", _plant({"vault.db-wal": log, "vault.db-shm": log[:32768]})
        yield f"{name} -journal", _plant({"vault.db-journal": log})


def _flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def _plant(files: dict[str, bytes]) -> Forgery:
    def forge(scene: Scene) -> None:
        for name, content in files.items():
            scene.path.with_name(name).write_bytes(content)

    return forge


def _log_of(source: Scene) -> bytes:
    """A log with whole, valid frames: what lies beside a copy of the vault while it is in use."""
    copy = source.copy(source.folder.with_name("log"))
    with copy.open() as vault:
        vault.store("ada").add_many(feedback(f"in the log {number}") for number in range(3))
        return copy.path.with_name("vault.db-wal").read_bytes()


def _journal_of(source: Scene) -> bytes:
    """What SQLite's other way of writing would leave beside a vault: the pages to go back to."""
    copy = source.copy(source.folder.with_name("journal"))
    with closing(sqlite3.connect(copy.path, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("PRAGMA synchronous = OFF")  # the journal's head is then whole from the start
        db.execute("BEGIN")
        for table in ("header", "users", "records"):
            db.execute(f"UPDATE {table} SET rowid = rowid")  # noqa: S608 - our own names
        return copy.path.with_name("vault.db-journal").read_bytes()


def whole(victim: Victim) -> Iterator[tuple[str, Forgery]]:
    """Another file in the vault's place, and the log with its last changes lost."""
    old = victim.yesterday.path.read_bytes()
    other = victim.stranger.path.read_bytes()
    yield "yesterday's file", lambda scene: scene.path.write_bytes(old)
    yield "another vault's file", lambda scene: scene.path.write_bytes(other)
    yield "an empty file", lambda scene: scene.path.write_bytes(b"")
    yield "a text", lambda scene: scene.path.write_text("this is no vault" * 1000)
    yield "another database", _another_database
    for tenths in range(0, 10, 3):
        yield f"{10 - tenths} tenths of its log lost", _lose_log(tenths / 10)


def _another_database(scene: Scene) -> None:
    scene.path.unlink()
    with closing(sqlite3.connect(scene.path)) as db:
        db.execute("CREATE TABLE t (a)")


def _lose_log(kept: float) -> Forgery:
    """Changes said to be kept are in the log, and all but a part of that is taken away."""

    def forge(scene: Scene) -> None:
        log = scene.path.with_name("vault.db-wal")
        with scene.open() as vault:
            for number in range(4):
                vault.store("ada").add(feedback(f"said to be kept {number}"))
            files = scene.path.read_bytes(), log.read_bytes()
        scene.path.write_bytes(files[0])
        log.write_bytes(files[1][: int(len(files[1]) * kept)])

    return forge
