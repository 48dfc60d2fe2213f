"""Of a page with several versions the right one is searched, and what was forgotten stays so."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest

from pocketpref.errors import VaultBusyError
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from pocketpref.vault.recovery.salvage import salvage
from tests.vault.making import feedback, learned
from tests.vault.wreck import FRAME, LOG_HEAD, PAGE, read


def state(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), Path(f"{path}-wal").read_bytes()


def put(folder: Path, db: bytes, log: bytes) -> Path:
    folder.mkdir()
    (folder / "vault.db").write_bytes(db)
    (folder / "vault.db-wal").write_bytes(log)
    return folder / "vault.db"


@pytest.mark.parametrize(("cut", "kept"), [(FRAME, 20), (1, 79)])
def test_a_transaction_whose_end_is_gone_never_took_place(cut, kept, path, key, tmp_path):
    """One whose end is there, though damaged, did; SQLite would drop it, but it was written."""
    with Vault.create(path, key) as vault:
        vault.store("ada").add_many(feedback(f"first {n}") for n in range(20))
        vault.store("ada").add_many(feedback(f"then {n}") for n in range(60))
        db, log = state(path)
    cut_off = put(tmp_path / "cut", db, log[:-cut])
    salvage(cut_off, tmp_path / "new.db", key)
    found = read(tmp_path / "new.db", key)
    assert len(found) == kept
    if cut == FRAME:
        assert found == read(cut_off, key)


def test_frames_of_an_earlier_run_do_not_count(path, key, tmp_path):
    """A log begins anew at its beginning; what stands behind that is older than the file."""
    with Vault.create(path, key) as vault:
        store = vault.store("ada")
        store.add_many(feedback(f"first {n}") for n in range(40))
        other = sqlite3.connect(path)
        other.execute("PRAGMA wal_checkpoint(RESTART)")
        other.close()
        store.add(feedback("last"))
        db, log = state(path)
    salvage(put(tmp_path / "old", db, log), tmp_path / "new.db", key)
    assert "last" in read(tmp_path / "new.db", key).values()


def test_behind_a_damaged_frame_lies_the_older_version_of_its_page(path, key, tmp_path):
    with Vault.create(path, key) as vault:
        ids = vault.store("ada").add_many(feedback(f"first {n}") for n in range(5))
    with Vault.open(path, key) as vault:
        vault.store("ada").add(feedback("last"))
        db, log = state(path)
    zeroed = bytearray(log)
    for begin in range(LOG_HEAD, len(log), FRAME):
        zeroed[begin + 24 : begin + FRAME] = bytes(PAGE)
    damaged = put(tmp_path / "damaged", db, bytes(zeroed))
    (user,) = salvage(damaged, tmp_path / "new.db", key).users
    assert list(read(tmp_path / "new.db", key)) == ids[::-1]
    assert user.missing == 0  # by the older state, which is all that is left


def test_of_two_versions_of_a_record_the_newer_is_saved(path, key, tmp_path):
    """Both are found, for the checksum of the newer one's frame is damaged."""
    with Vault.create(path, key) as vault:
        name = vault.store("ada").add(feedback())
        vault.store("ada").put_learned(learned(name, "old"))
    with Vault.open(path, key) as vault:
        vault.store("ada").put_learned(learned(name, "new"))
        db, log = state(path)
    damaged = bytearray(log)
    for begin in range(LOG_HEAD, len(log), FRAME):
        damaged[begin + 16] ^= 1
    salvage(put(tmp_path / "damaged", db, bytes(damaged)), tmp_path / "new.db", key)
    with Vault.open(tmp_path / "new.db", key) as vault:
        assert len(vault.store("ada").learned("new")) == 1


