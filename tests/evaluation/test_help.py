"""Does it help me: the verdict on one's own choices, its reason, and what it is not fooled by."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import pocketpref
from pocketpref.backends.llama import LlamaModel
from pocketpref.errors import TamperedError
from pocketpref.evaluation.help import NEWEST, HelpVerdict, predict, sum_up
from pocketpref.evaluation.likelihood_cache import CachedModel
from pocketpref.evaluation.predictors import CaseEvidence as Scored
from pocketpref.evaluation.predictors.auto import Auto
from pocketpref.evaluation.predictors.baselines import Longer, Shorter
from pocketpref.evaluation.replies import QUESTIONS, Move, MovedReplies
from pocketpref.evaluation.runner import compare
from pocketpref.personalization import decisions
from pocketpref.personalization.evidence import Evidence
from pocketpref.pocket import Pocket
from pocketpref.records import Message
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import EphemeralKey
from tests.cli.conftest import Desk
from tests.evaluation.conftest import people, small_bank

WORDS = (
    *("sun", "road", "house", "water", "stone", "tree"),
    *("light", "green", "river", "paper", "cloud", "bread"),
)
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def text(length: int, seed: int) -> str:
    drawn = random.Random(seed)
    return " ".join(drawn.choice(WORDS) for _ in range(length)).capitalize() + "."


def choices(count: int, likes: Sequence[str], prompt: str = "question") -> list[Evidence]:
    """Choices of the "short" or the "long" answer, in turn if both are named."""
    found = []
    for place in range(count):
        both = text(12 + place % 5, place), text(70 + place % 9, 1000 + place)
        better, worse = both if likes[place % len(likes)] == "short" else both[::-1]
        moment = BEGAN + timedelta(hours=place)
        found.append(Evidence("choice", f"{prompt} {place}", better, worse, moment))
    return found


def follow(messages: Sequence[Message], draw: int) -> str:
    """Answer in as many words as the instruction says, else in eighty."""
    said = " ".join(message["content"] for message in messages)
    return text(12 if "short sentences" in said else 80, len(messages[-1]["content"]))


def ignore(messages: Sequence[Message], draw: int) -> str:
    return text(80, len(messages[-1]["content"]))


def oppose(messages: Sequence[Message], draw: int) -> str:
    said = " ".join(message["content"] for message in messages)
    return text(80 if "short sentences" in said else 12, len(messages[-1]["content"]))


def loop(messages: Sequence[Message], draw: int) -> str:
    said = " ".join(message["content"] for message in messages)
    return "the same " * 30 if "short sentences" in said else text(80, 1)


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(replies=follow)


@pytest.fixture
def pocket(tmp_path: Path, model: ScriptedModel) -> Iterator[Pocket]:
    with pocketpref.open(
        "ada", path=tmp_path / "v.db", key=EphemeralKey(), model=model, embedder=HashEmbedder()
    ) as opened:
        yield opened


def teach(pocket: Pocket, found: Sequence[Evidence]) -> list[str]:
    return [pocket.add(one.prompt, str(one.better), str(one.worse)) for one in found]


# ---------------------------------------------------------------------------------- predictions


def test_consistent_choices_are_predicted_from_the_earlier_ones() -> None:
    found = predict(choices(12, ["short"]))
    assert (found.choices, found.asked, found.prompts, found.predicted) == (12, 9, 9, 9)
    assert found.rivals == {"shorter": 9, "longer": 0, "coin": 4.5}
    assert found.interval[0] > 0.5


def test_choices_in_any_order_are_predicted_in_time_order() -> None:
    ordered = choices(12, ["short"])
    assert predict(ordered[::-1]) == predict(ordered)


def test_a_choice_is_predicted_from_earlier_ones_only() -> None:
    """A taste that turned: what comes after the turn does not help to predict the turn."""
    turned = choices(24, ["short"] * 12 + ["long"] * 12)
    before, turn = predict(turned[:12]), predict(turned[:13])
    assert before.predicted == before.asked == 9
    assert (turn.asked, turn.predicted) == (10, 9)
    assert predict(turned).predicted < predict(turned).asked - 1


def test_choices_by_coin_are_predicted_no_better_than_by_coin() -> None:
    drawn = random.Random(5)
    found = predict(choices(60, [drawn.choice(["short", "long"]) for _ in range(60)]))
    low, high = found.interval
    assert low < 0.5 < high
    assert replace(found, likes=("short answers",)).answer == "not shown"


def test_one_choice_made_again_and_again_proves_nothing() -> None:
    (one,) = choices(1, ["short"])
    found = predict([replace(one, created=BEGAN + timedelta(days=d)) for d in range(1000)])
    assert (found.choices, found.asked) == (1, 0)
    assert replace(found, likes=("short answers",)).answer == "too few"


def test_a_ranking_of_one_prompt_counts_as_one_question() -> None:
    """Ten pairs of one prompt are alike: they are no ten pieces of evidence."""
    ranked = [replace(one, prompt="which?") for one in choices(20, ["short"])[10:]]
    found = predict([*choices(10, ["short"]), *ranked])
    assert found.asked == 17
    assert found.prompts == 8
    assert found.interval[0] < predict(choices(20, ["short"])).interval[0]


def test_two_tastes_by_topic_are_predicted_with_an_embedder() -> None:
    tea = choices(16, ["short"], "how to brew green tea leaves, pot")
    code = choices(16, ["long"], "write python code for sorting lists, case")
    both = [one for pair in zip(tea, code, strict=True) for one in pair]
    both = [replace(one, created=BEGAN + timedelta(hours=h)) for h, one in enumerate(both)]
    apart = predict(both, embedder=HashEmbedder)
    together = predict(both)
    assert apart.predicted > together.predicted
    assert apart.interval[0] > 0.5


def test_only_the_newest_choices_are_predicted() -> None:
    assert predict(choices(NEWEST + 20, ["short"])).asked == NEWEST


def test_summed_likelihoods_that_favour_short_answers_are_no_rival() -> None:
    """Every word costs a nat, so a sum takes the shorter answer whoever asks; per token it ties."""
    scored = Scored(CachedModel(ScriptedModel()), small_bank())
    found = predict(choices(12, ["short"]), scored=scored)
    assert found.rivals["model"] == 9
    assert found.rivals["model, per token"] == 4.5
    contrary = predict(choices(12, ["long"]), scored=scored)
    assert (contrary.rivals["model"], contrary.predicted) == (0, 9)
    assert "the model as it is" not in replace(found, likes=("short answers",)).words()


# ------------------------------------------------------------------------------------ sentences

SURE = HelpVerdict(
    12, 12, 12, 11, {"shorter": 11, "longer": 1, "coin": 6}, likes=("short answers",)
)
MOVED = MovedReplies(4, 4, 118.0, 36.0, (Move("length", "short answers", 1.1, 4, 4),))


def test_a_taste_that_predicts_and_is_said_helps() -> None:
    assert SURE.answer == "yes"
    assert SURE.words() == (
        "Yes: short answers help you. 11 of your 12 later choices were predicted from the earlier "
        "ones; always taking the shorter one predicts 11 too, a coin 6."
    )


def test_too_few_choices_say_how_many_are_missing() -> None:
    assert HelpVerdict(5, 2, 2, 2.0, {"coin": 1.0}).words() == (
        "You have made too few choices to tell: 3 more are needed."
    )
    assert "8 more are needed" in HelpVerdict(0).words()
    assert "1 more is needed" in HelpVerdict(7, 4, 4, 4.0).words()


def test_what_may_be_luck_is_not_shown() -> None:
    luck = replace(SURE, predicted=7)
    assert luck.answer == "not shown"
    assert luck.words().endswith("That may be luck.")


def test_predictions_without_a_sure_preference_are_not_shown() -> None:
    assert "nothing is sure enough" in replace(SURE, likes=()).words()
    assert replace(SURE, likes=(), stated=True).words().startswith("Yes: what you stated helps")


def test_predictions_worse_than_a_coin_offer_the_switch() -> None:
    harm = replace(SURE, predicted=1)
    assert harm.answer == "no"
    assert harm.words().startswith("No: 1 of your 12 later choices was predicted")
    assert "pocketpref eval --switch off" in harm.words()
    off = replace(harm, off=True).words()
    assert "--switch off" not in off
    assert off.endswith("Personalization is switched off.")


def test_replies_that_move_are_said_in_words() -> None:
    said = replace(SURE, replies=MOVED).words()
    assert said.startswith("Yes: short answers help you.")
    assert said.endswith("Replies moved: 118 -> 36 words on 4 of your prompts.")


def test_replies_that_stay_take_the_yes_back() -> None:
    still = replace(MOVED, words_after=117.0, moves=(Move("length", "short answers", 0.01, 2, 4),))
    found = replace(SURE, replies=still)
    assert found.answer == "not shown"
    assert "Replies did not move: 118 -> 117 words" in found.words()


@pytest.mark.parametrize(
    "replies",
    [
        replace(MOVED, moves=(Move("length", "short answers", -1.0, 0, 4),)),
        replace(MOVED, broken=2),
    ],
)
def test_replies_that_get_worse_offer_the_switch(replies: MovedReplies) -> None:
    found = replace(SURE, replies=replies)
    assert found.answer == "no"
    assert "--switch off" in found.words()


def test_a_verdict_shows_no_text_of_the_person_in_its_repr() -> None:
    assert "short answers" not in repr(SURE)


def test_verdict_as_json_has_its_figures() -> None:
    value = json.loads(json.dumps(replace(SURE, replies=MOVED).to_dict()))
    assert (value["answer"], value["predicted"], value["asked"]) == ("yes", 11, 12)
    assert value["rivals"]["coin"] == 6
    assert value["replies"]["moves"][0]["likes"] == "short answers"


def test_a_crowd_is_summed_up_against_the_best_simple_rule() -> None:
    """Likes and dislikes of words that no text measure sees: nothing is shown."""
    found = compare(people(7, 12), [Longer(), Shorter(), Auto()], seeds=1)
    said = sum_up(found.outcomes)
    assert said.startswith("Not shown: of 21 later choices of 7 people, ")
    assert sum_up([found["longer"], found["shorter"]]) == ""


# ------------------------------------------------------------------------------ replies that move


def test_generated_replies_follow_the_taste(pocket: Pocket) -> None:
    teach(pocket, choices(12, ["short"]))
    found = pocket.evaluate(methods=(), generate=4).help
    assert found is not None
    assert found.answer == "yes"
    assert "Replies moved: 80 -> 12 words on 4 of your prompts." in found.words()


@pytest.mark.parametrize(
    ("model", "answer"),
    [
        (ScriptedModel(replies=ignore), "not shown"),
        (ScriptedModel(replies=oppose), "no"),
        (ScriptedModel(replies=loop), "no"),
    ],
)
def test_replies_that_do_not_follow_are_found_out(pocket: Pocket, answer: str) -> None:
    teach(pocket, choices(12, ["short"]))
    found = pocket.evaluate(methods=(), generate=4).help
    assert found is not None
    assert found.answer == answer


def test_a_person_with_few_prompts_is_asked_bundled_questions(
    pocket: Pocket, model: ScriptedModel
) -> None:
    pocket.state("Keep it short.")
    found = pocket.evaluate(methods=(), generate=4).help
    assert found is not None
    assert found.replies is not None
    assert (found.replies.prompts, found.replies.own) == (4, 0)
    assert [c[-1]["content"] for c in model.conversations[::2]] == list(QUESTIONS)


def test_without_anything_to_say_nothing_is_generated(pocket: Pocket, model: ScriptedModel) -> None:
    found = pocket.evaluate(methods=(), generate=4).help
    assert found is not None
    assert "nothing is asked of the model" in found.words()
    assert model.conversations == []


def test_a_verdict_asks_no_model_unless_told_to(pocket: Pocket, model: ScriptedModel) -> None:
    teach(pocket, choices(12, ["short"]))
    assert pocket.verdict().answer == "yes"
    assert pocket.evaluate(methods=()).help == pocket.verdict()
    assert (model.conversations, model.scored) == ([], 0)


def test_the_starter_answers_shorter_for_whoever_likes_it(
    starter_path: Path, tmp_path: Path
) -> None:
    writer = LlamaModel(starter_path, name="starter")
    with pocketpref.open(path=tmp_path / "v.db", key=EphemeralKey(), model=writer) as pocket:
        long = "Boil it for eight minutes, cool it in water, and peel it from its thick end. " * 4
        for place in range(12):
            prompt = f"How do I prepare dish number {place}?" if place < 8 else QUESTIONS[place % 4]
            pocket.add(prompt, "Boil it for eight minutes.", long)
        found = pocket.evaluate(methods=(), generate=2).help
    assert found is not None
    assert found.replies is not None
    assert found.replies.words_after < 0.7 * found.replies.words_before
    assert found.answer == "yes"


# ------------------------------------------------------------------------------------- the switch


def test_switched_off_replies_are_left_as_they_are(pocket: Pocket) -> None:
    teach(pocket, choices(12, ["short"]))
    pocket.state("Metric units, please.")
    assert pocket.personalize("Explain DNS").method == "auto"
    pocket.switch(on=False)
    found = pocket.personalize("Explain DNS", system="Be kind.")
    assert (found.prompt, found.attributes, found.method) == ("Explain DNS", (), "none")
    assert [message["content"] for message in found.messages] == ["Be kind.", "Explain DNS"]
    assert pocket.profile().auto == "off"
    assert pocket.verdict().off
    pocket.switch(on=True)
    assert pocket.personalize("Explain DNS").attributes[0] == '"Metric units, please."'
    assert pocket.profile().auto == "on"


def test_switched_off_generation_still_says_what_it_would_do(pocket: Pocket) -> None:
    teach(pocket, choices(12, ["short"]))
    pocket.switch(on=False)
    found = pocket.evaluate(methods=(), generate=4).help
    assert found is not None
    assert "Replies moved" in found.words()


def test_switch_survives_one_forgotten_choice_and_goes_with_all(pocket: Pocket) -> None:
    first, *_ = teach(pocket, choices(12, ["short"]))
    pocket.switch(on=False)
    pocket.switch(on=False)
    with pocket._components.store.documents() as documents:
        assert len(documents.all(decisions.SWITCH)) == 1
    pocket.forget(first)
    assert pocket.profile().auto == "off"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"method": "x"}', b"[" * 100_000])
def test_a_malformed_switch_is_reported_and_can_be_set(pocket: Pocket, content: bytes) -> None:
    store = pocket._components.store
    with store.changing() as documents:
        documents.insert(decisions.SWITCH, content)
    with pytest.raises(TamperedError, match="malformed"):
        decisions.is_off(store)
    pocket.switch(on=True)
    assert not decisions.is_off(store)


def test_a_verdict_of_an_earlier_version_switches_nothing_off(pocket: Pocket) -> None:
    store = pocket._components.store
    with store.changing() as documents:
        documents.insert(decisions.SWITCH, b'{"method": "none", "accuracies": {"none": 0.5}}')
    assert not decisions.is_off(store)


# ------------------------------------------------------------------------------- the command line


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path, ScriptedModel(replies=follow))
    with desk.open() as pocket:
        teach(pocket, choices(12, ["short"]))
    return desk


def test_eval_says_the_verdict_first_and_the_table_below(desk: Desk) -> None:
    done = desk.run("eval")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("Yes: short answers help you.")
    assert "always the longer answer" in done.out
    assert "ours-pooled" not in done.out
    assert desk.model.scored == 0


def test_eval_verbose_compares_methods_below_the_verdict(desk: Desk) -> None:
    done = desk.run("eval", "--verbose", "--methods", "none,shorter,auto", "--seeds", "1")
    assert done.code == 0, done.err
    assert done.out.startswith("Yes: short answers help you.")
    assert "the model as it is, per token" in done.out
    assert [line.split()[0] for line in done.out.splitlines()[-3:]] == ["none", "shorter", "auto"]


def test_eval_json_adds_help_to_its_documented_shape(desk: Desk) -> None:
    done = desk.run("eval", "--json", "--methods", "none,auto", "--seeds", "1", "--generate")
    value = json.loads(done.out)
    assert set(value) == {"methods", "protocol", "help"}
    assert value["help"]["answer"] == "yes"
    assert value["help"]["replies"]["moved"] is True


def test_eval_with_few_choices_says_how_many_are_missing(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "new", ScriptedModel())
    done = desk.run("eval")
    assert (done.code, done.out.strip()) == (
        0,
        "You have made too few choices to tell: 8 more are needed.",
    )
    assert json.loads(desk.run("eval", "--json").out)["methods"] == {}


def test_eval_report_begins_with_the_sentence(desk: Desk, tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    done = desk.run("eval", "--report", str(page), "--methods", "shorter,auto", "--seeds", "1")
    assert done.code == 0, done.err
    body = page.read_text("utf-8").partition("<h1>")[2]
    assert body.startswith("Does it help?</h1><p><strong>Yes: short answers help you.")
    assert "<svg" in body


def test_eval_switch_turns_personalization_off_and_on(desk: Desk) -> None:
    assert "not used in replies" in desk.run("eval", "--switch", "off").out
    assert json.loads(desk.run("personalize", "Explain DNS", "--json").out)["method"] == "none"
    assert "eval --switch on" in desk.run("profile").out
    assert json.loads(desk.run("eval", "--switch", "on", "--json").out) == {"auto": "on"}
    assert json.loads(desk.run("personalize", "Explain DNS", "--json").out)["method"] == "auto"


@pytest.mark.parametrize("option", [("--switch", "off"), ("--generate",)])
def test_eval_of_a_file_refuses_what_is_about_oneself(
    desk: Desk, tmp_path: Path, option: tuple[str, ...]
) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n")
    assert desk.run("eval", str(tmp_path / "x.jsonl"), *option).code == 2
