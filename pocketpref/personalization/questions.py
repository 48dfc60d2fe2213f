"""Questions that tell most about a person: which pairs of answers to ask about.

A set of questions is worth the information that its answers give about the weights of features,
the mutual information of answers and weights under the posterior:

    I(y_1 ... y_k; w) = H(E_w P(y_1 ... y_k | w)) - E_w H(y_1 ... y_k | w)

(Lindley 1956; for one question: Houlsby, Huszar, Ghahramani and Lengyel 2011, "BALD"; for several:
Kirsch, van Amersfoort and Gal 2019, "BatchBALD"). Questions are picked one by one, each the best
beside those picked, so they differ from one another: asked twice, a question tells little more.
The expectations are means over draws from the posterior with a fixed seed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

import numpy as np

from pocketpref.errors import InputError
from pocketpref.personalization.measures import measures
from pocketpref.personalization.posterior import Posterior
from pocketpref.personalization.prior import Prior, shipped_prior
from pocketpref.records import Matrix64

MOST: Final = 8
"""Most questions that are picked together: each doubles the sets of answers to sum over."""

_DRAWS: Final = 600


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt with two answers, public text written for asking.

    Attributes:
        prompt: what was asked.
        answers: the two answers.
        contrast: what mainly sets them apart.
    """

    prompt: str
    answers: tuple[str, str]
    contrast: str = ""


def bundled_questions() -> tuple[Question, ...]:
    """Return the questions that come with the library (``samples/ATTRIBUTION.md``)."""
    lines = resources.files("pocketpref.samples").joinpath("questions.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in lines.splitlines() if line.strip()]
    return tuple(
        Question(r["prompt"], (r["answers"][0], r["answers"][1]), r["contrast"]) for r in rows
    )


def differences_of_questions(bank: Sequence[Question], prior: Prior | None = None) -> Matrix64:
    """Return features of first minus second answers, shape (questions, features)."""
    prior = prior or shipped_prior()
    first, second = (
        prior.features(np.array([measures(question.answers[side]) for question in bank]))
        for side in (0, 1)
    )
    return np.nan_to_num(first - second)


def pick_questions(
    posterior: Posterior,
    differences: Matrix64,
    count: int = 5,
    *,
    prompts: Sequence[str] | None = None,
    asked: Sequence[int] = (),
) -> tuple[int, ...]:
    """Return the places of the questions whose answers would tell most, the best first.

    To let each answer decide about the next question, pick one at a time from the new posterior.

    Args:
        posterior: what is known so far.
        differences: of the bank's questions, shape (questions, features).
        count: how many, at most `MOST`; fewer come back from a smaller bank.
        prompts: of the questions; no prompt is then asked about twice while others are left.
        asked: places of questions that were asked before.

    Raises:
        InputError: the count is not from 1 to `MOST`.
    """
    if not 1 <= count <= MOST:
        raise InputError("that many questions are not picked", hint=f"from 1 to {MOST}")
    odds = differences @ _draw(posterior).T
    right = np.exp(-np.logaddexp(0.0, -odds))  # shape (questions, draws)
    entropy = _entropy(np.stack([right, 1 - right])).mean(axis=1)
    open_ = [place for place in range(len(differences)) if place not in set(asked)]
    used = {prompts[place] for place in asked} if prompts is not None else set()
    picked: list[int] = []
    joint = np.ones((1, right.shape[1]))  # P(answers so far | draw)
    while open_ and len(picked) < count:
        fresh = [p for p in open_ if prompts is None or prompts[p] not in used] or open_
        gains = []
        for place in fresh:
            sets = np.concatenate([joint * right[place], joint * (1 - right[place])]).mean(axis=1)
            gains.append(float(_entropy(sets)) - entropy[place])
        best = fresh[int(np.argmax(gains))]
        joint = np.concatenate([joint * right[best], joint * (1 - right[best])])
        picked.append(best)
        open_.remove(best)
        if prompts is not None:
            used.add(prompts[best])
    return tuple(picked)


def _draw(posterior: Posterior) -> Matrix64:
    """Return weights drawn from the posterior, the same at every call, shape (draws, features)."""
    drawn = np.random.default_rng(0)
    probabilities = np.exp(posterior.log_probabilities)
    places = drawn.choice(len(probabilities), _DRAWS, p=probabilities / probabilities.sum())
    rows = []
    for place in places:
        root = posterior.roots[place]
        rows.append(posterior.weights[place] + root @ drawn.standard_normal(root.shape[1]))
    return np.array(rows)


def _entropy(probabilities: Matrix64) -> Matrix64:
    """Return the entropy over the first axis, nats."""
    return np.asarray(-(probabilities * np.log(np.maximum(probabilities, 1e-300))).sum(axis=0))
