"""Whose choices summaries are evaluated on: people of a pair file, each split by prompt."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from pocketpref.importers import BadEntry, read
from pocketpref.records import Feedback, Pair, RedactedRepr
from pocketpref.samples import sample_pairs


@dataclass(frozen=True, slots=True, repr=False)
class Person(RedactedRepr):
    """One person's choices in two parts without a common prompt.

    Attributes:
        name: the pseudonym.
        past: what a summary is made from.
        future: what it is judged on.
    """

    name: str
    past: tuple[Feedback, ...]
    future: tuple[Pair, ...]
    _open = ("name",)


def people(options: argparse.Namespace) -> Iterator[Person]:
    """The people with the most usable pairs, each with the same numbers of pairs at most.

    Prompts are shuffled by the seed; they fill the future until it has its share, then the past.

    Args:
        options: file, users, pairs, held_out, short, seed.
    """
    by_user: dict[str, list[Feedback]] = defaultdict(list)
    for entry in entries(options):
        if max(len(entry.pair.chosen), len(entry.pair.rejected)) <= options.short:
            by_user[entry.user or "sample"].append(entry)
    order = sorted(by_user, key=lambda name: (-min(len(by_user[name]), options.pairs), name))
    for name in order[: options.users]:
        yield split(name, by_user[name], options)


def entries(options: argparse.Namespace) -> Iterable[Feedback]:
    """Everything in the file, or the bundled samples."""
    if options.file is None:
        return [*sample_pairs("ukp"), *sample_pairs("mtbench")]
    return [entry for entry in read(options.file) if not isinstance(entry, BadEntry)]


def split(name: str, feedback: Sequence[Feedback], options: argparse.Namespace) -> Person:
    """One person's choices in two parts; prompts are shuffled by the seed.

    Args:
        name: the pseudonym.
        feedback: the choices.
        options: pairs, held_out, seed.
    """
    by_prompt: dict[str, list[Feedback]] = defaultdict(list)
    for entry in feedback:
        by_prompt[entry.pair.prompt].append(entry)
    rng = np.random.default_rng(options.seed)
    prompts = [sorted(by_prompt)[i] for i in rng.permutation(len(by_prompt))]
    share = len(feedback) * options.held_out / (options.held_out + options.pairs)
    past: list[Feedback] = []
    future: list[Feedback] = []
    for prompt in prompts:
        part = future if len(future) < share else past
        part.extend(by_prompt[prompt])
    keep_past = rng.permutation(len(past))[: options.pairs]
    keep_future = rng.permutation(len(future))[: options.held_out]
    return Person(
        name,
        tuple(past[i] for i in sorted(keep_past)),
        tuple(future[i].pair for i in sorted(keep_future)),
    )
