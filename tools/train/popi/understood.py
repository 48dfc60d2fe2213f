"""Which wordings of a style a generator follows: measured before anybody is trained by it.

An answer in a style is compared with the same answer without it (or in another of its axis). A
wording is understood if under it the generator favours the first by more than without it, and by
more than under as many words that say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pocketpref.records import Pair
from pocketpref.summary.records import Clause
from pocketpref.summary.wording import NEUTRAL, render

from ..people import Answered
from ..styles import AXES, written
from .reward import Frame, Reward

_PLACEBO = " ".join(NEUTRAL.split()[:14]) + "."


def understood(
    answers: Sequence[Answered],
    reward: Reward,
    pairs: int,
    on_progress: Callable[[str], None] = lambda name: None,
) -> dict[str, dict[str, dict[str, float]]]:
    """For each option and each of its wordings: margin, margin above the placebo, share above 0.

    The last wording of an option is left out: it is kept for people who are judged on.

    Args:
        answers: of the base, to prompts that are trained on.
        reward: whose generator is asked.
        pairs: how many answers each option is tried on.
        on_progress: told what is being measured.
    """
    found = {}
    for place, (axis, option) in enumerate((a, o) for a, os in AXES.items() for o in os):
        on_progress(option)
        random = np.random.default_rng(place)
        places = random.permutation(len(answers))[:pairs]
        tried = [_pair(answers[i], axis, option, random) for i in places]
        found[option] = _measured(tried, AXES[axis][option].said[:-1], reward)
    return found


def _measured(
    pairs: Sequence[Pair], said: Sequence[str], reward: Reward
) -> dict[str, dict[str, float]]:
    frames = [Frame(render([Clause(words)])) for words in said]
    margins = reward.margins([*frames, Frame(_PLACEBO)], pairs)
    return {
        words: {
            "margin": float(margins[n].mean()),
            "above_placebo": float((margins[n] - margins[-1]).mean()),
            "error": float(margins[n].std(ddof=1) / np.sqrt(len(pairs))),
            "right": float((margins[n] > 0).mean()),
        }
        for n, words in enumerate(said)
    }


def _pair(one: Answered, axis: str, option: str, random: np.random.Generator) -> Pair:
    """An answer in a style, and the same without it or in another option of the axis."""
    away = [name for name in AXES[axis] if name != option]
    other = {axis: str(random.choice(away))} if away and random.random() < 0.5 else {}
    number = int(random.integers(1 << 16))
    texts = [written(one.answer, style, number) for style in ({axis: option}, other)]
    if texts[0] == texts[1]:
        texts[1] = f"{texts[1]} {one.answer}"
    return Pair(one.prompt.text, *texts)


def usable(measured: Mapping[str, Any], least: float = 0.0) -> dict[str, dict[str, float]]:
    """The wordings that summaries are composed of: those that are understood."""
    return {
        option: {
            words: values["margin"]
            for words, values in wordings.items()
            if min(values["margin"], values["above_placebo"]) > least
        }
        for option, wordings in measured.items()
    }
