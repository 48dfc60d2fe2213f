"""Child processes killed while they change a vault; what was said to be done is there afterwards.

A child is given a few orders and says over a pipe when one is done. It dies at a chosen write (half
of the time with that write torn in the middle) or is killed from outside at a random moment. Then
the vault must open by itself and serve exactly what it served after the last order that was said
to be done, or after the one under way: nothing less, nothing in between.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.errors import PocketprefError
from pocketpref.vault import UserStore, Vault, archive
from tools.torture.crew import context
from tools.torture.report import Row
from tools.torture.scene import (
    RECIPE,
    Scene,
    WrongAnswerError,
    feedback,
    fill,
    is_sound,
    learned,
    vector,
)
from tools.torture.victim import Death, Order, live, perform

LIFE = 10
"""Kills that one vault goes through before it is replaced by a fresh one."""

RECORDS = 600
"""Of one person: rotating a key seals 256 at a time anew, so these take three transactions."""

_PATIENCE = 60.0  # seconds for a child to get ready or to end

Served = dict[str, dict[str, str]]
"""What a vault serves: user, then prompt, then the tag of what was learned ("" for nothing)."""

Planner = Callable[["Lives", int], list[Order]]


class LostError(Exception):
    """What was said to be done is not there."""


def parts() -> tuple[str, ...]:
    """The kinds of work during which children are killed."""
    return tuple(_PLANS)


def kill_all(folder: Path, count: int, seed: int, records: int = RECORDS) -> Iterator[Row]:
    """Kill ``count`` children in all, the same number at each kind of work.

    Args:
        folder: where to work.
        count: how many.
        seed: of what is chosen at random.
        records: how many one person has in the vault.
    """
    base = _base(folder / "base", records)
    for number, name in enumerate(_PLANS):
        share = count // len(_PLANS) + (number < count % len(_PLANS))
        lives = Lives(context(), base, folder / name, np.random.default_rng([seed, number]))
        yield _kill(lives, name, share)


def _base(folder: Path, records: int) -> Scene:
    scene = Scene.make(folder)
    fill(scene, "ada", records, known=40)
    fill(scene, "bob", 12, known=6)
    fill(scene, "eve", 30, known=15)
    with scene.open() as vault:
        archive.export_user(vault.store("eve"), folder / "archive", scene.key)
        vault.store("eve").forget_everything()
    return scene


# ------------------------------------------------------------------------------- one kind of work


@dataclass
class Lives:
    """The vaults that go through one kind of work.

    Attributes:
        scene: the present one.
        served: what it serves.
        ids: ids of its memories, by user and prompt.
        steps: how many steps a life without a kill has; 0 if they cannot be counted here.
        span: seconds that its orders take.
    """

    context: Any
    base: Scene
    folder: Path
    random: np.random.Generator
    scene: Scene = field(init=False)
    served: Served = field(default_factory=dict)
    ids: dict[str, dict[str, str]] = field(default_factory=dict)
    steps: int = 0
    span: float = 0.0

    def renew(self) -> None:
        """Begin with a fresh vault."""
        self.scene = self.base.copy(self.folder)
        self.look()

    def look(self) -> None:
        """See what the vault serves."""
        with self.scene.open() as vault:
            self.served, self.ids = serve(vault)

    def pick(self, user: str, count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Prompts and ids of some of a user's memories."""
        texts = sorted(self.ids.get(user, {}))
        chosen = self.random.choice(len(texts), min(count, len(texts)), replace=False)
        return tuple(texts[n] for n in chosen), tuple(self.ids[user][texts[n]] for n in chosen)


def _kill(lives: Lives, name: str, count: int) -> Row:
    row = Row("kills", "kills", f"process killed: {name}")
    plan = _PLANS[name]
    lives.renew()
    _rehearse(lives, plan(lives, 0))
    for number in range(count):
        if number % LIFE == 0:
            lives.renew()
        death = _death(lives, number, count)
        problem = _one(lives, plan(lives, number), death)
        if problem is None:
            row.well("at a chosen write" if death.at else "at a random moment")
        else:
            lost = 1 if isinstance(problem, LostError) else 0
            row.badly(f"kill {number} ({death}): {type(problem).__name__}: {problem}", lost=lost)
            lives.renew()
    return row


