"""summary show|refresh|edit|state|history by the command line."""

import json
import sys

import pytest

from tests.cli.test_cli_egress import TEXT, as_json, write_summary


def test_without_a_summary_it_says_how_to_get_one(desk):
    for command in ((), ("show",), ("show", "--json")):
        result = desk.run("summary", *command)
        assert (result.code, result.out) == (1, "")
        assert "pocketpref summary refresh" in result.err
    assert desk.run("summary", "history").out == "there is no summary yet\n"
    chat = desk.run("chat", "--no-learn", stdin="/summary\n")
    assert "there is no summary yet" in chat.err


def test_alone_it_shows(desk):
    memory_id = desk.teach()
    write_summary(desk, sources=[memory_id])
    assert desk.run("summary").out == desk.run("summary", "show").out == f"{TEXT}\n"
    account = desk.run("summary").err
    assert "8 tokens, written from what was learned" in account
    assert f"{TEXT}: from 1 choice" in account
    found = json.loads(desk.run("summary", "--json").out)
    assert found == as_json(desk, "summary", "show")
    assert (found["text"], found["tokens"], found["margin"]) == (TEXT, 8, None)
    assert [clause["pairs"] for clause in found["evidence"]] == [[memory_id]]


def test_help_is_help(desk):
    for flag in ("-h", "--help"):
        assert "refresh" in desk.run("summary", flag).out


def test_an_edit_is_in_force_and_the_old_one_is_history(desk):
    write_summary(desk)
    result = desk.run("summary", "edit", "-", stdin="Short answers, metric units.\n")
    assert (result.code, result.out) == (0, "Short answers, metric units.\n")
    assert "said by you" in desk.run("summary").err
    listed = as_json(desk, "summary", "history")
    assert [(s["text"], bool(s["replaced"])) for s in listed] == [
        (TEXT, True),
        ("Short answers, metric units.", False),
    ]
    rows = desk.run("summary", "history").out.splitlines()
    assert ["*" in row for row in rows] == [False, False, True]


def test_an_edit_without_a_change_changes_nothing(desk, monkeypatch):
    write_summary(desk)
    monkeypatch.setenv("EDITOR", f"{sys.executable} -c pass")
    monkeypatch.delenv("VISUAL", raising=False)
    for arguments in ((), (TEXT,), (" ",)):
        result = desk.run("summary", "edit", *arguments)
        assert result.code == 0
        assert "nothing was changed" in result.err
    assert len(as_json(desk, "summary", "history")) == 1


def test_an_edit_in_the_editor_begins_with_the_summary(desk, tmp_path, monkeypatch):
    write_summary(desk)
    script = tmp_path / "editor.py"
    script.write_text(
        "import pathlib, sys\nfile = pathlib.Path(sys.argv[1])\n"
        "file.write_text(file.read_text().replace('short', 'long'))\n"
    )
    monkeypatch.setenv("EDITOR", f"{sys.executable} {script}")
    monkeypatch.delenv("VISUAL", raising=False)
    assert desk.run("summary", "edit").out == f"{TEXT.replace('short', 'long')}\n"


def test_a_statement_is_said_at_once_and_after_a_search(desk):
    assert desk.run("summary", "state", "I prefer metric units").code == 0
    done = as_json(desk, "summary", "refresh")
    assert not done["changed"]
    assert "metric units" in done["summary"]["text"]
    result = desk.run("summary", "refresh", "--budget", "5")
    assert "metric units" in result.out
    assert "not changed" in result.err


def test_with_too_few_choices_it_says_so(desk):
    desk.teach()
    result = desk.run("summary", "refresh")
    assert (result.code, result.out) == (0, "")
    assert "summarizing: reading your choices" in result.err
    assert "\nnot changed: " in result.err


def test_it_says_which_drafts_of_the_model_were_not_taken(desk):
    for n in range(12):
        desk.teach(f"Question {n} about thing{n}?")
    done = as_json(desk, "summary", "refresh")
    assert done["refused"]
    assert all(count > 0 for count in done["refused"].values())
    result = desk.run("summary", "refresh")
    assert f"not taken: {next(iter(done['refused']))}" in result.err


def test_learning_offers_a_summary_where_there_are_enough_choices_and_not_again(desk):
    with desk.open() as pocket:
        for n in range(11):
            pocket.add(f"Question {n} about thing{n}?", "Yes.", "Well, that depends.")
    assert "summary" not in desk.run("learn").err
    with desk.open() as pocket:
        pocket.add("Is tea good?", "Yes.", "Well, that depends.")
    assert "`pocketpref summary refresh` looks for one" in desk.run("learn").err
    assert "summary" not in desk.run("learn").err  # nothing was learned: it was said before
    desk.run("summary", "refresh")
    assert "looks for one" not in desk.run("summary").err
    with desk.open() as pocket:
        pocket.add("Is milk good?", "Yes.", "Well, that depends.")
    assert "summary" not in desk.run("learn").err


@pytest.mark.parametrize("text", ["", " ", "x" * 5000, "two\x00words"])
def test_what_cannot_be_stated_is_refused_and_not_quoted(desk, text):
    result = desk.run("summary", "state", "-", stdin=text)
    assert result.code == 1
    assert "xx" not in result.err
    assert "Traceback" not in result.err


def test_an_edit_makes_what_was_allowed_another_summary(desk):
    write_summary(desk)
    to = "openai:tiny@http://127.0.0.1:9/v1"
    desk.run("egress", "allow", to, "--level", "summary")
    desk.run("summary", "edit", "Long answers.")
    shown = as_json(desk, "egress", "preview", "Why?", "--to", to)
    assert not shown["allowed"]
    assert "+ Long answers." in shown["diff"]
