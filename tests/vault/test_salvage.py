"""Of a damaged vault everything is saved that is intact, and nothing else appears."""

from __future__ import annotations

import random
import sqlite3
import stat
import time
from pathlib import Path

import pytest

from pocketpref.errors import (
    InputError,
    NotFoundError,
    TamperedError,
    VaultBusyError,
    WrongKeyError,
)
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from pocketpref.vault.recovery.salvage import custody, salvage
from tests.vault.making import feedback, learned, same_learned
from tests.vault.wreck import FRAME, LOG_HEAD, PAGE, Wreck, build, digests, read

SECONDS = 20
"""Longest that one search may take; the longest takes about one second."""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Wreck:
    """A vault whose log was copied back."""
    return build(tmp_path_factory.mktemp("salvage") / "closed", with_log=False)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Wreck:
    """A vault of whose last changes only the log knows."""
    return build(tmp_path_factory.mktemp("salvage") / "logged", with_log=True)


def pages(wreck: Wreck) -> list[tuple[str, int, int]]:
    return [("db", at, at + PAGE) for at in range(0, len(wreck.db), PAGE)]


def frames(wreck: Wreck) -> list[tuple[str, int, int]]:
    return [("log", at, at + FRAME) for at in range(LOG_HEAD, len(wreck.log), FRAME)]


def roots(wreck: Wreck, folder: Path) -> dict[str, tuple[str, int, int]]:
    """The root page of every table and index."""
    path = wreck.write(folder, wreck.db, b"")
    connection = sqlite3.connect(path)
    found = connection.execute("SELECT name, rootpage FROM sqlite_master").fetchall()
    connection.close()
    return {name: ("db", (page - 1) * PAGE, page * PAGE) for name, page in found}


# ------------------------------------------------------------------------- what is to be saved


@pytest.mark.parametrize("kind", ["closed", "logged"])
def test_everything_of_a_sound_vault_is_saved(kind, request, tmp_path):
    wreck = request.getfixturevalue(kind)
    assert bool(wreck.log) == (kind == "logged")
    saved, found = wreck.save(tmp_path / "there", wreck.db, wreck.log)
    assert found == wreck.texts
    assert [(u.missing, u.damaged) for u in saved.users] == [(0, ())] * len(saved.users)
    assert {u.user for u in saved.users} == set(wreck.owners.values())
    assert sum(u.learned for u in saved.users) == len(wreck.learned)
    assert saved.ownerless == 0


def test_what_was_learned_is_saved_with_its_memory(tmp_path, path, key):
    with Vault.create(path, key) as vault:
        store = vault.store("ada")
        name = store.add(feedback("a question", meta={"from": "a test"}))
        entry = learned(name)
        store.put_learned(entry)
        memory = store.get(name)
    salvage(path, tmp_path / "new.db", key)
    with Vault.open(tmp_path / "new.db", key) as vault:
        assert vault.store("ada").get(name) == memory
        assert same_learned(vault.store("ada").learned(entry.recipe)[0], entry)


def test_the_order_of_memories_stays(closed, tmp_path):
    path = closed.write(tmp_path / "there", closed.db, closed.log)
    salvage(path, tmp_path / "new.db", closed.key)
    orders = []
    for file in (path, tmp_path / "new.db"):
        with Vault.open(file, closed.key) as vault:
            orders.append([memory.id for memory in vault.store("ada").memories()])
    assert orders[0] == orders[1]


def test_the_new_vault_is_private_and_works(closed, tmp_path):
    path = closed.write(tmp_path / "there", closed.db, closed.log)
    target = tmp_path / "other" / "new.db"
    salvage(path, target, closed.key)
    if stat.S_IMODE(path.stat().st_mode) != 0o666:  # Windows
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with Vault.open(target, closed.key) as vault:
        vault.store("ada").add(feedback("one more"))
        assert vault.store("ada").counts().memories > 100


# ------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("kind", ["closed", "logged"])
def test_with_any_page_zeroed_the_records_of_all_others_are_saved(kind, request, tmp_path):
    wreck = request.getfixturevalue(kind)
    damages = [*pages(wreck), *frames(wreck)][:: 1 if kind == "closed" else 3]
    assert len(damages) > 20
    refused = sum(_survives(wreck, [damage], tmp_path) for damage in damages)
    assert refused <= 2  # the header's, and the users' if all of them lie in it


