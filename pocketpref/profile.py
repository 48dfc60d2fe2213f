"""Profile, scores and status of one person."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from pocketpref.attributes import AttributeBank, Wording
from pocketpref.methods.palm.service import Policies
from pocketpref.personalization import auto_switch
from pocketpref.protocols import MemoryStore
from pocketpref.records import Effort, Learned, Pair
from pocketpref.results import Preference, Profile, ProfileEntry, Scores
from pocketpref.scoring import PairScorer, ScoringModels


def status(store: MemoryStore, recipe: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """Where everything is, in the ``--json`` shape of ``pocketpref status``."""
    efforts = [entry.effort for entry in store.lessons(recipe)]
    return {
        "user": store.user,
        "pairs": store.counts().memories,
        "indexed": len(efforts),
        "in_part": efforts.count(Effort.PARTIAL),
        **about,
    }


def entries(learned: Sequence[Learned]) -> tuple[ProfileEntry, ...]:
    """The attributes that choices speak for, strongest first, each with its memories."""
    evidence: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for entry in learned:
        chosen = entry.selection
        for name, gain in zip(chosen.attributes, chosen.gains, strict=True):
            evidence[name].append((gain, entry.memory_id))
    found_for = [
        ProfileEntry(
            name=name,
            weight=sum(gain for gain, _ in found) / len(learned),
            pairs=tuple(memory_id for _, memory_id in sorted(found, reverse=True)),
        )
        for name, found in evidence.items()
    ]
    return tuple(sorted(found_for, key=lambda e: (-e.weight, e.name)))


def profile(
    store: MemoryStore,
    recipe: str,
    method: str,
    policies: Policies,
    preferences: tuple[Preference, ...] = (),
) -> Profile:
    """What was learned, strongest first, with the memories that speak for each part."""
    learned = store.learned(recipe)
    return Profile(
        entries(learned),
        store.counts().memories,
        len(learned),
        method,
        auto="off" if auto_switch.is_off(store) else "on",
        policy=tuple(policies.words()),
        preferences=preferences,
    )


def score(
    bank: AttributeBank,
    scoring: ScoringModels,
    pair: Pair,
    attributes: Sequence[str] | None = None,
    wording: Wording = "text",
) -> Scores:
    """Anchored margins of single attributes on a pair, without keeping anything.

    Args:
        bank: the attributes.
        scoring: the models that score.
        pair: the pair.
        attributes: names (None: the whole bank).
        wording: inject descriptions ("text") or bare names ("names").

    Raises:
        NotFoundError: an attribute is not in the bank.
        ModelError: the model is missing or failed.
    """
    names = [bank[name].name for name in (bank.names if attributes is None else attributes)]
    model = scoring.scorer()
    scorer = PairScorer(model, pair)
    margins = scorer.margins([bank.block([name], wording) for name in names])
    chosen, rejected = scorer.plain()
    return Scores(
        model=model.name,
        noise=scoring.noise(),
        chosen=chosen,
        rejected=rejected,
        margins=dict(zip(names, margins.tolist(), strict=True)),
    )
