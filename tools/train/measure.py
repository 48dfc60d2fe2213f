"""What a policy says on prompts it never saw: its traits' rewards, and whether it is fluent."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama import LlamaModel
from pocketpref.methods.palm.traits import rewards, words
from pocketpref.protocols import Embedder
from pocketpref.records import Message

from .base import Tokens
from .sampling import Drawing, Parts, draw

Matrix = NDArray[np.float64]

_GRAM = 4  # words of a phrase that counts as repeated


@dataclass(frozen=True, slots=True)
class Said:
    """One answer and what was measured of it.

    Attributes:
        rewards: one for each trait, in [0, 1].
        words: how many it has.
        ended: whether the model ended it itself.
        repeated: share of its phrases of four words that it had said before.
        surprise: negative log-likelihood under the base without adapter, nats for each token.
    """

    prompt: str
    text: str
    rewards: tuple[float, ...]
    words: int
    ended: bool
    repeated: float
    surprise: float


class Judge:
    """The base without an adapter: it answers for policies that wear one, and reads what they said.

    Attributes:
        path: its GGUF file.
        tokens: its vocabulary.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tokens = Tokens(path)
        self._model = LlamaModel(path, sha256="base")

    def surprise(self, prompt: str, text: str) -> float:
        """Negative log-likelihood of an answer, nats for each token; 0 if it is empty."""
        if not text:
            return 0.0
        asked = [Message(role="user", content=prompt)]
        total = float(self._model.likelihoods([asked], [text]).totals[0, 0])
        return -total / self._model.count_tokens(text)


def repeated_share(text: str) -> float:
    """Share of the phrases of four words that stood in the text before; 0 if it is too short."""
    found = [word.lower() for word in words(text)]
    grams = [tuple(found[i : i + _GRAM]) for i in range(len(found) - _GRAM + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def measure(
    judge: Judge,
    prompts: Sequence[str],
    traits: Sequence[str],
    *,
    how: Drawing,
    parts: Parts,
) -> list[Said]:
    """Let a policy answer, and measure each answer.

    Args:
        judge: the base.
        prompts: held out.
        traits: names of rewards.
        how: the sampling; with one seed all policies meet the same chances.
        parts: adapters of the policy and their scales; none is the base.
    """
    tokens = judge.tokens
    drawn = draw(judge.path, [tokens.prompt(prompt) for prompt in prompts], how, parts=parts)
    found = []
    for prompt, answer in zip(prompts, drawn, strict=True):
        text = tokens.text(answer.tokens).strip()
        found.append(
            Said(
                prompt=prompt,
                text=text,
                rewards=tuple(rewards(text, traits).tolist()),
                words=len(words(text)),
                ended=answer.ended,
                repeated=repeated_share(text),
                surprise=judge.surprise(prompt, text),
            )
        )
    return found


def mean_rewards(said: Sequence[Said]) -> Matrix:
    """Mean of each trait's reward, shape (traits,)."""
    return np.asarray(np.mean([one.rewards for one in said], axis=0))


def relevance(said: Sequence[Said], embedder: Embedder) -> float:
    """Mean cosine of prompts and answers: whether the answers are still about what was asked.

    Answers without a word count 0.
    """
    prompts = embedder.embed([one.prompt for one in said])
    answers = embedder.embed([one.text or "." for one in said])
    near = (prompts * answers).sum(axis=1) * np.array([one.words > 0 for one in said])
    return float(near.mean())


def fluency(said: Sequence[Said]) -> dict[str, float]:
    """Means over answers; perplexity is over all their tokens alike."""
    return {
        "words": float(np.mean([one.words for one in said])),
        "ended": float(np.mean([one.ended for one in said])),
        "repeated": float(np.mean([one.repeated for one in said])),
        "perplexity": float(np.exp(np.mean([one.surprise for one in said]))),
    }


def write_said(path: Path, said: Sequence[Said]) -> None:
    """Write answers and measures, one a line."""
    text = "".join(json.dumps(asdict(one), ensure_ascii=False) + "\n" for one in said)
    path.write_text(text, encoding="utf-8", newline="\n")


def read_said(path: Path) -> list[Said]:
    """Read what ``write_said`` wrote."""
    entries = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [Said(**entry | {"rewards": tuple(entry["rewards"])}) for entry in entries]