def _survives(wreck: Wreck, damage: list, folder: Path, change: str = "zeroed") -> bool:
    """See that what is intact is saved; True where the header itself is hit and all is lost."""
    must = wreck.must_be_saved(damage)
    began = time.perf_counter()
    try:
        _, found = wreck.save(folder / "there", *getattr(wreck, change)(*damage))
    except (TamperedError, WrongKeyError):
        assert must == set(), damage
        assert {file.name for file in (folder / "there").iterdir()} <= {"vault.db", "vault.db-wal"}
        return True
    assert must <= found.keys(), damage
    assert time.perf_counter() - began < SECONDS
    return False


@pytest.mark.parametrize("kind", ["closed", "logged"])
@pytest.mark.parametrize("seed", range(12))
def test_with_random_bits_flipped_every_record_that_is_not_hit_is_saved(
    kind, seed, request, tmp_path
):
    wreck, chance = request.getfixturevalue(kind), random.Random(seed)
    damage = []
    for _ in range(4 ** (seed % 4 + 1)):
        file = "log" if wreck.log and chance.random() < 0.5 else "db"
        at = chance.randrange(len(wreck.log if file == "log" else wreck.db))
        damage.append((file, at, at + 1))
    _survives(wreck, damage, tmp_path, "flipped")


@pytest.mark.parametrize("kept", [0.5, 0.31, 0.87])
def test_of_a_truncated_file_everything_before_the_end_is_saved(kept, closed, tmp_path):
    size = int(len(closed.db) * kept) + 1
    saved, found = closed.save(tmp_path / "there", closed.db[:size], b"")
    assert found.keys() == closed.must_be_saved([("db", size, len(closed.db))])
    assert 0 < len(found) < len(closed.texts)
    lost = sum(user.missing for user in saved.users)
    assert lost >= len(closed.texts) - len(found)


@pytest.mark.parametrize("begin", [0, 100])
def test_the_first_page_is_not_needed(begin, closed, tmp_path):
    """Neither the file's header nor the schema."""
    damage = ("db", begin, PAGE)
    assert _survives(closed, [damage], tmp_path) is False
    random_bytes = random.Random(1).randbytes(PAGE - begin)
    _, found = closed.save(
        tmp_path / "there", closed.db[:begin] + random_bytes + closed.db[PAGE:], b""
    )
    assert found == closed.texts


@pytest.mark.parametrize(
    ("at", "lie"), [(16, b"\x20\x00"), (16, b"\x02\x00"), (16, b"\x00\x01"), (20, b"\xc8")]
)
def test_a_header_that_lies_about_the_size_of_pages_changes_nothing(at, lie, closed, tmp_path):
    lying = closed.db[:at] + lie + closed.db[at + len(lie) :]
    _, found = closed.save(tmp_path / "there", lying, b"")
    assert found == closed.texts


def test_a_schema_that_lies_changes_nothing(closed, tmp_path):
    lying = closed.db.replace(b"CREATE TABLE records", b"CREATE TABLE rekords")
    _, found = closed.save(tmp_path / "there", lying, b"")
    assert found == closed.texts


def test_every_root_page_but_those_with_keys_can_be_lost(closed, tmp_path):
    damage = roots(closed, tmp_path / "intact")
    keys = [damage.pop("header"), damage.pop("users")]
    assert len(damage) >= 4
    _, found = closed.save(tmp_path / "there", *closed.zeroed(*damage.values(), pages(closed)[0]))
    assert found == closed.texts
    for page in keys:
        assert _survives(closed, [page], tmp_path) is True


@pytest.mark.parametrize("size", [1, 1000, PAGE, 10 * PAGE + 5])
def test_foreign_bytes_at_the_end_change_nothing(size, closed, tmp_path):
    _, found = closed.save(tmp_path / "there", closed.db + random.Random(size).randbytes(size), b"")
    assert found == closed.texts


def test_another_vault_of_the_same_key_at_the_end_changes_nothing(closed, tmp_path):
    with Vault.create(tmp_path / "other.db", closed.key) as other:
        for user in ("ada", "u2", "u3", "u4", "u5"):
            other.store(user).add_many(feedback(f"foreign {n}") for n in range(10))
    foreign = (tmp_path / "other.db").read_bytes()
    saved, found = closed.save(tmp_path / "there", closed.db + foreign, b"")
    assert found == closed.texts
    assert [user.missing for user in saved.users] == [0, 0, 0]


