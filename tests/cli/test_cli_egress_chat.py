"""A chat that leaves the machine: what is said of it, and that it can be used like a local one."""

import json
import socket

import click
import pytest

from pocketpref.cli.chat.session import ChatSession
from pocketpref.cli.chat.turns import ChatOptions
from pocketpref.cli.egress import log as remote_module
from pocketpref.cli.egress.rendering import terminal_ask
from pocketpref.egress import Decision
from pocketpref.summary.evidence import is_evidence
from pocketpref.testing import ScriptedModel
from tests.backends.http.peer import DONE, HELLO, OK, answer, chunk, serve
from tests.cli.test_chat_session import Script, hear
from tests.cli.test_cli_egress import TEXT, write_summary


@pytest.fixture
def peer():
    with serve(answer(HELLO), answer(chunk("Good day.") + DONE), answer(HELLO)) as peer:
        yield peer


@pytest.fixture
def to(peer):
    return f"openai:tiny@{peer.url()}"


@pytest.fixture
def view():
    return Script()


@pytest.fixture
def pocket(desk):
    write_summary(desk)
    with desk.open() as pocket:
        yield pocket


def bodies(peer):
    return [json.loads(body) for body in peer.bodies()]


def test_a_chat_with_a_grant_says_once_what_leaves_and_then_marks_it(desk, peer, to):
    write_summary(desk)
    desk.run("egress", "allow", to, "--level", "summary")
    result = desk.run("chat", "--to", to, "--no-learn", stdin="hello\nand now?\nexit\n")
    assert result.code == 0
    assert result.out == "Hello, you.\nGood day.\n"
    assert result.err.count(TEXT) == 1
    assert result.err.count("[sent to 127.0.0.1 with your preference summary]") == 2
    first, second = bodies(peer)
    assert [m["role"] for m in second["messages"]] == ["system", "user", "assistant", "user"]
    assert second["messages"][2]["content"] == "Hello, you."
    assert TEXT in first["messages"][0]["content"]
    assert desk.model.conversations == []


def test_without_a_grant_and_a_terminal_every_prompt_is_refused_and_the_chat_goes_on(
    desk, peer, to
):
    result = desk.run("chat", "--to", to, "--no-learn", stdin="hello\n/local\nhello\nexit\n")
    assert result.code == 0
    assert "nothing allows it" in result.err
    assert "egress allow" in result.err
    assert result.out.startswith("You said: hello")
    assert peer.lines == []


def test_local_and_remote_take_turns_in_one_conversation(desk, pocket, view, peer, to):
    with desk.open() as other:
        other.egress  # noqa: B018 - opened beside, as another program would
    desk.run("egress", "allow", to, "--level", "none")
    chat = ChatSession(pocket, view, ChatOptions(record=False))
    hear(chat, "one", f"/remote {to}", "two", "/local", "three", "/remote", "four")
    assert [a.strip()[:9] for a in view.answers[:4]] == [
        "You said:", "Hello, yo", "You said:", "Good day.",
    ]  # fmt: skip
    second, fourth = bodies(peer)
    assert [m["content"] for m in second["messages"]][-1] == "two"
    assert len(fourth["messages"]) == 7
    assert desk.model.conversations[1][-2]["content"] == "Hello, you."
    assert view.notes.count("what was said so far leaves with the next prompt") == 2


def test_a_preview_in_a_chat_is_what_leaves_next(desk, pocket, view, peer, to):
    desk.run("egress", "allow", to, "--level", "summary")
    chat = ChatSession(pocket, view, ChatOptions(to=to, system="Be kind.", record=False))
    hear(chat, "/preview", "one", "/preview two")
    assert "nothing has left yet" in view.notes[0]
    shown = view.notes[-1].splitlines()[-1]
    hear(chat, "two", "/preview")
    assert view.notes[-1].splitlines()[-1] == shown
    assert peer.bodies()[1] == shown.encode()


def test_answers_from_elsewhere_are_preferred_and_edited_like_local_ones(desk, pocket, view, to):
    """And count as evidence only where nothing of the person was in them."""
    desk.run("egress", "allow", to, "--level", "summary")
    chat = ChatSession(pocket, view, ChatOptions(to=to))
    hear(chat, "hello", "/retry", "/prefer 2")
    (memory,) = pocket.memories()
    assert (memory.pair.chosen, memory.pair.rejected) == ("Good day.", "Hello, you.")
    assert not is_evidence(memory)
    desk.run("egress", "allow", to, "--level", "none")
    view.edits = ["Hello, Ada."]
    hear(chat, "again", "/edit")
    newest = next(pocket.memories())
    assert newest.pair.chosen == "Hello, Ada."
    assert is_evidence(newest)
    assert chat.recorded == 2


def test_a_local_answer_to_a_prompt_that_left_is_still_marked(desk, pocket, view, peer, to):
    desk.run("egress", "allow", to, "--level", "summary")
    chat = ChatSession(pocket, view, ChatOptions(to=to))
    hear(chat, "hello", "/local", "/retry", "/prefer 2")
    (memory,) = pocket.memories()
    assert not is_evidence(memory)
    hear(chat, "/why")
    assert "nothing was added" in view.notes[-1]


