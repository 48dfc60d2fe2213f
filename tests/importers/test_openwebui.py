from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pocketpref.errors import FileError
from tests.importers.conftest import openwebui_chat, openwebui_message, openwebui_rating


def ask(text: str = "Why?", **more: Any) -> dict[str, Any]:
    return openwebui_message("q", None, "user", text, **more)


def answer(key: str, rating: int | str | None = None, **more: Any) -> dict[str, Any]:
    annotation = {} if rating is None else {"annotation": {"rating": rating, "reason": ""}}
    return openwebui_message(key, "q", "assistant", f"answer {key}") | annotation | more


def pairs(result: Any) -> list[tuple[str, str]]:
    return [(f.meta["chosen"], f.meta["rejected"]) for f in result.found]


def test_the_branch_kept_is_chosen_over_the_branch_left(reading: Any) -> None:
    chat = openwebui_chat(ask(), answer("a"), answer("b", timestamp=1_700_000_050), current="b")
    result = reading([chat])
    assert result.texts == [("Why?", "answer b", "answer a")]
    assert result.found[0].created == datetime.fromtimestamp(1_700_000_050, tz=UTC)
    assert result.found[0].user is None
    assert result.found[0].meta == {
        "source": "openwebui",
        "choice": "kept",
        "conversation": "chat-1",
        "chosen": "b",
        "rejected": "a",
        "chosen_model": "llama3:8b",
        "rejected_model": "llama3:8b",
    }


@pytest.mark.parametrize(
    ("ratings", "current", "expected"),
    [
        ((1, -1, None), "c", [("a", "b"), ("a", "c")]),
        ((1, 1, -1), "c", [("a", "c"), ("b", "c")]),
        ((None, -1, None), "a", [("a", "b"), ("a", "c")]),
        ((-1, None, None), "a", []),
        ((-1, -1, -1), "a", []),
        ((None, None, None), None, []),
        (("1", "-1", 7), "c", [("a", "b"), ("a", "c")]),
        ((True, 1.5, []), None, []),
    ],
)
def test_ratings_come_first_then_the_branch_kept(
    reading: Any, ratings: Any, current: str | None, expected: list[tuple[str, str]]
) -> None:
    answers = [answer(key, rating) for key, rating in zip("abc", ratings, strict=True)]
    assert pairs(reading([openwebui_chat(ask(), *answers, current=current)])) == expected


def test_answers_side_by_side_count_only_if_the_conversation_went_on(reading: Any) -> None:
    answers = [answer("a", modelIdx=0), answer("b", modelIdx=1), answer("b2", modelIdx=1)]
    assert pairs(reading([openwebui_chat(ask(), *answers, current="b2")])) == [("b2", "b")]
    more = openwebui_message("q2", "b2", "user", "And?")
    result = reading([openwebui_chat(ask(), *answers, more, current="q2")])
    assert pairs(result) == [("b2", "a"), ("b2", "b")]


@pytest.mark.parametrize(
    "broken", [{"done": False}, {"error": {"content": "no"}}, {"content": " "}]
)
def test_unfinished_and_failed_answers_give_no_pair(reading: Any, broken: dict[str, Any]) -> None:
    chat = openwebui_chat(ask(), answer("a"), answer("b") | broken, current="a")
    assert reading([chat]).found == []


def test_reasoning_and_tool_calls_are_cut_out(reading: Any) -> None:
    hidden = '<details type="reasoning" done="true">\n<summary>T</summary>\nhm\n</details>\n'
    tool = '<details type="tool_calls" id="1"><summary>x</summary></details>'
    chat = openwebui_chat(
        ask(), answer("a", content=f"{hidden}Yes.{tool}"), answer("b"), current="a"
    )
    assert reading([chat]).texts == [("Why?", "Yes.", "answer b")]
    unclosed = openwebui_chat(
        ask(), answer("a", content='<details type="reasoning"' * 30_000), answer("b"), current="b"
    )
    assert len(reading([unclosed]).found) == 1