@pytest.mark.parametrize("size", [512, 1024, 8192, 65536])
def test_pages_of_every_size_are_read(size, closed, tmp_path):
    path = closed.write(tmp_path / "there", closed.db, b"")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute(f"PRAGMA page_size = {size}")
    connection.execute("VACUUM")
    connection.close()
    data = path.read_bytes()
    assert int.from_bytes(data[16:18], "big") == size % 65535
    _, found = closed.save(tmp_path / "there", data, b"")
    assert found == closed.texts


def test_nothing_of_a_page_is_lost_if_its_list_of_cells_is_damaged(closed, tmp_path):
    """Then the page is searched for what looks like a row."""
    heads = [("db", begin, begin + 8) for _, begin, _ in pages(closed)[1:]]
    leaves = [h for h in heads if closed.db[h[1]] == 0x0D]
    assert len(leaves) > 10
    _, found = closed.save(tmp_path / "there", *closed.zeroed(*leaves))
    assert found == closed.texts


def test_the_logs_header_is_not_needed(logged, tmp_path):
    _, found = logged.save(tmp_path / "there", *logged.zeroed(("log", 0, LOG_HEAD)))
    assert found == logged.texts


# ------------------------------------------------------------------------------------ keys


def test_a_user_whose_name_is_damaged_is_saved_under_another(path, key, tmp_path):
    with Vault.create(path, key) as vault:
        vault.store("ada").add_many(feedback(f"hers {n}") for n in range(3))
        vault.store("recovered-1").add(feedback("another's"))
    blob = sqlite3.connect(path).execute("SELECT name FROM users WHERE id = 1").fetchone()[0]
    data = path.read_bytes()
    path.write_bytes(data.replace(blob, blob[:-1] + bytes([blob[-1] ^ 1])))
    saved = salvage(path, tmp_path / "new.db", key)
    with Vault.open(tmp_path / "new.db", key) as vault:
        assert len(vault.users()) == 2
        assert "ada" not in vault.users()
    assert sorted(user.memories for user in saved.users) == [1, 3]


def test_records_of_a_user_whose_key_is_damaged_are_counted(path, key, tmp_path):
    with Vault.create(path, key) as vault:
        vault.store("ada").add_many(feedback(f"hers {n}") for n in range(3))
        vault.store("bob").add(feedback("his"))
    blob = sqlite3.connect(path).execute("SELECT key FROM users WHERE id = 1").fetchone()[0]
    path.write_bytes(path.read_bytes().replace(blob, bytes(len(blob))))
    saved = salvage(path, tmp_path / "new.db", key)
    assert (saved.ownerless, len(saved.users), saved.users[0].user) == (3, 1, "bob")


def test_what_does_not_open_is_named(path, key, tmp_path):
    with Vault.create(path, key) as vault:
        ids = vault.store("ada").add_many(feedback(f"hers {n}") for n in range(3))
    query = "SELECT sealed FROM records WHERE id = ?"
    blob = sqlite3.connect(path).execute(query, (ids[1],)).fetchone()[0]
    path.write_bytes(path.read_bytes().replace(blob, blob[:-1] + bytes([blob[-1] ^ 1])))
    (user,) = salvage(path, tmp_path / "new.db", key).users
    assert (user.memories, user.missing, user.damaged) == (2, 1, (ids[1],))
    assert "hers" not in repr(user)
    assert "ada" not in repr(user)


def test_a_rotation_that_was_interrupted_loses_nothing(path, key, tmp_path):
    class StopError(Exception):
        pass

    def stop(done: int, of: int) -> None:
        if done >= 300:
            raise StopError

    with Vault.create(path, key) as vault:
        texts = {f"hers {n}" for n in range(700)}
        vault.store("ada").add_many(feedback(text) for text in texts)
        with pytest.raises(StopError):
            vault.rotate_data_key("ada", stop)
    (user,) = salvage(path, tmp_path / "new.db", key).users
    assert (user.memories, user.missing, user.damaged) == (700, 0, ())
    assert set(read(tmp_path / "new.db", key).values()) == texts


# ----------------------------------------------------------------------------------- refusals


