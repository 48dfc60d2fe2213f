"""``evaluate``: does it help this person, or the people of this file?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final

from pocketpref.components import Components
from pocketpref.errors import InputError
from pocketpref.evaluation.cases import Protocol, by_user, cases_of
from pocketpref.evaluation.help import NEWEST, HelpVerdict, predict
from pocketpref.evaluation.likelihood_cache import CachedModel, LikelihoodFile
from pocketpref.evaluation.predictors import CaseEvidence, Predictor
from pocketpref.evaluation.predictors.auto import Auto
from pocketpref.evaluation.predictors.baselines import (
    History,
    Longer,
    Other,
    Placebo,
    Plain,
    Shorter,
)
from pocketpref.evaluation.predictors.bradley_terry import (
    WITH_MODEL,
    WITHOUT_MODEL,
    CrowdPrior,
    FeatureSet,
    Ours,
    Reward,
    shipped,
)
from pocketpref.evaluation.predictors.published import (
    Drift,
    Explained,
    Global,
    Recalled,
    Tailored,
    Weighed,
)
from pocketpref.evaluation.replies import MovedReplies, compare_replies
from pocketpref.evaluation.runner import LEAST_PAIRS, After, ProgressCallback, Report, compare
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.personalization import decisions
from pocketpref.personalization.conditions import Conditions
from pocketpref.personalization.evidence import Evidence as Shown
from pocketpref.personalization.preferences import Preferences
from pocketpref.records import Feedback

# The methods that can be compared, by name.

DEFAULT: Final = (
    *("none", "longer", "shorter", "reward"),
    *("ours-pooled", "ours", "ours-other", "auto"),
)
"""What is compared where nothing is named: each answer is scored once, and no more."""

ALL: Final = (*DEFAULT, "placebo", "other", "drift", "exact", "exact-global", "base")
"""Everything; these score each answer under every attribute, and under a long history."""


class Roster:
    """Makes contestants that share what they compute.

    Further methods (a summary's, an adapter's) join by ``add``.
    """

    def __init__(
        self,
        evidence: CaseEvidence,
        *,
        k: int = 3,
        noise: float = 0.0,
        relevance: float = -1.0,
        shipped: CrowdPrior | None = None,
        thorough: bool = False,
    ) -> None:
        """Build it.

        Args:
            evidence: what the model says.
            k: most attributes of a set (EXACT), and of a placebo's.
            noise: the model's noise floor, nats: EXACT takes no attribute that adds less.
            relevance: cosine below which EXACT injects nothing; -1 always takes the nearest.
            shipped: the prior of "ours" where there is no crowd.
            thorough: let "ours" take what the model says of each attribute and its opposite, if
                that predicts other people better than plain style.
        """
        settings = ExactSettings(k=k, wording=evidence.wording)
        explained = Explained(evidence, Exact(evidence.bank, settings), noise=noise)
        style = FeatureSet(WITHOUT_MODEL)
        features = (style, FeatureSet(WITH_MODEL, evidence)) if thorough else (style,)
        ours = Ours(*features, shipped=shipped)
        pooled = Ours(*features, name="ours-pooled", shipped=shipped, adapt=False)
        self._makers: dict[str, Callable[[], Predictor]] = {
            "none": lambda: Plain(evidence),
            "placebo": lambda: Placebo(evidence, count=k),
            "other": lambda: Other(Global(explained)),
            "longer": Longer,
            "shorter": Shorter,
            "base": lambda: History(evidence),
            "drift": lambda: Drift(evidence),
            "reward": lambda: Reward(FeatureSet(("style", "likelihood"), evidence)),
            "exact": lambda: Recalled(explained, relevance=relevance),
            "exact-global": lambda: Global(explained),
            "ours": lambda: ours,
            "ours-pooled": lambda: pooled,
            "ours-other": lambda: Other(ours, "ours-other"),
            "ours-style": lambda: Ours(style, name="ours-style"),
            "auto": Auto,
            "palm": Weighed,
        }

    @classmethod
    def of(cls, parts: Components, evidence: CaseEvidence, *, thorough: bool = False) -> Roster:
        """Return all methods for a Pocket's model, Profile-to-PEFT included.

        The shipped prior serves where there are too few people to fit one on the others.
        """
        roster = cls(evidence, noise=parts.noise(), shipped=shipped(), thorough=thorough)
        roster.add(
            Tailored.name,
            lambda: Tailored(evidence, parts.hypernetwork(), parts.embedder, parts.scorer),
        )
        return roster

    @property
    def names(self) -> tuple[str, ...]:
        """What can be compared."""
        return tuple(self._makers)

    def add(self, name: str, make: Callable[[], Predictor]) -> None:
        """Let another method take part."""
        self._makers[name] = make

    def pick(self, names: Sequence[str]) -> list[Predictor]:
        """The methods of these names, in this order.

        Raises:
            InputError: there is no method of a name.
        """
        if any(name not in self._makers for name in names):
            raise InputError(
                "there is no such method to compare", hint=f"methods: {', '.join(self._makers)}"
            )
        return [self._makers[name]() for name in dict.fromkeys(names)]


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
    store = parts.store
    entries = (
        [Feedback(m.pair, store.user, m.created, meta=m.meta) for m in store.memories()]
        if feedback is None
        else list(feedback)
    )
    found, evidence = Report((), {}), None
    # One's own few choices are no error: the verdict says how many are missing.
    if methods and not (own and len(entries) < LEAST_PAIRS):
        model = parts.scorer()
        file = LikelihoodFile.in_folder(cache, parts.recipe()) if cache else None
        evidence = CaseEvidence(CachedModel(model, file), parts.bank)
        picked = Roster.of(parts, evidence, thorough=thorough).pick(methods)
        steps = [
            After(method, count) for method in picked if method.name in LEARNING for count in curve
        ]
        # A choice is about what its file says, else about its prompt.
        cases = cases_of(
            entries,
            parts.embedder(),
            item_of=lambda entry: str(entry.meta.get("item", entry.pair.prompt)),
        )
        if limit is not None:
            cases = [case for theirs in by_user(cases).values() for case in theirs[-limit:]]
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
        off=decisions.is_off(parts.store),
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
