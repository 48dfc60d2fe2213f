"""Does personalization help this person? A verdict in a sentence, with its reason.

Each later choice of a person is predicted by the posterior from the earlier ones (prequential:
Dawid 1984, "Statistical theory: the prequential approach"), as it was before it was made. Beside it
are the rules that need no learning: always the shorter answer, always the longer one, a coin, and,
where a model scored the answers, the model as it is. Sums of log-probabilities grow with the number
of tokens and so favour short answers, whoever is asked: the model is read per token as well, and a
verdict never rests on a sum.

It confirms and warns; it is no gate: nothing is switched on or off by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from pocketpref.evaluation.predictors import CaseEvidence as Scored
from pocketpref.evaluation.predictors.auto import BY_TOPIC, learn
from pocketpref.evaluation.replies import MovedReplies
from pocketpref.evaluation.runner import credited
from pocketpref.personalization.evidence import Evidence, differences_of
from pocketpref.personalization.measures import MEASURES
from pocketpref.personalization.topics import find_topics
from pocketpref.protocols import EmbedderLoader
from pocketpref.records import Matrix64, Pair, RedactedRepr, Vector

if TYPE_CHECKING:
    from pocketpref.evaluation.runner import Outcomes

FIRST: Final = 3
"""Choices that are learned from before one is predicted."""

LEAST: Final = 5
"""Predictions from which a verdict is given: 5 of 5 right is beyond luck, 4 of 4 hardly."""

NEWEST: Final = 60
"""Choices that are predicted at most, the newest."""

_GROWTH: Final = 1.1
"""Growth of the earlier choices after which they are learned from again, at about 30 ms each time:
a choice more among thirty changes little."""

_NORMAL: Final = 1.959964  # quantile of a 95 % interval

_RULES: Final = {
    "shorter": "always taking the shorter one",
    "longer": "always taking the longer one",
    "coin": "a coin",
    "model": "the model as it is",
    "model, per token": "the model as it is, per token,",
}
"""What a person's choices are compared with, in words."""

SWITCH_OFF: Final = "Switch it off with `pocketpref eval --switch off`."

Answer = Literal["yes", "no", "not shown", "too few"]


