from __future__ import annotations

import copy
import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any

import pytest

from pocketpref.errors import FileError
from pocketpref.importers import json_stream, read
from tests.importers.conftest import chatgpt_conversation, chatgpt_node

QUESTION = chatgpt_node("q", None, "user", "Why?")


def conversation(*nodes: dict[str, Any], current: str) -> list[dict[str, Any]]:
    return [chatgpt_conversation(copy.deepcopy(QUESTION), *nodes, current=current)]


def answer(key: str, text: str, parent: str = "q", **message: Any) -> dict[str, Any]:
    return chatgpt_node(key, parent, "assistant", text, **message)


def test_the_answer_kept_is_chosen_over_the_answer_left(
    reading: Any, regenerated: dict[str, Any]
) -> None:
    result = reading([regenerated])
    assert result.texts == [("What is DNS?", "The phone book of the net.", "A long lecture.")]
    assert result.bad == []
    feedback = result.found[0]
    assert feedback.created == datetime.fromtimestamp(1_700_000_020, tz=UTC)
    assert feedback.meta == {
        "source": "chatgpt",
        "choice": "kept",
        "conversation": "c-1",
        "chosen": "a2",
        "rejected": "a1",
        "chosen_model": "gpt-4o",
        "rejected_model": "gpt-4o",
    }
    assert feedback.user is None


def test_going_back_to_the_first_answer_chooses_the_first(
    reading: Any, regenerated: dict[str, Any]
) -> None:
    regenerated["current_node"] = "a1"
    assert reading([regenerated]).texts[0][1:] == ("A long lecture.", "The phone book of the net.")


def test_each_answer_left_gives_a_pair(reading: Any) -> None:
    nodes = [answer(f"a{n}", f"answer {n}") for n in range(3)]
    found = reading(conversation(*nodes, current="a2")).texts
    assert found == [("Why?", "answer 2", "answer 0"), ("Why?", "answer 2", "answer 1")]


def test_an_edited_prompt_gives_no_pair(reading: Any) -> None:
    edited = chatgpt_conversation(
        chatgpt_node("root", None, "system", None),
        chatgpt_node("q", "root", "user", "Why?"),
        answer("a", "Because."),
        chatgpt_node("q2", "root", "user", "Why not?"),
        answer("a2", "Because not.", "q2"),
        current="a2",
    )
    result = reading([edited])
    assert (result.found, result.bad) == ([], [])


def test_reasoning_tools_and_hidden_messages_are_not_part_of_an_answer(reading: Any) -> None:
    hidden = {"metadata": {"is_visually_hidden_from_conversation": True}}
    thoughts = {"content": {"content_type": "thoughts", "thoughts": [{"content": "hm"}]}}
    code = {"content": {"content_type": "code", "text": "1+1"}, "recipient": "python"}
    result = reading(
        conversation(
            answer("t", "", **thoughts),
            answer("c", "", "t", **code),
            chatgpt_node("r", "c", "tool", "2"),
            answer("h", "hidden", "r", **hidden),
            answer("a", "It is two.", "h"),
            answer("b", "Two."),
            current="a",
        )
    )
    assert result.texts == [("Why?", "It is two.", "Two.")]


def test_an_answer_in_several_messages_is_one_text(reading: Any) -> None:
    nodes = [answer("a", "One,"), answer("b", "two.", "a"), answer("c", "Three.")]
    assert reading(conversation(*nodes, current="c")).texts == [("Why?", "Three.", "One,\n\ntwo.")]
    assert reading(conversation(*nodes[:2], current="b")).texts == []


def test_branches_that_part_late_share_their_beginning(reading: Any) -> None:
    nodes = [answer("s", "Look:"), answer("a", "A.", "s"), answer("b", "B.", "s")]
    assert reading(conversation(*nodes, current="a")).texts == [
        ("Why?", "Look:\n\nA.", "Look:\n\nB.")
    ]


def test_what_continues_the_kept_answer_is_no_alternative(reading: Any) -> None:
    nodes = [answer("a", "One,"), answer("b", "two.", "a")]
    assert reading(conversation(*nodes, current="a")).texts == []


@pytest.mark.parametrize(
    "broken",
    [
        {"status": "in_progress"},
        {"metadata": {"finish_details": {"type": "interrupted"}}},
        {"content": {"content_type": "text", "parts": [""]}},
        {"content": {"content_type": "multimodal_text", "parts": [{"asset_pointer": "x"}]}},
        {"content": None},
        {"recipient": "dalle.text2im"},
    ],
)
def test_unfinished_and_wordless_answers_give_no_pair(reading: Any, broken: dict[str, Any]) -> None:
    nodes = [answer("a", "Fine."), answer("b", "Half", **broken)]
    for current in "ab":
        result = reading(conversation(*nodes, current=current))
        assert (result.found, result.bad) == ([], [])


