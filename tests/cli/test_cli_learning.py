"""learn, profile, personalize, score and status."""

import io
import json
import sys

import pytest

from pocketpref.cli.context import App
from pocketpref.cli.learn import Tally, learn_visibly, time_left
from pocketpref.cli.output import bar, printable
from pocketpref.cli.profile import draw_profile
from pocketpref.results import Progress


def test_learn_tells_progress_and_what_was_found(desk, feedback):
    with desk.open() as pocket:
        pocket.add_many([feedback(f"question {n}") for n in range(3)])
    result = desk.run("learn")
    assert result.code == 0
    assert "learning: 1 of 3 pairs" in result.err
    assert "learning: 3 of 3 pairs, Concise 3" in result.err
    assert result.out.startswith("learned from 3 choices in 0 s\nfound: Concise 3")
    assert desk.run("learn").out == "nothing new to learn\n"


def test_a_spent_budget_keeps_what_is_done_and_says_what_remains(desk, feedback):
    with desk.open() as pocket:
        pocket.add_many([feedback("one"), feedback("two")])
    result = desk.run("learn", "--budget", "0")
    assert result.code == 0
    assert "time is up" in result.out
    assert "2 choices remaining" in result.out


def test_an_interruption_keeps_what_is_done_and_says_so(desk, feedback):
    with desk.open() as pocket:
        pocket.add_many([feedback(f"question {n}") for n in range(3)])

    class Impatient:
        """The desk's Pocket, with a person who presses Ctrl-C after the first pair."""

        def __init__(self, pocket):
            self._pocket = pocket

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self._pocket.close()

        def __getattr__(self, name):
            return getattr(self._pocket, name)

        def learn(self, *, budget, on_progress):
            def press(progress):
                on_progress(progress)
                if progress.done == 1:
                    raise KeyboardInterrupt

            return self._pocket.learn(budget=budget, on_progress=press)

    result = desk.run("learn", app=App(desk.environ, lambda *a, **o: Impatient(desk.open(*a, **o))))
    assert result.code == 130
    assert "learned from 1 choice" in result.out
    assert "stopped: what was learned is kept, 2 choices remaining" in result.out
    with desk.open() as pocket:
        assert pocket.counts().learned == 1


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(0, 4, 0.0, 0.0), ""),
        (Progress(0, 4, 0.5, 10.0), "70 s left"),
        (Progress(1, 4, 1.0, 10.0), "30 s left"),
        (Progress(2, 4, 0.0, 3600.0), "60 min left"),
        (Progress(4, 4, 1.0, 10.0), ""),
    ],
)
def test_time_left_goes_by_what_is_done(progress, words):
    assert time_left(progress) == words


def test_a_pair_is_counted_once_however_often_it_is_reported():
    tally = Tally()
    for progress in (
        Progress(0, 2, 0.5, 1.0),
        Progress(1, 2, 1.0, 2.0, found=("Direct", "Concise")),
        Progress(1, 2, 0.3, 3.0),
        Progress(2, 2, 1.0, 4.0, found=("Direct",)),
    ):
        tally.count(progress)
    assert tally.names() == "Direct 2, Concise 1"


def test_profile_draws_bars_with_evidence(desk):
    memory_id = desk.teach()
    result = desk.run("profile", "--verbose")
    assert result.code == 0
    line = next(line for line in result.out.splitlines() if "Concise" in line)
    assert "████" in line
    assert memory_id in line
    assert "short and to the point" in result.out
    assert "\x1b" not in result.out, "no colours off a terminal"
    shape = json.loads(desk.run("profile", "--json").out)
    assert shape["attributes"][0]["name"] == "Concise"
    assert shape["attributes"][0]["pairs"] == [memory_id]
    assert shape["method"] == "exact"


def test_an_empty_profile_says_what_to_do(desk, feedback):
    assert "pocketpref import" in desk.run("profile").out
    with desk.open() as pocket:
        pocket.add_many([feedback("one")])
    assert "Nothing is sure yet" in desk.run("profile").out
    assert "pocketpref learn" in desk.run("profile", "-v").out


class _Narrow:
    encoding = "ascii"


class _Wide:
    encoding = "UTF-8"


@pytest.mark.parametrize(
    ("share", "narrow", "wide"),
    [
        (1.0, "#" * 8, "█" * 8),
        (0.5, "####", "████"),
        (0.0, "", ""),
        (0.01, "#", "▏"),
        (9, "#" * 8, "█" * 8),
    ],
)
def test_bars_fall_back_to_ascii(share, narrow, wide):
    assert bar(share, 8, _Narrow()) == narrow
    assert bar(share, 8, _Wide()) == wide


