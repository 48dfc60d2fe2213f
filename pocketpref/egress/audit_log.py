"""Audit log of every egress decision, sealed in the vault and chained by hashes.

Two kinds of documents, and one that says where the log ends:

    release     an entry: JSON, no text of anybody. Its hash covers all of it, and the hash of the
                entry before.
    released    under the same id: salt (32 bytes) | the exact bytes of the body. Made of the
                memories that went into it, so that forgetting one of them removes the bytes.
    release     one more, the end: how many entries there are, and the hash of the last.

The entry holds SHA-256(salt | body), not the body's own hash: once salt and body are forgotten,
nobody can try out what the body was. The chain stays whole.

The chain notices entries that were changed or lost by mistake. Who takes records out of the file or
puts older ones back is noticed by the vault itself, which holds a keyed hash of all of them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from pocketpref.egress.request_body import contents
from pocketpref.errors import TamperedError
from pocketpref.protocols import Documents
from pocketpref.records import Document

ENTRY, BYTES = "release", "released"

Event = Literal["granted", "revoked", "allowed", "denied", "finished", "erased"]

_FORM = "release/1"
_END = "release-end/1"
NOTHING = "0" * 64  # the hash before the first entry
SALT_BYTES = 32
_TELLING = 24  # characters from which on a text is looked for inside of others
_DAMAGED = "restore the vault from a backup, or save what is intact: pocketpref doctor --repair"


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One line of the log. It holds no text of anybody.

    Attributes:
        id: of its document; for ``allowed`` also the ``Disclosure.release``.
        number: 1 for the first.
        when: by the machine's clock, whatever it said.
        event: ``allowed`` and ``denied`` are decisions about a request, ``finished`` says how the
            sending of an allowed one ended, ``erased`` that its bytes were taken out of the log.
        destination: in its canonical form.
        level: how much about the person went along, or was allowed to.
        reason: in words.
        sent: size of the body in bytes; 0 for what was denied.
        sources: ids of the memories that went into what left.
        release: the entry that this one is about, or "".
        commitment: SHA-256 (hex) of salt and body, or "".
        previous: hash of the entry before.
    """

    id: str
    number: int
    when: datetime
    event: Event
    destination: str
    level: Level | None
    reason: str
    sent: int
    sources: tuple[str, ...]
    release: str
    commitment: str
    previous: str

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of everything above but the id, as canonical JSON."""
        return sha256(_json(self.content()))

    @classmethod
    def load(cls, name: str, content: Mapping[str, Any]) -> LogEntry:
        """Read the entry of this id from what the vault holds.

        Raises:
            TamperedError: it is no entry, or its hash is wrong. The vault lets nobody change an
                entry, so this would be a mistake of ours.
        """
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            level = content["level"]
            entry = cls(
                id=name,
                number=content["number"],
                when=datetime.fromisoformat(content["when"]),
                event=content["event"],
                destination=content["destination"],
                level=None if level is None else Level[level],
                reason=content["reason"],
                sent=content["sent"],
                sources=tuple(content["sources"]),
                release=content["release"],
                commitment=content["commitment"],
                previous=content["previous"],
            )
            if entry.hash == content["hash"]:
                return entry
        raise _misformed()

    def content(self) -> dict[str, Any]:
        """What the vault holds of it, but the hash."""
        return {
            "form": _FORM,
            "number": self.number,
            "when": self.when.isoformat(),
            "event": self.event,
            "destination": self.destination,
            "level": None if self.level is None else self.level.name,
            "reason": self.reason,
            "sent": self.sent,
            "sources": list(self.sources),
            "release": self.release,
            "commitment": self.commitment,
            "previous": self.previous,
        }

    def to_dict(self) -> dict[str, Any]:
        """The ``--json`` shape of a line of ``pocketpref egress log``."""
        return {
            "id": self.id,
            "when": self.when.isoformat(),
            "destination": self.destination,
            "decision": self.event,
            "reason": self.reason,
            "level": None if self.level is None else self.level.name.lower(),
            "sent": self.sent,
            "sources": list(self.sources),
            "release": self.release or None,
        }


class Log:
    """Writes entries inside the caller's transaction."""

    def __init__(self) -> None:
        self._end = ""  # id of the document that says where the log ends, once it is known

    def write(
        self,
        documents: Documents,
        event: Event,
        when: datetime,
        *,
        destination: Destination | str,
        reason: str,
        level: Level | None = None,
        sources: Sequence[str] = (),
        release: str = "",
        body: bytes | None = None,
    ) -> str:
        """Add an entry, with the bytes that leave if there are any. Returns its id.

        Raises:
            NotFoundError: one of the sources was forgotten meanwhile; nothing was written.
        """
        name, commitment = "", ""
        if body is not None:
            salted = secrets.token_bytes(SALT_BYTES) + body
            name, commitment = documents.insert(BYTES, salted, sources), sha256(salted)
        end, count, previous = self._where(documents)
        entry = LogEntry(
            id=name,
            number=count + 1,
            when=when,
            event=event,
            destination=str(destination),
            level=level,
            reason=reason,
            sent=len(body or b""),
            sources=tuple(sources),
            release=release,
            commitment=commitment,
            previous=previous,
        )
        name = _put(documents, name, entry.content() | {"hash": entry.hash})
        last = {"form": _END, "count": entry.number, "last": entry.hash}
        self._end = _put(documents, end, last)
        return name

    def erase(self, documents: Documents, texts: Sequence[str], when: datetime) -> list[str]:
        """Remove the bytes of every release that holds one of the texts. Returns their ids."""
        gone = [
            entry
            for entry in entries(documents)
            if entry.commitment and holds(released(documents, entry.id) or b"", texts)
        ]
        for entry in gone:
            documents.delete(BYTES, entry.id)
            self.write(
                *(documents, "erased", when),
                destination=entry.destination,
                reason="erased",
                release=entry.id,
            )
        return [entry.id for entry in gone]

    def _where(self, documents: Documents) -> tuple[str, int, str]:
        """Id of the end, number and hash of the last entry; without reading all, if possible."""
        known = documents.get(ENTRY, self._end) if self._end else None
        if known is None:
            entries, ends = read_all(documents)
            if not ends:
                last = entries[-1] if entries else None
                return "", last.number if last else 0, last.hash if last else NOTHING
            known = ends[-1]
        content = parsed(known)
        return known.id, content["count"], content["last"]


