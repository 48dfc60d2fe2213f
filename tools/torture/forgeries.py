"""What somebody who can write the file, but has no key, can do with it: each must be refused.

They may run any SQL on it, take rows from another user, from another vault or from yesterday's
copy, put files of theirs beside it, and put yesterday's whole file back.
"""

# ruff: noqa: S608 - the statements are made of words of our own, and to do harm is their job
from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, islice
from pathlib import Path
from typing import Any

from tools.torture.planted import beside, of_the_file, whole
from tools.torture.report import Row
from tools.torture.scene import AS_STORED, REFUSED, Scene, ending
from tools.torture.target import Forgery, Victim, run_sql

_BESIDE = "foreign files put beside it"


def forge_all(folder: Path, every: int = 1) -> Iterator[Row]:
    """Every forgery there is, or each so-many-th of a kind, each on a fresh copy."""
    victim = Victim.make(folder / "made")
    copy = folder / "copy"
    kinds = {
        "rows deleted, doubled or changed by SQL": _by_sql(victim),
        "rows put back from an older copy": _from_yesterday(victim),
        "rows of another user or vault pasted in": _from_elsewhere(victim),
        "tables, triggers and numbers of the file changed": of_the_file(),
        _BESIDE: beside(victim),
        "older whole file put back, or its log lost": whole(victim),
    }
    for what, forgeries in kinds.items():
        yield _try(victim, copy, what, islice(forgeries, 0, None, every))


def _try(
    victim: Victim,
    folder: Path,
    what: str,
    forgeries: Iterator[tuple[str, Forgery]],
) -> Row:
    row = Row("forgeries", "inputs", what)
    for name, forge in forgeries:
        scene = victim.scene.copy(folder)
        forge(scene)
        before = _files(scene)
        ends = [ending(scene, victim.stored, recall_first=first) for first in (False, True)]
        if ends[0] == REFUSED and before != _files(scene):
            ends.append("REFUSED, but the file was changed")
        # A log that is none of this vault's, SQLite rightly does not read.
        well = {REFUSED, AS_STORED} if what == _BESIDE else {REFUSED}
        wrong = [end for end in ends if end not in well]
        if wrong:
            unnoticed = any(end.startswith("WRONG") or end == AS_STORED for end in wrong)
            row.badly(f"{name}: {wrong[0]}", lost=int(unnoticed))
        else:
            row.well(ends[0])
    return row


def _files(scene: Scene) -> tuple[bytes, bytes]:
    """The vault, and the log beside it as far as there is one."""
    log = scene.path.with_name("vault.db-wal")
    return scene.path.read_bytes(), log.read_bytes() if log.exists() else b""


# ------------------------------------------------------------------------------- by SQL


def _by_sql(victim: Victim) -> Iterator[tuple[str, Forgery]]:
    numbers = [seq for (seq,) in victim.scene.sql("SELECT seq FROM records ORDER BY seq")]
    for count in (1, 2):
        for some in combinations(numbers, count):
            where = f"seq IN ({', '.join(map(str, some))})"
            yield f"deleted {some}", run_sql(f"DELETE FROM records WHERE {where}")
    for seq in numbers:
        yield from _of_one_row(seq)
    yield from _exchanges(victim)
    yield "all records deleted", run_sql("DELETE FROM records")
    yield from _of_users()
    for column in ("state", "master", "vault", "custody"):
        for value in ("x'00'", "zeroblob(300)", "''", "5", "custody || char(0)"):
            yield f"header.{column} = {value}", run_sql(f"UPDATE header SET {column} = {value}")
    yield "no header", run_sql("DELETE FROM header")


def _of_one_row(seq: int) -> Iterator[tuple[str, Forgery]]:
    columns = "user, kind, id, sealed"
    yield (
        f"{seq} doubled",
        run_sql(
            f"INSERT INTO records ({columns}) SELECT user, kind, 'aaaaaaaaaaaa', sealed "
            f"FROM records WHERE seq = {seq}"
        ),
    )
    changes = {
        "moved up": "seq = seq + 1000",
        "another user's": "user = 3 - user",
        "nobody's": "user = 99",
        "of no kind": "kind = 'other'",
        "of another kind": "kind = iif(kind = 'memory', 'learned', 'memory') || ''",
        "without content": "sealed = x''",
        "a text": "sealed = 'text'",
        "a number": "sealed = 7",
        "cut": "sealed = substr(sealed, 1, length(sealed) - 1)",
        "longer": "sealed = CAST(sealed || x'00' AS BLOB)",
        "oversized": "sealed = CAST(sealed || zeroblob(50000000) AS BLOB)",
        "long id": "id = hex(zeroblob(100000))",
        "id that is no text": "id = CAST(x'ff41' AS TEXT)",
        "id that is bytes": "id = x'ff41'",
        "id with a zero": "id = id || char(0)",
    }
    for name, change in changes.items():
        statement = f"UPDATE OR REPLACE records SET {change} WHERE seq = {seq}"
        yield f"{seq} {name}", run_sql(statement)


def _exchanges(victim: Victim) -> Iterator[tuple[str, Forgery]]:
    """Two rows exchange a column, or everything but their numbers."""
    rows = victim.scene.sql("SELECT seq, user, kind, id, sealed FROM records ORDER BY seq")
    for first, second in combinations(rows, 2):
        one, other = first[0], second[0]
        for names, start, end in (("sealed", 4, 5), ("id", 3, 4), ("user, kind, id, sealed", 1, 5)):
            if first[start:end] != second[start:end]:
                edits = {one: second[start:end], other: first[start:end]}
                # Exchanging nothing but ids can make two rows of one id and kind.
                if names == "id" and _clash(rows, first, second):
                    continue
                yield f"{names} of {one} and {other} exchanged", _assign(names.split(", "), edits)


