"""Whether the log is whole, and the bytes in it are those that left."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pocketpref.egress.log import BYTES, NOTHING, SALT_BYTES, Entry, parsed, read_all, sha256
from pocketpref.protocols import Documents
from pocketpref.records import Document


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
        problems=(*_chain(found), *_end(found, ends), *_bytes(left, kept)),
        notes=_clock(found),
    )


def _chain(found: Sequence[Entry]) -> list[str]:
    problems, previous = [], NOTHING
    for place, entry in enumerate(found, 1):
        if entry.number != place or entry.previous != previous:
            problems.append(f"entry {entry.number} does not follow the one before it")
        previous = entry.hash
    return problems


def _end(found: Sequence[Entry], ends: Sequence[Document]) -> list[str]:
    if len(ends) != (1 if found else 0):
        return [f"{len(ends)} documents say where the log ends"]
    if not found:
        return []
    content = parsed(ends[0])
    if (content["count"], content["last"]) == (len(found), found[-1].hash):
        return []
    return [f"the log ends after {len(found)} entries, and should after {content['count']}"]


def _bytes(left: Sequence[Entry], kept: Mapping[str, Document]) -> list[str]:
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


def _clock(found: Sequence[Entry]) -> tuple[str, ...]:
    pairs = itertools.pairwise(found)
    return tuple(
        f"the clock was set back before entry {later.number}"
        for earlier, later in pairs
        if later.when < earlier.when
    )
