"""The power goes while a vault is written: what was not synced may be on the disk, or half, or not.

Killing a process is kind: what it wrote is in the system's memory and reaches the disk. To see what
a loss of power does, every write and sync of a run of operations is recorded below SQLite
(`torture_layer`). Then the disk is made again as it may have been at a chosen moment: everything up
to the last sync of each file, and of what came after nothing, all of it, a random part, or half of
a write. The vault must open and serve what it served after the last operation that had returned by
then, or after the one under way. The note outside of the vault (the anchor) is taken as new as it
was at that moment, which is the hardest case.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pocketpref.errors import PocketprefError
from pocketpref.vault import archive
from tools.torture.crew import run_alone
from tools.torture.kills import IN_ARCHIVE, Served, expected, serve, some
from tools.torture.layer import Layer, Step
from tools.torture.report import Row
from tools.torture.scene import Scene, WrongAnswerError, fill, is_sound
from tools.torture.victim import Order, perform

MODES = ("nothing", "all", "a random part", "half of a write")
_SECTOR = 512  # bytes that a disk writes whole


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened on the disk.

    Attributes:
        kind: what SQLite did, or that an operation "returned".
        file: name of the file.
        offset: where; the new length, of a truncation.
        data: what was written.
        done: how many operations had returned.
        note: the anchor's file at that moment.
    """

    kind: str
    file: str
    offset: int
    data: bytes
    done: int
    note: bytes


@dataclass
class _File:
    """A file on a disk that may lose what was not synced."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[Event] = field(default_factory=list)


def cut_all(folder: Path, count: int, seed: int) -> Iterator[Row]:
    """Cut the power at ``count`` moments, spread evenly over a run of every operation."""
    base = Scene.make(folder / "base")
    fill(base, "ada", 60, known=10)
    fill(base, "bob", 5, known=3)
    fill(base, "eve", 30, known=15)
    with base.open() as vault:
        archive.export_user(vault.store("eve"), base.folder / "archive", base.key)
        vault.store("eve").forget_everything()
    # What lies under SQLite lies under all of a process's connections, so it gets its own.
    recorded = run_alone(_record, base, folder / "recorded", patience=120.0)
    row = Row("power", "faults", "power lost: what was not synced is gone, or half there")
    if recorded is None:
        row.what += " (left out: SQLite's library is hidden here)"
        yield row
        return
    events, states = recorded
    random = np.random.default_rng(seed)
    for number in range(count):
        at = number * len(events) // count
        mode = MODES[number % len(MODES)]
        scene = _disk(base, folder / "cut", events[: at + 1], mode, random)
        problem = _check(scene, states, events[at].done)
        if problem is None:
            row.well(f"sound with {mode} of what was not synced")
        else:
            row.badly(f"event {at} of {len(events)}, {mode}: {problem}", lost=1)
    yield row


# ------------------------------------------------------------------------------- recording


def _record(base: Scene, folder: Path) -> tuple[list[Event], list[Served]] | None:
    """Carry out operations and note everything that SQLite does on the disk."""
    layer = Layer.install()
    if layer is None:
        return None
    scene = base.copy(folder)
    events: list[Event] = []
    states: list[Served] = []
    done = 0

    def note(step: Step) -> int:
        data = step.data if step.kind == "write" else b""
        events.append(Event(step.kind, step.file, step.offset, data, done, _note(scene)))
        return 0

    layer.handler = note
    with scene.open() as vault:
        served, ids = serve(vault)
        states.append(some(served))
        for order in _orders(scene, ids):
            perform(vault, scene, order)
            done += 1
            states.append(some(expected(states[-1], order, IN_ARCHIVE)))
            events.append(Event("returned", "", 0, b"", done, _note(scene)))
    layer.handler = None
    return events, states


def _note(scene: Scene) -> bytes:
    (path,) = scene.state.glob("*.generation")
    return path.read_bytes()


def _orders(scene: Scene, ids: dict[str, dict[str, str]]) -> list[Order]:
    def of(order: Order, *numbers: int) -> Order:
        texts = tuple(f"ada {number}" for number in numbers)
        return replace(order, texts=texts, ids=tuple(ids["ada"][text] for text in texts))

    source = scene.folder / "archive"
    return [
        Order("add", texts=("one",)),
        of(Order("learn", tag="later"), 3),
        Order("add", texts=tuple(f"many {number}" for number in range(20))),
        of(Order("forget"), 5, 41),
        Order("rotate-data"),
        Order("restore", "guest", archive=source),
        Order("rotate-master"),
        of(Order("learn", tag="latest"), 3),
        Order("forget-user", "bob"),
        Order("add", "new", texts=("two",)),
    ]


# ------------------------------------------------------------------------------- what is left


def _disk(
    base: Scene, folder: Path, events: Sequence[Event], mode: str, random: np.random.Generator
) -> Scene:
    """The disk as it may have been after these events."""
    scene = base.copy(folder)
    files = {base.path.name: _File(bytearray(base.path.read_bytes()))}
    for event in events:
        if event.kind == "returned":
            continue
        file = files.setdefault(event.file, _File())
        if event.kind == "sync":
            for earlier in file.pending:
                _apply(file.durable, earlier)
            file.pending.clear()
        else:
            file.pending.append(event)
    for name, file in files.items():
        for event in _survivors(file.pending, mode, random):
            _apply(file.durable, event)
        scene.path.with_name(name).write_bytes(file.durable)
    (note,) = scene.state.glob("*.generation")
    note.write_bytes(events[-1].note)
    return scene


def _apply(content: bytearray, event: Event) -> None:
    if event.kind == "delete":
        content.clear()
    elif event.kind == "truncate":
        del content[event.offset :]
    else:
        content.extend(bytes(max(0, event.offset - len(content))))
        content[event.offset : event.offset + len(event.data)] = event.data


def _survivors(pending: Sequence[Event], mode: str, random: np.random.Generator) -> Iterator[Event]:
    if mode == "all":
        yield from pending
    elif mode == "a random part":
        yield from (event for event in pending if random.random() < 0.5)
    elif mode == "half of a write" and pending:
        yield from pending[:-1]
        last = pending[-1]
        if last.kind == "write":
            half = len(last.data) // 2 // _SECTOR * _SECTOR or len(last.data) // 2
            yield Event("write", last.file, last.offset, last.data[:half], last.done, last.note)


def _check(scene: Scene, states: Sequence[Served], done: int) -> str | None:
    """What is wrong with what is left; None if nothing is."""
    try:
        with scene.open() as vault:
            served = some(serve(vault)[0])
    except (PocketprefError, WrongAnswerError) as error:
        return f"{type(error).__name__}: {error}"
    if served not in states[done : done + 2]:
        return "it serves neither what it did before nor what it did after"
    return None if is_sound(scene) else "SQLite finds the file damaged"