def test_a_frame_that_claims_to_be_another_page_hides_nothing(path, key, tmp_path):
    """Neither a page of cells nor one in which a long record goes on."""
    with Vault.create(path, key) as vault:
        vault.store("ada").add(feedback("x" * 30_000))
        vault.store("ada").add_many(feedback(f"first {n}") for n in range(30))
    with Vault.open(path, key) as vault:
        vault.store("ada").add(feedback("last"))
        db, log = state(path)
        texts = {m.id: m.pair.prompt for m in vault.store("ada").memories()}
    for number in range(2, len(db) // PAGE + 1):
        lying = log[:LOG_HEAD] + number.to_bytes(4, "big") + log[LOG_HEAD + 4 :]
        salvage(put(tmp_path / str(number), db, lying), tmp_path / f"{number}.db", key)
        assert read(tmp_path / f"{number}.db", key) == texts


def test_what_was_forgotten_does_not_come_back_out_of_older_pages(path, key, tmp_path):
    """A reader of another program kept the log from being cleared."""
    with Vault.create(path, key, busy_seconds=0.1) as vault:
        store = vault.store("ada")
        ids = store.add_many(feedback(f"hers {n}") for n in range(9))
        reader = sqlite3.connect(path)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM header").fetchall()
        with pytest.raises(VaultBusyError):
            store.forget(ids[::2])
        db, log = state(path)
        reader.close()
    assert b"memory" + ids[0].encode() in log + db
    salvage(put(tmp_path / "busy", db, log), tmp_path / "new.db", key)
    assert read(tmp_path / "new.db", key).keys() == set(ids[1::2])


def test_what_was_forgotten_does_not_come_back(path, key, tmp_path):
    """Not even out of pages that have to be searched because their lists are damaged."""
    chance = random.Random(2)
    with Vault.create(path, key) as vault:
        store, kept = vault.store("ada"), []
        for n in range(12):
            texts = [f"hers {n} " + "x" * chance.randrange(3000) for _ in range(30)]
            kept += store.add_many(feedback(text) for text in texts)
            chance.shuffle(kept)
            store.forget(kept[20 * (n + 1) :])
            kept = kept[: 20 * (n + 1)]
    data = bytearray(path.read_bytes())
    for begin in range(PAGE, len(data), PAGE):
        if data[begin] == 0x0D:
            data[begin + 3 : begin + 8] = bytes(5)
    wrecked = tmp_path / "wrecked.db"
    wrecked.write_bytes(data)
    # The header's and users' pages are searched too, so that all lists are really ignored.
    salvage(wrecked, tmp_path / "new.db", key)
    assert read(tmp_path / "new.db", key).keys() == set(kept)


# ------------------------------------------------------------------------------ planted logs


def test_the_log_of_another_vault_hides_nothing(path, key, tmp_path):
    """SQLite would overwrite the file with it."""
    with Vault.create(path, key) as vault:
        vault.store("ada").add_many(feedback(f"hers {n} " + "x" * 9_000) for n in range(20))
        texts = {m.id: m.pair.prompt for m in vault.store("ada").memories()}
    for other_key in (key, KeyFile.make(tmp_path / "other.key")):
        other = tmp_path / "other.db"
        with Vault.create(other, other_key) as vault:
            for user in ("ada", "bob"):
                vault.store(user).add_many(feedback(f"theirs {n}" * 900) for n in range(20))
            _, log = state(other)
        planted = put(tmp_path / f"planted-{other_key.path.name}", path.read_bytes(), log)
        target = planted.with_name("new.db")
        (user,) = salvage(planted, target, key).users
        assert read(target, key) == texts
        assert user.missing == 0
        other.unlink()


def test_a_log_that_was_put_back_does_not_hide_what_is_newer(path, key, tmp_path):
    with Vault.create(path, key) as vault:
        name = vault.store("ada").add(feedback("first"))
        vault.store("ada").put_learned(learned(name, "old"))
        _, log = state(path)
        vault.store("ada").put_learned(learned(name, "new"))
        vault.store("ada").add(feedback("second " + "x" * 9_000))
    planted = put(tmp_path / "planted", path.read_bytes(), log)
    (user,) = salvage(planted, tmp_path / "new.db", key).users
    assert (user.memories, user.learned, user.missing) == (2, 1, 0)
    with Vault.open(tmp_path / "new.db", key) as vault:
        assert len(vault.store("ada").learned("new")) == 1
