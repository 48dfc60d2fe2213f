"""A vault to forge, what a forger has of it, and what a forgery is."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from pocketpref.vault import Vault
from tools.torture.scene import Content, Scene, feedback, fill, learned, read

Forgery = Callable[[Scene], object]


@dataclass(frozen=True, slots=True)
class Victim:
    """A vault, and what a forger has of it.

    Attributes:
        scene: the vault as it is: users ada and bob, five and three choices.
        stored: what it serves.
        yesterday: the same vault some changes ago.
        other: another vault, opened by the same key file: the nearest to this one that there is.
        stranger: a vault that is opened by another key.
    """

    scene: Scene
    stored: Sequence[Content]
    yesterday: Scene
    other: Scene
    stranger: Scene

    @classmethod
    def make(cls, folder: Path) -> Victim:
        """Make all of them."""
        scene = Scene.make(folder / "victim")
        names = fill(scene, "ada", 4, known=3)
        fill(scene, "bob", 3, known=1)
        yesterday = scene.copy(folder / "yesterday")
        with scene.open() as vault:
            store = vault.store("ada")
            store.put_learned(learned(names[0], "ada 0", "later"))
            store.forget(names[1:2])
            store.add_many(feedback(f"ada later {number}") for number in range(2))
            stored = read(vault)
        other = Scene(folder / "other")
        other.folder.mkdir()
        shutil.copy(scene.key.path, other.key.path)
        Vault.create(other.path, other.key, anchor=other.state).close()
        stranger = Scene.make(folder / "stranger")
        for each in (other, stranger):
            fill(each, "ada", 5, known=3)
            fill(each, "bob", 3, known=1)
        return cls(scene, stored, yesterday, other, stranger)


def run_sql(*statements: str) -> Forgery:
    """A forgery that runs statements, one after the other."""

    def forge(scene: Scene) -> None:
        with closing(sqlite3.connect(scene.path)) as db:
            for statement in statements:
                db.executescript(statement)

    return forge
