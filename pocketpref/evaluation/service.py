"""``evaluate``: does it help this person, or the people of this file?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from pocketpref.components import Components
from pocketpref.evaluation.cases import Protocol, by_user, cases_of
from pocketpref.evaluation.help import NEWEST, HelpVerdict, predict
from pocketpref.evaluation.likelihood_cache import CachedModel, LikelihoodFile
from pocketpref.evaluation.predictors.adapters import Tailored
from pocketpref.evaluation.predictors.base import Case, CaseEvidence
from pocketpref.evaluation.predictors.bradley_terry import shipped
from pocketpref.evaluation.registry import DEFAULT, Roster
from pocketpref.evaluation.replies import MovedReplies, compare_replies
from pocketpref.evaluation.runner import LEAST_PAIRS, After, ProgressCallback, Report, compare
from pocketpref.personalization import auto_switch
from pocketpref.personalization.conditions import Conditions
from pocketpref.personalization.evidence import Evidence as Shown
from pocketpref.personalization.preferences import Preferences
from pocketpref.protocols import MemoryStore
from pocketpref.records import Feedback

LEARNING: Final = ("drift", "reward", "exact", "exact-global", "ours", "auto")
"""Methods that have learning curves."""


def evaluate(
    parts: Components,
    feedback: Iterable[Feedback] | None = None,
    *,
    preferences: Preferences,
    conditions: Conditions,
    methods: Sequence[str] = DEFAULT,
    generate: int = 0,
    protocol: Protocol = "shuffled",
    seeds: int = 3,
    limit: int | None = None,
    thorough: bool = False,
    curve: Sequence[int] = (),
    cache: Path | None = None,
    on_progress: ProgressCallback = lambda done, of: None,
) -> Report:
    """Say whether it helps, and compare methods on held-out choices.

    Args:
        parts: what a Pocket works with.
        feedback: choices of one or many people; None for those that this user's vault keeps, about
            which there is a verdict (``Report.help``).
        preferences: what is known of this user.
        conditions: puts it before the model.
        methods: their names, in the order of the report; () compares none and needs no model.
        generate: let the model answer this many prompts with and without what is known of the
            person (4 take a minute or more on two cores); for the person's own choices only.
        protocol: "shuffled" or "ordered" (see ``compare``).
        seeds: random splits of each person.
        limit: the newest choices of each person that take part in the comparison; None for all.
        thorough: let "ours" use what the model says of each attribute.
        curve: numbers of past choices after which the methods that learn are asked, too.
        cache: a folder that likelihoods are kept in, for a later call to go on from. It holds
            hashes of what was scored; None keeps nothing.
        on_progress: told of every split that is done, then of every generated reply.

    Raises:
        InputError: a method is unknown, or nobody in the file has enough choices.
        ModelError: a model is missing or failed.
        FileError: the cache cannot be used.
    """
    own = feedback is None
    entries = list(_remembered(parts.store) if feedback is None else feedback)
    found, evidence = Report((), {}), None
    # One's own few choices are no error: the verdict says how many are missing.
    if methods and not (own and len(entries) < LEAST_PAIRS):
        model = parts.scorer()
        file = _likelihoods(cache, parts.recipe()) if cache else None
        evidence = CaseEvidence(CachedModel(model, file), parts.bank)
        picked = _roster(parts, evidence, thorough=thorough).pick(methods)
        steps = [
            After(method, count) for method in picked if method.name in LEARNING for count in curve
        ]
        cases = _newest(cases_of(entries, parts.embedder(), item_of=_item), limit)
        found = compare(
            cases, [*picked, *steps], protocol=protocol, seeds=seeds, on_progress=on_progress
        )
        found = replace(found, protocol={"model": model.name, **found.protocol})
    if not own:
        return found
    verdict = helps(parts, preferences, evidence if "none" in methods else None)
    if generate:
        moved = _moved(parts, preferences, conditions, generate, on_progress)
        verdict = replace(verdict, replies=moved)
    return replace(found, help=verdict)


def helps(
    parts: Components, preferences: Preferences, scored: CaseEvidence | None = None
) -> HelpVerdict:
    """Say whether personalization helps this person, from their choices alone.

    Args:
        parts: what a Pocket works with.
        preferences: what is known of the person.
        scored: what the plain model says of answers, for its figures; None asks no model.

    Raises:
        ModelError: the embedder is missing or failed where taste differs by topic.
        VaultError: the vault cannot be read.
    """
    newest = islice(parts.store.memories(), 4 * NEWEST)
    shown = [Shown.of_memory(memory) for memory in newest]
    said = preferences.words()
    learned = [clause.belief for clause in said.clauses if clause.belief is not None]
    return replace(
        predict(shown, embedder=parts.embedder, scored=scored),
        likes=tuple(
            preferences.dimensions[belief.dimension].pole(belief.pole).label for belief in learned
        ),
        stated=len(learned) < len(said.clauses),
        off=auto_switch.is_off(parts.store),
    )


def _moved(
    parts: Components,
    preferences: Preferences,
    conditions: Conditions,
    count: int,
    on_progress: ProgressCallback,
) -> MovedReplies:
    return compare_replies(
        parts.model(),
        [memory.pair.prompt for memory in islice(parts.store.memories(), NEWEST)],
        preferences.words,
        lambda prompt: conditions.instructed(prompt, None, ()).messages,
        preferences.dimensions,
        count=count,
        on_progress=on_progress,
    )


def _roster(parts: Components, evidence: CaseEvidence, *, thorough: bool) -> Roster:
    # Where there are enough people a prior is fitted on the others; else there is one that comes
    # along.
    roster = Roster(evidence, noise=parts.noise(), shipped=shipped(), thorough=thorough)
    roster.add(
        Tailored.name,
        lambda: Tailored(evidence, parts.hypernetwork(), parts.embedder, parts.scorer),
    )
    return roster


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
