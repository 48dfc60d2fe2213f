"""A summary that is no longer as it was: edited by the person, or due to be made again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from pocketpref.protocols import LanguageModel, MemoryStore
from pocketpref.records import Message
from pocketpref.summary import checkpoint
from pocketpref.summary import store as summary_store
from pocketpref.summary.checkpoint import SearchCheckpoint
from pocketpref.summary.evidence import is_evidence
from pocketpref.summary.language import prevailing
from pocketpref.summary.objective import PopiSettings
from pocketpref.summary.records import Clause, Summary
from pocketpref.summary.wording import bare, sentences

LEAST_NEW = 8
"""New choices from which on a summary is worth making again, if they are a fifth of the old."""


def recipe(index: str, settings: PopiSettings | None = None) -> str:
    """Return the fingerprint of everything that a summary depends on besides the choices.

    Args:
        index: fingerprint of what decides the index: model, embedder, bank and settings.
        settings: how to search.
    """
    text = f"{index} {(settings or PopiSettings()).fingerprint()}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def stale(store: MemoryStore, index: Callable[[], str]) -> str | None:
    """Return why a summary should be searched for, in words, or None.

    A search that found nothing is not suggested again before there are new choices.

    Args:
        store: the person's part of the vault.
        index: as of ``recipe``, computed only if needed: it loads the embedder.

    Raises:
        ModelError: a model is missing.
        VaultError: the vault cannot be read.
    """
    evidence = [memory.created for memory in store.memories() if is_evidence(memory)]
    present = summary_store.current(store)
    known = _known(checkpoint.last_checkpoint(store), present, evidence)
    if known is None:
        return "there is none yet" if len(evidence) >= PopiSettings().least_pairs else None
    fresh = len(evidence) - known
    if fresh >= max(LEAST_NEW, known // 5):
        return f"{fresh} choices are new"
    if present is not None and present.origin != "edit" and present.recipe != recipe(index()):
        return "it was made with another model or other settings"
    return None


def _known(
    notes: SearchCheckpoint | None, present: Summary | None, choices: Sequence[datetime]
) -> int | None:
    """How many choices there were when a summary was last looked for; None if it never was."""
    if notes is not None:
        return notes.choices
    return None if present is None else sum(moment <= present.created for moment in choices)


def edit(store: MemoryStore, model: LanguageModel, index: str, text: str) -> Summary:
    """Put a person's own text in force as their summary.

    What they added is kept as stated: every later summary says it. What they struck out does not
    come back.

    Args:
        store: the person's part of the vault.
        model: counts the tokens.
        index: as of ``recipe``.
        text: the person's own text.

    Raises:
        InputError: the text is empty or too long.
        ModelError: a model is missing or failed.
        NotFoundError: the summary was changed meanwhile.
    """
    line = summary_store.one_line(text)
    now = datetime.now(UTC)
    before = summary_store.current(store)
    old = before.clauses if before else ()
    said = sentences(line)
    kept = [c for c in old if any(_says(part, c) for part in said)]
    added = [part for part in said if not any(_says(part, c) for c in old)]
    sources = before.sources if before else ()
    tokens = model.likelihoods([[Message(role="user", content=".")]], [line]).tokens
    found = summary_store.keep(
        store,
        Summary(
            id="",
            text=line,
            tokens=int(tokens[0]),
            language=prevailing([line]),
            clauses=(*kept, *(Clause(part, stated=True) for part in added)),
            margin=None,
            sources=sources if kept or _borrowed(line, old) else (),
            origin="edit",
            model=model.fingerprint,
            recipe=recipe(index),
            created=now,
        ),
        before.id if before else None,
    )
    for part in added:
        origin = sources if _borrowed(part, old) else ()
        summary_store.state(store, part, sources=origin, when=now)
    for clause in old:
        if clause not in kept:
            origin = () if clause.attributes else sources
            summary_store.state(store, clause.text, wanted=False, sources=origin, when=now)
    return found


def _says(part: str, clause: Clause) -> bool:
    """Whether a sentence says a clause, word for word."""
    return clause.text.casefold().strip(" .") in bare(part).casefold()


def _borrowed(text: str, clauses: Sequence[Clause]) -> bool:
    """Whether a person's text has words that a model wrote, who had them from the choices.

    The wordings of attributes are public, and what the person stated is theirs.
    """
    theirs = {w for c in clauses if not c.attributes and not c.stated for w in _long_words(c.text)}
    return not theirs.isdisjoint(_long_words(text))


def _long_words(text: str) -> set[str]:
    words = "".join(c if c.isalnum() else " " for c in text.casefold()).split()
    return {word for word in words if len(word) > 3}