@pytest.mark.parametrize(
    "seen",
    [
        {"content": {"content_type": "multimodal_text", "parts": [{}, "What is on it?"]}},
        {"metadata": {"attachments": [{"id": "file-1"}]}},
    ],
)
def test_a_prompt_with_images_or_files_gives_no_pair(reading: Any, seen: dict[str, Any]) -> None:
    question = chatgpt_node("q", None, "user", "What is on it?", **seen)
    result = reading(
        [chatgpt_conversation(question, answer("a", "A"), answer("b", "B"), current="a")]
    )
    assert (result.found, result.bad) == ([], [])


def test_places_of_search_results_are_cut_out(reading: Any) -> None:
    nodes = [answer("a", "So.\ue200cite\ue202turn0search1\ue201"), answer("b", "No.")]
    assert reading(conversation(*nodes, current="a")).texts == [("Why?", "So.", "No.")]


def test_identical_answers_are_passed_over_silently(reading: Any) -> None:
    result = reading(conversation(answer("a", "Yes."), answer("b", "Yes."), current="a"))
    assert (result.found, result.bad) == ([], [])


def test_an_over_long_answer_is_reported_without_its_text(reading: Any) -> None:
    nodes = [answer("a", "SECRET" * 200_000), answer("b", "B")]
    result = reading(conversation(*nodes, current="a"))
    assert result.found == []
    assert "conversation 1" in result.bad[0].reason
    assert "SECRET" not in result.bad[0].reason


def test_a_loop_is_reported_and_the_next_conversation_read(
    reading: Any, regenerated: dict[str, Any]
) -> None:
    looped = copy.deepcopy(regenerated)
    looped["mapping"]["root"]["parent"] = "a3"
    result = reading([looped, {"mapping": []}, "text", regenerated])
    assert len(result.found) == 1
    assert [b.reason.split(":")[0] for b in result.bad] == [f"conversation {n}" for n in (1, 2, 3)]


def test_missing_parents_and_a_missing_current_node_give_nothing(
    reading: Any, regenerated: dict[str, Any]
) -> None:
    regenerated["current_node"] = "gone"
    orphans = conversation(answer("a", "A", "gone"), current="a")
    result = reading([regenerated, *orphans])
    assert (result.found, result.bad) == ([], [])


def test_a_turn_with_very_many_branches_is_read_up_to_a_limit(reading: Any) -> None:
    chain = [answer("n0", "x")] + [answer(f"n{i}", "x", f"n{i - 1}") for i in range(1, 20_000)]
    leaves = [answer(f"l{i}", f"leaf {i}", "n19999") for i in range(20_000)]
    result = reading(conversation(*chain, *leaves, current="l0"))
    assert len(result.found) == 32


def test_one_conversation_alone_is_read_too(reading: Any, regenerated: dict[str, Any]) -> None:
    assert len(reading(regenerated).found) == 1
    assert len(reading(json.dumps(regenerated, indent=1).encode()).found) == 1
    regenerated["mapping"]["a1"]["message"]["content"]["parts"] = ["long " * 30_000]
    assert len(reading(regenerated).found) == 1


def test_a_title_that_is_named_like_another_formats_key_confuses_nobody(
    reading: Any, regenerated: dict[str, Any]
) -> None:
    regenerated["title"] = "chat"
    assert len(reading([regenerated]).found) == 1


def test_a_truncated_file_is_refused(regenerated: dict[str, Any]) -> None:
    content = json.dumps([regenerated]).encode()
    for cut in (content[:-1], content[:-40], content + b"]", content[:-1] + b",", b"[" * 100_000):
        with pytest.raises(FileError):
            list(read(io.BytesIO(cut), "chatgpt"))


def test_a_file_of_another_program_is_refused_as_a_whole() -> None:
    with pytest.raises(FileError, match="no ChatGPT conversation"):
        list(read(io.BytesIO(b'[{"chat": {}}]'), "chatgpt"))


def test_an_empty_history_holds_no_pairs() -> None:
    assert list(read(io.BytesIO(b" [ ] "), "chatgpt")) == []


def zipped(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def test_the_zip_file_of_the_export_is_read_with_its_parts(
    reading: Any, regenerated: dict[str, Any]
) -> None:
    content = json.dumps([regenerated]).encode()
    assert len(reading(zipped(**{"conversations.json": content, "chat.html": b"<p>"})).found) == 1
    parts = {f"export/conversations-00{n}.json": content for n in range(3)}
    assert len(reading(zipped(**parts)).found) == 3


def test_zip_bombs_and_unusable_zip_files_are_refused(
    monkeypatch: pytest.MonkeyPatch, regenerated: dict[str, Any]
) -> None:
    name, content = "conversations.json", json.dumps([regenerated]).encode()
    sound = zipped(**{name: content})
    bomb = zipped(**{name: b"[" + b" " * 50_000_000 + b"]"})
    other = zipped(zipfile.ZIP_LZMA, **{name: content})
    for raw in (bomb, other, sound[:-30], sound[:40] + b"xxxx" + sound[44:], zipped(a=b"")):
        with pytest.raises(FileError):
            list(read(io.BytesIO(raw)))
    monkeypatch.setattr(json_stream, "MAX_DOCUMENT_BYTES", len(content) - 1)
    for raw in (sound, content):
        with pytest.raises(FileError, match=r"more than|larger than"):
            list(read(io.BytesIO(raw)))
