"""Learning in a process that is going to be killed. Run as ``python -m tests.promises.workers``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pocketpref
from pocketpref.attributes import AttributeBank
from pocketpref.methods.exact import ExactSettings
from pocketpref.pocket import Pocket
from pocketpref.records import Likelihoods, Message
from pocketpref.results import Progress
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.promises.real import few, real_pocket, vault_in

# What the scripted model likes to hear where a wording is injected.
TASTES = {
    "clear and direct": {"moon": 1.0, "salt": -0.5},
    "short": {"yes": 2.0, "tide": 0.75},
    "humor": {"ha": 1.5},
    "formal": {"therefore": 1.25, "moon": 0.25},
    "simple": {"water": 0.5, "ha": -1.0},
    "example": {"salt": 1.0, "yes": -0.25},
}

WORDS = ("moon", "salt", "yes", "tide", "ha", "therefore", "water", "sea", "wind")

FEW = ("Concise", "Analytic", "Humor")


class SlowModel(ScriptedModel):
    """A scripted model that takes its time, as real ones do."""

    def __init__(self, delay: float) -> None:
        super().__init__(TASTES)
        self._delay = delay

    def likelihoods(
        self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
    ) -> Likelihoods:
        time.sleep(self._delay)
        return super().likelihoods(contexts, answers)


def scripted_pairs(count: int) -> list[tuple[str, str, str]]:
    """Pairs that differ in what the scripted model's tastes say of them."""
    pairs = []
    for n in range(count):
        chosen = " ".join(WORDS[(n * step + step) % len(WORDS)] for step in (1, 2, 4, 5))
        rejected = " ".join(WORDS[(n * step + 3) % len(WORDS)] for step in (1, 2, 7))
        pairs.append((f"question number {n}", chosen, rejected))
    return pairs


def scripted_pocket(folder: Path, delay: float) -> Pocket:
    """A real vault and the whole bank, with a scripted model."""
    vault_in(folder).close()
    key = KeyFile(folder / "key")
    model, embedder = SlowModel(delay), HashEmbedder()
    return pocketpref.open("ada", path=folder / "vault.db", key=key, model=model, embedder=embedder)


def llama_pocket(folder: Path, gguf: Path) -> Pocket:
    """A real vault, model and embedder, with a few attributes."""
    from pocketpref.backends.llama import LlamaModel

    model = LlamaModel(gguf, name="starter", sha256="starter")
    return real_pocket(folder, model, bank(), ExactSettings(k=2))


def bank() -> AttributeBank:
    """The few attributes that the real model is asked about."""
    return few(*FEW)


def learn(pocket: Pocket) -> None:
    """Learn, telling every step once it is done."""
    with pocket:
        print("ready", flush=True)
        finished = 0

        def tell(progress: Progress) -> None:
            nonlocal finished
            if progress.done > finished:
                finished = progress.done
                print("done", flush=True)
            else:
                print("part", flush=True)

        pocket.learn(on_progress=tell)
    print("end", flush=True)


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    if sys.argv[1] == "scripted":
        learn(scripted_pocket(folder, float(sys.argv[3])))
    else:
        learn(llama_pocket(folder, Path(sys.argv[3])))