@dataclass(frozen=True, slots=True, repr=False)
class HelpVerdict(RedactedRepr):
    """Whether personalization helps one person, and why.

    Attributes:
        choices: that the person made, each counted once.
        asked: later choices that were predicted from the earlier ones.
        prompts: distinct prompts of these: choices about one prompt are alike.
        predicted: how many were predicted rightly, a tie a half.
        rivals: how many each rule without learning predicts rightly, by name.
        likes: what a model is told about the person, in names for people; texts of the person's
            own are not among them.
        stated: whether a model is told what the person stated.
        replies: what generated replies showed; None if none were asked for.
        off: whether the person switched personalization off.
    """

    choices: int
    asked: int = 0
    prompts: int = 0
    predicted: float = 0.0
    rivals: Mapping[str, float] = field(default_factory=dict)
    likes: tuple[str, ...] = ()
    stated: bool = False
    replies: MovedReplies | None = None
    off: bool = False
    _open = ("choices", "asked", "prompts", "predicted", "rivals", "off")

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share predicted rightly (Wilson 1927)."""
        if not self.prompts:
            return 0.0, 1.0
        share, n, z = self.predicted / self.asked, self.prompts, _NORMAL
        middle = (share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
        return middle - half, middle + half

    @property
    def answer(self) -> Answer:
        """The verdict in a word."""
        replies = self.replies
        if replies is not None and replies.hurt:
            return "no"
        if self.prompts < LEAST:
            return "too few"
        low, high = self.interval
        if high < 0.5:
            return "no"
        follows = replies is None or replies.moved
        told = bool(self.likes) or self.stated
        return "yes" if low > 0.5 and told and follows else "not shown"

    def words(self) -> str:
        """Return the verdict and its reason, a few sentences for people."""
        if self.answer == "too few":
            missing = LEAST - self.prompts
            if self.choices + missing < FIRST + LEAST:
                missing = FIRST + LEAST - self.choices
            verb = "is" if missing == 1 else "are"
            about = ", about other questions," if self.choices >= FIRST + LEAST else ""
            said = f"You have made too few choices to tell: {missing} more{about} {verb} needed."
        elif self.prompts < LEAST:
            said = "No."
        else:
            said = f"{self.answer.capitalize()}: {self._reason()}"
        sentences = [said]
        if self.replies is not None:
            sentences.append(self.replies.words())
        if self.off:
            sentences.append("Personalization is switched off.")
        elif self.answer == "no":
            sentences.append(SWITCH_OFF)
        return " ".join(sentences)

    def _reason(self) -> str:
        found = self._predictions()
        told = (*self.likes, "what you stated") if self.stated else self.likes
        if self.answer == "yes":
            listed = " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
            return f"{listed} {'help' if self.likes else 'helps'} you. {found}."
        low, high = self.interval
        if high < 0.5:
            return f"{found}. That is fewer than by luck."
        if low <= 0.5:
            return (
                f"{found}. That may be luck{'' if told else ', and replies are left as they are'}."
            )
        if self.answer == "no":
            return f"{found}, but the replies get worse."
        lacking = "the replies do not follow" if told else "nothing is sure enough to be used"
        return f"{found}, but {lacking}."

    def _predictions(self) -> str:
        """Say how many choices were predicted, and how many the best rule predicts."""
        right = _number(self.predicted)
        verb = "was" if right == "1" else "were"
        # A sum is no rival: it favours one length, whatever it says.
        rules = {name: self.rivals[name] for name in self.rivals if name not in {"coin", "model"}}
        best = max(rules, key=lambda name: rules[name], default="coin")
        as_many = rules and rules[best] == self.predicted
        said = f"{_RULES[best]} predicts {_number(self.rivals[best])}{' too' if as_many else ''}"
        coin = "" if best == "coin" else f", a coin {_number(self.rivals['coin'])}"
        return (
            f"{right} of your {self.asked} later choices {verb} predicted from the earlier ones; "
            f"{said}{coin}"
        )

    def to_dict(self) -> dict[str, Any]:
        """The ``help`` of the ``--json`` shape of ``pocketpref eval``."""
        low, high = self.interval
        return {
            "answer": self.answer,
            "words": self.words(),
            "choices": self.choices,
            "asked": self.asked,
            "predicted": self.predicted,
            "low": low,
            "high": high,
            "rivals": dict(self.rivals),
            "likes": list(self.likes),
            "off": self.off,
            "replies": None if self.replies is None else self.replies.to_dict(),
        }


def _number(count: float) -> str:
    return f"{count:.1f}".removesuffix(".0")


def predict(
    shown: Sequence[Evidence],
    *,
    embedder: EmbedderLoader | None = None,
    scored: Scored | None = None,
) -> HelpVerdict:
    """Predict each later choice of a person from the earlier ones.

    Earlier are choices about other prompts: one of the same prompt often has the same answers. A
    choice that was made before word for word is not asked about again.

    Args:
        shown: what the person showed, in any order; what is no pair is passed over.
        embedder: loads what tells topics apart, where taste differs by topic; None: one taste.
        scored: what the plain model says, for its figures beside the others.

    Raises:
        ModelError: the model or the embedder failed.
    """
    pairs = [one for one in shown if one.better is not None and one.worse is not None]
    ordered = sorted(pairs, key=lambda one: one.created)
    unique = list({(e.prompt, e.better, e.worse): e for e in reversed(ordered)}.values())[::-1]
    places = [
        place
        for place, one in enumerate(unique)
        if sum(other.prompt != one.prompt for other in unique[:place]) >= FIRST
    ][-NEWEST:]
    measured: dict[str, Matrix64] = {}
    vectors = _vectors_by_topic(unique, embedder, measured) if embedder is not None else None
    scores: list[float] = []
    known: list[int] = []  # what was learned from last
    for place in places:
        one = unique[place]
        earlier = [at for at in range(place) if unique[at].prompt != one.prompt]
        stale = len(earlier) > _GROWTH * len(known)
        if stale or any(unique[at].prompt == one.prompt for at in known):
            known = earlier
            past = [unique[at] for at in known]
            odds = learn(past, None if vectors is None else vectors[known], measured)
        scores.append(odds(_pair(one), None if vectors is None else vectors[place]))
    asked = [_pair(unique[place]) for place in places]
    return HelpVerdict(
        choices=len(unique),
        asked=len(asked),
        prompts=len({pair.prompt for pair in asked}),
        predicted=float(credited(scores).sum()),
        rivals=_rivals(asked, measured, scored),
    )


def _pair(one: Evidence) -> Pair:
    return Pair(one.prompt, str(one.better), str(one.worse))


def _vectors_by_topic(
    shown: Sequence[Evidence], embedder: EmbedderLoader, measured: dict[str, Matrix64]
) -> Vector | None:
    """Embed the prompts, if taste differs by topic: else they would cost time and tell nothing."""
    if len(shown) <= FIRST + LEAST:
        return None
    numbers = differences_of(shown, measured=measured)
    vectors = embedder().embed([one.prompt for one in shown])
    found = find_topics(vectors, numbers.features, numbers.counts)
    return vectors if found.by_topic >= BY_TOPIC else None


def _rivals(
    asked: Sequence[Pair], measured: Mapping[str, Matrix64], scored: Scored | None
) -> dict[str, float]:
    length = MEASURES.index("length")
    longer = [measured[pair.chosen][length] - measured[pair.rejected][length] for pair in asked]
    found = {"shorter": [-each for each in longer], "longer": longer, "coin": [0.0] * len(asked)}
    if scored is not None and asked:
        totals, means = np.array([scored.plain(pair) for pair in asked]).T
        found |= {"model": totals.tolist(), "model, per token": means.tolist()}
    return {name: float(credited(each).sum()) for name, each in found.items()}


def sum_up(outcomes: Sequence[Outcomes]) -> str:
    """Return a sentence about the people of a comparison, or "" where "auto" took no part.

    What people's own choices teach is compared with the best rule that needs none of them, on the
    same held-out choices; the model is read per token.
    """
    found = {each.method: each for each in outcomes}  # learning curves have names of their own
    reading = {"shorter": "absolute", "longer": "absolute", "none": "absolute_mean"}
    rules = [name for name in reading if name in found]
    if "auto" not in found or not rules:
        return ""
    auto = found["auto"]
    shares = {name: found[name].accuracy(reading[name]).mean for name in rules}
    best = max(rules, key=lambda name: shares[name])
    count = len(set(auto.users))
    rule = _RULES["model, per token" if best == "none" else best].rstrip(",")
    said = (
        f"of {len(auto.users):,} later choices of {'1 person' if count == 1 else f'{count} people'}"
        f", {auto.accuracy('absolute').mean:.0%} are predicted from their own earlier ones, "
        f"{shares[best]:.0%} by {rule}."
    )
    gained = auto.above(found[best], reading[best])
    if math.isnan(gained.low):
        return f"{said[0].upper()}{said[1:]}"
    if gained.low > 0:
        return f"Yes: {said}"
    return f"{'No' if gained.high < 0 else 'Not shown'}: {said}"
