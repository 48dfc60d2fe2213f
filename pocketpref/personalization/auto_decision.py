"""What is applied for a person, and why: decided on their own choices, and kept in their vault.

A verdict is a sealed document. It names the memories that it was made of, so that forgetting any
of them removes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, Literal

from pocketpref.errors import TamperedError
from pocketpref.protocols import DocumentStore
from pocketpref.summary import store as summary_store

KIND: Final = "verdict"
"""The kind of document that a verdict is kept as."""

Applied = Literal["exact", "popi", "none"]

METHOD_LABELS: Final = {
    "none": "the model as it is",
    "exact": "what you liked for similar prompts",
    "longer": "the longer answer",
    "ours-pooled": "what people have in common",
    "ours": "what people have in common, adapted to you",
    "drift": "a weight for each attribute",
}
"""What methods go by, in words for people."""


@dataclass(frozen=True, slots=True)
class AutoDecision:
    """What was decided for one person, and why.

    Attributes:
        method: the name of the method that is applied, "none" for nothing.
        accuracies: cross-validated on the person's past, "none" among them.
        pairs: how many choices that is.
        chance: how likely luck alone does as well as the best candidate.
    """

    method: str
    accuracies: Mapping[str, float]
    pairs: int
    chance: float

    def words(self) -> str:
        """For people."""
        if not self.accuracies:
            few = "there are too few choices to test anything on"
            if self.method == "none":
                return f"nothing is applied: {few}"
            return f"{self.method} is applied, as it helps other people: {few}"
        plain = self.accuracies["none"]
        best = max(
            (name for name in self.accuracies if name != "none"),
            key=lambda name: self.accuracies[name],
        )
        tested = f"of {self.pairs} past choices, each predicted from the others"
        if self.method != "none":
            return (
                f"{_named(self.method)} is right in {self.accuracies[self.method]:.0%} "
                f"{tested}, the model as it is in {plain:.0%}: {self.method} is applied"
            )
        return (
            f"nothing is applied: {_named(best)} is right in {self.accuracies[best]:.0%} {tested}, "
            f"the model as it is in {plain:.0%}, and the difference may be luck"
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "method": self.method,
            "accuracies": dict(self.accuracies),
            "pairs": self.pairs,
            "chance": self.chance,
            "why": self.words(),
        }


def _named(method: str) -> str:
    return f"{method} ({METHOD_LABELS[method]})" if method in METHOD_LABELS else method


def keep(store: DocumentStore, verdict: AutoDecision, recipe: str, sources: Sequence[str]) -> None:
    """Keep a verdict in place of the one before it.

    Args:
        store: whose.
        verdict: what was decided.
        recipe: of what was tested; under another one the verdict says nothing.
        sources: ids of the memories that it was decided on.

    Raises:
        NotFoundError: one of them was forgotten meanwhile; nothing was changed.
        VaultError: it cannot be kept.
    """
    content = json.dumps(verdict.to_dict() | {"recipe": recipe}).encode()
    with store.changing() as documents:
        for before in documents.all(KIND):
            documents.delete(KIND, before.id)
        documents.insert(KIND, content, sources)


def current(store: DocumentStore, recipe: str) -> AutoDecision | None:
    """The verdict under this recipe, or None if nothing was tested, or something forgotten since.

    Raises:
        VaultError: it cannot be read.
    """
    with store.documents() as documents:
        kept = [_load(document.content) for document in documents.all(KIND)]
    return next((verdict for verdict, under in reversed(kept) if under == recipe), None)


def applied(store: DocumentStore, recipe: str) -> Applied:
    """What "auto" puts before the model for this person.

    Recalled attributes, if the person's own choices speak for them; else the summary in force, if
    it was found to help on choices that it was not written from; else nothing.
    """
    verdict = current(store, recipe)
    if verdict is not None and verdict.method == "exact":
        return "exact"
    summary = summary_store.current(store)
    helps = summary is not None and summary.margin is not None and summary.margin.low > 0
    return "popi" if helps else "none"


def _load(content: bytes) -> tuple[AutoDecision, str]:
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        values = json.loads(content)
        accuracies = {str(name): float(share) for name, share in values["accuracies"].items()}
        verdict = AutoDecision(
            str(values["method"]), accuracies, int(values["pairs"]), float(values["chance"])
        )
        sound = all(map(math.isfinite, (*accuracies.values(), verdict.chance)))
        if sound and (not accuracies or "none" in accuracies):
            return verdict, str(values["recipe"])
    raise TamperedError("a verdict in the vault is none", hint="run `pocketpref eval` again")
