"""The program with a window: what it does, and, where there is a screen, the window itself."""

from __future__ import annotations

import os
import queue
import sys
import time

import pytest


def wait(events, kind):
    while True:
        found, value = events.get(timeout=20)
        assert found != "problem", value
        if found == kind:
            return value


@pytest.fixture
def events():
    return queue.Queue()


@pytest.fixture
def module(example):
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    return example("desk")


def test_an_answer_that_was_made_again_and_kept_is_remembered(module, pocket, events):
    desk = module.Desk(pocket, lambda *what: events.put(what))
    assert "nothing to remember" in desk.kept()
    desk.ask("Is tea good?")
    assert wait(events, "done") == "answer 1"
    assert "nothing to remember" in desk.kept()
    desk.again()
    assert wait(events, "done") == "answer 2"
    assert desk.kept() == "remembered"
    (memory,) = pocket.memories()
    assert memory.meta["program"] == "desk"
    assert desk.edited("My own words.") == "remembered"
    (memory,) = pocket.memories()
    assert memory.pair.chosen == "My own words."


def _screen():
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY"))


@pytest.mark.skipif(not _screen(), reason="there is no screen (DISPLAY)")
def test_the_window_asks_answers_and_remembers(module, pocket):
    window = module.Window(pocket)

    def until(condition):
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < 20
            window.update()
            time.sleep(0.01)

    try:
        window.prompt.insert(0, "Is tea good?")
        window.prompt.focus_force()
        window.buttons[0].invoke()
        until(lambda: window.words["text"] == "answer 1")
        assert "Is tea good?" in window.answer.get("1.0", "end")
        window.buttons[1].invoke()
        until(lambda: window.words["text"] == "answer 2")
        window.buttons[2].invoke()
        assert window.words["text"] == "remembered"
        window.answer.delete("1.0", "end")
        window.answer.insert("1.0", "My own words.")
        window.buttons[3].invoke()
        assert [memory.pair.chosen for memory in pocket.memories()] == ["My own words."]
    finally:
        window.destroy()
