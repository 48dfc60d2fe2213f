"""What a child process does to a vault until it is killed: one order after the other.

It says over a pipe when it is ready and, after each order, that it is done; what it said is what
must be there afterwards. It can be told to kill itself at a certain write: SQLite's own (through
`torture_layer`), and the opening, renaming and deleting of files by the library.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from pocketpref.vault import Vault, archive
from tools.torture.layer import Layer, Step
from tools.torture.scene import Scene, feedback, learned

What = Literal["add", "learn", "forget", "forget-user", "rotate-data", "rotate-master", "restore"]


@dataclass(frozen=True, slots=True)
class Order:
    """One call of the library.

    Attributes:
        what: which.
        user: whose part of the vault.
        texts: prompts of what is added or learned.
        ids: of what is learned or forgotten, in the order of ``texts``.
        tag: what tells this version of a learned entry from others.
        archive: what is restored.
    """

    what: What
    user: str = "ada"
    texts: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    tag: str = ""
    archive: Path | None = None


@dataclass(frozen=True, slots=True)
class Death:
    """When a child kills itself.

    Attributes:
        at: before this step, counted from 1 when the vault is opened; 0 for never.
        tear: let half of the write reach the disk.
    """

    at: int = 0
    tear: bool = False


def perform(vault: Vault, scene: Scene, order: Order) -> list[str]:
    """Carry out one order; returns the ids that were given."""
    store = vault.store(order.user)
    match order.what:
        case "add":
            return store.add_many(feedback(text) for text in order.texts)
        case "learn":
            for name, text in zip(order.ids, order.texts, strict=True):
                store.put_learned(learned(name, text, order.tag))
        case "forget":
            store.forget(order.ids)
        case "forget-user":
            store.forget_everything()
        case "rotate-data":
            vault.rotate_data_key(order.user)
        case "rotate-master":
            vault.rotate_master(scene.key)
        case "restore":
            assert order.archive is not None
            archive.restore(vault, order.archive, scene.key, user=order.user)
    return []


class _Steps:
    """Counts what is about to be changed on the disk, and dies at the one it was told."""

    def __init__(self, folder: Path, death: Death) -> None:
        self.count = 0
        self._folder = str(folder)
        self._death = death
        layer = Layer.install()
        if layer is not None:
            layer.handler = self._step
        sys.addaudithook(self._event)

    def _step(self, step: Step) -> int:
        self.count += 1
        if self.count == self._death.at:
            if self._death.tear:
                step.tear()
            die()
        return 0

    def _event(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event in ("os.rename", "os.remove", "os.link") or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        )
        if writes and str(arguments[0]).startswith(self._folder):
            self.count += 1
            if self.count == self._death.at:
                die()


def die() -> None:
    """End this process at once; nothing of it runs any more."""
    # On Windows os.kill is TerminateProcess, whatever the signal.
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
    time.sleep(60)


def live(pipe: Connection, scene: Scene, orders: tuple[Order, ...], death: Death | None) -> None:
    """Carry out orders until killed. With a ``death``, steps are counted from the opening on."""
    steps = None if death is None else _Steps(scene.folder, death)
    with scene.open(busy_seconds=60) as vault:
        pipe.send("ready")
        for order in orders:
            pipe.send(perform(vault, scene, order))
    pipe.send(0 if steps is None else steps.count)
    pipe.recv()
