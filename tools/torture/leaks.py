"""Searches everything the program leaves on the disk for what nobody without the key may find.

One program, with everything it keeps in one folder (temporary files too), adds, learns, recalls,
exports, restores, rotates keys and forgets. After each step all files are searched: for planted
words as text in five encodings, as base64 and as hex, for vectors as numbers; and after forgetting
for the sealed bytes of what was forgotten, too. A search that finds nothing proves something only
if it can find: so it is first tried on files where each form was put.
"""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

import numpy as np

import pocketpref
from pocketpref.records import Feedback, Pair
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault import Vault, archive
from pocketpref.vault.crypto.key_stores import Argon2Cost, Passphrase
from tools.torture.report import Row
from tools.torture.scene import Scene, learned, read, vector

MARKER = "Xylophone-Quagmire-7719"
USER = f"{MARKER} Person"
_QUICK = Argon2Cost(memory_kib=1024, passes=1, lanes=1)


@dataclass
class Search:
    """What to look for.

    Attributes:
        needles: byte strings, by what they would give away.
    """

    needles: dict[str, bytes] = field(default_factory=dict)

    def text(self, words: str) -> None:
        """Look for a text in the forms in which it might lie in a file."""
        for name in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
            self.needles[f"{words} as {name}"] = words.encode(name)
        raw = words.encode()
        self.needles[f"{words} as hex"] = raw.hex().encode()
        self.needles[f"{words} as HEX"] = raw.hex().upper().encode()
        self.needles[f"{words} backwards"] = raw[::-1]
        for shift in range(3):
            # Of the letters only those in the middle are the same wherever the text begins.
            encoded = base64.b64encode(bytes(shift) + raw)
            self.needles[f"{words} as base64, shifted by {shift}"] = encoded[
                4 : 4 * (len(raw) // 3)
            ]

    def numbers(self, name: str, values: np.ndarray[tuple[int], np.dtype[np.float32]]) -> None:
        """Look for any four numbers of a vector that follow one another."""
        for kind in ("<f4", ">f4", "<f8", "<f2"):
            for start in (0, 100, 376):
                piece = values[start : start + 4].astype(kind).tobytes()
                self.needles[f"{name} from {start} as {kind}"] = piece

    def blob(self, name: str, content: bytes) -> None:
        """Look for pieces of 16 bytes of what was sealed."""
        for start in range(0, len(content) - 16, 64):
            self.needles[f"{name} at {start}"] = content[start : start + 16]

    def find(self, folder: Path) -> list[str]:
        """What was found, and in which file; names of files are searched, too."""
        found = []
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            content = path.read_bytes()
            searched = (content + os.fsencode(path.name)).lower()
            found += [
                f"{name} in {path.name}"
                for name, needle in self.needles.items()
                if needle in content or needle.lower() in searched
            ]
        return found


def search_all(folder: Path, rounds: int) -> Iterator[Row]:
    """Search after every step of a life of a vault, in which as many choices as that are made."""
    yield _control(folder / "control")
    home = folder / "home"
    home.mkdir()
    # Whatever the library or SQLite would call temporary then lies where it is searched for.
    kept, tempfile.tempdir = tempfile.tempdir, str(home / "tmp")
    (home / "tmp").mkdir()
    try:
        yield from _life(home, rounds)
    finally:
        tempfile.tempdir = kept


def planted() -> Search:
    """Everything that was planted."""
    search = Search()
    search.text(MARKER)
    for number in range(3):
        search.numbers(f"vector {number}", vector(f"{MARKER} prompt {number}"))
    return search


def _control(folder: Path) -> Row:
    """The search finds each form where it was put."""
    row = Row("leaks", "searches", "files with planted text searched, to see that it is found")
    folder.mkdir(parents=True)
    for name, needle in planted().needles.items():
        (folder / "file").write_bytes(os.urandom(5000) + needle + os.urandom(5000))
        found = planted().find(folder)
        if any(line.startswith(name) for line in found):
            row.well("found")
        else:
            row.badly(f"not found though it is there: {name}")
    return row


def _life(home: Path, rounds: int) -> Iterator[Row]:
    row = Row("leaks", "searches", "all files searched for planted text and vectors")
    gone = Row("leaks", "searches", "all files searched for what was forgotten, sealed bytes too")
    scene = Scene.make(home)
    (home / "cache").mkdir()
    with scene.open() as vault:
        for name, step in _steps(scene, vault, rounds):
            forgotten = step()
            search = planted()
            _look(row, search, home, name)
            if forgotten is not None:
                _look(gone, forgotten, home, name)
    _look(row, planted(), home, "closing")
    yield row
    yield gone


def _look(row: Row, search: Search, folder: Path, after: str) -> None:
    found = search.find(folder)
    if found:
        row.badly(f"after {after}: {'; '.join(found[:5])}", leaks=len(found))
    else:
        row.well("nothing found", len(search.needles))


def _steps(
    scene: Scene, vault: Vault, rounds: int
) -> Iterator[tuple[str, Callable[[], Search | None]]]:
    store = vault.store(USER)
    key = Passphrase(lambda: MARKER, _QUICK)
    target = scene.folder / "archive"
    ids: list[str] = []

    def add() -> None:
        ids.extend(store.add_many(_choice(number) for number in range(rounds)))

    def learn() -> None:
        for number, name in enumerate(ids):
            store.put_learned(learned(name, f"{MARKER} prompt {number}", MARKER))

    def forget() -> Search:
        search = _sealed(scene, ids[: rounds // 2])
        store.forget(ids[: rounds // 2])
        return search

    def forget_all() -> Search:
        search = _sealed(scene, ids[rounds // 2 :])
        for (blob,) in scene.sql("SELECT key FROM users UNION ALL SELECT name FROM users"):
            search.blob("the user's row", blob)
        store.forget_everything()
        return search

    yield "adding", add
    yield "learning", learn
    yield "learning again", learn
    yield "reading", lambda: _read(vault)
    yield "using the whole library", lambda: _whole_program(scene)
    yield "exporting", lambda: _none(archive.export_user(store, target, key))
    yield "rotating the data key", lambda: _none(vault.rotate_data_key(USER))
    yield "rotating the master key", lambda: vault.rotate_master(scene.key)
    yield "forgetting half", forget
    yield "forgetting everything", forget_all
    yield "restoring", lambda: _none(archive.restore(vault, target, key))


def _none(_: object) -> None:
    return None


def _choice(number: int) -> Feedback:
    texts = (f"{MARKER} {word} {number}" for word in ("prompt", "chosen", "rejected"))
    return Feedback(Pair(*texts), meta={MARKER: [MARKER] * number})


def _read(vault: Vault) -> None:
    assert [content.user for content in read(vault)] == [USER]


def _whole_program(scene: Scene) -> None:
    """The library as programs use it, with its cache in the same folder and quick fake models."""
    model = ScriptedModel({"short and to the point": {MARKER: 3.0}})
    with (
        mock.patch.dict(os.environ, {"POCKETPREF_HOME": str(scene.folder)}),
        pocketpref.open(
            USER, path=scene.path, key=scene.key, model=model, embedder=HashEmbedder()
        ) as pocket,
    ):
        name = pocket.add(f"{MARKER} question", MARKER, f"{MARKER} and a longer answer")
        pocket.learn()
        pocket.personalize(f"{MARKER} question")
        pocket.forget(name)


def _sealed(scene: Scene, ids: list[str]) -> Search:
    search = Search()
    for name in ids:
        rows = scene.sql("SELECT seq, sealed FROM records WHERE id = ?", name)
        for seq, blob in rows:
            search.blob(f"record {seq}", blob)
    return search
