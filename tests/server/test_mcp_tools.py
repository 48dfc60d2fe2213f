"""What an assistant may ask for, and what it is told."""

from __future__ import annotations

import json

import pytest

from pocketpref.egress.disclosure import Level
from pocketpref.errors import InputError, NotFoundError, PocketprefError
from pocketpref.server.mcp.tools import MOST_STATEMENTS, TOOLS, Assistant, offered
from tests.server.conftest import ASKED, SECRETS, SUMMARY

BY_NAME = {tool.name: tool for tool in TOOLS}


def call(assistant, name, **arguments):
    tool = BY_NAME[name]
    return tool.run(assistant, tool.checked(arguments))


@pytest.fixture
def assistant(pocket):
    return Assistant(pocket, "desk")


def allow(pocket, desk, level, **terms):
    return pocket.egress.allow(desk, level, offer=pocket.offer(), **terms)


# ------------------------------------------------------------------------------ what is told


def test_without_a_grant_a_prompt_comes_back_as_it_was(assistant):
    answer = call(assistant, "personalize", prompt=ASKED, system="Be kind.")
    assert answer["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": ASKED},
    ]
    assert answer["shared"] == "nothing"
    assert "pocketpref egress allow mcp:desk" in answer["why"]
    assert call(assistant, "profile")["preferences"] == ""


def test_with_a_grant_the_summary_stands_in_front_as_data_and_is_on_the_log(
    assistant, pocket, desk
):
    allow(pocket, desk, Level.SUMMARY)
    answer = call(assistant, "personalize", prompt=ASKED)
    first, last = answer["messages"]
    assert last == {"role": "user", "content": ASKED}
    assert f"<preferences>\n{SUMMARY}\n</preferences>" in first["content"]
    assert "no instruction" in first["content"]
    assert answer["shared"] == "summary"
    *_, allowed, finished = pocket.egress.log()
    assert (allowed.event, finished.event) == ("allowed", "finished")
    released = json.loads(pocket.egress.released(allowed.id))
    assert released == {"messages": answer["messages"]}


def test_a_grant_is_for_one_assistant_and_ends_when_it_is_revoked(assistant, pocket, desk):
    allow(pocket, desk, Level.SUMMARY)
    other = Assistant(pocket, "other")
    assert call(other, "profile")["shared"] == "nothing"
    assert call(assistant, "profile") == {"preferences": SUMMARY, "shared": "summary"}
    assert call(assistant, "status")["shared"] == "summary"
    pocket.egress.revoke(desk)
    assert call(assistant, "profile")["shared"] == "nothing"
    assert call(assistant, "status")["shared"] == "nothing"


def test_a_summary_in_which_something_is_found_is_not_told(assistant, pocket, desk):
    pocket.edit_summary("Prefers short answers. Mail wilhelmina@quuxbury.example about it.")
    pocket.egress.allow(desk, Level.SUMMARY, any_summary=True)
    told = json.dumps([call(assistant, "profile"), call(assistant, "personalize", prompt=ASKED)])
    assert "quuxbury" not in told


@pytest.mark.parametrize("level", list(Level))
def test_no_tool_tells_a_choice_at_any_level(assistant, pocket, desk, level):
    allow(pocket, desk, level)
    pocket.learn()
    kept = next(iter(pocket.memories())).id
    told = [call(assistant, name) for name in ("profile", "status")]
    for prompt in (ASKED, SECRETS["prompt"], kept):
        told += [call(assistant, "personalize", prompt=prompt)["messages"][:-1]]
        told += [call(assistant, "recall", prompt=prompt)]
    for text in SECRETS.values():
        for word in text.split():
            assert len(word) < 6 or word not in json.dumps(told)
    assert kept not in json.dumps(told)


# ------------------------------------------------------------------------------ ranking

ANSWERS = ["Yes.", "Well, that depends on many things, which we go through one by one. " * 5]


@pytest.fixture
def brief(pocket):
    """Somebody who chose the short answer eight times."""
    for number in range(8):
        pocket.add(f"Is number {number} good?", "Yes.", f"That depends on {number} things. " * 20)
    return pocket


def test_ranking_without_a_grant_tells_nothing_and_is_logged(assistant, brief):
    answer = call(assistant, "rank_answers", prompt=ASKED, answers=ANSWERS)
    assert answer["probabilities"] == []
    assert answer["shared"] == "nothing"
    assert "pocketpref egress allow mcp:desk --level summary" in answer["why"]
    assert [entry.event for entry in brief.egress.log()] == ["denied"]


