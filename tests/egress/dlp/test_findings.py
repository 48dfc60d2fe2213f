"""All checks together: what may go goes, what is stored stays, and nobody is told a text."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pocketpref
from pocketpref.attributes import AttributeBank
from pocketpref.egress.attribute_sentence import TOPICS
from pocketpref.egress.dlp import CHECKS, MAX_CHARACTERS, Finding, Known, findings
from pocketpref.egress.dlp.context import RUN
from pocketpref.egress.dlp.text import folded_words
from pocketpref.samples import sample_pairs
from pocketpref.summary.records import Clause
from pocketpref.summary.wording import render
from tests.egress.dlp.conftest import STORED

HARMLESS = Path(pocketpref.__file__).parent.parent / "tools" / "attack" / "harmless.txt"
REASONS = 60
"""Reasons there may be: each is a fixed sentence."""

TRAPS = st.text(
    st.characters()
    | st.sampled_from(
        "\u200b\u202e\u3164\u0301\U000e0041éß\u0131\u017f\ufb01ⅷ①٣\uff21🄰🇦\u0430\u03bf"
        " 01aA.@/:-\n\t\"'"
    )
    | st.sampled_from("Miriam Goodman"),
    max_size=300,
)


@pytest.fixture(scope="module")
def real(bank: AttributeBank) -> Known:
    """Real people's pairs."""
    pairs = [feedback.pair for name in ("ukp", "mtbench") for feedback in sample_pairs(name)]
    texts = [text for pair in pairs for text in (pair.prompt, pair.chosen, pair.rejected)]
    return Known(lambda: texts, ("ada", "Tomasz Wojcik"), tuple(bank))


# ------------------------------------------------------------------------------- what may go


def test_two_hundred_harmless_summaries_pass(known: Known, real: Known) -> None:
    """With a small memory and with a real one."""
    summaries = HARMLESS.read_text("utf-8").splitlines()
    assert len(summaries) >= 200
    for memory in (known, real):
        assert [summary for summary in summaries if findings(summary, memory)] == []


def test_what_the_template_says_passes(real: Known, bank: AttributeBank) -> None:
    """Every wording and every opposite but of values, with every topic."""
    said = [w for a in bank if a.category != "values" for w in (a.wording, a.opposite)]
    topics = (*TOPICS, "")
    clauses = [Clause(text, topics[n % len(topics)], (), ()) for n, text in enumerate(said)]
    texts = [render(clauses[n : n + 3]) for n in range(len(clauses) - 2)]
    assert [text for text in texts if findings(text, real)] == []


# ------------------------------------------------------------------------------- what stays


@settings(deadline=None)  # others may keep the machine busy
@given(st.sampled_from(STORED), st.integers(0, 20), st.booleans())
def test_no_run_of_stored_words_passes(known: Known, text: str, start: int, upper: bool) -> None:
    """Whatever stands around it, and whatever the letters' case."""
    words = folded_words(text.lower())
    start = min(start, len(words) - RUN)
    run = " ".join(words[start : start + RUN])
    summary = f"Likes {run.upper() if upper else run} in short answers."
    assert "copied" in {finding.check for finding in findings(summary, known)}


@pytest.mark.parametrize("word", ["dispatcher", "quillfeather", "keller", "stroganoff"])
@settings(deadline=None)  # others may keep the machine busy
@given(data=st.data())
def test_a_disguise_uncovers_what_it_hides(known: Known, word: str, data: st.DataObject) -> None:
    """Each letter may be replaced by a look-alike, or have something unseen after it."""
    letters = []
    for letter in word:
        ways = (letter, letter.upper(), *DISGUISES.get(letter, ()), chr(ord(letter) + 0xFEE0))
        letters.append(data.draw(st.sampled_from(ways)))
        letters.append(data.draw(st.sampled_from(("", "", "\u200b", "\u00ad", "\u0301", "\u2060"))))
    found = findings(f"Prefers {''.join(letters)} answers.", known)
    stored = [f for f in found if f.check == "foreign" and "memory" in f.reason]
    assert [(f.start, f.end) for f in stored] == [(8, 8 + len("".join(letters).rstrip(UNSEEN)))]


DISGUISES = {
    "a": "\u0430ᴀ",
    "c": "\u0441ⓒ",
    "e": "\u0435",
    "i": "\u0456\u0131",
    "o": "\u043e\u03bf",
    "s": "\u0455",
}
UNSEEN = "\u200b\u00ad\u0301\u2060"


@settings(deadline=None)  # others may keep the machine busy
@given(TRAPS)
def test_any_text_is_looked_through(known: Known, text: str) -> None:
    """No text makes a check fail; places lie within it; the order of checks means nothing."""
    found = findings(text, known)
    assert found == tuple(sorted(found)) == findings(text, known)
    assert all(0 <= finding.start <= finding.end <= len(text) for finding in found)
    assert {finding.check for finding in found} <= {check.__name__ for check in CHECKS}


@settings(deadline=None)  # others may keep the machine busy
@given(TRAPS)
def test_what_passes_is_plain(known: Known, text: str) -> None:
    """Nothing unseen, no sign, no number, no letter of elsewhere, whatever was tried."""
    if not findings(text, known):
        assert all(c.isascii() or c in "\u2018\u2019\u201c\u201d\u2013\u2014\u2026é" for c in text)
        assert not any(c.isdigit() or c in "<>[]{}|\\`*_#@/=&%$^~+\t" for c in text)
        assert len(text) <= MAX_CHARACTERS