def _clash(rows: list[tuple[Any, ...]], first: tuple[Any, ...], second: tuple[Any, ...]) -> bool:
    others = {(row[2], row[3]) for row in rows if row not in (first, second)}
    return bool({(first[2], second[3]), (second[2], first[3])} & others)


def _assign(names: list[str], edits: dict[int, tuple[object, ...]]) -> Forgery:
    update = f"UPDATE records SET {', '.join(f'{name} = ?' for name in names)} WHERE seq = ?"

    def forge(scene: Scene) -> None:
        if "id" in names:  # two rows of one id and kind cannot be, not even in between
            for seq in edits:
                scene.sql("UPDATE records SET id = 'parked ' || seq WHERE seq = ?", seq)
        for seq, values in edits.items():
            scene.sql(update, *values, seq)

    return forge


_HUGE = "zeroblob(9000000)"


def _of_users() -> Iterator[tuple[str, Forgery]]:
    yield "user deleted", run_sql("DELETE FROM users WHERE id = 2")
    yield (
        "user and records deleted",
        run_sql("DELETE FROM records WHERE user = 2", "DELETE FROM users WHERE id = 2"),
    )
    yield (
        "user marked as wiped",
        run_sql(
            "UPDATE users SET lookup = NULL, name = NULL, key = NULL, state = NULL WHERE id = 2"
        ),
    )
    yield (
        "user doubled",
        run_sql(
            "INSERT INTO users (lookup, name, key, state) "
            "SELECT x'00', name, key, state FROM users WHERE id = 1"
        ),
    )
    yield (
        "user moved",
        run_sql(
            "UPDATE users SET id = 7 WHERE id = 2", "UPDATE records SET user = 7 WHERE user = 2"
        ),
    )
    for column in ("lookup", "name", "key", "next", "state"):
        for value in (
            "NULL",
            "x''",
            "x'0102'",
            "zeroblob(300)",
            "'text'",
            "5",
            "zeroblob(9000000)",
        ):
            if (column, value) != ("next", "NULL"):
                yield (
                    f"users.{column} = {value}",
                    run_sql(f"UPDATE users SET {column} = {value} WHERE id = 1"),
                )
    for column in ("name", "key", "state"):
        yield (
            f"users.{column} exchanged",
            run_sql(
                f"CREATE TEMP TABLE t AS SELECT id, {column} AS v FROM users; "
                f"UPDATE users SET {column} = (SELECT v FROM t WHERE t.id = 3 - users.id)"
            ),
        )
    yield (
        "key put where the next one belongs",
        run_sql("UPDATE users SET next = key WHERE id = 1"),
    )


# ------------------------------------------------------------------------------- from elsewhere

_TABLES = {
    "records": ("seq", "user", "kind", "id", "sealed"),
    "users": ("id", "lookup", "name", "key", "next", "state"),
    "header": ("one", "vault", "custody", "master", "state"),
}


def _copy_rows(source: Scene, table: str, where: str = "1") -> Forgery:
    """Put a table's rows over those of another file, by their number."""
    names = ", ".join(_TABLES[table])
    marks = ", ".join("?" * len(_TABLES[table]))
    rows = source.sql(f"SELECT {names} FROM {table} WHERE {where}")

    def forge(scene: Scene) -> None:
        for row in rows:
            scene.sql(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", *row)

    return forge


def _all_of(source: Scene, table: str, where: str = "1") -> Forgery:
    copy = _copy_rows(source, table, where)

    def forge(scene: Scene) -> None:
        scene.sql(f"DELETE FROM {table} WHERE {where}")
        copy(scene)

    return forge


def _both(*forgeries: Forgery) -> Forgery:
    def forge(scene: Scene) -> None:
        for each in forgeries:
            each(scene)

    return forge


def _from_yesterday(victim: Victim) -> Iterator[tuple[str, Forgery]]:
    old = victim.yesterday
    kept = set(victim.scene.sql("SELECT seq, sealed FROM records"))
    changed = [row[0] for row in old.sql("SELECT seq, sealed FROM records") if row not in kept]
    for count in (1, 2):
        for some in combinations(changed, min(count, len(changed))):
            where = f"seq IN ({', '.join(map(str, some))})"
            yield f"records {some}", _copy_rows(old, "records", where)
    records = _all_of(old, "records", "user = 1")
    users = _all_of(old, "users", "id = 1")
    header = _all_of(old, "header")
    yield "all records of a user", records
    yield "a user's row", users
    yield "a user's row and records", _both(users, records)
    yield "the header", header
    yield "the header and a user's row", _both(header, users)
    yield "header and records", _both(header, records)
    # All three together are yesterday's file by other means.
    yield "header, user and records", _both(header, users, records)


def _from_elsewhere(victim: Victim) -> Iterator[tuple[str, Forgery]]:
    other = victim.other
    for (seq,) in other.sql("SELECT seq FROM records"):
        yield f"record {seq} of another vault", _copy_rows(other, "records", f"seq = {seq}")
    for table in _TABLES:
        yield f"{table} of another vault", _all_of(other, table)
    for some in combinations(_TABLES, 2):
        yield f"{some} of another vault", _both(*(_all_of(other, table) for table in some))
    bobs = victim.scene.sql("SELECT seq, kind, id, sealed FROM records WHERE user = 2")
    adas = victim.scene.sql("SELECT seq FROM records WHERE user = 1")
    for (seq,) in adas:
        for _, kind, name, sealed in bobs:
            yield f"bob's {kind} {name} over {seq}", _assign(["sealed"], {seq: (sealed,)})
    for seq, kind, name, _ in bobs:
        yield f"bob's {kind} {name} made ada's", _assign(["user"], {seq: (1,)})