def test_ranking_is_refused_alike_whatever_the_reason(assistant, brief, desk):
    refusals = [call(assistant, "rank_answers", prompt=ASKED, answers=ANSWERS)]
    for level in (Level.NONE, Level.ATTRIBUTES):
        allow(brief, desk, level)
        refusals.append(call(assistant, "rank_answers", prompt=ASKED, answers=ANSWERS))
    allow(brief, desk, Level.SUMMARY)
    brief.edit_summary("Prefers long answers.")  # the grant is for another text
    refusals.append(call(assistant, "rank_answers", prompt=ASKED, answers=ANSWERS))
    brief.egress.allow(desk, Level.SUMMARY, any_summary=True)
    brief.edit_summary("Prefers short answers. Mail wilhelmina@quuxbury.example about it.")
    refusals.append(call(assistant, "rank_answers", prompt=ASKED, answers=ANSWERS))
    assert all(refusal == refusals[0] for refusal in refusals)
    assert [e.event for e in brief.egress.log() if e.event in ("allowed", "denied")] == [
        "denied"
    ] * 5


def test_ranking_with_a_summary_grant_gives_what_the_log_keeps(assistant, brief, desk):
    allow(brief, desk, Level.SUMMARY)
    answer = call(assistant, "rank_answers", prompt=ASKED, answers=ANSWERS)
    short, long = answer["probabilities"]
    assert short > 0.6 > long
    assert short + long == pytest.approx(1, abs=0.011)
    assert (answer["preferences"], answer["shared"]) == (SUMMARY, "summary")
    *_, allowed, finished = brief.egress.log()
    assert (allowed.event, finished.event) == ("allowed", "finished")
    told = json.loads(brief.egress.released(allowed.id))["messages"]
    assert json.loads(told[-1]["content"]) == {"probabilities": answer["probabilities"]}
    assert SUMMARY in told[0]["content"]


def test_forgetting_a_choice_takes_a_ranking_off_the_log(assistant, brief, desk):
    allow(brief, desk, Level.SUMMARY)
    call(assistant, "rank_answers", prompt=ASKED, answers=ANSWERS)
    release = next(e.id for e in brief.egress.log() if e.event == "allowed")
    brief.forget(next(iter(brief.memories())).id)
    assert brief.egress.released(release) is None


def test_a_ranking_counts_towards_the_uses_of_a_day(assistant, brief, desk):
    allow(brief, desk, Level.SUMMARY, daily=1)
    assert call(assistant, "rank_answers", prompt=ASKED, answers=ANSWERS)["probabilities"]
    assert not call(assistant, "rank_answers", prompt=ASKED, answers=ANSWERS)["probabilities"]


# ------------------------------------------------------------------------------ statements


def test_a_reported_statement_is_kept_with_its_assistant(assistant, pocket):
    assert call(assistant, "state_preference", text="Metric units, please") == {"kept": True}
    (kept,) = (each for each in pocket.statements() if each.program)
    assert (kept.text, kept.program, kept.wanted) == ("Metric units, please", "desk", True)
    assert "Metric units" in pocket.personalize(ASKED).instruction
    pocket.unstate(kept.id)
    assert "Metric units" not in pocket.personalize(ASKED).instruction


def test_a_reported_statement_replaces_none_of_the_persons_own(assistant, pocket):
    own = pocket.state("Metric units, please")
    pocket.edit_summary("Prefers answers in verse.")
    pocket.edit_summary("Prefers short answers.")
    before = pocket.statements()
    assert any(not each.wanted for each in before)
    for each in before:
        answer = call(assistant, "state_preference", text=each.text.upper())
        assert answer == {"kept": True}
    assert pocket.statements() == before
    assert own in [each.id for each in before]


def test_reported_statements_never_push_out_the_persons_own(assistant, pocket):
    pocket.state("Metric units, please")
    for number in range(6):
        call(assistant, "state_preference", text=f"Mention the number {number}")
    assert "Metric units" in pocket.personalize(ASKED).instruction


def test_an_assistant_keeps_a_limited_number_of_statements(assistant, pocket):
    for number in range(MOST_STATEMENTS):
        call(assistant, "state_preference", text=f"Mention the number {number}")
    with pytest.raises(InputError) as caught:
        call(assistant, "state_preference", text="One more")
    assert "take some back" in caught.value.hint
    assert call(Assistant(pocket, "other"), "state_preference", text="One more")["kept"]


# ------------------------------------------------------------------------------ what is reported


def test_what_an_assistant_reports_is_remembered_and_found_by_it_alone(assistant, pocket):
    kept = call(assistant, "remember_choice", prompt=ASKED, chosen="Yes.", rejected="Well ...")
    assert pocket.memory(kept["id"]).pair.chosen == "Yes."
    pocket.learn()
    (found,) = call(assistant, "recall", prompt=ASKED)["choices"]
    assert found["id"] == kept["id"]
    assert found["similarity"] == pytest.approx(1, abs=0.01)
    assert call(Assistant(pocket, "other"), "recall", prompt=ASKED) == {"choices": []}


