"""The registry holds every attribute once, and its poles are fit to be said."""

# ruff: noqa: RUF001  # other scripts are what is tested

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.personalization.dimensions import USUAL_DIFFERENCES, Dimensions
from pocketpref.personalization.measures import MEASURES, measures

DIMENSIONS = Dimensions.standard()


def test_every_attribute_is_exactly_one_dimension() -> None:
    for attribute in AttributeBank.standard():
        owners = [d for d in DIMENSIONS if attribute.name in {d.name, d.attribute}]
        assert len(owners) == 1, attribute.name


def test_concise_is_the_low_pole_of_length() -> None:
    concise = AttributeBank.standard()["Concise"]
    assert DIMENSIONS["Concise"] is DIMENSIONS["length"]
    assert DIMENSIONS["length"].contrast == (concise.opposite, concise.wording)


def test_own_attribute_joins_the_registry(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[[attribute]]\nname = "Pirate"\ncategory = "style"\n'
        'wording = "like a pirate"\nopposite = "unlike a pirate"\n'
    )
    dimensions = Dimensions.standard(AttributeBank.standard(own))
    assert dimensions["pirate"].high.clause == "like a pirate"
    assert len(dimensions) == len(DIMENSIONS) + 1


def test_own_attribute_named_like_a_dimension_is_that_dimension(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[[attribute]]\nname = "Bullets"\ncategory = "style"\n'
        'wording = "in bullets"\nopposite = "in prose"\n'
    )
    dimensions = Dimensions.standard(AttributeBank.standard(own))
    assert dimensions["Bullets"].measure
    assert len(dimensions) == len(DIMENSIONS)


def test_every_reference_names_a_pole() -> None:
    for dimension in DIMENSIONS:
        assert dimension.common > 0
        for pole in (dimension.high, dimension.low):
            for key in pole.contradicts | pole.companions:
                name, _, side = key.partition(":")
                assert name in DIMENSIONS, key
                assert side in {"high", "low"}, key


def test_every_pole_completes_its_sentences() -> None:
    for dimension in DIMENSIONS:
        for pole in (dimension.high, dimension.low):
            assert pole.order[0].isupper()
            assert pole.order[-1] in ".!"
            assert pole.clause[-1] != "."
            assert "\n" not in pole.clause + pole.order + pole.label


def test_every_measure_used_has_a_usual_difference() -> None:
    for dimension in DIMENSIONS:
        assert set(dimension.measure) <= set(USUAL_DIFFERENCES) & set(MEASURES)


@pytest.mark.parametrize(
    ("name", "high", "low"),
    [
        ("length", "word " * 80, "word " * 10),
        ("bullets", "- one\n- two\n- three", "One, two and three."),
        ("steps", "1. one\n2. two\n3. three", "One, two and three."),
        ("headings", "# One\na\n# Two\nb", "One a. Two b."),
        ("tables", "| a | b |\n|---|---|\n| c | d |", "a b c d"),
        ("code", "```\nx = 1\ny = 2\nz = 3\n```", "Set x, y and z."),
        ("formality", "It is therefore advisable to obtain it.", "Hey, you don't need it, ok!"),
        (
            "difficulty",
            "Atmospheric molecules preferentially scatter electromagnetic radiation.",
            "Air makes the blue part of the light go all over the sky. It is easy.",
        ),
        ("exclamations", "Do it! Now!", "Do it. Now."),
        ("emoji", "Done 🎉", "Done"),
        ("asking back", "It is done. What next?", "It is done."),
        ("hedging", "It may perhaps be right, but it seems unlikely.", "It is right."),
        ("examples", "Fruit, for example an apple.", "Fruit."),
        ("warmth", "I am so glad, what a wonderful idea.", "It is an idea."),
        ("units", "It is 5 km and 3 kg.", "It is 3 miles and 7 pounds."),
    ],
)
def test_text_contrast_points_to_the_high_pole(name: str, high: str, low: str) -> None:
    found = DIMENSIONS.text_contrasts((measures(high) - measures(low))[None])
    assert found[0, DIMENSIONS.index(name)] > 0.5


def test_dimension_without_a_measure_is_unknown() -> None:
    found = DIMENSIONS.text_contrasts(np.zeros((2, len(MEASURES))))
    assert np.isnan(found[:, DIMENSIONS.index("humour")]).all()
    assert (found[:, DIMENSIONS.index("length")] == 0).all()


def test_register_is_unknown_in_a_language_without_word_lists() -> None:
    russian = "Кофе уже стоит в чашке на столе, и его можно пить, пока он не остыл"
    found = DIMENSIONS.text_contrasts((measures(russian) - measures(russian + "!"))[None])
    assert np.isnan(found[0, DIMENSIONS.index("formality")])
    assert np.isfinite(found[0, DIMENSIONS.index("length")])


def test_unknown_dimension_raises_key_error() -> None:
    with pytest.raises(KeyError):
        DIMENSIONS.index("no such thing")
    assert "no such thing" not in DIMENSIONS
