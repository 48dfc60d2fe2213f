"""Many processes writing to one vault at once, and a clock that goes backwards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest import mock

from pocketpref.errors import PocketprefError
from tools.torture.crew import run_each
from tools.torture.report import Row
from tools.torture.scene import Scene, WrongAnswerError, feedback, is_sound, learned, read

WRITERS = 8
_PATIENCE = 900.0  # seconds for one writer


def write_all(folder: Path, each: int) -> Iterator[Row]:
    """Eight processes adding ``each`` choices, one durable change for each; then the clock."""
    yield _side_by_side(Scene.make(folder / "writers"), each)
    yield _backwards(Scene.make(folder / "clock"), min(each, 200))


def _side_by_side(scene: Scene, each: int) -> Row:
    row = Row("writers", "writes", f"choices added by {WRITERS} processes at once")
    wanted: set[tuple[str, str]] = set()
    jobs = [(scene, writer, each) for writer in range(WRITERS)]
    for (_, writer, _), told in run_each(_write, jobs, WRITERS, _PATIENCE):
        if isinstance(told, list):
            texts = (f"writer {writer} choice {number}" for number in range(len(told)))
            wanted |= set(zip(told, texts, strict=True))
        if not isinstance(told, list) or len(told) < each:
            row.badly(f"writer {writer} did not come to its end: {told}"[:300])
    with scene.open() as vault:
        memories = list(vault.store("ada").memories())
    times = Counter((memory.id, memory.pair.prompt) for memory in memories)
    for entry in wanted:
        if times[entry] == 1:
            row.well("there once")
        else:
            row.badly(f"there {times[entry]} times", lost=1)
    for _ in times.keys() - wanted:
        row.badly("there, but nobody was told so")
    if not is_sound(scene):
        row.badly("SQLite finds the file damaged")
    return row


def _write(scene: Scene, writer: int, each: int) -> list[str] | str:
    """Add one by one, and learn every tenth; the ids in order, or what went wrong."""
    names: list[str] = []
    try:
        with scene.open(busy_seconds=300) as vault:
            store = vault.store("ada")
            for number in range(each):
                text = f"writer {writer} choice {number}"
                names.append(store.add(feedback(text)))
                if number % 10 == 0:
                    store.put_learned(learned(names[-1], text, "first"))
    except PocketprefError as error:
        return f"{type(error).__name__}: {error}"
    return names


class _Backwards(datetime):
    """A clock that goes back a day each time somebody looks at it."""

    looks = 0

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]  # as it is called
        """The time, always UTC."""
        cls.looks += 1
        return datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=cls.looks)


def _backwards(scene: Scene, count: int) -> Row:
    row = Row("writers", "writes", "choices added while the clock goes backwards")
    texts = [f"day {number}" for number in range(count)]
    with mock.patch("pocketpref.vault.store.datetime", _Backwards), scene.open() as vault:
        ids = [vault.store("ada").add(feedback(text)) for text in texts]
    with scene.open() as vault:
        try:
            read(vault)
        except WrongAnswerError as error:
            row.badly(str(error))
        memories = list(vault.store("ada").memories())[::-1]
    times = [memory.created for memory in memories]
    for number, (name, text) in enumerate(zip(ids, texts, strict=True)):
        there = number < len(memories) and memories[number].id == name
        earliest = there and times[number] == min(times[: number + 1])
        if earliest and memories[number].pair.prompt == text:
            row.well("there, in the order of adding")
        else:
            row.badly(f"choice {number} is not where it was added", lost=1)
    return row
