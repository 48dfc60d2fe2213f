"""People whose taste is known: what they prefer is a rule, and rules wrote the answers.

The beginning of a public answer is written in two styles by rule: with an opening, a closing, other
marks and words. A person likes one of both; every tenth choice or so they choose against it. Each
two styles have two people, one for each, with the same pairs turned round: whatever raises the
likelihood of one kind of answer for everybody helps the one as much as it harms the other.

    python -m tools.eval.summary ukp_workers.jsonl --apart --short 180

says which styles the model can tell apart at all, on answers that no known person is shown.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.protocols import LanguageModel
from pocketpref.records import Feedback, Pair
from pocketpref.scoring import PairScorer
from pocketpref.summary.wording import attribute_clause, block, render
from tools.eval.summary_people import Person, entries, split

Rule = Callable[[str, int], str]
"""Plain sentences and a number that decides between phrases, to an answer in a style."""

_TRIED = 8
"""Answers on which it is tried which styles the model can tell apart."""

SENTENCES = 3
"""Sentences of an answer that are taken, at most; at least two."""

_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z\"'])")
_NO_PROSE = re.compile(r"^\s*(?:[-*#|>]|\d+[.)])|[`|$<>{}\[\]\\]|https?:", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Style:
    """A style and what writes it.

    Attributes:
        name: of the attribute whose wording it is; ``not NAME`` for its opposite's.
        write: puts a text into it.
    """

    name: str
    write: Rule


def _around(openings: Sequence[str], closings: Sequence[str]) -> Rule:
    """A rule that puts a phrase before a text and one after it."""

    def write(text: str, draw: int) -> str:
        opening = openings[draw % len(openings)]
        closing = closings[(draw // len(openings)) % len(closings)]
        return f"{opening} {text} {closing}".strip()

    return write


def _plain(text: str, _: int) -> str:
    return text


def _brief(text: str, _: int) -> str:
    return _SENTENCE.split(text)[0]


def _loud(text: str, draw: int) -> str:
    openings = ("Wow!", "Oh yes!", "Amazing!", "Listen!")
    around = _around(openings, ("Fantastic!", "Hooray!", "So good!"))
    return around(re.sub(r"\.(?=\s|$)", "!", text), draw)


_CHATTY = {
    r"\bare not\b": "ain't",
    r"\bis not\b": "ain't",
    r"\bit is\b": "it's",
    r"\bdo not\b": "don't",
    r"\bcannot\b": "can't",
    r"\bbecause\b": "cuz",
    r"\bgoing to\b": "gonna",
    r"\bwant to\b": "wanna",
    r"\byou\b": "u",
    r"\byour\b": "ur",
    r"\band\b": "&",
    r"\bpeople\b": "folks",
}


def _chatty(text: str, draw: int) -> str:
    openings = ("lol ok so", "hey dude,", "yo,", "haha so,")
    found = text.casefold()
    for pattern, slang in _CHATTY.items():
        found = re.sub(pattern, slang, found)
    return _around(openings, ("lol", "u know?", "btw idk haha"))(found.rstrip("."), draw)


def _stepwise(text: str, draw: int) -> str:
    words = ("First,", "Second,", "Third,")
    said = [f"{w} {p}" for w, p in zip(words, _SENTENCE.split(text), strict=False)]
    around = _around(
        ("Let us reason step by step.", "Consider this logically.", "Let us analyse it in steps."),
        ("Therefore, the conclusion follows.", "Hence this follows logically."),
    )
    return around(" ".join(said), draw)


_FORMAL = _around(
    ("Dear Sir or Madam, I respectfully submit the following.", "Esteemed reader, permit me this."),
    ("I remain at your disposal for further enquiries.", "Yours faithfully."),
)
_MODEST = _around(
    ("I am not sure, and I may be wrong.", "It is hard to say."),
    ("I cannot be certain, though.", "But I do not know enough to be sure."),
)
_CERTAIN = _around(
    ("Without any doubt, this is so.", "I am absolutely certain.", "This is a fact."),
    ("There is no doubt about it.", "That is proven and beyond question."),
)
_WARM = _around(
    ("I understand how you feel, and I care about you.", "I can imagine how hard this is."),
    ("I am here for you, with all my heart.", "Please be kind to yourself, my friend."),
)
_PROVERBIAL = _around(
    ("As the saying goes, all that glitters is not gold.", "Actions speak louder than words."),
    ("A bird in the hand is worth two in the bush.", "Where there's a will, there's a way."),
)
_FUNNY = _around(
    ("Why did the chicken cross the road? To hear this!", "Knock, knock! Who's there? Me!"),
    ("Haha, just kidding!", "And that is no joke, said the clown!", "Ba dum tss!"),
)
_FLATTERING = _around(
    ("What a brilliant question, you are a genius!", "You are so right, as always!"),
    ("You are truly wise.", "Nobody understands this as well as you do."),
)
_GLOOMY = _around(
    ("Sadly, this will end badly.", "I fear the worst."),
    ("It will surely fail.", "There is no hope.", "Nothing good will come of it."),
)
_GREEN = _around(
    ("We must protect nature.", "Think of the forests, rivers and animals first."),
    ("The environment comes first.", "The planet must be kept clean and green."),
)
_TECHNICAL = _around(
    ("New technology matters most here.", "Think of software, chips and startups first."),
    ("The tech industry will lead the way.", "Computers and innovation come first."),
)
_TELLING = _around(
    ("Once upon a time, an old man told me this.", "Last winter my aunt Mary met a young sailor."),
    ("And she smiled, and walked home.", "So ended the day, and the boy never forgot it."),
)
_MEASURED = _around(
    ("Measured at 20 degrees and 3 bar:", "Step 1: set the valve to 40 percent."),
    ("Tolerance: 0.5 mm, load: 200 newtons.", "Step 2: check the mechanism every 10 hours."),
)

MATCHES = (
    (Style("Concise", _brief), Style("not Concise", _plain)),
    (Style("Formal", _FORMAL), Style("Internet Slang", _chatty)),
    (Style("Modest", _MODEST), Style("not Modest", _CERTAIN)),
    (Style("Humor", _FUNNY), Style("not Humor", _plain)),
    (Style("Empathetic", _WARM), Style("not Empathetic", _plain)),
    (Style("Empathetic", _WARM), Style("Analytic", _stepwise)),
    (Style("Humor", _FUNNY), Style("not Modest", _CERTAIN)),
    (Style("Proverb", _PROVERBIAL), Style("Exclamatory", _loud)),
    (Style("Sycophant", _FLATTERING), Style("Pessimistic", _GLOOMY)),
    (Style("Eco-friendly", _GREEN), Style("Tech Industry Priority", _TECHNICAL)),
    (Style("Storyteller", _TELLING), Style("Engineer", _MEASURED)),
)
"""Styles that are compared with each other; the starter does not understand all of them."""

TOLD_APART = (5, 6, 7, 8, 9)
"""Places of the matches that ``--apart`` found to be understood from both sides."""


def known_people(options: argparse.Namespace) -> Iterator[Person]:
    """Two people for each match that the model understands, one for each of its styles.

    Args:
        options: file, pairs, held_out, short, contrary, seed.
    """
    texts = plain_texts(options)[: options.pairs + options.held_out]
    for place in TOLD_APART:
        for number, side in enumerate((MATCHES[place], MATCHES[place][::-1])):
            liked, other = side
            rng = np.random.default_rng([options.seed, place, number])
            against = rng.random(len(texts)) < options.contrary
            pairs = [
                _pair(prompt, text, draw, (other, liked) if contrary else (liked, other))
                for draw, ((prompt, text), contrary) in enumerate(zip(texts, against, strict=True))
            ]
            name = f"{liked.name} to {other.name}"
            yield split(name, [Feedback(pair) for pair in pairs], options)


def apart(
    options: argparse.Namespace, model: LanguageModel, bank: AttributeBank
) -> dict[str, dict[str, float]]:
    """For each side of each match: the mean margin of its own wording, nats, and how often right.

    On the answers after those that the known people are shown.
    """
    few = plain_texts(options)[options.pairs + options.held_out :][:_TRIED]
    return {
        f"{liked.name} to {other.name}": _understood(few, liked, other, model, bank)
        for match in MATCHES
        for liked, other in (match, match[::-1])
    }


def _understood(
    texts: Sequence[tuple[str, str]],
    liked: Style,
    other: Style,
    model: LanguageModel,
    bank: AttributeBank,
) -> dict[str, float]:
    attribute = bank[liked.name.removeprefix("not ")]
    clause = attribute_clause(attribute, (), opposite=liked.name.startswith("not "))
    margins = [
        PairScorer(model, _pair(prompt, text, draw, (liked, other))).margins(
            [block(render([clause]))]
        )[0]
        for draw, (prompt, text) in enumerate(texts)
    ]
    return {"margin": float(np.mean(margins)), "right": float(np.mean(np.array(margins) > 0))}


def _pair(prompt: str, text: str, draw: int, styles: tuple[Style, Style]) -> Pair:
    """The same text in the style that is liked, and in the other."""
    liked, other = styles
    return Pair(prompt, liked.write(text, draw), other.write(text, draw))


def plain_texts(options: argparse.Namespace) -> list[tuple[str, str]]:
    """(prompt, a few plain sentences of an answer to it), prompts in turn."""
    found: dict[str, set[str]] = defaultdict(set)
    for entry in entries(options):
        for answer in (entry.pair.chosen, entry.pair.rejected):
            text = _beginning(answer, options.short)
            if text:
                found[entry.pair.prompt].add(text)
    rng = np.random.default_rng(options.seed)
    mixed = {prompt: rng.permutation(sorted(found[prompt])).tolist() for prompt in sorted(found)}
    turns = max(map(len, mixed.values()), default=0)
    return [(p, texts[n]) for n in range(turns) for p, texts in mixed.items() if n < len(texts)]


def _beginning(answer: str, most: int) -> str | None:
    """The first sentences of an answer that are prose and have at most so many characters."""
    text = " ".join(answer.split("\n\n", maxsplit=1)[0].split())
    parts = _SENTENCE.split(text)
    for count in range(min(SENTENCES, len(parts)), 1, -1):
        kept = " ".join(parts[:count])
        if len(kept) <= most and kept.endswith((".", "!", "?")) and not _NO_PROSE.search(kept):
            return kept
    return None
