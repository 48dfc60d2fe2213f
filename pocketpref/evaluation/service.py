"""``evaluate``: does it help this person, or the people of this file?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from pocketpref.components import Components
from pocketpref.evaluation.auto_decision import decide
from pocketpref.evaluation.cases import Protocol, by_user, cases_of
from pocketpref.evaluation.likelihood_cache import CachedModel, LikelihoodFile
from pocketpref.evaluation.predictors.adapters import Tailored
from pocketpref.evaluation.predictors.base import Case, Evidence
from pocketpref.evaluation.registry import DEFAULT, Roster
from pocketpref.evaluation.runner import After, ProgressCallback, Report, compare
from pocketpref.methods.reranking.bradley_terry import shipped
from pocketpref.protocols import MemoryStore
from pocketpref.records import Feedback

LEARNING: Final = ("drift", "reward", "exact", "exact-global", "ours", "auto")
"""Methods that have learning curves."""


def evaluate(
    parts: Components,
    feedback: Iterable[Feedback] | None = None,
    *,
    methods: Sequence[str] = DEFAULT,
    protocol: Protocol = "shuffled",
    seeds: int = 3,
    limit: int | None = None,
    thorough: bool = False,
    curve: Sequence[int] = (),
    cache: Path | None = None,
    on_progress: ProgressCallback = lambda done, of: None,
) -> Report:
    """Compare methods on held-out choices.

    If "auto" is among the methods and the choices are the person's own, it is also decided, and
    kept in their vault, what ``personalize(method="auto")`` applies from now on.

    Args:
        parts: what a Pocket works with.
        feedback: choices of one or many people; None for those that this user's vault keeps.
        methods: their names, in the order of the report.
        protocol: "shuffled" or "ordered" (see ``compare``).
        seeds: random splits of each person.
        limit: the newest choices of each person that take part; None for all.
        thorough: let "ours" and "auto" use what the model says of each attribute.
        curve: numbers of past choices after which the methods that learn are asked, too.
        cache: a folder that likelihoods are kept in, for a later call to go on from. It holds
            hashes of what was scored; None keeps nothing.
        on_progress: told of every split that is done.

    Raises:
        InputError: a method is unknown, or nobody has enough choices.
        ModelError: a model is missing or failed.
        FileError: the cache cannot be used.
    """
    own = feedback is None
    feedback = _remembered(parts.store) if feedback is None else feedback
    cases = _newest(cases_of(list(feedback), parts.embedder(), item_of=_item), limit)
    model = parts.scorer()
    file = _likelihoods(cache, parts.recipe()) if cache else None
    evidence = Evidence(CachedModel(model, file), parts.bank)
    # Where there are enough people a prior is fitted on the others; else there is one that comes
    # along.
    roster = Roster(evidence, noise=parts.noise(), shipped=shipped(), thorough=thorough)
    roster.add(
        Tailored.name,
        lambda: Tailored(evidence, parts.hypernetwork(), parts.embedder, parts.scorer),
    )
    picked = roster.pick(methods)
    steps = [
        After(method, count) for method in picked if method.name in LEARNING for count in curve
    ]
    found = compare(
        cases, [*picked, *steps], protocol=protocol, seeds=seeds, on_progress=on_progress
    )
    verdict = decide(parts, on_progress=on_progress) if own and "auto" in methods else None
    return Report(found.outcomes, {"model": model.name, **found.protocol}, verdict)


def _remembered(store: MemoryStore) -> Iterator[Feedback]:
    for memory in store.memories():
        yield Feedback(memory.pair, store.user, memory.created, meta=memory.meta)


def _item(entry: Feedback) -> str:
    """What a choice is about: what its file says, else its prompt."""
    return str(entry.meta.get("item", entry.pair.prompt))


def _newest(cases: Sequence[Case], limit: int | None) -> list[Case]:
    if limit is None:
        return list(cases)
    return [case for theirs in by_user(cases).values() for case in theirs[-limit:]]


def _likelihoods(folder: Path, recipe: str) -> LikelihoodFile:
    folder.mkdir(parents=True, exist_ok=True)
    return LikelihoodFile(folder / f"{recipe[:16]}.likelihoods", recipe)
