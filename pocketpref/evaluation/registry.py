"""The methods that can be compared, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pocketpref.errors import InputError
from pocketpref.evaluation.predictors.adapters import Weighed
from pocketpref.evaluation.predictors.attributes import Drift, Explained, Global, Recalled
from pocketpref.evaluation.predictors.auto import Auto
from pocketpref.evaluation.predictors.base import CaseEvidence, Predictor
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
)
from pocketpref.methods.exact import Exact, ExactSettings

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
