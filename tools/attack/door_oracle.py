"""What `door.py` expects of the door, worked out without any of the door's code.

`Expected` says who may send what, from the rules in docs/egress-log.md; `request_bytes` what then
stands on the wire, from the rules in docs/egress-log.md and nothing that pocketpref computes.
"""

from __future__ import annotations

import base64
import tomllib
from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pocketpref

NONE, ATTRIBUTES, SUMMARY = 0, 1, 2

_BANK = tomllib.loads(
    Path(pocketpref.__file__).with_name("attributes.toml").read_text(encoding="utf-8")
)["attribute"]
_TOPICS = (
    *("programming", "mathematics", "science", "technology", "cooking", "travel", "work"),
    *("school", "writing", "art and music", "history", "sport", "home"),
)
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"} | {
    "\b": "\\b",
    "\f": "\\f",
}

Turn = tuple[str, str]


# ---------------------------------------------------------------------------------- the bytes


def request_bytes(
    place: tuple[str, str, int], turns: Sequence[Turn], text: str, *, drawn: bool
) -> bytes:
    """Every byte of one request to a server on loopback.

    Args:
        place: dialect, model and port.
        turns: role and content of each message.
        text: what was approved to go along.
        drawn: whether the request says how to draw (0.25, 0.5, 7 tokens, seed 11).
    """
    dialect, model, port = place
    body = _body(dialect, model, _with(turns, text), drawn=drawn).encode()
    path = "messages" if dialect == "anthropic" else "chat/completions"
    version = "anthropic-version: 2023-06-01\r\n" if dialect == "anthropic" else ""
    head = (
        f"POST /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUser-Agent: pocketpref\r\n"
        "Accept: text/event-stream\r\nAccept-Encoding: identity\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        f"{version}\r\n"
    )
    return head.encode() + body


def _with(turns: Sequence[Turn], text: str) -> list[Turn]:
    if not text:
        return list(turns)
    (role, content), *others = turns
    if role == "system":
        return [("system", content + "\n\n" + text), *others]
    return [("system", text), *turns]


def _body(dialect: str, model: str, turns: list[Turn], *, drawn: bool) -> str:
    if dialect == "anthropic":
        system = "\n\n".join(content for role, content in turns if role == "system")
        said = f'"system":{_quoted(system)},' if system else ""
        others = [turn for turn in turns if turn[0] != "system"]
        more = '7,"temperature":0.25,"top_k":50' if drawn else "4096"
        return (
            f'{{"model":"{model}",{said}"messages":[{_turns(others)}],"stream":true,'
            f'"max_tokens":{more}}}'
        )
    more = ',"temperature":0.25,"top_p":0.5,"max_tokens":7,"seed":11' if drawn else ""
    return f'{{"model":"{model}","messages":[{_turns(turns)}],"stream":true{more}}}'


def _turns(turns: Iterable[Turn]) -> str:
    return ",".join(f'{{"role":"{role}","content":{_quoted(said)}}}' for role, said in turns)


def _quoted(text: str) -> str:
    letters = (
        _ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c)  # as RFC 8259, section 7 allows
        for c in text
    )
    return f'"{"".join(letters)}"'


def sentence(attributes: Sequence[str], topic: str, values: Iterable[str]) -> str:
    """The sentence of the level ``attributes``."""
    said: dict[str, str] = {}
    for offered in attributes:
        name = offered[4:] if offered.startswith("not ") else offered
        for entry in _BANK:
            if entry["name"] != name or name in said or len(said) == 3:
                continue
            if entry["category"] == "values" and name not in values:
                continue
            said[name] = entry["opposite" if offered.startswith("not ") else "wording"]
    if not said:
        return ""
    about = f" when it is about {topic}" if topic in _TOPICS else ""
    ordered = [said[entry["name"]] for entry in _BANK if entry["name"] in said]
    return f"Please answer in this way{about}: {'; '.join(ordered)}."


def disguises(secret: str) -> list[str]:
    """A secret as it stands, and in the simplest disguises; lower case."""
    spaced, encoded = " ".join(secret), base64.b64encode(secret.encode()).decode().rstrip("=")
    forms = (secret, secret[::-1], spaced, encoded, secret.encode().hex())
    return [form.lower() for form in forms]


# ---------------------------------------------------------------------------------- the rules


@dataclass
class Allowed:
    """What is allowed to one destination."""

    level: int
    bound: str | None
    sources: tuple[str, ...]
    values: tuple[str, ...]
    until: datetime
    daily: int | None
    restored: int
    seen: datetime
    uses: int = 0

    def look(self, clock: datetime) -> None:
        """Ask about it: time never goes back for it, and a new day has new uses."""
        if clock > self.seen:
            if clock.astimezone(UTC).date() != self.seen.astimezone(UTC).date():
                self.uses = 0
            self.seen = clock

    def ended(self, restored: int) -> str:
        """Why it allows nothing, or ""."""
        if restored != self.restored:
            return "an older copy of the vault was accepted since it was allowed"
        if self.until <= self.seen:
            return "what allowed it has expired"
        if self.daily is not None and self.daily <= self.uses:
            return "allowed, but not more often today"
        return ""


