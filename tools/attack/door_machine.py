"""The sequences of `door.py`: random calls of the door, and what is expected of each."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run_machine

from pocketpref.egress import Decision, EgressGate, Offer, Request
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Disclosure, Level
from pocketpref.errors import DeniedError
from pocketpref.records import Feedback, Message, Pair, Sampling
from pocketpref.vault import UserStore, Vault
from tools.attack.door_oracle import Allowed, Expected, Turn, disguises, request_bytes
from tools.attack.door_scene import CLEAN, SECRETS, Scene, Tally

SPOILT = (
    "{}",
    "Prefers what {} says.",
    "Likes short answers. {}",
    "Prefers formal language and clear structure. Mentions {} often.",
)
ATTRIBUTES = ("Concise", "Formal", "Code", "Western", "Conspiracy", "not Vivid", "not Western")
TEXTS = (
    "Why is the sky blue?",
    'Say "no"\n\tplainly \\ twice.',
    "Täglich \x07 日本 😀",
    "And now?",
)

SCENE: list[Scene] = []  # hypothesis makes the machines, so they cannot be handed it

offers = st.tuples(
    st.sampled_from(CLEAN)
    | st.sampled_from(CLEAN)
    | st.tuples(st.sampled_from(SPOILT), st.integers(0, SECRETS - 1), st.integers(0, 4))
    | st.text(max_size=40),
    st.lists(st.sampled_from(ATTRIBUTES) | st.integers(0, SECRETS - 1), max_size=5),
    st.sampled_from(("", "cooking", "health")) | st.integers(0, SECRETS - 1),
    st.lists(st.integers(0, SECRETS - 1), max_size=2),
)
# Of letters that no secret is made of: hypothesis likes to draw texts that stand in the sources,
# and what a person writes into the request leaves.
written = st.text(alphabet='"\\\n\t\x07 xyzäß日本😀', max_size=30)
requests = st.tuples(
    st.none() | st.sampled_from(TEXTS),
    st.lists(st.sampled_from(TEXTS) | written, min_size=1, max_size=3),
    st.booleans(),
)
levels = st.sampled_from(list(Level)) | st.just(Level.SUMMARY)
clearing = rule(
    side=st.integers(0, 1),
    where=st.integers(0, 23),
    offered=offers,
    asked=requests,
    level=levels,
    answer=st.sampled_from([None, None, None, "no", "once", "keep"]),
    again=st.booleans(),
)


class Use(RuleBasedStateMachine):
    """One person's use of the door."""

    @initialize()
    def begin(self) -> None:
        """A vault of its own, and what is expected of it."""
        self.scene = SCENE[0]
        self.scene.tally.sequences += 1
        self.folder = Path(tempfile.mkdtemp(dir=self.scene.folder))
        self.path = self.folder / "vault.db"
        shutil.copy(self.scene.folder / "filled.db", self.path)
        self.now = datetime(2026, 5, 1, 22, tzinfo=UTC)
        self.expected = Expected(set(self.scene.ids))
        self.copy: tuple[bytes, Expected] | None = None
        self.open()

    def open(self, *, older: bool = False) -> None:
        """Two connections to one vault."""
        notes = self.folder / "notes"
        key = self.scene.key
        self.vaults = [
            Vault.open(self.path, key, anchor=notes, accept_older=older),
            Vault.open(self.path, key, anchor=notes),
        ]

    def close(self) -> None:
        """Both."""
        for vault in self.vaults:
            vault.close()

    def store(self, side: int) -> UserStore:
        """The person's part, through one of the connections."""
        return self.vaults[side].store("ada")

    def door(self, side: int, answer: str | None = None) -> EgressGate:
        """A door in front of it; with somebody who gives this answer."""
        ask = (lambda preview: Decision(answer)) if answer else None
        scene = self.scene
        parts = (self.store(side), scene.bank, scene.known, ask)
        return EgressGate(*parts, clock=lambda: self.now, check=scene.look)

    def text(self, drawn: Any) -> str:
        """A text, or a secret where a number was drawn."""
        if isinstance(drawn, tuple):
            form, number, disguise = drawn
            return str(form).format(disguises(self.scene.secrets[number].value)[disguise])
        if isinstance(drawn, int):
            return self.scene.secrets[drawn].value
        return str(drawn)

    def offer(self, drawn: tuple[Any, ...]) -> Offer:
        """What could go along."""
        summary, attributes, topic, sources = drawn
        self.scene.tally.offered += isinstance(summary, tuple)
        return Offer(
            self.text(summary),
            tuple(self.text(name) for name in attributes),
            tuple(dict.fromkeys(self.scene.ids[number] for number in sources)),
            self.text(topic),
        )

    # -------------------------------------------------------------------------- what is done

    @rule(
        side=st.integers(0, 1),
        where=st.integers(0, 5),
        level=levels,
        bound=st.none() | offers,
        values=st.sampled_from([(), (), ("Western",), ("Western", "Conspiracy")]),
        hours=st.sampled_from([1, 30, 700]),
        daily=st.sampled_from([None, None, 1, 3]),
    )
    def allow(self, **drawn: Any) -> None:
        """Any summary, or one."""
        self.scene.tally.calls["allow"] += 1
        where, level = self.scene.destination(drawn["where"]), drawn["level"]
        offer = self.offer(drawn["bound"]) if drawn["bound"] else None
        bound = offer if level == Level.SUMMARY and offer and offer.summary.strip() else None
        if bound and not set(bound.sources) <= self.expected.memories:
            bound = None
        until = timedelta(hours=drawn["hours"])
        self.door(drawn["side"]).allow(
            where,
            level,
            offer=bound,
            any_summary=bound is None,
            values=drawn["values"],
            expires=until,
            daily=drawn["daily"],
        )
        terms = Allowed(
            int(level),
            bound.summary if bound else None,
            bound.sources if bound else (),
            drawn["values"],
            self.now + until,
            drawn["daily"],
            self.expected.restored,
            self.now,
        )
        self.expected.allow(str(where), terms)

    @rule(side=st.integers(0, 1), where=st.integers(0, 5))
    def revoke(self, side: int, where: int) -> None:
        """Through either connection."""
        self.scene.tally.calls["revoke"] += 1
        destination = self.scene.destination(where)
        assert self.door(side).revoke(destination) == self.expected.revoke(str(destination))

    @rule(hours=st.sampled_from([0.5, 3, 24, 800, -0.5, -3, -30]))
    def tick(self, hours: float) -> None:
        """A clock that goes forward, and back."""
        self.scene.tally.calls["clock"] += 1
        self.now += timedelta(hours=hours)

    @rule(side=st.integers(0, 1), number=st.integers(0, SECRETS - 1))
    def forget(self, side: int, number: int) -> None:
        """A memory, and what was made of it."""
        memory = self.scene.ids[number]
        if memory in self.expected.memories:
            self.scene.tally.calls["forget"] += 1
            self.store(side).forget([memory])
            self.expected.forget(memory)

    @rule(side=st.integers(0, 1), number=st.integers(0, SECRETS - 1))
    def add(self, side: int, number: int) -> None:
        """One memory more."""
        self.scene.tally.calls["add"] += 1
        pair = Pair(self.scene.secrets[number].stored, "Yes.", "No.")
        self.expected.memories.add(self.store(side).add(Feedback(pair)))

    @precondition(lambda self: self.copy is None and len(self.expected.log) > 1)
    @rule()
    def copy_file(self) -> None:
        """A backup."""
        self.scene.tally.calls["copy the vault"] += 1
        self.close()
        self.copy = self.path.read_bytes(), self.expected.copy()
        self.open()

    @precondition(lambda self: self.copy is not None)
    @rule()
    def put_back(self) -> None:
        """The backup, accepted by the person if it is an older one."""
        assert self.copy is not None
        self.scene.tally.calls["put an older copy back"] += 1
        self.close()
        older = self.path.read_bytes() != self.copy[0]
        self.path.write_bytes(self.copy[0])
        self.expected = self.copy[1].copy()
        self.expected.restored += older
        self.open(older=older)
        self.copy = None

    @clearing
    def clear(self, **drawn: Any) -> None:
        """Preview, clear, send, and look at what came."""
        self.try_clearing(**drawn)

    @clearing
    def clear_too(self, **drawn: Any) -> None:
        """The same: it is what is tested, so it is drawn more often."""
        self.try_clearing(**drawn)

    @clearing
    def clear_as_well(self, **drawn: Any) -> None:
        """The same."""
        self.try_clearing(**drawn)

    def try_clearing(self, **drawn: Any) -> None:
        """See that exactly what is expected leaves, or nothing."""
        scene, offer = self.scene, self.offer(drawn["offered"])
        scene.tally.calls["preview, clear"] += 1
        destination, level = self.where(drawn["where"]), drawn["level"]
        turns, request = _request(drawn["asked"])
        door = self.door(drawn["side"], drawn["answer"])
        spoilt = isinstance(drawn["offered"][0], tuple)
        shown = self.shown(destination, offer, level, spoilt=spoilt)
        preview = door.preview(request, offer, destination, level=level)
        assert (int(preview.level), preview.text) == shown[:2]
        why = self.expected.clear(str(destination), shown, offer.sources, drawn["answer"], self.now)
        before = [len(server.came) for server in scene.servers]
        denied, disclosure = "", None
        try:
            disclosure = door.clear(request, offer, destination, level=level)
        except DeniedError as error:
            denied = error.message.partition(": ")[2]
            scene.tally.denied[denied] += 1
        assert denied == why
        if disclosure is not None:
            assert disclosure.body == preview.body
            self.expected.left(str(destination), shown[0], len(disclosure.body), offer.sources)
            came = self.send(disclosure, before, again=drawn["again"])
            self.look(destination, turns, shown, came, drew=drawn["asked"][2])
        assert sum(len(server.came) for server in scene.servers) == sum(before) + (not why)

    def where(self, choice: int) -> Destination:
        """Any destination, or more often one to which something is allowed."""
        allowed = sorted(self.expected.allowed)
        if choice < 6 or not allowed:
            return self.scene.destination(choice % 6)
        return Destination.parse(allowed[choice % len(allowed)])

    def send(self, disclosure: Disclosure, before: Sequence[int], *, again: bool) -> bytes:
        """Through the real client; what came is what one server noted."""
        assert "".join(self.scene.remote.generate(disclosure)) == "Yes."
        if again:
            with contextlib.suppress(DeniedError):
                list(self.scene.remote.generate(disclosure))
                raise AssertionError("it was sent twice")
        ports = [server.port for server in self.scene.servers]
        server = ports.index(disclosure.destination.port)
        recorder = self.scene.servers[server]
        assert recorder.over.acquire(timeout=20), "the request never ended"
        (came,) = recorder.came[before[server] :]
        return came

    def shown(
        self, destination: Destination, offer: Offer, level: Level, *, spoilt: bool
    ) -> tuple[int, str, bool]:
        """What is expected to leave, and whether it is another summary than was allowed.

        Whatever the checks say, no summary with a secret in it may go, and every clean one may.
        """
        found = self.expected.allowed.get(str(destination))
        valid = found is not None and found.restored == self.expected.restored
        values = frozenset(found.values if found and valid else ())
        clean = offer.summary in CLEAN
        if not clean and not spoilt:
            clean = self.scene.passes(offer.summary, values)
        parts = (offer.summary, offer.attributes, offer.topic)
        return self.expected.shown(str(destination), parts, int(level), clean=clean)

    def look(
        self,
        destination: Destination,
        turns: list[Turn],
        shown: tuple[int, str, bool],
        came: bytes,
        *,
        drew: bool,
    ) -> None:
        """At every byte that came."""
        place = (destination.dialect, destination.model, destination.port)
        assert came == request_bytes(place, turns, shown[1], drawn=drew)
        assert self.scene.leaks(came) == []
        self.scene.tally.sent[Level(shown[0]).name.lower()] += 1
        self.scene.tally.bytes += len(came)

    def teardown(self) -> None:
        """The log is complete."""
        if not hasattr(self, "vaults"):
            return
        try:
            door = self.door(0)
            found = door.log()
            entries = [(e.event, e.destination, e.level, e.sent) for e in found]
            assert entries == self.expected.log
            checked = door.verify()
            assert checked.ok, checked.problems
            kept = {entry.number for entry in found if door.released(entry.id) is not None}
            assert kept == set(self.expected.kept)
        finally:
            self.close()
            shutil.rmtree(self.folder)


def _request(drawn: tuple[Any, ...]) -> tuple[list[Turn], Request]:
    system, texts, drew = drawn
    roles = ("user", "assistant")
    turns = [(roles[place % 2], said) for place, said in enumerate(texts)]
    turns = [("system", system), *turns] if system else turns
    messages: list[Any] = [Message(role=role, content=said) for role, said in turns]  # type: ignore[typeddict-item]  # one of the three
    sampling = Sampling(0.25, 50, 0.5, 7, 11) if drew else None
    return turns, Request(tuple(messages), sampling)


def attack(folder: Path, sequences: int, steps: int, number: int, *, shrink: bool = True) -> Tally:
    """Run so many sequences; what goes wrong is made small before it is raised.

    Raises:
        AssertionError: something went wrong; hypothesis has printed how.
    """
    SCENE[:] = [Scene(folder, number)]
    chosen = settings(
        max_examples=sequences,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink) if shrink else (Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    run_machine(seed(number)(Use), settings=chosen)
    return SCENE[0].tally