# ------------------------------------------------------------------------------- what is told


def test_reasons_quote_nothing(known: Known, bank: AttributeBank) -> None:
    """A finding is a place and one of a few fixed sentences: it can be logged."""
    reasons = set()
    rng = random.Random(1)
    words = [word for text in STORED for word in text.split()]
    for _ in range(300):
        text = " ".join(rng.choices(words, k=12))
        reasons |= {finding.reason for finding in findings(text, known)}
    assert len(reasons) < REASONS
    assert not any(word in reason for reason in reasons for word in ("Miriam", "Leeds", "Frank"))


def test_what_is_known_shows_nothing(known: Known) -> None:
    shown = repr(known) + repr(known.memory)
    assert not any(part in shown for part in ("Miriam", "Tomasz", "lindqvist", "Western"))


def test_no_stored_word_is_kept(bank: AttributeBank) -> None:
    """Only hashes outlive the reading: neither texts nor words of them."""
    marker = "zyxwvutq"

    def texts() -> Iterator[str]:
        yield f"My name is {marker.capitalize()} and {marker}a knows {marker}b."

    known = Known(texts, (), tuple(bank))
    assert findings(f"Prefers {marker}a.", known)
    gc.collect()
    index = known.memory
    assert not any(marker in text for text in _strings(index))


def _strings(root: object) -> Iterator[str]:
    """Every text that can be reached from an object through its parts."""
    seen, waiting = set[int](), [root]
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        if isinstance(thing, str):
            yield thing
        elif isinstance(thing, (dict, list, tuple, set, frozenset)) or hasattr(thing, "__dict__"):
            waiting += gc.get_referents(thing)


# ------------------------------------------------------------------------------- being current


def test_what_is_stored_later_is_known_later(bank: AttributeBank) -> None:
    """And what was forgotten is no longer compared with."""
    stored = ["Nothing of interest."]
    known = Known(lambda: stored, (), tuple(bank), version=lambda: len(stored))
    summary = "Likes the long and quiet lesson about words."
    assert findings(summary, known) == ()
    stored.append("I lost the long and quiet lesson about words, again.")
    assert {finding.check for finding in findings(summary, known)} == {"copied"}
    stored.pop()
    assert findings(summary, known) == ()


def test_a_version_that_changes_without_the_texts_costs_one_reading(bank: AttributeBank) -> None:
    """The log of what left is in the vault, too, and changes its version with every request."""
    versions = iter(range(100))
    stored = list(STORED)
    known = Known(lambda: stored, (), tuple(bank), version=lambda: next(versions))
    first = known.memory
    stored.reverse()
    assert known.memory is first
    stored[0] += "!"
    assert known.memory is not first


def test_a_copy_shares_what_was_read(bank: AttributeBank) -> None:
    """The memory is read once, also when a grant allows further values; but not other words."""
    reads = []

    def texts() -> list[str]:
        reads.append(1)
        return list(STORED)

    known = Known(texts, (), tuple(bank))
    findings("Short answers.", known)
    findings("Short answers.", replace(known, values=frozenset({"Western"})))
    assert len(reads) == 1
    findings("Short answers.", replace(known, words=frozenset({"Python"})))
    assert len(reads) == 2


def test_the_person_may_allow_a_word(known: Known) -> None:
    """A word that is foreign, a name and in the memory leaves if the person says that it may."""
    text = "Prefers answers for a dispatcher, in the words of Leeds."
    assert findings(text, known)
    allowed = replace(known, words=frozenset({"dispatcher", "Leeds"}))
    assert findings(text, allowed) == ()
    german = "Bevorzugt kurze Antworten."
    words = frozenset({"Bevorzugt", "kurze", "Antworten"})
    assert {f.check for f in findings(german, replace(known, words=words))} <= {"subject"}


# ------------------------------------------------------------------------------- time


def test_ten_thousand_texts_take_no_time_after_the_first(bank: AttributeBank) -> None:
    """Process time: others may keep the machine busy."""
    rng = random.Random(1)
    words = [f"{chr(97 + n % 26)}word{n}" for n in range(20_000)]
    texts = [" ".join(rng.choices(words, k=100)) for _ in range(10_000)]
    known = Known(lambda: texts, (), tuple(bank))
    began = time.process_time()
    assert findings("Prefers short answers.", known) == ()
    assert time.process_time() - began < 30
    began = time.process_time()
    assert findings("Prefers short answers with concrete examples. " * 12, known)
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    "text",
    ["a" * 3000, "a." * 1500, "a@" * 1500, "a-" * 1500, "1 " * 1500, "'" * 3000, ". " * 1500],
)
def test_no_text_keeps_the_checks_busy(known: Known, text: str) -> None:
    """Hostile texts cost no more than a few times what others do."""
    findings("Prefers short answers.", known)
    began = time.process_time()
    found = findings(text[: 4 * MAX_CHARACTERS], known)
    assert time.process_time() - began < 3
    assert found


def test_a_text_that_is_far_too_long_is_not_even_read(known: Known) -> None:
    began = time.process_time()
    assert findings("Prefers short answers. " * 100_000, known) == (
        Finding(MAX_CHARACTERS, 2_300_000, "length", f"more than {MAX_CHARACTERS} characters"),
    )
    assert time.process_time() - began < 1
