"""What other processes do to a vault in the tests. Run as ``python -m tests.vault.workers``."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.vault.making import feedback, learned


def add(path: Path, key: Path, name: str, count: int) -> None:
    """Add pairs and say each id once it was returned."""
    with Vault.open(path, KeyFile(key), busy_seconds=30) as vault:
        store = vault.store("ada")
        print("ready", flush=True)
        numbers = range(count) if count else itertools.count()
        for number in numbers:
            print(store.add(feedback(f"{name} {number}")), flush=True)


def churn(path: Path, key: Path, name: str, _: int) -> None:
    """Add, learn and forget without end, saying what is to be there and what is not."""
    with Vault.open(path, KeyFile(key), busy_seconds=30) as vault:
        store = vault.store("ada")
        print("ready", flush=True)
        while True:
            kept, gone = store.add_many([feedback(name), feedback(name)])
            print("kept", kept, flush=True)
            store.put_learned(learned(kept))
            print("learned", kept, flush=True)
            store.put_learned(learned(gone))
            store.forget([gone])
            print("gone", gone, flush=True)


def hold(path: Path, key: Path, name: str, _: int) -> None:
    """Keep the write lock until standard input ends."""
    with Vault.open(path, KeyFile(key)) as vault, vault._file.writing():
        print("ready", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    work = {"add": add, "churn": churn, "hold": hold}[sys.argv[1]]
    work(Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