def test_text_for_a_terminal_holds_nothing_it_would_obey():
    assert printable("a\x1b[2Jb\x9b\r\nc\td\u202ee") == "a\ufffd[2Jb\ufffd\nc\td\ufffde"


def test_personalize_prints_the_prompt_and_accounts_for_it(desk):
    memory_id = desk.teach()
    result = desk.run("personalize", "Is tea better than coffee?", "--method", "exact")
    head, block = result.out.splitlines()
    assert head == "Is tea better than coffee?"
    assert block.startswith("Attributes: <short and to the point")
    assert f"added Concise, from {memory_id} (similarity 1.00)" in result.err


def test_personalize_json_has_the_promised_shape(desk):
    memory_id = desk.teach()
    arguments = ("personalize", "-", "--json", "-s", "Sys", "--method", "exact")
    shape = json.loads(desk.run(*arguments, stdin="Is tea better than coffee?").out)
    assert shape["attributes"] == ["Concise"]
    assert shape["method"] == "exact"
    assert shape["sources"][0]["id"] == memory_id
    assert [m["role"] for m in shape["messages"]] == ["system", "user"]
    assert shape["messages"][-1]["content"] == shape["prompt"]


def test_personalize_leaves_an_unrelated_prompt_alone(desk):
    desk.teach()
    result = desk.run("personalize", "Explain DNS")
    assert result.out == "Explain DNS\n"
    assert "added nothing" in result.err


def test_score_json_has_the_promised_shape_and_keeps_nothing(desk):
    pair = ("--prompt", "p", "--chosen", "Yes. Yes.", "--rejected", "No.")
    shape = json.loads(desk.run("score", *pair, "--attributes", "concise,Vivid", "--json").out)
    assert shape["model"] == "scripted"
    assert shape["base"] == {"chosen": -2.0, "rejected": -1.0}
    assert shape["margins"] == {"Concise": 6.0, "Vivid": 0.0}
    assert "noise" in shape
    with desk.open() as pocket:
        assert pocket.counts().memories == 0


def test_score_lists_the_whole_bank_by_margin(desk):
    result = desk.run("score", "--prompt", "p", "--chosen", "Yes.", "--rejected", "No.")
    lines = result.out.splitlines()
    assert lines[1].split() == ["Concise", "+3.00"]
    assert len(lines) == 43


def test_score_with_bare_names_injects_names(desk):
    desk.model._tastes = {"attributes: <concise>": {"Yes.": 2.0}}
    pair = ("--prompt", "p", "--chosen", "Yes.", "--rejected", "No.", "--attributes", "Concise")
    shape = json.loads(desk.run("score", *pair, "--wording", "names", "--json").out)
    assert shape["margins"] == {"Concise": 2.0}


def test_status_in_words_and_in_json(desk):
    desk.teach(user="ada")
    words = desk.run("status", "-u", "ada").out
    for word in ("ada", "1 choice, 1 learned", "AES-256-GCM", "key-file", "off"):
        assert word in words
    shape = json.loads(desk.run("status", "-u", "ada", "--json").out)
    assert (shape["user"], shape["pairs"], shape["indexed"]) == ("ada", 1, 1)
    assert (shape["model"], shape["egress"]) == ("scripted", "off")
    assert shape["vault"]["key_custody"] == "key-file"
    assert set(shape["vault"]) >= {"path", "encryption", "key_custody"}


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True


def terminal(monkeypatch):
    """From here on standard output and error are a terminal that shows colours."""
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setattr(sys, "stderr", screen)
    return screen


@pytest.mark.parametrize("no_color", [False, True])
def test_a_terminal_gets_colours_unless_they_are_unwanted(desk, monkeypatch, no_color):
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    else:
        monkeypatch.delenv("NO_COLOR", raising=False)
    desk.teach()
    screen = terminal(monkeypatch)
    with desk.open() as pocket:
        draw_profile(pocket.profile(), pocket.attributes)
    assert ("\x1b[32m█" in screen.getvalue()) is not no_color


def test_a_terminal_gets_a_progress_bar(desk, monkeypatch, feedback):
    screen = terminal(monkeypatch)
    with desk.open() as pocket:
        pocket.add_many([feedback(f"question {n}") for n in range(3)])
        learn_visibly(pocket)
    shown = screen.getvalue()
    assert "loading the models" in shown
    assert "3/3 pairs · Concise 3" in shown
    assert "learned from 3 choices" in shown