def _death(lives: Lives, number: int, count: int) -> Death:
    """Every other child dies at a chosen write, these spread evenly over all that there are."""
    if not lives.steps or number % 2:
        return Death()
    return Death(at=1 + number * lives.steps // count, tear=number % 4 == 0)


def _rehearse(lives: Lives, orders: list[Order]) -> None:
    with _Child(lives, orders, Death()) as child:
        child.expect_ready()
        began = time.monotonic()
        for _ in orders:
            child.hear()
        lives.span = time.monotonic() - began
        lives.steps = child.hear()
    lives.renew()


def _one(lives: Lives, orders: list[Order], death: Death) -> Exception | None:
    """One kill, and what is wrong afterwards."""
    with _Child(lives, orders, death if death.at else None) as child:
        if not death.at:
            child.expect_ready()
            time.sleep(float(lives.random.uniform(0, lives.span)))
            child.process.kill()
        done = child.told()
    try:
        _check(lives, orders, done)
    except (PocketprefError, WrongAnswerError, LostError) as error:
        return error
    return None


class _Child:
    """A process that carries out orders, and the end of the pipe it speaks into."""

    def __init__(self, lives: Lives, orders: list[Order], death: Death | None) -> None:
        self._pipe: Connection
        self._pipe, theirs = lives.context.Pipe()
        arguments = (theirs, lives.scene, tuple(orders), death)
        self.process = lives.context.Process(target=live, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self._orders = len(orders)

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.join()
        self._pipe.close()

    def hear(self) -> Any:
        """The next thing it says."""
        if not self._pipe.poll(_PATIENCE):
            raise TimeoutError("a child does not answer")
        return self._pipe.recv()

    def expect_ready(self) -> None:
        """Wait until it has opened the vault."""
        assert self.hear() == "ready"

    def told(self) -> list[list[str]]:
        """What each order gave that it said was done, until it died or came to its end."""
        done: list[list[str]] = []
        try:
            while (word := self.hear()) is not None and not isinstance(word, int):
                done += [] if word == "ready" else [word]
        except (EOFError, OSError):  # killed, perhaps in the middle of a word
            pass
        return done


# ------------------------------------------------------------------------------- what must be there


def serve(vault: Vault) -> tuple[Served, dict[str, dict[str, str]]]:
    """What a vault serves, and the ids of it.

    Raises:
        WrongAnswerError: something in it is half done or contradicts itself.
    """
    served: Served = {}
    ids: dict[str, dict[str, str]] = {}
    for user in vault.users():
        store = vault.store(user)
        ids[user] = {}
        for memory in store.memories():
            if memory.pair != feedback(memory.pair.prompt).pair:
                raise WrongAnswerError("a memory is not what was added")
            ids[user][memory.pair.prompt] = memory.id
        served[user] = _tags(store, {name: text for text, name in ids[user].items()})
    return served, ids


def _tags(store: UserStore, texts: dict[str, str]) -> dict[str, str]:
    tags = dict.fromkeys(texts.values(), "")
    for entry in store.learned(RECIPE):
        text = texts.get(entry.memory_id)
        if text is None:
            raise WrongAnswerError("what was learned from a forgotten memory is still served")
        tag = entry.selection.attributes[0]
        expected = learned(entry.memory_id, text, tag)
        whole = np.array_equal(entry.vector, vector(text))
        if not whole or entry.selection != expected.selection:
            raise WrongAnswerError("a learned entry is half of one version, half of another")
        tags[text] = tag
    counts = store.counts()
    if (counts.memories, counts.learned) != (len(tags), sum(map(bool, tags.values()))):
        raise WrongAnswerError("the counts are not those of what is served")
    return tags


def expected(served: Served, order: Order, given: Served) -> Served:
    """What a vault serves after an order.

    Args:
        served: what it served before.
        order: what was done.
        given: what the archive holds, if it is restored.
    """
    after = {user: dict(tags) for user, tags in served.items()}
    mine = after.setdefault(order.user, {})
    match order.what:
        case "add":
            mine.update(dict.fromkeys(order.texts, ""))
        case "learn":
            mine.update(dict.fromkeys(order.texts, order.tag))
        case "forget":
            for text in order.texts:
                del mine[text]
        case "forget-user":
            mine.clear()
        case "restore":
            mine.update(given["eve"])
    return after


def some(served: Served) -> Served:
    """Without users of whom nothing is kept."""
    return {user: tags for user, tags in served.items() if tags}


IN_ARCHIVE: Served = {"eve": {f"eve {n}": "first" if n < 15 else "" for n in range(30)}}
"""What the archive holds that is restored."""


def _check(lives: Lives, orders: list[Order], done: list[list[str]]) -> None:
    """See that the vault serves what it must, and that life goes on."""
    states = [lives.served]
    for order in orders[: len(done) + 1]:
        states.append(expected(states[-1], order, IN_ARCHIVE))
    allowed = [some(state) for state in states[len(done) :]]
    with lives.scene.open() as vault:
        served, ids = serve(vault)
        if some(served) not in allowed:
            raise LostError(_difference(some(served), allowed[0]))
        for order, given in zip(orders, done, strict=False):
            told = dict(zip(order.texts, given, strict=False)) if order.what == "add" else {}
            if any(ids[order.user].get(text) != name for text, name in told.items()):
                raise LostError("a memory has another id than the one that was returned")
        _go_on(lives, vault, served, orders[len(done) : len(done) + 1])
        lives.served, lives.ids = serve(vault)
    if not is_sound(lives.scene):
        raise WrongAnswerError("SQLite finds the file damaged")


def _go_on(lives: Lives, vault: Vault, served: Served, cut: list[Order]) -> None:
    """Use the vault as if nothing had happened; every other time end what was interrupted."""
    if cut and cut[0].what.startswith("rotate") and lives.random.random() < 0.5:
        perform(vault, lives.scene, cut[0])
    text = f"life goes on {lives.random.integers(2**62)}"
    (name,) = vault.store("ada").add_many([feedback(text)])
    vault.store("ada").put_learned(learned(name, text, "after"))
    after, _ = serve(vault)
    served = {**served, "ada": {**served.get("ada", {}), text: "after"}}
    if some(after) != some(served):
        raise LostError(f"when life went on: {_difference(some(after), some(served))}")


def _difference(found: Served, wanted: Served) -> str:
    """How two states differ, in numbers: the texts are made up, but reports stay short."""
    lines = []
    for user in sorted(found.keys() | wanted.keys()):
        there, due = found.get(user, {}), wanted.get(user, {})
        missing, more = len(due.keys() - there.keys()), len(there.keys() - due.keys())
        other = sum(there[text] != due[text] for text in there.keys() & due.keys())
        lines.append(f"{user}: {missing} missing, {more} more, {other} otherwise learned")
    return "; ".join(lines)


# ------------------------------------------------------------------------------- kinds of work


def _adding(lives: Lives, number: int) -> list[Order]:
    texts = [f"kill {number} {n}" for n in range(9)]
    return [
        *(Order("add", texts=(text,)) for text in texts[:3]),
        Order("add", texts=tuple(texts[3:8])),
        Order("add", f"new user {number}", texts=(texts[8],)),
    ]


def _learning(lives: Lives, number: int) -> list[Order]:
    texts, ids = lives.pick("ada", 5)
    return [
        Order("learn", texts=(text,), ids=(name,), tag=f"tag {number}")
        for text, name in zip(texts, ids, strict=True)
    ]


def _forgetting(lives: Lives, number: int) -> list[Order]:
    texts, ids = lives.pick("ada", 4)
    orders = [
        Order("forget", texts=texts[:1], ids=ids[:1]),
        Order("forget", texts=texts[1:], ids=ids[1:]),
    ]
    return [*orders, Order("forget-user", "bob")] if "bob" in lives.served else orders


def _rotating(lives: Lives, number: int) -> list[Order]:
    return [Order("rotate-data"), Order("rotate-master")]


def _restoring(lives: Lives, number: int) -> list[Order]:
    # Another user each time: the ids are taken here already, so new ones are derived from them.
    source = lives.scene.folder / "archive"
    users = [f"guest {number} {n}" for n in range(2)]
    return [Order("restore", user, archive=source) for user in users]


_PLANS: dict[str, Planner] = {
    "adding": _adding,
    "learning": _learning,
    "forgetting": _forgetting,
    "rotating keys": _rotating,
    "restoring": _restoring,
}
