"""Prompts in four parts that share no topic and no question: train, tune, guard and test.

Made by recipe from everyday topics (ours, Apache-2.0, below), so that anybody can make them again,
and on request MT-Bench's first questions (Apache-2.0, lmsys) from a pair file that holds them.
Whether a topic or a question is for train or for tune depends on itself alone: adding others moves
none. Guard and test have topics of their own, and requests of other kinds. The guard part was the
test part of an earlier portfolio; its figures were looked at, and changed how policies are trained,
so it judges nothing any more: what a policy may cost is asked on it before it is admitted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

Part = Literal["train", "tune", "guard", "test"]
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
_GUARD_THINGS = """
a mirror; chocolate; the ozone layer; a lighthouse; a vitamin; a telescope; an allergy; an elevator;
wind; honey; a passport; dreams; a piano; paper; a microwave oven; an avalanche; the alphabet;
concrete; a parliament; ice cream; hair colour; a satellite; deserts; a bridge
"""
_GUARD_DOINGS = """
keeping a diary; choosing a bicycle; growing herbs on a windowsill; painting a room;
hosting guests; learning chess; camping for the first time; buying a used car; feeding birds
in winter; singing in a choir; ironing a shirt; sewing on a button; getting up early;
renting a flat; learning to juggle; typing faster; keeping bees; making jam
"""
_GUARD_REQUESTS = """
Write a short note of thanks to a neighbour who watered my plants.
Suggest three names for a small bakery.
Compare trains and buses for a daily trip to work.
Should I buy my first home or rent it?
Describe an autumn morning in a small village.
Is it rude to be ten minutes late for dinner?
Write a message to say that I cannot come to the meeting today.
What would you cook for four guests who eat no meat?
Tell me a bedtime story about a fox and a lantern.
What is the difference between a hobby and a job?
Help me say no to a friend who wants to borrow my car.
Plan a rainy afternoon with two small children.
Which is the better pet for a small flat, a cat or a rabbit?
Convince me to drink more water.
What makes a good teacher?
Give two arguments for and two against school uniforms.
Explain the joke about the chicken that crosses the road.
Write an invitation to a garden party.
What should I ask before I adopt an old cat?
How would you describe the colour red to someone who cannot see?
What do you think of people who talk in the cinema?
Name a few things that every kitchen needs.
"""
_TEST_THINGS = """
a candle; cheese; the horizon; a lightning rod; cholesterol; a microscope; hiccups; an escalator;
fog; maple syrup; a driving licence; sleepwalking; a violin; ink; a dishwasher; a glacier;
punctuation; plastic; a jury; vinegar; freckles; a weather forecast; swamps; a tunnel; a pension;
a thermometer
"""
_TEST_DOINGS = """
writing a shopping list; choosing walking shoes; pruning roses; hanging a picture; cooking for one;
learning to dance; travelling by night train; selling old furniture; watching birds;
playing the drums; folding shirts; patching a hole in jeans; remembering names;
living with flatmates; solving crosswords; writing by hand; brewing tea; cutting hair at home
"""
_TEST_REQUESTS = """
Write a birthday greeting for a colleague I hardly know.
Suggest three titles for a story about a lost umbrella.
Compare tea and coffee as a drink for the morning.
Should I take the stairs or the lift?
Describe a busy market to somebody who has never seen one.
Is it all right to read at the dinner table?
Write a message to tell my landlord that the heating is broken.
What would you pack for a picnic by the lake?
Tell me a short tale about a stone that wanted to travel.
What is the difference between a rule and a habit?
Help me thank a teacher of many years ago.
Plan a quiet Sunday for somebody who is tired.
Which is better for a beginner, watercolours or pencils?
Convince me to go to bed earlier.
What makes a good listener?
Give two reasons for and two against working from home.
Explain why people laugh when somebody slips on a banana skin.
Write a notice that the lift is out of order.
What should I ask before I join a sports club?
How would you explain snow to a child from the desert?
What do you think of people who talk to their plants?
Name a few things that every traveller needs.
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
    """The part of a topic, by its hash: half are for training, half for tuning."""
    return ("train", "train", "tune", "tune")[hashlib.sha256(topic.encode()).digest()[0] % 4]


def made_prompts(each: int) -> list[Prompt]:
    """Prompts by recipe, for training and tuning.

    Args:
        each: how many about each topic, at most 6.
    """
    framed = _framed(_THINGS, _THING_FRAMES, each) + _framed(_DOINGS, _DOING_FRAMES, each)
    return [Prompt(text, part_of(topic), topic) for text, topic in framed]


def guard_prompts(each: int) -> list[Prompt]:
    """Prompts of the guard part: the same questions about other topics, and other requests.

    Args:
        each: how many about each topic, at most 6; each request stands there once.
    """
    return _other(_GUARD_THINGS, _GUARD_DOINGS, _GUARD_REQUESTS, each, "guard")


def fresh_prompts(each: int) -> list[Prompt]:
    """Prompts of the test part, which nothing was chosen by; for the rest like the guard part."""
    return _other(_TEST_THINGS, _TEST_DOINGS, _TEST_REQUESTS, each, "test")


def _other(things: str, doings: str, requests: str, each: int, part: Part) -> list[Prompt]:
    framed = _framed(things, _THING_FRAMES, each) + _framed(doings, _DOING_FRAMES, each)
    framed += [(line, line) for line in requests.strip().splitlines()]
    return [Prompt(text, part, topic) for text, topic in framed]


def _framed(topics: str, frames: Sequence[str], each: int) -> list[tuple[str, str]]:
    """Questions with their topics; neighbouring topics begin with different ones."""
    listed = [" ".join(topic.split()) for topic in topics.split(";")]
    return [
        (frames[(start + i) % len(frames)].format(topic), topic)
        for start, topic in enumerate(listed)
        for i in range(each)
    ]


def public_prompts(path: Path) -> list[Prompt]:
    """The distinct prompts of a pair file that are short enough, each a topic of its own.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open(encoding="utf-8") as file:
        texts = dict.fromkeys(str(json.loads(line)["prompt"]).strip() for line in file)
    return [Prompt(text, part_of(text), text) for text in texts if len(text) <= LONGEST]
