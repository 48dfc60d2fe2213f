"""Prompts in three parts that share no topic and no question: train, tune and test.

Made by recipe from everyday topics (ours, Apache-2.0, below), so that anybody can make them again,
and on request MT-Bench's first questions (Apache-2.0, lmsys) from a pair file that holds them.
Which part a topic or a question belongs to depends on itself alone: adding others moves none.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Literal, get_args

Part = Literal["train", "tune", "test"]
PARTS: tuple[Part, ...] = get_args(Part)

LICENCES = "prompts of tools/train/prompts.py (Apache-2.0), MT-Bench questions (Apache-2.0)"

LONGEST = 160
"""Characters of a question that is used: longer ones hand over texts to work on."""

_THINGS = """
a rainbow; photosynthesis; inflation; the water cycle; a volcano; the moon's phases; electricity;
a vaccine; the stock market; a leap year; gravity; an earthquake; democracy; the internet; a
battery; the immune system; recycling; a black hole; the greenhouse effect; a mortgage; evolution;
sleep; a computer virus; the tides; an eclipse; memory; a solar panel; bread rising; rust; an
echo; jet lag; a credit card; hibernation; the seasons; soap; thunder; a compass; yeast; migration
of birds; taxes; insurance; a rocket; caffeine; the metric system; a refrigerator; fever; coral
reefs; glass; probability; a password manager; a search engine; the heart; a hurricane; compost;
magnets; steel
"""
_DOINGS = """
learning to swim; saving money; growing tomatoes; writing a job application; sleeping better;
keeping houseplants alive; learning a new language; giving a speech; packing for a trip;
cooking rice; training a puppy; studying for an exam; starting to run; making friends in a new city;
repairing a bicycle tyre; choosing a laptop; planning a birthday party; reading more books;
removing a stain; reducing stress; moving house; asking for a raise; learning the guitar;
taking better photos; eating more vegetables; teaching a child to read; organizing a desk;
preparing for an interview; hiking in the mountains; baking a cake; cleaning windows;
dealing with a noisy neighbour; driving in snow; meditating; drawing a face; saving energy at home
"""
_THING_FRAMES = (
    "What is {}?",
    "Explain {} to me.",
    "How does {} work?",
    "Why does {} matter?",
    "Tell me something about {}.",
    "I do not understand {}. Can you help?",
)
_DOING_FRAMES = (
    "Give me advice about {}.",
    "How do I go about {}?",
    "What are common mistakes in {}?",
    "I am new to {}. Where do I begin?",
    "What do I need to know about {}?",
    "Why is {} hard for many people?",
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is asked.

    Attributes:
        text: as a person types it.
        part: the one part it may be used in.
        topic: what parts were told apart by.
    """

    text: str
    part: Part
    topic: str


def part_of(topic: str) -> Part:
    """The part of a topic, by its hash: half is for training, a quarter each for tune and test."""
    return ("train", "train", "tune", "test")[hashlib.sha256(topic.encode()).digest()[0] % 4]


def made_prompts(each: int) -> list[Prompt]:
    """Prompts by recipe.

    Args:
        each: how many about each topic, at most 6.
    """
    found = []
    for topics, frames in ((_THINGS, _THING_FRAMES), (_DOINGS, _DOING_FRAMES)):
        starts = cycle(range(len(frames)))
        for topic, start in zip(_listed(topics), starts, strict=False):
            for i in range(each):
                text = frames[(start + i) % len(frames)].format(topic)
                found.append(Prompt(text, part_of(topic), topic))
    return found


def public_prompts(path: Path) -> list[Prompt]:
    """The distinct prompts of a pair file that are short enough, each a topic of its own.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8") as file:
        texts = dict.fromkeys(str(json.loads(line)["prompt"]).strip() for line in file)
    return [Prompt(text, part_of(text), text) for text in texts if len(text) <= LONGEST]


def _listed(topics: str) -> list[str]:
    return [" ".join(topic.split()) for topic in topics.split(";")]
