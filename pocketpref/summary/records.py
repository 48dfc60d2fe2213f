"""The preference summary: a person's preferences in a few words, with the evidence for each.

A summary is a sealed document. It names every memory that had a part in it, so that forgetting any
of them removes it in the same transaction.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Literal, get_args

from pocketpref.errors import TamperedError
from pocketpref.records import Document, RedactedRepr

Written = Literal["template", "model", "edit"]
"""Who wrote a summary: a template from attribute evidence, the local model, or the person."""

KIND: Final = "summary"
"""The kind of document that a summary is kept as."""

_FORM = "summary/1"


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its confidence interval.

    Attributes:
        mean: the estimate.
        low: lower end.
        high: upper end.
    """

    mean: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """As JSON."""
        return {"mean": self.mean, "low": self.low, "high": self.high}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Interval:
        """Read what ``to_dict`` returned.

        Raises:
            KeyError, TypeError, ValueError: it is not in that form.
        """
        numbers = [float(content[name]) for name in ("mean", "low", "high")]
        if not all(map(math.isfinite, numbers)):
            raise ValueError
        return cls(*numbers)


@dataclass(frozen=True, slots=True, repr=False)
class Clause(RedactedRepr):
    """One thing that a summary says.

    Attributes:
        text: how answers should be (or not be), without the words around it.
        topic: where it holds, or "" for everywhere; a name from a fixed list, never the person's
            own words.
        pairs: ids of the memories that speak for it, strongest first.
        attributes: names of attributes whose wording it is; ``not NAME`` for the opposite's.
        avoid: whether it says how answers should not be.
        stated: whether the person said so in their own words.
    """

    text: str
    topic: str = ""
    pairs: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    avoid: bool = False
    stated: bool = False
    _open = ("pairs", "avoid", "stated")

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "text": self.text,
            "topic": self.topic,
            "pairs": list(self.pairs),
            "attributes": list(self.attributes),
            "avoid": self.avoid,
            "stated": self.stated,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Clause:
        """Read what ``to_dict`` returned.

        Raises:
            KeyError, TypeError, ValueError: it is not in that form.
        """
        return cls(
            text=_text(content["text"]),
            topic=_text(content["topic"]),
            pairs=tuple(map(_text, content["pairs"])),
            attributes=tuple(map(_text, content["attributes"])),
            avoid=bool(content["avoid"]),
            stated=bool(content["stated"]),
        )


@dataclass(frozen=True, slots=True, repr=False)
class Summary(RedactedRepr):
    """How a person likes to be answered, in a few words that any model understands.

    Attributes:
        id: of its document; "" before it is kept.
        text: what it says.
        tokens: its length as ``model`` counts.
        language: two letters (ISO 639-1).
        clauses: its parts with the evidence for each.
        margin: mean anchored margin on pairs that it was not written from, nats, with a 90 %
            interval; None for a person's own text that was not measured.
        sources: ids of all memories that had a part in writing or choosing it.
        origin: who wrote it.
        model: fingerprint of the model that it was chosen with.
        recipe: fingerprint of model, embedder, bank and settings.
        created: when (UTC).
        replaced: when another took its place, or None for the one in force.
    """

    id: str
    text: str
    tokens: int
    language: str
    clauses: tuple[Clause, ...]
    margin: Interval | None
    sources: tuple[str, ...]
    origin: Written
    model: str
    recipe: str
    created: datetime
    replaced: datetime | None = None
    _open = ("id", "tokens", "language", "margin", "origin", "created", "replaced")

    def __str__(self) -> str:
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """The ``--json`` shape of ``pocketpref summary``."""
        return {
            "id": self.id,
            "text": self.text,
            "tokens": self.tokens,
            "language": self.language,
            "margin": None if self.margin is None else self.margin.to_dict(),
            "evidence": [clause.to_dict() for clause in self.clauses],
            "sources": list(self.sources),
            "origin": self.origin,
            "model": self.model,
            "created": self.created.isoformat(),
            "replaced": None if self.replaced is None else self.replaced.isoformat(),
        }

    def dump(self) -> bytes:
        """The content of a document, which holds the id and the sources itself."""
        content = self.to_dict()
        del content["id"], content["sources"]
        content |= {"form": _FORM, "recipe": self.recipe}
        return json.dumps(content, ensure_ascii=False, sort_keys=True).encode()

    @classmethod
    def load(cls, document: Document) -> Summary:
        """Read what ``dump`` returned.

        Raises:
            TamperedError: it is not in that form.
        """
        # Raised outside of the handler: the decoder's error holds the text.
        with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError):
            content = json.loads(document.content.decode())
            margin, replaced = content["margin"], content["replaced"]
            if content["form"] == _FORM and content["origin"] in get_args(Written):
                return cls(
                    id=document.id,
                    text=_text(content["text"]),
                    tokens=int(content["tokens"]),
                    language=_text(content["language"]),
                    clauses=tuple(map(Clause.from_dict, content["evidence"])),
                    margin=None if margin is None else Interval.from_dict(margin),
                    sources=document.sources,
                    origin=content["origin"],
                    model=_text(content["model"]),
                    recipe=_text(content["recipe"]),
                    created=_moment(content["created"]),
                    replaced=None if replaced is None else _moment(replaced),
                )
        raise TamperedError(
            "a summary in the vault is not in a form that this version can read",
            hint="it may come from a later version of pocketpref",
        )

    def retired(self, now: datetime) -> Summary:
        """Return the summary as a part of history."""
        return replace(self, replaced=now)


@dataclass(frozen=True, slots=True, repr=False)
class SummaryReport(RedactedRepr):
    """What one call of ``summarize`` did.

    Attributes:
        summary: the one in force now, or None.
        changed: whether this call put it in force, or retired the one before.
        complete: False if the budget ended first; the next call goes on from there.
        reason: why, in words without any text of the person.
        refused: why drafts of the local model were not taken, and how many for each reason.
        pairs: choices that were looked at.
        evaluations: margins that were computed.
        seconds: wall-clock time.
        spent: seconds by kind of work.
        tried: texts that were compared, for evaluation.
        finalists: texts that were judged on choices that they were not written from, what did
            best first: what would have been taken if noise were no matter.
    """

    summary: Summary | None
    changed: bool
    complete: bool
    reason: str
    refused: tuple[tuple[str, int], ...] = ()
    pairs: int = 0
    evaluations: int = 0
    seconds: float = 0.0
    spent: tuple[tuple[str, float], ...] = ()
    tried: tuple[str, ...] = ()
    finalists: tuple[str, ...] = ()
    _open = ("changed", "complete", "reason", "refused", "pairs", "evaluations", "seconds", "spent")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError
    return found.astimezone(UTC)
