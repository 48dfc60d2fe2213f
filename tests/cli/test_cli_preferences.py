"""rank, state, correct, ask and profile, as typed."""

import json

import pytest

SHORT, LONG = "Boil it.", "Put it into a pot with cold water, and let it boil for a while. " * 6


@pytest.fixture
def taught(desk):
    with desk.open() as pocket:
        for number in range(12):
            pocket.add(f"How do I cook dish {number}?", SHORT, LONG)
    return desk


def test_rank_says_how_likely_each_answer_is_preferred(taught):
    shape = json.loads(taught.run("rank", "How?", LONG, SHORT, "--json").out)
    assert shape["choices"] == 12
    assert sum(shape["probabilities"]) == pytest.approx(1.0)
    assert shape["probabilities"][1] > 0.7
    assert "answer 2" in taught.run("rank", "How?", LONG, SHORT).out


def test_rank_without_an_answer_is_misuse(desk):
    assert desk.run("rank", "How?").code == 2


def test_a_statement_counts_from_the_next_prompt_on(desk):
    assert desk.run("state", "Metric units, please").code == 0
    shape = json.loads(desk.run("personalize", "How far is it?", "--json").out)
    assert shape["method"] == "auto"
    assert "Metric units, please" in shape["instruction"]
    assert "Metric units, please (you said so)" in desk.run("profile").out


def test_profile_says_what_is_liked_and_how_sure_that_is(taught):
    out = taught.run("profile").out
    assert "short answers: 12 of 12 choices, " in out
    assert "nats" not in out
    (found,) = [
        each
        for each in json.loads(taught.run("profile", "--json").out)["preferences"]
        if each["applied"]
    ]
    assert (found["likes"], len(found["choices"])) == ("short answers", 12)


def test_a_wrong_preference_is_not_said_any_more(taught):
    done = taught.run("correct", "short answers", "--wrong")
    assert done.err == "short answers: not said any more\n"
    assert json.loads(taught.run("personalize", "How?", "--json").out)["method"] == "none"
    assert "you said this is wrong" in taught.run("profile").out


@pytest.mark.parametrize("options", [[], ["--wrong", "--only", "tea"]])
def test_correct_takes_one_of_two_options(taught, options):
    assert taught.run("correct", "short answers", *options).code == 2


def test_an_unknown_preference_is_refused_without_quoting_it(taught):
    done = taught.run("correct", "secret wish", "--wrong")
    assert done.code == 1
    assert "secret wish" not in done.err


def test_ask_records_what_is_chosen_and_says_what_that_tells(desk):
    done = desk.run("ask", "-n", "3", stdin="a\ns\nb\n")
    assert done.code == 0
    with desk.open() as pocket:
        assert pocket.counts().memories == 2
    assert "(a)" in done.out


def test_ask_ends_when_told_to(desk):
    assert desk.run("ask", stdin="q\n").code == 0
    with desk.open() as pocket:
        assert pocket.counts().memories == 0