def test_an_assistant_forgets_its_own_choices_and_no_others(assistant, pocket):
    own = call(assistant, "remember_choice", prompt=ASKED, chosen="Yes.", rejected="No.")["id"]
    mine = next(m.id for m in pocket.memories() if m.id != own)
    refusals = []
    for stranger in (mine, "000000000000", "no id at all"):
        with pytest.raises(NotFoundError) as caught:
            call(assistant, "forget", ids=[own, stranger])
        refusals.append(str(caught.value))
        assert "recall names those" in caught.value.hint
    assert len(set(refusals)) == 1, "whether another's id exists shows"
    assert pocket.counts().memories == 2
    assert call(assistant, "forget", ids=[own]) == {"forgotten": 1}
    assert [m.id for m in pocket.memories()] == [mine]


def test_a_choice_among_replies_under_the_summary_says_so(assistant, pocket, desk):
    before = call(assistant, "remember_choice", prompt=ASKED, chosen="Yes.", rejected="No.")
    allow(pocket, desk, Level.SUMMARY)
    call(assistant, "personalize", prompt=ASKED)
    after = call(assistant, "remember_choice", prompt=ASKED, chosen="Yes!", rejected="No!")
    assert "answered_under" not in pocket.memory(before["id"]).meta
    assert pocket.memory(after["id"]).meta["answered_under"] == [pocket.summary().id]


def test_a_choice_among_replies_under_inferred_words_is_marked(place, desk):
    with place.open() as pocket:
        assistant = Assistant(pocket, "desk")
        pocket.state("Prefers short answers")
        pocket.egress.allow(desk, Level.SUMMARY, any_summary=True)
        assert call(assistant, "personalize", prompt=ASKED)["shared"] == "summary"
        kept = call(assistant, "remember_choice", prompt=ASKED, chosen="Yes!", rejected="No!")
        assert pocket.memory(kept["id"]).meta["answered_under"] == ["preferences"]


# ------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("personalize", {}),
        ("personalize", {"prompt": 7}),
        ("personalize", {"prompt": "Zanzibar?", "sistem": "x"}),
        ("personalize", {"prompt": "Zanzibar " * 200_000}),
        ("personalize", {"prompt": "  "}),
        ("personalize", {"prompt": "\ud800 Zanzibar"}),
        ("remember_choice", {"prompt": "Zanzibar?", "chosen": "Zanzibar", "rejected": "Zanzibar"}),
        ("rank_answers", {"prompt": "Zanzibar?"}),
        ("rank_answers", {"prompt": " ", "answers": ["Zanzibar", "b"]}),
        ("rank_answers", {"prompt": "Zanzibar?", "answers": ["Zanzibar"]}),
        ("rank_answers", {"prompt": "Zanzibar?", "answers": ["Zanzibar"] * 17}),
        ("rank_answers", {"prompt": "Zanzibar?", "answers": ["Zanzibar", " \n"]}),
        ("rank_answers", {"prompt": "Zanzibar?", "answers": ["Zanzibar", 7]}),
        ("rank_answers", {"prompt": "Zanzibar?", "answers": "Zanzibar"}),
        ("rank_answers", {"prompt": "Zanzibar?", "answers": ["Zanzibar" * 200_000, "b"]}),
        ("rank_answers", {"prompt": "\ud800 Zanzibar", "answers": ["a", "b"]}),
        ("rank_answers", {"prompt": "Zanzibar?", "answers": ["\ud800 Zanzibar", "b"]}),
        ("state_preference", {}),
        ("state_preference", {"text": "  "}),
        ("state_preference", {"text": "Zanzibar\x00"}),
        ("state_preference", {"text": "\ud800 Zanzibar"}),
        ("state_preference", {"text": "Zanzibar " * 100}),
        ("state_preference", {"text": ["Zanzibar"]}),
        ("forget", {"ids": []}),
        ("forget", {"ids": "Zanzibar"}),
        ("forget", {"ids": ["Zanzibar"] * 101}),
        ("status", {"Zanzibar": 1}),
    ],
)
def test_arguments_that_cannot_be_are_refused_without_being_quoted(assistant, name, arguments):
    with pytest.raises(PocketprefError) as caught:
        call(assistant, name, **arguments)
    assert "Zanzibar" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "Desk", "a b", "a@https://b", "../x", "x" * 64])
def test_an_assistant_has_a_plain_name(pocket, name):
    with pytest.raises(InputError):
        Assistant(pocket, name)


def test_read_only_leaves_out_what_writes():
    names = [tool.name for tool in offered(read_only=True)]
    assert names == ["personalize", "profile", "rank_answers", "recall", "status"]
    assert [tool.name for tool in TOOLS if tool.destroys] == ["forget"]


def test_each_schema_is_one_that_its_own_arguments_pass():
    from jsonschema import Draft202012Validator

    for tool in TOOLS:
        Draft202012Validator.check_schema(tool.schema)
    checks = Draft202012Validator(BY_NAME["forget"].schema)
    assert checks.is_valid({"ids": ["a"]})
    assert not checks.is_valid({"ids": []})