@dataclass
class Expected:
    """One person's part of a vault, as far as leaving is concerned.

    Attributes:
        memories: ids of what is remembered.
        allowed: by destination.
        restored: how often an older copy was accepted.
        log: event, destination, level and size of each entry.
        kept: number of each entry whose bytes are kept, and what they were made of.
    """

    memories: set[str]
    allowed: dict[str, Allowed] = field(default_factory=dict)
    restored: int = 0
    log: list[tuple[str, str, int | None, int]] = field(default_factory=list)
    kept: dict[int, tuple[str, ...]] = field(default_factory=dict)

    def copy(self) -> Expected:
        """As the file is copied."""
        return deepcopy(self)

    def allow(self, where: str, terms: Allowed) -> None:
        """What replaces a grant inherits its uses of the day."""
        old = self.allowed.get(where)
        if old and old.seen.astimezone(UTC).date() == terms.seen.astimezone(UTC).date():
            terms.uses = max(terms.uses, old.uses)
        self.allowed.pop(where, None)
        self.allowed[where] = terms
        self.log.append(("granted", where, terms.level, 0))

    def revoke(self, where: str) -> int:
        """Take it back."""
        gone = self.allowed.pop(where, None)
        if gone:
            self.log.append(("revoked", where, gone.level, 0))
        return 1 if gone else 0

    def forget(self, memory: str) -> None:
        """With everything made of it."""
        self.memories.discard(memory)
        self.kept = {n: made for n, made in self.kept.items() if memory not in made}
        self.allowed = {w: a for w, a in self.allowed.items() if memory not in a.sources}

    def shown(
        self, where: str, offer: Sequence[object], level: int, *, clean: bool
    ) -> tuple[int, str, bool]:
        """Level and text that would leave, and whether the summary is another than was allowed."""
        summary, attributes, topic = offer
        assert isinstance(summary, str)
        assert isinstance(attributes, tuple)
        assert isinstance(topic, str)
        found = self.allowed.get(where)
        valid = found if found and found.restored == self.restored else None
        limit = min(level, valid.level) if valid else level
        if limit == SUMMARY and clean and summary.strip():
            changed = valid is not None and valid.bound not in (None, summary)
            return SUMMARY, summary, changed
        said = sentence(attributes, topic, valid.values if valid else ())
        return (ATTRIBUTES, said, False) if limit and said else (NONE, "", False)

    def clear(
        self,
        where: str,
        shown: tuple[int, str, bool],
        sources: tuple[str, ...],
        answer: str | None,
        clock: datetime,
    ) -> str:
        """Why it is denied, or "" if it leaves; what it changes, without the entry of the release.

        Args:
            where: the destination.
            shown: what would leave.
            sources: what it was made of.
            answer: what the person would say: no, once, keep; None if nobody is asked.
            clock: what the machine's clock says.
        """
        level, _, changed = shown
        found = self.allowed.get(where)
        if found:
            looked = deepcopy(found)
            looked.look(clock)
            why = looked.ended(self.restored)
            why = why or ("the summary is not the one that was allowed" if changed else "")
        else:
            looked, why = None, "nothing allows it"
        lost = level != NONE and not set(sources) <= self.memories
        asked = why if answer else ""
        if asked and answer == "no":
            why = "asked, and not allowed"
        elif asked:
            why = ""
        # A denial that the person spoke needs no memory.
        if lost and not why:
            self.log.append(("denied", where, None, 0))
            return "a memory behind it was forgotten meanwhile"
        if asked and answer == "keep":
            self._keep(where, looked, shown, sources, clock)
        elif looked and not (asked and answer == "once"):
            looked.uses += not why
            self.allowed[where] = looked
        if why:
            self.log.append(("denied", where, None, 0))
        return why

    def _keep(
        self,
        where: str,
        found: Allowed | None,
        shown: tuple[int, str, bool],
        sources: tuple[str, ...],
        clock: datetime,
    ) -> None:
        level, text, changed = shown
        until = clock + timedelta(days=30)
        valid = found if found and found.restored == self.restored else None
        if valid:
            terms = deepcopy(valid)
            terms.until = max(terms.until, until)
        else:
            terms = Allowed(level, None, (), (), until, None, self.restored, clock)
        if changed or (not valid and level == SUMMARY):
            terms.bound, terms.sources = text, sources
        self.allow(where, terms)
        terms.uses += 1

    def left(self, where: str, level: int, size: int, sources: tuple[str, ...]) -> None:
        """The entry of a release."""
        self.log.append(("allowed", where, level, size))
        self.kept[len(self.log)] = sources if level != NONE else ()
