"""Text measures see what they are named after, in every script, whatever the text."""

# ruff: noqa: RUF001  # other scripts are what is tested

from __future__ import annotations

import math
import time
import tomllib
from importlib import resources

import numpy as np
import pytest

from pocketpref.personalization.measures import (
    LANGUAGES,
    MEASURES,
    differences,
    language,
    measured,
    measures,
)
from pocketpref.records import Pair

_WORD_LISTS = ("formal", "casual", "hedges", "examples", "warmth", "first", "second")


def value(text: str, name: str) -> float:
    return float(measures(text)[MEASURES.index(name)])


def test_empty_text_is_zero_everywhere() -> None:
    assert not measures("").any()
    assert measures(" \n\t ")[MEASURES.index("length")] == 0


def test_length_counts_words() -> None:
    assert value("Don't boil it twice.", "length") == pytest.approx(math.log1p(4))
    assert value("Don\u2019t boil it twice \u2013 ever.", "length") == pytest.approx(math.log1p(5))


@pytest.mark.parametrize(
    "text", ["水をよく沸かしてください", "把水烧开两次以后再倒掉吧", "ต้มน้ำให้เดือดก่อน"]
)
def test_length_of_unspaced_scripts_is_half_the_characters(text: str) -> None:
    assert math.expm1(value(text, "length")) == pytest.approx(len(text) / 2, abs=2.5)


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [
        ("- a\n- b\n* c", "bullets", 3),
        ("Intro:\n1. a\n2) b", "steps", 2),
        ("Step 1: a\nStep 2: b", "steps", 2),
        ("# A\ntext\n## B\ntext", "headings", 2),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "tables", 3),
        ("Run\n```python\nx = 1\ny = 2\n```", "code", 2),
        ("**one** and **two**", "bold", 2),
    ],
)
def test_layout_marks_are_counted(text: str, name: str, count: int) -> None:
    assert value(text, name) == pytest.approx(math.log1p(count))


def test_marks_inside_code_are_no_layout() -> None:
    text = "```\n# comment\n- 1\n1. x\n```"
    assert value(text, "headings") == value(text, "bullets") == value(text, "steps") == 0


def test_dash_inside_a_sentence_is_no_bullet() -> None:
    assert value("Boil it - then wait.", "bullets") == 0


def test_code_without_fences_is_code() -> None:
    text = "def f(x):\n    return x\nfor (i = 0; i < 3; i++) {\n    go();\n}"
    assert value(text, "code") > math.log1p(2)


@pytest.mark.parametrize("text", ["Great 🎉🎉 work", "すごい🎉🎉ですね", "nice :) yes :)"])
def test_emoji_are_counted_in_every_script(text: str) -> None:
    assert value(text, "emoji") > 0.3


def test_question_at_the_end_asks_back() -> None:
    assert value("Use soap. Shall I go on?", "asks back") == 1
    assert value("石鹸を使ってください。続けますか？", "asks back") == 1
    assert value("Why? Because.", "asks back") == 0


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("en", "The water is in the kettle and it will boil for ten minutes."),
        ("de", "Das Wasser ist in dem Kessel und es wird zehn Minuten kochen."),
        ("es", "El agua está en la tetera y se pone a hervir por diez minutos."),
        ("fr", "Le café est dans la tasse et il est prêt pour les invités."),
        ("it", "Il caffè è nella tazza e non si può bere perché è caldo."),
        ("pt", "O café está na xícara e não se pode beber porque é quente."),
        ("nl", "De koffie is in het kopje en wordt door de gasten niet gedronken."),
        ("ja", "コーヒーはカップに入っています"),
        ("zh", "咖啡在杯子里已经准备好了"),
        ("ru", "Кофе уже стоит в чашке на столе"),
        (None, "x1 = y2"),
    ],
)
def test_language_is_told_by_function_words_or_script(code: str | None, text: str) -> None:
    assert language(text) == code


@pytest.mark.parametrize(
    ("formal", "casual"),
    [
        (
            "It is therefore advisable to ensure that the water is boiled.",
            "Hey, don't worry, you're fine, just boil the water, ok?",
        ),
        (
            "Es ist daher erforderlich, das Wasser gemäß der Anleitung zu erhitzen.",
            "Hey, du kannst das Wasser halt einfach mal kochen, ist echt easy.",
        ),
        (
            "Por consiguiente, se recomienda a usted que el agua sea hervida.",
            "Oye, tú pon el agua a hervir y vale, mola un montón.",
        ),
        (
            "Il convient donc de porter l'eau à ébullition, veuillez vous y conformer.",
            "Salut, tu fais bouillir l'eau et c'est cool, ouais.",
        ),
    ],
)
def test_register_is_seen_in_four_languages(formal: str, casual: str) -> None:
    assert value(formal, "formal") > value(casual, "formal")
    assert value(casual, "casual") > value(formal, "casual")


def test_language_without_word_lists_has_no_word_measures() -> None:
    found = measures("Кофе уже стоит в чашке на столе, и его можно пить!")
    for name in _WORD_LISTS:
        assert np.isnan(found[MEASURES.index(name)])
    assert found[MEASURES.index("exclamations")] > 0
    assert not set(_WORD_LISTS) & set(measured("ru"))


def test_measured_agrees_with_what_is_measured() -> None:
    assert set(measured("en")) == set(MEASURES)
    for code in LANGUAGES:
        assert set(measured(code)) <= set(MEASURES)
    text = "Das Wasser ist in dem Kessel und es wird zehn Minuten kochen."
    present = {n for n, v in zip(MEASURES, measures(text), strict=True) if not np.isnan(v)}
    assert present == set(measured("de"))


def test_no_word_of_a_list_is_mere_grammar() -> None:
    # "vous" and "je" are grammar and register at once.
    lists = tomllib.loads(
        resources.files("pocketpref.personalization").joinpath("lexicon.toml").read_text("utf-8")
    )
    for words in lists.values():
        for name in {"formal", "casual", "hedges", "examples", "warmth"} & set(words):
            shared = set(words[name].split()) & set(words["function"].split())
            assert shared <= {"vous", "je"}, name


def test_short_answer_without_function_words_has_every_measure() -> None:
    assert not np.isnan(measures("Yes, 42.")).any()


def test_difference_is_chosen_minus_rejected() -> None:
    pair = Pair("q", "one two three", "one")
    assert differences([pair])[0] == pytest.approx(measures("one two three") - measures("one"))
    assert differences([]).shape == (0, len(MEASURES))


def test_megabyte_is_measured_in_a_second() -> None:
    begun = time.process_time()
    for text in (
        "word, " * 170_000,
        "- x\n" * 250_000,
        "水" * 330_000,
        "*" * 1_000_000,
        " " * 10**6,
    ):
        assert np.isfinite(measures(text)[0])
    assert time.process_time() - begun < 10  # five texts, on a busy machine


def test_lone_surrogate_is_measured() -> None:
    assert value("a \ud800 b", "length") > 0