def test_why_says_where_it_went_and_with_what(desk, pocket, view, peer, to):
    desk.run("egress", "allow", to, "--level", "summary")
    hear(ChatSession(pocket, view, ChatOptions(to=to)), "hello", "/why", "/summary")
    assert view.notes[-2] == f"sent to {to}, with your preference summary: {TEXT}"
    assert view.notes[-1] == TEXT


def test_plain_sends_the_request_alone(desk, pocket, view, peer, to):
    desk.run("egress", "allow", to, "--level", "summary")
    chat = ChatSession(pocket, view, ChatOptions(to=to))
    hear(chat, "/plain hello", "and now?")
    plain, usual = bodies(peer)
    assert [m["role"] for m in plain["messages"]] == ["user"]
    assert usual["messages"][0]["role"] == "system"


def test_an_answer_that_breaks_off_is_reported_and_the_chat_goes_on(desk, pocket, view):
    with serve(answer(chunk("Half"), OK), answer(HELLO)) as peer:
        to = f"openai:tiny@{peer.url()}"
        desk.run("egress", "allow", to, "--level", "none")
        chat = ChatSession(pocket, view, ChatOptions(to=to))
        assert hear(chat, "hello", "hello again") == [True, True]
        assert any("hung up" in note for note in view.notes)
        assert view.answers[:2] == ["Half", "Hello, you."]
        assert len(chat.history) == 2


def test_a_grant_revoked_by_another_program_holds_at_the_next_prompt(desk, pocket, view, peer, to):
    desk.run("egress", "allow", to, "--level", "none")
    chat = ChatSession(pocket, view, ChatOptions(to=to))
    hear(chat, "hello")
    desk.run("egress", "revoke", to)
    hear(chat, "hello")
    assert "nothing allows it" in view.notes[-1]
    assert len(peer.lines) == 1


# ---------------------------------------------------------------------------------- asking


@pytest.fixture
def at_a_terminal(monkeypatch):
    monkeypatch.setattr(remote_module, "somebody_to_ask", lambda: True)


@pytest.mark.usefixtures("at_a_terminal")
@pytest.mark.parametrize(
    ("letter", "sent", "grants"), [("n", 0, 0), ("", 0, 0), ("o", 1, 0), ("k", 1, 1)]
)
def test_a_person_is_shown_the_bytes_and_asked(desk, peer, letter, sent, grants):
    write_summary(desk)
    to = f"openai:tiny@{peer.url()}"
    result = desk.run("remote", "Why?", "--to", to, stdin=f"{letter}\n")
    assert result.code == (0 if sent else 1)
    assert "This would leave your machine" in result.err
    assert TEXT in result.err
    assert '"content":"Why?"' in result.err
    assert len(peer.lines) == sent
    status = json.loads(desk.run("egress", "status", "--json").out)
    assert len(status["grants"]) == grants


def test_for_this_chat_means_this_text_to_this_destination(desk, pocket, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr("click.prompt", lambda *_, **__: asked.append(1) or "c")
    ask = terminal_ask(for_this_chat=True)
    there = "openai:tiny@http://127.0.0.1:9/v1"
    for prompt in ("one", "two"):
        assert ask(pocket.preview(prompt, to=there)) is Decision.ONCE
    assert len(asked) == 1
    assert ask(pocket.preview("one", to=there.replace("tiny", "large"))) is Decision.ONCE
    assert len(asked) == 2
    write_summary(desk, "Prefers long answers.")
    assert ask(pocket.preview("one", to=there)) is Decision.ONCE
    assert len(asked) == 3
    assert "Prefers long answers." in capsys.readouterr().err


def test_ctrl_c_at_the_question_is_a_no_that_ends_a_chat_no_more(pocket, monkeypatch):
    def give_up(*_, **__):
        raise click.Abort

    monkeypatch.setattr("click.prompt", give_up)
    shown = pocket.preview("one", to="openai:tiny")
    assert terminal_ask(for_this_chat=True)(shown) is Decision.NO
    with pytest.raises(click.Abort):
        terminal_ask()(shown)


# ---------------------------------------------------------------------------------- offline


def test_an_offline_chat_goes_nowhere(desk, peer, to):
    desk.run("egress", "allow", to, "--level", "none")
    assert desk.run("chat", "--offline", "--to", to).code == 2
    assert desk.run("chat", "--best-of", "4", "--to", to).code == 2
    result = desk.run("chat", "--offline", "--no-learn", stdin=f"/remote {to}\nhello\n")
    assert "this chat is offline" in result.err
    assert result.out.startswith("You said: hello")
    assert peer.lines == []


@pytest.mark.parametrize("command", ["chat", "learn"])
def test_offline_makes_a_connection_of_any_library_an_error(desk, peer, command):
    def call_home(*_):
        socket.create_connection(("127.0.0.1", peer.port))
        return "done"

    class Leaky(ScriptedModel):
        def likelihoods(self, *arguments):
            call_home()
            return super().likelihoods(*arguments)

    desk.model = Leaky({}, replies=call_home)
    desk.run("add", "--prompt", "Why?", "--chosen", "Yes.", "--rejected", "No, not at all.")
    result = desk.run(command, "--offline", stdin="hello\n")
    assert "something tried to use a network" in result.err
    assert peer.lines == []