def test_prompts_with_images_edits_by_filters_and_edited_prompts_give_no_pair(reading: Any) -> None:
    pictured = openwebui_chat(ask(files=[{"type": "image"}]), answer("a"), answer("b"), current="a")
    filtered = openwebui_chat(ask(), answer("a", originalContent="before"), current="a")
    edited = openwebui_chat(
        ask(), answer("a"), openwebui_message("q2", None, "user", "Why not?"), current="q2"
    )
    assert reading([pictured, filtered, edited]).found == []


def test_a_rating_record_compares_its_answer_with_its_siblings(reading: Any) -> None:
    chat = openwebui_chat(
        ask(), answer("a"), answer("b", model="mistral"), answer("c", model="phi"), current="a"
    )
    assert pairs(reading([openwebui_rating(chat, "b", 1, None)])) == [("b", "a"), ("b", "c")]
    assert pairs(reading([openwebui_rating(chat, "b", 1, ["phi"])])) == [("b", "c")]
    assert pairs(reading([openwebui_rating(chat, "b", -1, ["phi", "llama3:8b"])])) == []


def test_a_thumb_down_counts_against_a_sibling_rated_up(reading: Any) -> None:
    chat = openwebui_chat(ask(), answer("a", 1), answer("b"), answer("c"), current="c")
    result = reading([openwebui_rating(chat, "b", -1, None)])
    assert pairs(result) == [("a", "b")]
    assert result.found[0].meta["choice"] == "rated"


def test_an_arena_model_is_known_by_the_model_behind_it(reading: Any) -> None:
    arena = {"model": "arena-model", "arena": True}
    chat = openwebui_chat(
        ask(),
        answer("a", selectedModelId="phi", **arena),
        answer("b", selectedModelId="mistral", **arena),
        current="a",
    )
    result = reading([openwebui_rating(chat, "a", 1, ["mistral"])])
    assert result.found[0].meta["rejected_model"] == "mistral"


def test_a_pair_that_two_records_speak_of_is_taken_once(reading: Any) -> None:
    chat = openwebui_chat(ask(), answer("a", 1), answer("b", -1), current="a")
    records = [openwebui_rating(chat, "a", 1, None), openwebui_rating(chat, "b", -1, None)]
    assert pairs(reading([*records, chat])) == [("a", "b")]
    chat["id"] = ""
    assert len(pairs(reading([chat, chat]))) == 2


def test_several_peoples_entries_are_filed_under_their_names(reading: Any) -> None:
    chats = [
        openwebui_chat(ask(), answer("a"), answer("b"), current="b", user=user, key=f"chat-{user}")
        for user in ("u-1", "u-2")
    ]
    assert [f.user for f in reading(chats).found] == ["u-1", "u-2"]


def test_old_exports_with_the_history_beside_the_id_are_read(reading: Any) -> None:
    chat = openwebui_chat(ask(), answer("a"), answer("b"), current="b")
    assert len(reading([{"id": "old", **chat["chat"]}]).found) == 1
    assert len(reading(chat).found) == 1


def test_what_makes_no_sense_is_reported_and_the_rest_read(reading: Any) -> None:
    good = openwebui_chat(ask(), answer("a"), answer("b"), current="b")
    looped = openwebui_chat(ask(parentId="a"), answer("a"), current="a")
    lost = openwebui_rating(good, "SECRET", 1, None)
    odd = openwebui_rating(good, "a", 1, None, snapshot={"chat": "SECRET"})
    result = reading([good, looped, lost, odd, {"id": ["SECRET"], "chat": 3}, None])
    assert len(result.found) == 1
    places = [entry.reason.split(":")[0] for entry in result.bad]
    assert places == ["chat 2", "rating 3", "rating 4", "chat 5", "chat 6"]
    assert "SECRET" not in repr(result.bad)


def test_a_file_of_another_program_is_refused_as_a_whole(reading: Any) -> None:
    with pytest.raises(FileError, match="no Open WebUI chat"):
        reading([{"mapping": {}}], "openwebui")
