"""A trained summarizer: what it is asked, in which form it answers, and where its adapter is found.

It is the local model with an adapter that was trained to write summaries which explain choices
(``tools/train/popi.py``). It is asked just as it was in training: of a few choices, by which words
and marks the answers differ, without their prompts. What it writes is a proposal like any other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from pocketpref.lora import Adapter, AdapterManifest
from pocketpref.methods.popi_proposals import SYMBOL, generated, seed_of
from pocketpref.methods.popi_signals import Signal
from pocketpref.methods.popi_wording import headings
from pocketpref.protocols import LanguageModel
from pocketpref.records import Message, Pair

FILE_NAME = "popi-summarizer.json"
"""The adapter's manifest; its GGUF file lies beside it."""

_MOST_PIECES = 10
"""Words and marks of an answer that it is shown."""

_MOST_CLAUSES = 4

_QUESTION = "How does this person like to be answered?"


def request(pairs: Sequence[Pair]) -> list[Message]:
    """What the summarizer is asked about some choices."""
    shown = [
        f"Liked {_apart(pair.chosen, pair.rejected)}\nDisliked {_apart(pair.rejected, pair.chosen)}"
        for pair in pairs
    ]
    return [Message(role="user", content="\n\n".join([*shown, _QUESTION]))]


def _apart(text: str, other: str) -> str:
    """How many words an answer has, and which words and marks the other one has not, or less."""
    said = _pieces(text)
    more = Counter(said) - Counter(_pieces(other))
    first = [piece for piece in dict.fromkeys(said) if piece in more][:_MOST_PIECES]
    return f"({len(text.split())}): {' '.join(first)}"


def _pieces(text: str) -> list[str]:
    """Words and marks; a new line is a stroke."""
    return re.findall(r"\w+(?:['\u2019]\w+)?|[^\w\s]", text.replace("\n", " / "))


def heading() -> str:
    """What every answer begins with."""
    return headings("en")[0]


def grammar() -> str:
    """GBNF of an answer: one sentence of one to four clauses."""
    more = ' ("; " clause)?' * (_MOST_CLAUSES - 1)
    return f'root ::= "{heading()} " clause{more} "."\nclause ::= {SYMBOL}{{3,70}}'


def trained_draft(
    model: LanguageModel, signals: Sequence[Signal], draw: int, most: Callable[[], bool]
) -> str | None:
    """What the summarizer writes about some choices; see ``popi_proposals.draft``.

    Raises:
        ModelError: the model failed.
    """
    messages = request([signal.pair for signal in signals])
    return generated(model, messages, grammar(), seed_of(signals, draw), most)


def find(folders: Iterable[Path], base_sha256: str) -> Adapter | None:
    """The first summarizer in these folders that is for a base model; None if there is none.

    Raises:
        AdapterError: a folder has one that cannot be read.
    """
    for folder in folders:
        path = folder / FILE_NAME
        if path.is_file():
            manifest = AdapterManifest.load(path)
            if manifest.base.sha256 == base_sha256:
                return Adapter.load(path, folder / manifest.file)
    return None
