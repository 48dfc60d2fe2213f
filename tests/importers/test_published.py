"""Preference data as researchers publish it: what is a choice in it, whose, and what is none."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pocketpref.cli import params
from pocketpref.errors import FileError
from pocketpref.evaluation.cases import by_user, cases_of, splits
from pocketpref.importers import FORMATS, BadEntry, Format, read
from pocketpref.records import Feedback
from pocketpref.testing import HashEmbedder
from tests.importers.published import (
    ALIGNX,
    FSPO,
    LAMP_1,
    LAMP_2,
    LAMP_3,
    LAMP_5,
    OUTPUTS,
    PLANTED,
    PREFEVAL,
    PRISM,
    ROWS,
    TLDR,
)


def lines(*rows: Any) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def short(reading: Any) -> list[tuple[str, str, str]]:
    """Texts without the planted word."""
    return [
        tuple(text.replace(f"{PLANTED} ", "") for text in texts)  # type: ignore[misc]  # three
        for texts in reading.texts
    ]


def test_the_command_line_knows_all_formats() -> None:
    assert params.FORMATS == FORMATS


@pytest.mark.parametrize("name", ROWS)
def test_rows_may_be_lines_or_a_list(reading: Any, name: Format) -> None:
    rows = ROWS[name]
    one, other = reading(lines(*rows), name), reading(rows, name)
    assert one.texts == other.texts != []
    assert one.bad == other.bad == []


def test_prism_prefers_the_answer_that_was_gone_on_from(reading: Any) -> None:
    found = reading(lines(PRISM), "prism")
    assert short(found) == [
        ("tea?", "yes", "no"),
        ("tea?", "yes", "perhaps"),
        ("why?", "warmth", "taste"),
    ]
    assert {f.user for f in found.found} == {"user0"}
    assert found.found[0].created == datetime(2023, 11, 22, 15, 21, 31, tzinfo=UTC)
    assert [f.meta["ranking"] for f in found.found] == ["c0 0", "c0 0", "c0 1"]
    assert found.found[0].meta["over"] == "model-1"


def test_prism_without_a_chosen_answer_holds_no_choice(reading: Any) -> None:
    history = [m | {"if_chosen": False} for m in PRISM["conversation_history"]]
    found = reading(lines(PRISM | {"conversation_history": history}), "prism")
    assert found.found == []
    assert "turn 1" in found.bad[0].reason


def test_tldr_prefers_what_its_worker_chose(reading: Any) -> None:
    found = reading(lines(TLDR, TLDR | {"choice": 0, "worker": "other"}), "tldr")
    assert [(f.pair.chosen.split()[-1], f.user) for f in found.found] == [
        ("shorter", "w0rk3r"),
        ("short", "other"),
    ]
    assert found.found[0].pair.prompt.endswith(f"Title: {PLANTED} title\n\n{PLANTED} long story")
    assert found.found[0].meta == {"ranking": "t3_abc", "batch": "batch9", "split": "train"}


def test_tldrs_news_have_an_article(reading: Any) -> None:
    info = {"id": "x", "site": "cnn", "title": "", "article": "What happened."}
    found = reading(lines(TLDR | {"info": info}), "tldr")
    assert found.found[0].pair.prompt.endswith("sentences.\n\nWhat happened.")


@pytest.mark.parametrize("choice", [2, -1, None, True, "1", [0]])
def test_tldr_without_a_choice_is_none(reading: Any, choice: object) -> None:
    found = reading(lines(TLDR | {"choice": choice}), "tldr")
    assert (found.found, len(found.bad)) == ([], 1)


def test_fspo_follows_the_label_of_the_simulated_reader(reading: Any) -> None:
    found = reading(lines(*FSPO, FSPO[0] | {"label": 0}), "fspo")
    assert short(found) == [
        ("gravity?", "a curved space-time", "things fall"),
        ("dinner?", "soup", "steak"),
        ("gravity?", "things fall", "a curved space-time"),
    ]
    assert [f.user for f in found.found] == ["expert", "309fa18d-e081", "expert"]


def test_roleplay_with_a_persona_in_words_goes_by_its_level(reading: Any) -> None:
    row = FSPO[1] | {"score_persona": "a vegetarian", "level": "p7"}
    assert reading(lines(row), "fspo").found[0].user == "p7"


def test_alignx_asks_last_what_the_benchmark_asks(reading: Any) -> None:
    found = reading(lines(ALIGNX, ALIGNX), "alignx").found
    assert {f.user for f in found} == {"alignx 1", "alignx 2"}
    cases = cases_of(found, HashEmbedder(), item_of=lambda f: f.pair.prompt)
    (split,) = splits(by_user(cases)["alignx 1"], "ordered", 1)
    assert [c.pair.prompt for c in split.asked] == [ALIGNX["prompt"]]
    assert len(split.past) == 4


def test_prefevals_first_option_follows_the_preference(reading: Any) -> None:
    found = reading([PREFEVAL], "prefeval")
    assert [t[1:] for t in short(found)] == [("tea", "cocoa"), ("tea", "latte"), ("tea", "x")]
    assert found.found[0].meta == {"preference": f"I avoid {PLANTED} milk."}
    assert found.found[0].user is None


def write(folder: Path, questions: list[Any], outputs: Any = OUTPUTS) -> Path:
    (folder / "dev_outputs.json").write_text(json.dumps(outputs), "utf-8")
    path = folder / "dev_questions.json"
    path.write_text(json.dumps(questions), "utf-8")
    return path


def test_lamps_answers_are_found_in_the_file_beside_the_questions(
    tmp_path: Path, reading: Any
) -> None:
    path = write(tmp_path, [LAMP_1, LAMP_2, LAMP_3])
    found = [entry for entry in read(path, "lamp") if isinstance(entry, Feedback)]
    merged = reading(lines(*ROWS["lamp"]), "lamp").found
    assert [f.pair for f in found] == [f.pair for f in merged]
    with path.open("rb") as file:  # as the command line hands it over
        assert [f.pair for f in read(file, "lamp") if isinstance(f, Feedback)] == [
            f.pair for f in found
        ]


def test_lamp_1_is_about_what_was_cited(reading: Any) -> None:
    (found,) = reading(lines(ROWS["lamp"][0]), "lamp").found
    assert (found.pair.chosen, found.pair.rejected) == (f"{PLANTED} leaves", f"{PLANTED} coffee")
    assert found.pair.prompt.endswith("without explanation.")
    assert found.user == "110"


def test_lamp_2_and_3_begin_with_what_the_person_did_before(reading: Any) -> None:
    tags, scores = (reading(lines(row), "lamp").found for row in ROWS["lamp"][1:])
    assert [(f.pair.chosen, f.pair.rejected) for f in tags] == [
        ("comedy", "sci-fi"),
        ("comedy", "action"),
        ("sci-fi", "comedy"),
        ("sci-fi", "action"),
    ]
    assert tags[0].pair.prompt.endswith(f"description: {PLANTED} a funny film")
    assert tags[0].pair.prompt.startswith("Which tag does this movie relate to")
    assert tags[1].created < tags[2].created
    assert [f.pair.chosen for f in scores] == ["1"] * 4 + ["4"] * 4
    assert {f.meta["ranking"] for f in scores} == {"310 0", "310 1"}


def test_lamps_texts_hold_no_choice_and_say_so(tmp_path: Path) -> None:
    golds = [{"id": "510", "output": "A title"}]
    path = write(tmp_path, [LAMP_5], {"task": "LaMP_5", "golds": golds})
    (bad,) = read(path, "lamp")
    assert isinstance(bad, BadEntry)
    assert "LaMP-1, LaMP-2 or LaMP-3" in bad.reason


def test_questions_without_answers_are_reported(tmp_path: Path, reading: Any) -> None:
    assert "SPLIT_outputs.json" in reading(lines(LAMP_1), "lamp").bad[0].reason
    path = write(tmp_path, [LAMP_1], ["not", "outputs"])
    with pytest.raises(FileError, match=r"dev_outputs\.json is no file"):
        list(read(path, "lamp"))


def test_a_long_text_made_to_be_slow_is_read_at_once(reading: Any) -> None:
    for trap in ('[1]: "', "tags: [", "] description: "):
        row = LAMP_1 | {"input": trap * 150_000, "output": "[1]"}
        assert reading(lines(row), "lamp").found == []


@pytest.mark.parametrize("name", ROWS)
def test_a_row_without_a_field_is_named_by_its_number_and_the_field(
    reading: Any, name: Format
) -> None:
    row = ROWS[name][0]
    read_fields = {
        "prism": ("user_id", "conversation_id", "conversation_history"),
        "tldr": ("info", "summaries", "choice", "worker"),
        "fspo": ("prompt", "response_x", "response_y", "label", "scorer_level"),
        "alignx": ("prompt", "chosen", "rejected", "Pair-wise Comparative Feedback"),
        "lamp": ("id", "input", "profile", "output"),
        "prefeval": ("question", "preference", "classification_task_options"),
    }[name]
    for field in read_fields:
        found = reading(lines(row, {k: v for k, v in row.items() if k != field}), name)
        assert found.bad, field
        assert {entry.line for entry in found.bad} == {2}
        assert PLANTED not in repr(found.bad)
