"""What goes along at each level, and the most that it can say."""

from __future__ import annotations

import itertools
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketpref.attributes import AttributeBank
from pocketpref.egress import Offer
from pocketpref.egress.attribute_sentence import MOST, TOPICS, Vocabulary
from pocketpref.errors import InputError
from pocketpref.summary.evidence import TOPICS as LEARNED_TOPICS

BANK = tuple(AttributeBank.standard())
FEW = tuple(a for a in BANK if a.name in ("Concise", "Western", "Formal", "Code", "Vivid"))
vocabulary = Vocabulary(BANK)


def test_the_sentence_says_wordings_and_opposites_in_the_order_of_the_bank() -> None:
    one = vocabulary.sentence(Offer(attributes=("Code", "not Formal", "concise")), ())
    other = vocabulary.sentence(Offer(attributes=("concise", "Code", "not formal")), ())
    assert one == other
    assert one == (
        "Please answer in this way: informal and relaxed, like talking to a friend; short and to"
        " the point, without extra words; with source code and worked technical examples."
    )


def test_values_are_said_only_where_they_are_named() -> None:
    offered = Offer(attributes=("Western", "not Conspiracy", "Concise"))
    assert "Western" not in vocabulary.sentence(offered, ())
    assert "official" not in vocabulary.sentence(offered, ())
    assert "Western" in vocabulary.sentence(offered, ("Western",))
    assert vocabulary.values(["eco-friendly", "WESTERN"]) == ("Western", "Eco-friendly")
    for name in ("Concise", "Miller"):
        with pytest.raises(InputError) as caught:
            vocabulary.values([name])
        assert name not in caught.value.message


def test_a_topic_is_said_with_attributes_and_from_the_list_alone() -> None:
    assert "about cooking:" in vocabulary.sentence(Offer("", ("Concise",), (), "cooking"), ())
    assert vocabulary.sentence(Offer("", (), (), "cooking"), ()) == ""
    for topic in ("divorce", "health", "religion", "cooking. My name is Miller"):
        said = vocabulary.sentence(Offer("", ("Concise",), (), topic), ())
        assert said == vocabulary.sentence(Offer("", ("Concise",)), ())
    assert set(TOPICS) < set(LEARNED_TOPICS), "a topic that is never learned is never said"


def test_the_bound_counts_every_sentence_that_there_is() -> None:
    """By brute force on a bank of five: all offers of up to four names, all topics."""
    few = Vocabulary(FEW)
    names = [form for a in FEW for form in (a.name, f"not {a.name}")]
    for values in ((), ("Western",)):
        said = {
            few.sentence(Offer("", chosen, (), topic), values)
            for count in range(MOST + 2)
            for chosen in itertools.permutations(names, count)
            for topic in ("", "health", *TOPICS[:2])
        }
        topics = (len(TOPICS) + 1) / 3
        assert math.isclose(few.bits(values), math.log2((len(said) - 1) * topics + 1))


def test_the_bound_of_the_standard_bank() -> None:
    """28 attributes that are no values: sets of up to 3, two wordings each, 13 topics or none."""
    assert [a.category for a in BANK].count("values") == 14
    sentences = 1 + 14 * (28 * 2 + 378 * 4 + 3276 * 8)
    assert vocabulary.bits(()) == math.log2(sentences)
    assert 18 < vocabulary.bits(()) < vocabulary.bits(("Western",)) < 20


@given(st.lists(st.text() | st.sampled_from([a.name for a in BANK])), st.text())
def test_whatever_is_offered_the_sentence_is_made_of_the_lists(attributes, topic) -> None:
    said = vocabulary.sentence(Offer("", tuple(attributes), (), topic), ())
    allowed = [a for a in BANK if a.category != "values"]
    one = "|".join(re.escape(w) for a in allowed for w in (a.wording, a.opposite))
    topics = "|".join(TOPICS)
    form = f"Please answer in this way( when it is about ({topics}))?: ({one})(; ({one})){{0,2}}\\."
    assert said == "" or re.fullmatch(form, said)


def test_a_summary_that_is_no_unicode_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        Offer("\ud800")
    assert caught.value.__cause__ is caught.value.__context__ is None
