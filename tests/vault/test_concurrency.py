"""Many threads and processes on one vault, and processes that are killed while they write."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from pocketpref.errors import NotFoundError, VaultBusyError
from pocketpref.vault import Vault
from tests.vault.making import feedback, learned, raw

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def worker(work: str, path: Path, key, name: str, count: int = 0) -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "tests.vault.workers", work, path, key.path, name, str(count)]
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_eight_threads_lose_nothing(vault, store):
    stores = [store, vault.store("ada"), vault.store("bob")]

    def work(number: int) -> list[str]:
        mine, ids = stores[number % 3], []
        for turn in range(25):
            ids.append(mine.add(feedback(f"{number} {turn}")))
            mine.put_learned(learned(ids[-1]))
            assert mine.get(ids[-1]).pair.prompt == f"{number} {turn}"
            mine.pending("recipe-1")
            if turn % 5 == 4:
                mine.forget([ids.pop()])
        return ids

    with ThreadPoolExecutor(8) as pool:
        ids = [memory_id for ids in pool.map(work, range(8)) for memory_id in ids]
    found = [memory.id for name in ("ada", "bob") for memory in vault.store(name).memories()]
    assert len(ids) == 8 * 20
    assert sorted(found) == sorted(ids)
    assert all(mine.pending("recipe-1") == [] for mine in stores)


def test_three_processes_lose_nothing(path, key, vault, store):
    with worker("add", path, key, "one", 60) as one, worker("add", path, key, "two", 60) as two:
        mine = [store.add(feedback(f"three {number}")) for number in range(60)]
        theirs = one.communicate()[0].split() + two.communicate()[0].split()
        assert (one.returncode, two.returncode) == (0, 0)
    assert len(mine) + len(theirs) == 180
    assert sorted(memory.id for memory in store.memories()) == sorted(mine + theirs)
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]


def test_a_reader_never_waits_for_a_writer(path, key, vault, store):
    memory_id = store.add(feedback())
    with worker("hold", path, key, "holder"):
        assert store.get(memory_id).id == memory_id
        assert store.counts().memories == 1


def test_a_writer_that_waits_too_long_says_so_and_changes_nothing(path, key, vault, store):
    memory_id = store.add(feedback())
    with worker("hold", path, key, "holder"), Vault.open(path, key, busy_seconds=0.2) as busy:
        mine = busy.store("ada")
        for attempt in (
            lambda: mine.add(feedback()),
            lambda: mine.put_learned(learned(memory_id)),
            lambda: mine.forget([memory_id]),
            mine.forget_everything,
        ):
            with pytest.raises(VaultBusyError) as caught:
                attempt()
            assert caught.value.hint
    assert [memory.id for memory in store.memories()] == [memory_id]
    store.add(feedback())  # and it works again


def test_a_writer_waits_for_another(path, key, vault, store):
    with worker("hold", path, key, "holder") as holder:
        threading.Timer(0.5, holder.stdin.close).start()
        began = time.monotonic()
        store.add(feedback())
        assert time.monotonic() - began > 0.3


def test_forgetting_says_so_when_a_reader_keeps_the_log(path, key, vault, store):
    """The pair is gone, but its bytes may be in the log until the reader has ended."""
    memory_id = store.add(feedback())
    with Vault.open(path, key, busy_seconds=0.2) as other, vault._file.reading() as db:
        db.execute("SELECT COUNT(*) FROM records").fetchone()
        with pytest.raises(VaultBusyError, match="log"):
            other.store("ada").forget([memory_id])
    with pytest.raises(NotFoundError):
        store.get(memory_id)


def test_an_interrupt_inside_a_change_undoes_it(store, monkeypatch):
    store.add(feedback())

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pocketpref.vault.storage.rows.UserRows.insert", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.add(feedback())
    monkeypatch.undo()
    assert store.counts().memories == 1
    store.add(feedback())
    assert store.counts().memories == 2


@pytest.mark.parametrize("round_", range(6))
def test_a_killed_writer_keeps_every_id_it_returned(path, key, vault, store, round_):
    vault.close()
    with worker("add", path, key, "victim") as victim:
        time.sleep(np.random.default_rng(round_).uniform(0.02, 0.25))
        victim.kill()
        told = victim.communicate()[0].split("\n")[:-1]  # a cut-off last line was not returned
    with Vault.open(path, key) as again:
        kept = {memory.id: memory.pair.prompt for memory in again.store("ada").memories()}
        assert set(told) <= set(kept)
        assert len(kept) - len(told) <= 1  # at most the one whose id could no longer be said
        assert set(kept.values()) == {f"victim {number}" for number in range(len(kept))}
    assert raw(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("round_", range(6))
def test_a_process_killed_while_learning_and_forgetting_leaves_a_sound_vault(
    path, key, vault, store, round_
):
    with worker("churn", path, key, "victim") as victim:
        time.sleep(np.random.default_rng(round_).uniform(0.02, 0.3))
        victim.kill()
        lines = victim.communicate()[0].split("\n")[:-1]
    told: dict[str, set[str]] = {"kept": set(), "learned": set(), "gone": set()}
    for line in lines:
        what, memory_id = line.split()
        told[what].add(memory_id)
    kept = {memory.id for memory in store.memories()}
    assert told["kept"] <= kept
    assert not told["gone"] & kept
    assert told["learned"] <= {entry.memory_id for entry in store.learned("recipe-1")} <= kept
    store.add(feedback("life goes on"))
