"""Disks that fail: every write, truncation and sync of every kind of change, one after the other.

In a process of its own, under SQLite's own writing (`torture_layer`), each step of an operation
once fails as on a full disk (from then on, until the operation has ended), once as on a broken one,
and once with half of the write done. Where the system allows it, real limits follow: a largest file
size (RLIMIT_FSIZE), a file system of a few hundred KiB, one that is read-only. The operation must
then either be done or end with a named error and have changed nothing; what was there before is
there, at once and when the vault is opened again; and the operation can be done afterwards.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from pocketpref.errors import StorageError, VaultError
from pocketpref.vault import archive
from tools.torture.crew import CrashError, run_each
from tools.torture.kills import IN_ARCHIVE, Served, expected, serve, some
from tools.torture.layer import FAILED, FULL, Layer, Step
from tools.torture.report import Row
from tools.torture.scene import Scene, WrongAnswerError, fill, is_sound
from tools.torture.victim import Order, perform

FAULTS = ("full", "failing", "torn")

_PATIENCE = 900.0  # seconds for all faults of one operation
_NEW = "new"
_BIG = tuple(f"{number} " + "b" * 20_000 for number in range(5))


def fail_all(folder: Path, most: int, processes: int, records: int = 300) -> Iterator[Row]:
    """Every fault at up to ``most`` steps of each operation, spread evenly over all of them.

    Args:
        folder: where to work.
        most: how many steps of one operation.
        processes: how many operations at a time.
        records: how many one person has in the vault; more than 256 are rotated in two parts.
    """
    base = _base(folder / "base", records)
    # What lies under SQLite lies under all of a process's connections, so each has its own.
    jobs = [
        *((_each_step, base, folder / f"copy for {name}", name, most) for name in _ORDERS),
        (_size_limits, base, folder / "limited", max(2, most // 3)),
        (_small_disks, base, folder / "disk", max(2, most // 3)),
        (_lost_state, base, folder / "stateless"),
    ]
    for job, found in run_each(_call, jobs, processes, _PATIENCE):
        if isinstance(found, CrashError):
            row = Row("faults", "faults", f"{job[0].__name__}")
            row.badly(str(found))
            yield row
        else:
            yield found


def _call(work: Callable[..., Row], *arguments: object) -> Row:
    return work(*arguments)


def _base(folder: Path, records: int) -> Scene:
    scene = Scene.make(folder)
    fill(scene, "ada", records, known=records // 15)
    fill(scene, "bob", 5, known=3)
    fill(scene, "eve", 30, known=15)
    with scene.open() as vault:
        archive.export_user(vault.store("eve"), folder / "archive", scene.key)
        vault.store("eve").forget_everything()
    return scene


def _order(scene: Scene, name: str) -> Order:
    """An operation on a copy of the base, with the ids that are there."""
    with scene.open() as vault:
        _, ids = serve(vault)
    texts = tuple(f"ada {number}" for number in (1, 10, 25))
    known = tuple(ids["ada"][text] for text in texts)
    order = _ORDERS[name]
    if order.what == "learn":  # each entry is a change of its own
        order = replace(order, texts=texts[:1], ids=known[:1])
    if order.what == "forget":
        order = replace(order, texts=texts, ids=known)
    return replace(order, archive=scene.folder / "archive")


_ORDERS = {
    "adding": Order("add", texts=(_NEW,)),
    "adding much": Order("add", texts=_BIG),
    "adding for a new user": Order("add", "zoe", texts=(_NEW,)),
    "learning": Order("learn", tag="later"),
    "forgetting": Order("forget"),
    "forgetting a user": Order("forget-user", "bob"),
    "rotating the data key": Order("rotate-data"),
    "rotating the master key": Order("rotate-master"),
    "restoring": Order("restore", "guest"),
}


# ------------------------------------------------------------------------------- one fault


class _Trial:
    """One operation on a fresh copy, and what must be there after it."""

    def __init__(self, base: Scene, folder: Path, name: str) -> None:
        self.scene = base.copy(folder)
        self.order = _order(self.scene, name)
        with self.scene.open() as vault:
            self.before = some(serve(vault)[0])
        self.after = some(expected(self.before, self.order, IN_ARCHIVE))

    def run(self, begin: Callable[[], None], end: Callable[[], None]) -> str:
        """Carry out the operation while something fails; how that ended.

        Raises:
            WrongAnswerError: something is lost, or wrong.
        """
        with self.scene.open() as vault:
            begin()
            try:
                perform(vault, self.scene, self.order)
                way = "done all the same"
            except VaultError as error:
                way = f"{type(error).__name__}"
            finally:
                end()
            here = some(serve(vault)[0])
        self._see(here, way)
        with self.scene.open() as vault:
            if some(serve(vault)[0]) != here:
                raise WrongAnswerError("it is another when opened again")
            if here != self.after:
                perform(vault, self.scene, self.order)
                if some(serve(vault)[0]) != self.after:
                    raise WrongAnswerError("the operation does not do its work afterwards")
        if not is_sound(self.scene):
            raise WrongAnswerError("SQLite finds the file damaged")
        return way

    def _see(self, here: Served, way: str) -> None:
        # Clearing the log comes after the change itself: what then fails does not undo it.
        clears = self.order.what not in ("add", "learn", "restore")
        undone = here == self.before and way != "done all the same"
        done = here == self.after and (way == "done all the same" or clears)
        if not undone and not done:
            raise WrongAnswerError(f"{way}, and neither done nor undone")


def _count(row: Row, what: str, run: Callable[[], str]) -> None:
    try:
        way = run()
    except (WrongAnswerError, VaultError, KeyError) as error:
        row.badly(f"{what}: {type(error).__name__}: {error}", lost=1)
    except Exception as error:  # noqa: BLE001 - that nothing else comes out is what is tested
        row.badly(f"{what}: no name: {type(error).__name__}")
    else:
        row.well(way)


# ------------------------------------------------------------------------------- under SQLite


def _each_step(base: Scene, folder: Path, name: str, most: int) -> Row:
    row = Row("faults", "faults", f"write failed while {name}")
    layer = Layer.install()
    if layer is None:
        row.what += " (left out: SQLite's library is hidden here)"
        return row
    total = _steps(layer, _Trial(base, folder, name))
    for step in sorted({1 + number * total // most for number in range(most)}):
        for fault in FAULTS:
            trial = _Trial(base, folder, name)
            failing = _Failing(step, fault)

            def begin(failing: _Failing = failing) -> None:
                layer.handler = failing

            def end() -> None:
                layer.handler = None

            _count(row, f"{fault} at step {step}", lambda: trial.run(begin, end))  # noqa: B023 - at once
            layer.handler = None
    return row


def _steps(layer: Layer, trial: _Trial) -> int:
    counted = [0, 0]

    def begin() -> None:
        counted[0] = layer.steps

    def end() -> None:
        counted[1] = layer.steps

    trial.run(begin, end)
    return counted[1] - counted[0]


class _Failing:
    """Fails one step, or all from it on."""

    def __init__(self, at: int, fault: str) -> None:
        self._at = at
        self._fault = fault
        self._count = 0

    def __call__(self, step: Step) -> int:
        self._count += 1
        if self._fault == "full":
            grows = step.kind == "write"  # on a full disk one can still sync and truncate
            return FULL if self._count >= self._at and grows else 0
        if self._count != self._at:
            return 0
        if self._fault == "torn":
            step.tear()
        return FAILED[step.kind]


# ------------------------------------------------------------------------------- real limits


def _size_limits(base: Scene, folder: Path, most: int) -> Row:
    """No file may grow beyond a size: as near to a full disk as every POSIX system has."""
    row = Row("faults", "faults", "files that may not grow (RLIMIT_FSIZE)")
    if sys.platform == "win32":
        row.what += " (left out: Windows has no such limit)"
        return row
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for number in range(most):
        trial = _Trial(base, folder, "adding much")
        limit = 4096 + number * 400_000 // most

        def begin(limit: int = limit) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))

        def end() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

        _count(row, f"{limit} bytes", lambda: trial.run(begin, end))  # noqa: B023 - at once
    return row


def _small_disks(base: Scene, folder: Path, most: int) -> Row:
    """A real file system with only so much room left; and one that is read-only."""
    row = Row("faults", "faults", "disks that are really full or read-only")
    for number in range(most):
        with _mounted(folder, size=4 * 2**20) as disk:
            if not disk:
                row.what += " (left out: this process may not mount one)"
                return row
            trial = _Trial(base, folder / "vault", "adding much")
            waste = folder / "waste"
            room = number * 600_000 // most

            def begin(waste: Path = waste, room: int = room) -> None:
                _leave(waste, room)

            _count(row, f"{room} bytes left", lambda: trial.run(begin, waste.unlink))  # noqa: B023
    with _mounted(folder, size=4 * 2**20):
        scene = base.copy(folder / "vault")
        _remount_read_only(folder)
        try:
            scene.open().close()
            row.badly("a vault on a read-only disk was opened")
        except StorageError as error:
            row.well(type(error).__name__)
    return row


@contextmanager
def _mounted(folder: Path, size: int) -> Iterator[bool]:
    """A file system in memory; False where this process may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    if sys.platform != "linux":
        yield False
        return
    libc = ctypes.CDLL(None)
    target = os.fsencode(folder)
    done = libc.mount(b"tmpfs", target, b"tmpfs", 0, b"size=%d" % size) == 0
    try:
        yield done
    finally:
        if done:
            libc.umount2(target, 2)


def _remount_read_only(folder: Path) -> None:
    read_only, remount = 1, 32
    ctypes.CDLL(None).mount(b"", os.fsencode(folder), b"", read_only | remount, b"")


def _leave(waste: Path, room: int) -> None:
    """Take all the room of a disk but this."""
    with waste.open("wb", buffering=0) as file:
        with suppress(OSError):
            while True:
                file.write(bytes(4096))
        file.truncate(max(0, file.tell() - room))


def _lost_state(base: Scene, folder: Path) -> Row:
    """The note about the generation cannot be written: that must not cost a change."""
    row = Row("faults", "faults", "folder of the anchor that cannot be written")
    for name in _ORDERS:
        trial = _Trial(base, folder, name)
        moved = trial.scene.state.with_name("moved")

        def begin(trial: _Trial = trial, moved: Path = moved) -> None:
            trial.scene.state.rename(moved)
            trial.scene.state.write_text("in the way")

        def end(trial: _Trial = trial, moved: Path = moved) -> None:
            trial.scene.state.unlink()
            moved.rename(trial.scene.state)

        _count(row, name, lambda: trial.run(begin, end))  # noqa: B023 - called at once
    return row