def test_a_file_that_is_there_is_never_replaced(closed, tmp_path):
    path = closed.write(tmp_path / "there", closed.db, closed.log)
    for name in ("new.db", "more.db-wal"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(InputError, match="already"):
            salvage(path, tmp_path / name.removesuffix("-wal"), closed.key)
        assert (tmp_path / name).read_text() == "mine"


def test_there_must_be_a_vault(tmp_path, key):
    with pytest.raises(NotFoundError):
        salvage(tmp_path / "none.db", tmp_path / "new.db", key)


def test_the_wrong_key_saves_nothing(closed, tmp_path):
    path = closed.write(tmp_path / "there", closed.db, closed.log)
    with pytest.raises(WrongKeyError):
        salvage(path, tmp_path / "there" / "new.db", KeyFile.make(tmp_path / "wrong"))
    assert digests(tmp_path / "there").keys() == {"vault.db", "vault.db-wal"}


@pytest.mark.parametrize("content", [b"", b"\0" * 5000, b"SQLite format 3\0", b"text" * 9999])
def test_a_file_that_is_no_vault_is_refused_by_name(content, key, tmp_path):
    (tmp_path / "vault.db").write_bytes(content)
    with pytest.raises(TamperedError, match="no header"):
        salvage(tmp_path / "vault.db", tmp_path / "new.db", key)
    with pytest.raises(TamperedError, match="no header"):
        custody(tmp_path / "vault.db")
    assert {file.name for file in tmp_path.iterdir()} == {"vault.db", "keys"}


def test_an_empty_vault_has_nothing_to_be_saved(path, key, tmp_path):
    Vault.create(path, key).close()
    with pytest.raises(TamperedError, match="nothing"):
        salvage(path, tmp_path / "new.db", key)
    assert custody(path) == "key-file"


def test_a_vault_that_others_are_writing_is_not_copied(path, key, tmp_path, monkeypatch):
    with Vault.create(path, key) as vault:
        vault.store("ada").add(feedback("one"))
        real = Path.open

        def open_and_write(self, *args, **kwargs):
            if self == path:
                vault.store("ada").add(feedback("two"))
            return real(self, *args, **kwargs)

        monkeypatch.setattr(Path, "open", open_and_write)
        with pytest.raises(VaultBusyError):
            salvage(path, tmp_path / "new.db", key)
    assert {file.name for file in tmp_path.iterdir()} == {"keys", "data"}


# ------------------------------------------------------------------------------- hostile files


def _forged_page(user: int, size: int, chain: int) -> bytes:
    """A page full of rows that seem to go on in overflow pages, all at the same one."""
    name = b"abcdefghjkmn"
    width = size * 2 + 12
    kind = bytes([0x80 | width >> 21, 0x80 | width >> 14 & 0x7F, 0x80 | width >> 7 & 0x7F])
    head = b"\x09\x00\x01\x19\x25" + kind + bytes([width & 0x7F])
    row = head + bytes([user]) + b"memory" + name
    least = (PAGE - 12) * 32 // 255 - 23
    total = len(row) + size
    fitting = least + (total - least) % (PAGE - 4)
    local = fitting if fitting <= PAGE - 35 else least
    cell = b"\x05" + row.ljust(local, b"\x01") + chain.to_bytes(4, "big")
    return (b"\0" * 8 + cell * (PAGE // len(cell) + 1))[:PAGE]


def test_endless_chains_do_not_hang_the_search(closed, tmp_path):
    """Each of the forged rows claims megabytes, out of a page that leads back to itself."""
    number = len(closed.db) // PAGE + 1
    loop = number.to_bytes(4, "big") + b"\x01" * (PAGE - 4)
    forged = [_forged_page(1, 30_000_000 + n, number) for n in range(200)]
    began = time.perf_counter()
    _, found = closed.save(tmp_path / "there", closed.db + loop + b"".join(forged), b"")
    assert found == closed.texts
    assert time.perf_counter() - began < SECONDS


@pytest.mark.parametrize(
    "pattern", [b"\x07\x00\x01\x19\x25\x84\x46", b"\x0d", b"\xff\x00", b"\x05\x00"]
)
def test_pages_full_of_beginnings_do_not_hang_the_search(pattern, closed, tmp_path):
    filling = (pattern * PAGE)[: 300 * PAGE]
    began = time.perf_counter()
    _, found = closed.save(tmp_path / "there", closed.db + filling, filling)
    assert found == closed.texts
    assert time.perf_counter() - began < SECONDS
