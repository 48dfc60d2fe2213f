"""Every byte of a small vault flipped, every length it can be cut to, its pages exchanged.

After each the vault is opened and everything is read. It must be refused by name, with the file
left exactly as it was found, or serve exactly what was stored (where what was hit means nothing:
unused space in a page, a counter of SQLite's). If it served that, it must also go on working: what
is added then is there, or the adding is refused by name.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations, permutations
from pathlib import Path

from tools.torture.crew import run_each
from tools.torture.report import Category, Row
from tools.torture.scene import (
    AS_STORED,
    REFUSALS,
    REFUSED,
    Content,
    Scene,
    WrongAnswerError,
    ending,
    feedback,
    fill,
    learned,
    read,
)

PAGE = 4096
_CHUNK = 256  # changes that a process is given at a time
_PATIENCE = 120.0  # seconds for them
_HANGS = 5  # seconds for one of them
_GOES_ON = 8  # of so many changes that mean nothing, one is also written on


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the file: bytes at a place, or a new length.

    Attributes:
        what: for people.
        edits: places and what stands there instead.
        length: what it is cut to, or None.
    """

    what: str
    edits: tuple[tuple[int, bytes], ...] = ()
    length: int | None = None

    def apply(self, content: bytes) -> bytes:
        """The changed file."""
        changed = bytearray(content)
        for start, piece in self.edits:
            changed[start : start + len(piece)] = piece
        return bytes(changed if self.length is None else changed[: self.length])


def small(folder: Path) -> tuple[Scene, bytes]:
    """A vault of one user with four choices, two of them learned; and its file of earlier."""
    scene = Scene.make(folder)
    (first, *_) = fill(scene, "ada", 3, known=1)
    older = scene.path.read_bytes()
    with scene.open() as vault:
        store = vault.store("ada")
        (second,) = store.add_many([feedback("ada 3")])
        store.put_learned(learned(first, "ada 0", "later"))
        store.put_learned(learned(second, "ada 3", "later"))
    return scene, older


def flips(content: bytes, *, every: int = 1, bits: bool = False) -> Iterator[Change]:
    """Each ``every``-th byte inverted, or each of its bits alone."""
    for place in range(0, len(content), every):
        for mask in [1 << bit for bit in range(8)] if bits else [0xFF]:
            edit = (place, bytes([content[place] ^ mask]))
            yield Change(f"byte {place} ^ {mask:#04x}", (edit,))


def cuts(content: bytes, *, every: int = 1) -> Iterator[Change]:
    """Each length that is less than the whole."""
    for length in range(0, len(content), every):
        yield Change(f"cut to {length} bytes", length=length)


def swaps(content: bytes) -> Iterator[Change]:
    """Each two pages exchanged, and each page put over each other one."""
    pages = [content[start : start + PAGE] for start in range(0, len(content), PAGE)]
    numbers = range(len(pages))
    for one, other in combinations(numbers, 2):
        edits = ((one * PAGE, pages[other]), (other * PAGE, pages[one]))
        yield Change(f"pages {one} and {other} exchanged", edits)
    for one, other in permutations(numbers, 2):
        yield Change(f"page {one} put over page {other}", ((other * PAGE, pages[one]),))


def returns(content: bytes, older: bytes) -> Iterator[Change]:
    """Each page, and each two pages, put back as they were in an older copy of the same vault."""
    size = min(len(content), len(older))
    starts = [
        start
        for start in range(0, size, PAGE)
        if content[start : start + PAGE] != older[start : start + PAGE]
    ]
    chosen = [*((start,) for start in starts), *combinations(starts, 2)]
    # All of them would be the older vault itself, which only the anchor tells from a present one.
    for some in (some for some in chosen if len(some) < len(starts)):
        edits = tuple((start, older[start : start + PAGE]) for start in some)
        yield Change(f"pages {[start // PAGE for start in some]} put back", edits)


# ------------------------------------------------------------------------------- trying them