def _put(documents: Documents, name: str, content: Mapping[str, Any]) -> str:
    """Write a document of the log, a new one if it has no id yet. Returns its id."""
    if not name:
        return documents.insert(ENTRY, _json(content))
    documents.put(ENTRY, name, _json(content))
    return name


def entries(documents: Documents) -> list[LogEntry]:
    """All entries, the oldest first."""
    return read_all(documents)[0]


def released(documents: Documents, name: str) -> bytes | None:
    """The exact bytes of a release, or None if there are none or they were forgotten."""
    document = documents.get(BYTES, name)
    return None if document is None else document.content[SALT_BYTES:]


def holds(body: bytes, texts: Sequence[str]) -> bool:
    """Whether a body holds one of the texts; a short one ("Yes.") must be a whole message."""
    said = list(contents(body)) if body else []
    wanted = [text for text in map(str.strip, texts) if text]
    return any(
        text in message if len(text) >= _TELLING else text == message.strip()
        for text in wanted
        for message in said
    )


def read_all(documents: Documents) -> tuple[list[LogEntry], list[Document]]:
    """Entries by their number, and what says where the log ends (one, if all is well)."""
    found, ends = [], []
    for document in documents.all(ENTRY):
        content = parsed(document)
        if content.get("form") == _END:
            ends.append(document)
        else:
            found.append(LogEntry.load(document.id, content))
    return sorted(found, key=lambda entry: entry.number), ends


def parsed(document: Document) -> dict[str, Any]:
    """The content of an entry, or of the document that says where the log ends.

    Raises:
        TamperedError: it is neither.
    """
    with suppress(ValueError, RecursionError):
        content = json.loads(document.content)
        if isinstance(content, dict) and content.get("form") in (_FORM, _END):
            return content
    raise _misformed()


def _misformed() -> TamperedError:
    return TamperedError("an entry of the log of what left is none", hint=_DAMAGED)


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def sha256(content: bytes) -> str:
    """As hex."""
    return hashlib.sha256(content).hexdigest()


# Whether the log is whole, and the bytes in it are those that left.


@dataclass(frozen=True, slots=True)
class Verification:
    """What ``verify`` found.

    Attributes:
        entries: how many there are.
        kept: releases whose exact bytes are in the vault.
        forgotten: ids of releases whose bytes are gone, because what went into them was forgotten
            or they were erased. They left; that cannot be undone.
        problems: what is wrong, in words; empty if nothing is.
        notes: what is unusual, in words: times that do not ascend.
    """

    entries: int
    kept: int
    forgotten: tuple[str, ...]
    problems: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify(documents: Documents) -> Verification:
    """Check the chain, its end, and the bytes that are still there against it."""
    found, ends = read_all(documents)
    kept = {document.id: document for document in documents.all(BYTES)}
    left = [entry for entry in found if entry.commitment]
    return Verification(
        entries=len(found),
        kept=sum(entry.id in kept for entry in left),
        forgotten=tuple(entry.id for entry in left if entry.id not in kept),
        problems=(*_chain(found, ends), *_bytes(left, kept)),
        notes=tuple(
            f"the clock was set back before entry {later.number}"
            for earlier, later in itertools.pairwise(found)
            if later.when < earlier.when
        ),
    )


def _chain(found: Sequence[LogEntry], ends: Sequence[Document]) -> Iterator[str]:
    """What is wrong with the order of the entries, or with where the log ends."""
    previous = NOTHING
    for place, entry in enumerate(found, 1):
        if entry.number != place or entry.previous != previous:
            yield f"entry {entry.number} does not follow the one before it"
        previous = entry.hash
    if len(ends) != (1 if found else 0):
        yield f"{len(ends)} documents say where the log ends"
    elif found:
        content = parsed(ends[0])
        if (content["count"], content["last"]) != (len(found), previous):
            count = content["count"]
            yield f"the log ends after {len(found)} entries, and should after {count}"


def _bytes(left: Sequence[LogEntry], kept: Mapping[str, Document]) -> list[str]:
    problems = []
    for entry in left:
        document = kept.get(entry.id)
        if document is not None and (
            sha256(document.content) != entry.commitment
            or len(document.content) - SALT_BYTES != entry.sent
            or document.sources != entry.sources
        ):
            problems.append(f"the bytes of entry {entry.number} are not those that left")
    known = {entry.id for entry in left}
    problems += ["bytes are kept that no entry tells of" for name in kept if name not in known]
    return problems
