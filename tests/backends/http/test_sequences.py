"""Whatever a program does with a Pocket: what arrives is a function of what was approved.

Random sequences of API calls against a server that notes every byte, over real sockets, on a memory
with 500 planted secrets. Each sequence works on a copy of one vault. ``SEQUENCES=10000`` runs that
many.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

import pocketpref
from pocketpref import Pocket
from pocketpref.attributes import AttributeBank
from pocketpref.config import Places
from pocketpref.egress import Destination, Level
from pocketpref.egress.api_keys import ApiKey
from pocketpref.errors import DeniedError, InputError
from pocketpref.records import Message, Sampling
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.backends.http.peer import HELLO, Line, Peer, serve
from tests.backends.http.planted import pairs, secrets
from tests.backends.http.test_bytes import ANTHROPIC

SEQUENCES = int(os.environ.get("SEQUENCES", "40"))
SECRETS = secrets()
HARMLESS = (
    "Prefers short, direct answers.",
    "Prefers detailed answers.",
    "Likes a formal tone. Dislikes jokes.",
)
PROMPTS = ("Why is the sky blue?", "Täglich grüßt das Murmeltier?", "How do I boil an egg?")
SYSTEMS = (None, "You are a helpful assistant.")
HISTORIES: tuple[tuple[Message, ...], ...] = (
    (),
    (Message(role="user", content="Hi."), Message(role="assistant", content="Hello.")),
)
SAMPLINGS = (None, Sampling(temperature=0.5, max_tokens=9, seed=3))
MODEL = ScriptedModel(
    {
        "short": {"Yes.": 3.0},
        "eastern": {"plainly": 4.0},  # of the category values, which nobody here allows to be said
    }
)

hostile = st.sampled_from(SECRETS).flatmap(
    lambda secret: st.sampled_from(
        [
            f"Prefers short answers. {secret}.",
            f"Prefers short answers like {secret.lower()}.",
            f"Likes {' '.join(secret)} and short answers.",
            f"Prefers {secret[::-1]} and short answers.",
            f"Prefers short answers{chr(0x200B)} {secret.replace('e', chr(0x435))}.",
            f"Prefers short answers. {secret.encode().hex()}",
        ]
    )
)


@dataclass
class Seen:
    """What happened over all sequences, to show that something did."""

    sent: int = 0
    denied: int = 0
    texts: set[str] = field(default_factory=set)


class Asked(NamedTuple):
    """What the person is sending anyway."""

    prompt: str
    system: str | None
    history: tuple[Message, ...]
    sampling: Sampling | None


def body(to: Destination, asked: Asked, text: str) -> bytes:
    """The bytes that should arrive, worked out a second time."""
    sampling = asked.sampling
    turns = [{"role": m["role"], "content": m["content"]} for m in asked.history]
    turns.append({"role": "user", "content": asked.prompt})
    if asked.system:
        turns.insert(0, {"role": "system", "content": asked.system})
    if text and turns[0]["role"] == "system":
        turns[0]["content"] += "\n\n" + text
    elif text:
        turns.insert(0, {"role": "system", "content": text})
    content: dict[str, Any] = {"model": to.model}
    if to.dialect == "openai":
        content |= {"messages": turns, "stream": True}
        if sampling:
            drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p}
            content |= drawn | {"max_tokens": sampling.max_tokens, "seed": sampling.seed}
    else:
        if turns[0]["role"] == "system":
            content["system"] = turns.pop(0)["content"]
        content |= {"messages": turns, "stream": True, "max_tokens": 4096}
        if sampling:
            content |= {"max_tokens": sampling.max_tokens, "temperature": sampling.temperature}
            content["top_k"] = sampling.top_k
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def sentence_pattern() -> re.Pattern[str]:
    """Every sentence of the level ``attributes``, but for the order and the topic."""
    wordings = [
        re.escape(wording.rstrip("."))
        for attribute in AttributeBank.standard()
        if attribute.category != "values"
        for wording in (attribute.wording, attribute.opposite)
    ]
    any_of = f"(?:{'|'.join(wordings)})\\.?"
    return re.compile(rf"Please answer in this way: {any_of}(?:; {any_of}){{0,2}}\.")


SENTENCE = sentence_pattern()


def replying(line: Line) -> None:
    """In whichever dialect it was asked."""
    line.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    line.send(ANTHROPIC if b"/messages HTTP" in line.received else HELLO)


def machine(
    peer: Peer, original: Path, key: KeyFile, seen: Seen
) -> tuple[tuple[Destination, ...], Any]:
    """Destinations, and the class of sequences on copies of a vault."""
    destinations = tuple(
        Destination.parse(f"{dialect}:{model}@{peer.url(path)}")
        for dialect, model, path in [
            ("openai", "small", "/v1"),
            ("openai", "large", "/v1"),
            ("openai", "small", "/v2"),
            ("anthropic", "small", "/v1"),
        ]
    )
    places = st.sampled_from(destinations)
    levels = st.sampled_from(list(Level))
    requests = st.builds(Asked, *map(st.sampled_from, (PROMPTS, SYSTEMS, HISTORIES, SAMPLINGS)))

    class Sequence(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            copy = original.with_name("copy.db")
            shutil.copy(original, copy)
            # The note of how new the vault was: the last copy has become newer.
            shutil.rmtree(Places.find().state, ignore_errors=True)
            self.pocket: Pocket = pocketpref.open(
                "ada", path=copy, key=key, model=MODEL, embedder=HashEmbedder()
            )
            self.grants: dict[Destination, tuple[Level, str | None, int | None]] = {}
            peer.lines.clear()
            self.expected: list[bytes] = []

        @initialize(text=st.sampled_from(HARMLESS), to=places, level=levels, bound=st.booleans())
        def begin(self, text: str, to: Destination, level: Level, bound: bool) -> None:
            self.pocket.edit_summary(text)
            self.allow(to, level, bound, None)

        @rule(text=st.sampled_from(HARMLESS) | hostile)
        def write_a_summary(self, text: str) -> None:
            with suppress(InputError):  # not printable
                self.pocket.edit_summary(text)

        @rule(text=st.sampled_from(HARMLESS) | hostile)
        def state_a_preference(self, text: str) -> None:
            with suppress(InputError):
                self.pocket.state(text)

        @rule(number=st.integers(0, 10**6))
        def add(self, number: int) -> None:
            self.pocket.add(f"Tell {SECRETS[number % 500]} {number}.", "Yes.", "No.")

        @rule(place=st.integers(0, 200))
        def forget(self, place: int) -> None:
            memories = list(self.pocket.memories())
            self.pocket.forget(memories[place % len(memories)].id)
            # A grant for one summary holds its text, and goes with what that was made of.
            kept = {grant.destination for grant in self.pocket.egress.grants()}
            self.grants = {to: g for to, g in self.grants.items() if to in kept or g[1] is None}

        @rule()
        def learn(self) -> None:
            self.pocket.learn(budget=0.05)

        @rule(prompt=st.sampled_from(PROMPTS))
        def use_it_here(self, prompt: str) -> None:
            self.pocket.personalize(prompt)
            self.pocket.reply(prompt)

        @rule(to=places)
        def keep_a_key(self, to: Destination) -> None:
            self.pocket.api_keys.put(to, ApiKey(b"sk-the-key"))

        @rule(to=places, level=levels, bound=st.booleans(), daily=st.sampled_from([None, 1, 2]))
        def allow(self, to: Destination, level: Level, bound: bool, daily: int | None) -> None:
            offer = self.pocket.offer()
            wanted = {} if bound else {"any_summary": True}
            try:
                self.pocket.egress.allow(to, level, offer=offer, daily=daily, **wanted)
            except InputError:
                assert level is Level.SUMMARY
                assert not offer.summary
                return
            text = offer.summary if bound and level is Level.SUMMARY else None
            self.grants[to] = (level, text, daily)

        @rule(to=places, texts=st.permutations(HARMLESS), asked=requests)
        def change_what_was_approved(self, to: Destination, texts: list[str], asked: Asked) -> None:
            self.pocket.edit_summary(texts[0])
            self.allow(to, Level.SUMMARY, True, None)
            self.pocket.edit_summary(texts[1])
            self.send(to, asked, Level.SUMMARY)

        @rule(to=places, level=levels, asked=requests)
        def allow_and_send(self, to: Destination, level: Level, asked: Asked) -> None:
            self.allow(to, level, False, None)
            self.send(to, asked, level)

        @rule(to=places)
        def revoke(self, to: Destination) -> None:
            assert self.pocket.egress.revoke(to) == (self.grants.pop(to, None) is not None)

        @rule(to=places, prompt=st.sampled_from(PROMPTS), level=levels)
        def preview(self, to: Destination, prompt: str, level: Level) -> None:
            self.pocket.preview(prompt, to=str(to), level=level)

        @precondition(lambda self: self.grants)
        @rule(place=st.integers(0, 3), asked=requests, level=st.sampled_from([2, 1, 2, 1, 0]))
        def send_where_it_is_allowed(self, place: int, asked: Asked, level: int) -> None:
            allowed = list(self.grants)
            self.send(allowed[place % len(allowed)], asked, Level(level))

        @rule(to=places, asked=requests, level=levels)
        def send(self, to: Destination, asked: Asked, level: Level) -> None:
            before = len(peer.lines)
            more = {"system": asked.system, "history": asked.history, "sampling": asked.sampling}
            try:
                self.pocket.reply_remotely(asked.prompt, to=str(to), level=level, **more)
            except DeniedError:
                assert len(peer.lines) == before
                seen.denied += 1
                return
            assert to in self.grants, "nothing had allowed it"
            (arrived,) = peer.bodies()[before:]
            assert arrived == body(to, asked, self._approved(to, level, arrived))
            seen.sent += 1

        def _approved(self, to: Destination, level: Level, arrived: bytes) -> str:
            """The text that went along: one that may, or the assertion fails."""
            allowed, bound, _ = self.grants[to]
            limit = min(level, allowed)
            content = json.loads(arrived)
            system = content.get("system") or next(
                (m["content"] for m in content["messages"] if m["role"] == "system"), ""
            )
            text = system.removeprefix("You are a helpful assistant.").removeprefix("\n\n")
            seen.texts.add(text)
            if limit is Level.SUMMARY and text == self.pocket.offer().summary:
                assert bound in (None, text)
            elif text:
                assert limit is not Level.NONE
                assert SENTENCE.fullmatch(text)
            return text

        def teardown(self) -> None:
            log = self.pocket.egress.log()
            assert len([entry for entry in log if entry.event == "allowed"]) == len(peer.lines)
            assert self.pocket.egress.verify().ok
            for request in peer.requests():
                said = request.decode().casefold()
                assert not [secret for secret in SECRETS if secret.casefold() in said]
            self.pocket.close()

    return destinations, Sequence


@pytest.fixture
def original(tmp_path: Path) -> tuple[Path, KeyFile]:
    """A vault that has learned from 125 choices in which 500 secrets stand."""
    key = KeyFile.make(tmp_path / "key")
    with pocketpref.open(
        "ada", path=tmp_path / "vault.db", key=key, model=MODEL, embedder=HashEmbedder()
    ) as pocket:
        for prompt, chosen, rejected in pairs():
            pocket.add(prompt, chosen, rejected)
        pocket.learn(budget=60)
        strongest = {entry.name for entry in pocket.profile().entries[:3]}
        assert "Eastern" in strongest, "there is something that must be left out"
    return tmp_path / "vault.db", key


def test_what_arrives_is_a_function_of_what_was_approved(
    original: tuple[Path, KeyFile], capsys: pytest.CaptureFixture[str]
) -> None:
    """And never holds a secret of the memory, whatever was called before."""
    seen = Seen()
    assert len(set(SECRETS)) == 500
    with serve(replying) as peer:
        _, sequence = machine(peer, *original, seen)
        run_state_machine_as_test(
            sequence,
            settings=settings(
                max_examples=SEQUENCES,
                stateful_step_count=12,
                deadline=None,
                derandomize="SEQUENCES" not in os.environ,
                phases=[Phase.reuse, Phase.generate],  # a shorter example would take minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
    with capsys.disabled() if "SEQUENCES" in os.environ else nullcontext():
        print(f"\n{SEQUENCES} sequences: {seen.sent} sent, {seen.denied} denied")
    assert seen.sent > SEQUENCES // 10
    assert seen.denied > SEQUENCES // 10


def test_each_level_is_among_what_the_sequences_send(original: tuple[Path, KeyFile]) -> None:
    """The test above looks at something: what it takes for allowed does leave, and no more."""
    seen = Seen()
    asked = Asked(PROMPTS[0], SYSTEMS[1], HISTORIES[1], SAMPLINGS[1])
    with serve(replying) as peer:
        destinations, sequence = machine(peer, *original, seen)
        walk = sequence()
        for level, to in zip(Level, destinations, strict=False):
            walk.begin(HARMLESS[0], to, level, bound=True)
            walk.send(to, asked, Level.SUMMARY)
        sentence = "Please answer in this way: short and to the point, without extra words."
        assert seen.texts == {"", sentence, HARMLESS[0]}
        walk.write_a_summary(f"Prefers short answers. {SECRETS[0]}.")
        walk.allow(destinations[3], Level.SUMMARY, bound=False, daily=1)
        walk.send(destinations[3], asked, Level.SUMMARY)
        walk.send(destinations[3], asked, Level.SUMMARY)
        assert seen.texts == {"", sentence, HARMLESS[0]}
        assert (seen.sent, seen.denied) == (4, 1)
        walk.teardown()