def try_all(folder: Path, every: int, bits: bool, processes: int) -> Iterator[Row]:
    """Every change of a small vault.

    Args:
        folder: where to work.
        every: only each so-many-th byte and length.
        bits: flip the bits of a byte one by one instead of all at once.
        processes: how many try changes at the same time.
    """
    scene, older = small(folder / "small")
    content = scene.path.read_bytes()
    with scene.open() as vault:
        stored = read(vault)
    attempts = Attempts(scene, content, stored, folder, processes)
    yield attempts.row("bytes", "byte flipped", flips(content, every=every, bits=bits))
    yield attempts.row("inputs", "file cut short", cuts(content, every=every))
    if every == 1:
        yield attempts.row("inputs", "pages exchanged or doubled", swaps(content))
        yield attempts.row("inputs", "pages of an older copy put back", returns(content, older))


@dataclass(frozen=True, slots=True)
class Attempts:
    """Tries changes in other processes, for one that crashes must not take this one with it.

    Attributes:
        scene: the vault.
        content: its file.
        stored: what it serves.
        folder: where the processes work.
        processes: how many there are.
    """

    scene: Scene
    content: bytes
    stored: Sequence[Content]
    folder: Path
    processes: int

    def row(self, category: Category, what: str, changes: Iterable[Change]) -> Row:
        """How all of these changes ended."""
        row = Row("bytes", category, what)
        jobs = [
            (self, chunk, self.folder / f"chunk {number}", what)
            for number, chunk in enumerate(_chunks(changes))
        ]
        for (_, chunk, *_), found in run_each(_try, jobs, self.processes, _PATIENCE):
            if isinstance(found, Row):
                row.add(found)
            else:
                row.badly(f"{found} between {chunk[0].what} and {chunk[-1].what}")
        return row


def _chunks(changes: Iterable[Change]) -> Iterator[tuple[Change, ...]]:
    chunk: list[Change] = []
    for change in changes:
        chunk.append(change)
        if len(chunk) == _CHUNK:
            yield tuple(chunk)
            chunk = []
    if chunk:
        yield tuple(chunk)


def _try(attempts: Attempts, chunk: tuple[Change, ...], folder: Path, what: str) -> Row:
    row = Row("bytes", "inputs", what)
    scene = attempts.scene.copy(folder)
    for number, change in enumerate(chunk):
        content = change.apply(attempts.content)
        if content == attempts.content:
            continue
        try:
            with _limited():
                end = _end(scene, content, attempts.stored, recall_first=number % 2 == 0)
                if end == AS_STORED and number % _GOES_ON == 0:
                    end = _write_on(scene, content)
        except _HungError:
            end = "it went on and on"
        if end in (REFUSED, AS_STORED, _WROTE):
            row.well(end)
        else:
            row.badly(f"{change.what}: {end}", lost=int(end.startswith("WRONG")))
    shutil.rmtree(folder)
    return row


class _HungError(BaseException):
    """One change took too long; not to be taken for an error of the library."""


@contextmanager
def _limited() -> Iterator[None]:
    """Raise in the midst of a Python loop that does not end, where the system has alarms."""

    def ring(*_: object) -> None:
        raise _HungError

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    signal.signal(signal.SIGALRM, ring)
    signal.alarm(_HANGS)
    try:
        yield
    finally:
        signal.alarm(0)


_WROTE = "read as it was stored, and written on"


def _end(
    scene: Scene, content: bytes, stored: Sequence[Content], *, recall_first: bool = False
) -> str:
    _put(scene, content)
    end = ending(scene, stored, recall_first=recall_first)
    if end == REFUSED and scene.path.read_bytes() != content:
        return "REFUSED, but the file was changed"
    return end


def _put(scene: Scene, content: bytes) -> None:
    scene.path.write_bytes(content)
    for name in ("vault.db-wal", "vault.db-shm"):
        scene.path.with_name(name).unlink(missing_ok=True)


def _write_on(scene: Scene, content: bytes) -> str:
    """Add to a vault that opened well; without the anchor, which would remember it."""
    _put(scene, content)
    try:
        with scene.open(anchored=False) as vault:
            before = {memory.id for memory in vault.store("ada").memories()}
            name = vault.store("ada").add(feedback("written on"))
        with scene.open(anchored=False) as vault:
            after = {memory.id for memory in vault.store("ada").memories()}
            read(vault)
    except REFUSALS:
        return REFUSED
    except WrongAnswerError as error:
        return f"WRONG after writing on: {error}"
    except Exception as error:  # noqa: BLE001 - that nothing else comes out is what is tested
        return f"NO NAME after writing on: {type(error).__name__}"
    return _WROTE if after == before | {name} else "WRONG after writing on: not what was written"
