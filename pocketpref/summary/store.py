"""Keep summaries, statements and the checkpoint of a search in the vault."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from pocketpref.errors import InputError, NotFoundError, TamperedError
from pocketpref.protocols import Documents, DocumentStore
from pocketpref.records import Document, RedactedRepr
from pocketpref.summary.records import KIND, Clause, Summary

STATEMENT: Final = "statement"
"""The kind of document that a stated preference is kept as."""

_CHECKPOINT = b"search/"
"""Prefix of a search's checkpoint, which has the same kind of document as the summaries."""

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
    """Return all summaries, the oldest first.

    Raises:
        VaultError: they cannot be read.
    """
    with store.documents() as documents:
        return _summaries(documents)


def current(store: DocumentStore) -> Summary | None:
    """Return the summary in force, or None.

    One that was made of a forgotten memory is deleted, and no earlier one takes its place.

    Raises:
        VaultError: it cannot be read.
    """
    with store.documents() as documents:
        return _in_force(documents)


def keep(store: DocumentStore, summary: Summary, instead_of: str | None) -> Summary:
    """Put a summary in force; the one before it becomes history. Return it with its id.

    Raises:
        NotFoundError: a memory that it was made of was forgotten, or the summary that it should
            replace is no longer in force. Nothing was changed.
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
    found = [d for d in documents.all(KIND) if not d.content.startswith(_CHECKPOINT)]
    return [Summary.load(document) for document in found]


# -------------------------------------------------------------------------------- statements


def statements(store: DocumentStore) -> list[Statement]:
    """Return the person's statements, the oldest first.

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
    """Keep a preference in the person's own words. Return its id.

    Args:
        store: of the person.
        text: the preference.
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
            # The same text stated again, or now struck out: the later statement counts.
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
        NotFoundError: no statement has this id.
    """
    with store.changing() as documents:
        if documents.get(STATEMENT, name) is None:
            raise NotFoundError("no stated preference of this id", hint="list them first")
        documents.delete(STATEMENT, name)


def one_line(text: str) -> str:
    """Return a person's text as one line.

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


# -------------------------------------------------------------------------------- checkpoint
#
# Margins take minutes to compute, so those of a stopped search are kept for the next one.


@dataclass(slots=True, repr=False)
class SearchCheckpoint(RedactedRepr):
    """Results of a search so far, so that it resumes where it was stopped.

    Attributes:
        recipe: of the model and the settings; results under another are useless.
        margins: text to memory id to anchored margin, nats.
        estimates: text to memory id to first-order estimate of it.
        drafts: texts of the local model, by a key of the request.
        sources: ids of every memory that had a part in any of it, in earlier runs as well.
        choices: how many choices there were.
    """

    recipe: str
    margins: dict[str, dict[str, float]] = field(default_factory=dict)
    estimates: dict[str, dict[str, float]] = field(default_factory=dict)
    drafts: dict[str, str] = field(default_factory=dict)
    sources: frozenset[str] = frozenset()
    choices: int = 0
    _open = ("recipe", "choices")

    def dump(self) -> bytes:
        """The content of a document, which holds the sources itself."""
        content = {
            "recipe": self.recipe,
            "margins": self.margins,
            "estimates": self.estimates,
            "drafts": self.drafts,
            "choices": self.choices,
        }
        return _CHECKPOINT + json.dumps(content, ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def load(cls, document: Document) -> SearchCheckpoint | None:
        """Read what ``dump`` returned; None if it is not in that form, as it can be made again."""
        with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError):
            content = json.loads(document.content.removeprefix(_CHECKPOINT).decode())
            margins, estimates = (
                {
                    str(text): {str(name): float(value) for name, value in found.items()}
                    for text, found in content.get(kind, {}).items()
                }
                for kind in ("margins", "estimates")
            )
            drafts = {str(key): str(text) for key, text in content["drafts"].items()}
            sources, choices = frozenset(document.sources), int(content["choices"])
            return cls(str(content["recipe"]), margins, estimates, drafts, sources, choices)
        return None

    def only(self, ids: frozenset[str]) -> SearchCheckpoint:
        """Return it without numbers of other memories, and without texts that have none left.

        Texts may still be made of any of the sources.
        """
        margins, estimates = (
            {
                text: left
                for text, found in numbers.items()
                if (left := {name: value for name, value in found.items() if name in ids})
            }
            for numbers in (self.margins, self.estimates)
        )
        return replace(self, margins=margins, estimates=estimates, sources=self.sources | ids)


def read_checkpoint(store: DocumentStore, recipe: str) -> SearchCheckpoint:
    """Return the checkpoint of a search under this recipe, or an empty one.

    Raises:
        VaultError: it cannot be read.
    """
    found = last_checkpoint(store)
    return found if found is not None and found.recipe == recipe else SearchCheckpoint(recipe)


def last_checkpoint(store: DocumentStore) -> SearchCheckpoint | None:
    """Return the checkpoint of the last search under any recipe, or None.

    Raises:
        VaultError: they cannot be read.
    """
    with store.documents() as documents:
        return next(filter(None, map(SearchCheckpoint.load, _checkpoints(documents))), None)


def write_checkpoint(store: DocumentStore, notes: SearchCheckpoint, ids: frozenset[str]) -> bool:
    """Keep a checkpoint in place of older ones; it is deleted with the first source forgotten.

    Args:
        store: of the person.
        notes: the checkpoint.
        ids: the memories looked at; margins of others are dropped.

    Returns:
        False if a source was forgotten meanwhile: nothing is kept then.
    """
    kept = notes.only(ids)
    with suppress(NotFoundError), store.changing() as documents:
        for document in _checkpoints(documents):
            documents.delete(KIND, document.id)
        documents.insert(KIND, kept.dump(), sorted(kept.sources))
        return True
    return False


def _checkpoints(documents: Documents) -> list[Document]:
    return [d for d in documents.all(KIND) if d.content.startswith(_CHECKPOINT)]
