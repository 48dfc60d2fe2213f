"""Where summaries are kept: the one in force, those before it, and what the person stated."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pocketpref.errors import InputError, NotFoundError, TamperedError
from pocketpref.protocols import Documents, DocumentStore
from pocketpref.records import Document, RedactedRepr
from pocketpref.summary.checkpoint import _NOTES
from pocketpref.summary.records import KIND, Clause, Summary

STATEMENT: Final = "statement"
"""The kind of document that a stated preference is kept as."""

MOST_CHARACTERS = 500
"""Longest text of a statement or an edited summary; a summary has 64 tokens by default."""


@dataclass(frozen=True, slots=True, repr=False)
class Statement(RedactedRepr):
    """A preference in the person's own words.

    Attributes:
        id: of its document.
        text: what they said.
        wanted: False for something that they struck out of a summary.
        created: when (UTC).
        sources: memories that the words came from, if they were taken out of a summary.
        program: the assistant that reported it; "" if the person stated it themselves.
    """

    id: str
    text: str
    wanted: bool
    created: datetime
    sources: tuple[str, ...] = ()
    program: str = ""
    _open = ("id", "wanted", "created", "sources", "program")

    @property
    def clause(self) -> Clause:
        """As a clause of a summary."""
        return Clause(self.text, stated=True)


def history(store: DocumentStore) -> list[Summary]:
    """All summaries there are, the oldest first.

    Raises:
        VaultError: they cannot be read.
    """
    with store.documents() as documents:
        return _summaries(documents)


def current(store: DocumentStore) -> Summary | None:
    """The summary in force, or None.

    One that was made of something forgotten is gone; none before it takes its place.

    Raises:
        VaultError: it cannot be read.
    """
    with store.documents() as documents:
        return _in_force(documents)


def keep(store: DocumentStore, summary: Summary, instead_of: str | None) -> Summary:
    """Put a summary in force; the one before it becomes history. Returns it with its id.

    Raises:
        NotFoundError: a memory that it was made of was forgotten, or the summary that it was to
            replace is no longer the one in force. Nothing was changed.
    """
    with store.changing() as documents:
        _retire(documents, instead_of, summary.created)
        name = documents.insert(KIND, summary.dump(), summary.sources)
    return replace(summary, id=name)


def retire(store: DocumentStore, name: str) -> None:
    """Make the summary in force a part of history, with none in its place.

    Raises:
        NotFoundError: it is no longer the one in force.
    """
    with store.changing() as documents:
        _retire(documents, name, datetime.now(UTC))


def _retire(documents: Documents, name: str | None, now: datetime) -> None:
    before = _in_force(documents)
    if (before.id if before else None) != name:
        raise NotFoundError("the summary was changed meanwhile", hint="make it anew")
    if before is not None:
        documents.put(KIND, before.id, before.retired(now).dump(), before.sources)


def _in_force(documents: Documents) -> Summary | None:
    return next((s for s in reversed(_summaries(documents)) if s.replaced is None), None)


def _summaries(documents: Documents) -> list[Summary]:
    found = [d for d in documents.all(KIND) if not d.content.startswith(_NOTES)]
    return [Summary.load(document) for document in found]


# -------------------------------------------------------------------------------- statements


def statements(store: DocumentStore) -> list[Statement]:
    """What the person stated, the oldest first.

    Raises:
        VaultError: it cannot be read.
    """
    with store.documents() as documents:
        return [_statement(document) for document in documents.all(STATEMENT)]


def state(
    store: DocumentStore,
    text: str,
    *,
    wanted: bool = True,
    sources: tuple[str, ...] = (),
    when: datetime | None = None,
    program: str = "",
) -> str:
    """Keep a preference in the person's own words. Returns its id.

    Args:
        store: whose.
        text: what they said.
        wanted: False if it must not be said of them.
        sources: memories that the words came from.
        when: it was said; None means now.
        program: the assistant that reports it; "" if the person states it themselves. It never
            replaces what the person said in the same words, or struck out.

    Raises:
        InputError: it is empty or too long.
        NotFoundError: one of the sources was forgotten.
    """
    line = one_line(text)
    said = (when or datetime.now(UTC)).isoformat()
    with store.changing() as documents:
        found = [_statement(d) for d in documents.all(STATEMENT)]
        same = [other for other in found if other.text.casefold() == line.casefold()]
        own = next((other for other in same if not other.program), None)
        if program and own is not None:
            return own.id
        for other in same:
            # Said again, or said otherwise: the later statement stands.
            documents.delete(STATEMENT, other.id)
        content = {"text": line, "wanted": wanted, "created": said}
        if program:
            content["program"] = program
        return documents.insert(
            STATEMENT, json.dumps(content, ensure_ascii=False).encode(), sources
        )


def unstate(store: DocumentStore, name: str) -> None:
    """Take a statement back.

    Raises:
        NotFoundError: there is none of this id.
    """
    with store.changing() as documents:
        if documents.get(STATEMENT, name) is None:
            raise NotFoundError("no stated preference of this id", hint="list them first")
        documents.delete(STATEMENT, name)


def one_line(text: str) -> str:
    """A person's text as one line.

    Raises:
        InputError: it is empty or too long.
    """
    line = " ".join(text.split())
    if not line:
        raise InputError("the text is empty", hint="say how you like to be answered")
    if len(line) > MOST_CHARACTERS or not line.isprintable():
        raise InputError(
            f"the text must be printable and have at most {MOST_CHARACTERS} characters",
            hint="a few short sentences do",
        )
    return line


def _statement(document: Document) -> Statement:
    # Raised outside of the handler: the decoder's error holds the text.
    with suppress(KeyError, TypeError, ValueError, RecursionError):
        content = json.loads(document.content.decode())
        text, wanted = content["text"], content["wanted"]
        created = datetime.fromisoformat(content["created"])
        program = content.get("program", "")
        fits = isinstance(text, str) and isinstance(wanted, bool) and isinstance(program, str)
        if fits and created.tzinfo is not None:
            return Statement(document.id, text, wanted, created, document.sources, program)
    raise TamperedError(
        "a stated preference in the vault is not in a form that this version can read",
        hint="it may come from a later version of pocketpref",
    )
