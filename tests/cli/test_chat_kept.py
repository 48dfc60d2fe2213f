"""A chat that is kept: gone on with by -c, and forgotten wherever its choices are."""

from __future__ import annotations

import json

import pytest

from pocketpref import chat_history
from pocketpref.chat_history import MOST_CHARACTERS, Exchange
from pocketpref.cli.chat.session import ChatSession
from pocketpref.errors import NotFoundError, TamperedError
from tests.cli.test_chat_session import Script, hear

ONE, TWO, THREE = (Exchange(f"prompt {n}", f"answer {n}") for n in (1, 2, 3))


@pytest.fixture
def pocket(desk):
    with desk.open() as pocket:
        yield pocket


def begin(pocket, *, go_on=False):
    view = Script()
    view.edits = ["Mine.", "Mine after all."]
    return ChatSession(pocket, view, None, pocket.keep_conversation(go_on=go_on), keep=True)


def prompts(pocket):
    return [each.prompt for each in pocket.conversation()]


# ------------------------------------------------------------------------------ by the command


def test_by_default_nothing_of_a_chat_is_kept(desk, pocket):
    assert desk.run("chat", stdin="hello\nexit\n").code == 0
    assert pocket.conversation() == ()
    refused = desk.run("chat", "-c", stdin="hello\n")
    assert refused.code == 1
    assert "no conversation is kept" in refused.err
    assert "chat --keep" in refused.err


def test_a_kept_chat_is_gone_on_with_in_another_process(desk, pocket):
    said = desk.run("chat", "--keep", stdin="hello\nexit\n")
    assert "this chat is kept, sealed" in said.err
    more = desk.run("chat", "-c", stdin="and now?\nexit\n")
    assert "going on after 1 exchange" in more.err
    assert "> hello" in more.err
    assert [m["content"] for m in desk.model.conversations[-1]] == [
        "hello",
        pocket.conversation()[0].answer,
        "and now?",
    ]
    assert prompts(pocket) == ["hello", "and now?"]


@pytest.mark.parametrize(
    ("setting", "options", "kept"),
    [
        ("yes", (), True),
        ("yes", ("--no-keep",), False),
        ("yes", ("--no-learn",), False),
        ("yes", ("--no-learn", "--keep"), True),
        ("no", (), False),
        ("no", ("--keep",), True),
    ],
)
def test_the_setting_keeps_chats_and_options_come_before_it(desk, pocket, setting, options, kept):
    desk.environ_more["POCKETPREF_KEEP_CHAT"] = setting
    desk.run("chat", *options, stdin="hello\n")
    assert prompts(pocket) == (["hello"] if kept else [])


def test_a_chat_that_is_not_kept_leaves_the_kept_one_as_it_is(desk, pocket):
    desk.run("chat", "--keep", stdin="hello\n")
    desk.run("chat", stdin="something else\n")
    desk.run("chat", "-c", "--no-keep", stdin="and now?\n")
    assert prompts(pocket) == ["hello"]
    desk.run("chat", "--keep", stdin="anew\n")
    assert prompts(pocket) == ["anew"]


def test_what_was_kept_here_is_not_sent_elsewhere_by_an_option(desk):
    desk.run("chat", "--keep", stdin="hello\n")
    assert desk.run("chat", "-c", "--to", "openai:gpt-5").code == 2


def test_a_kept_chat_is_forgotten_by_itself_or_with_everything(desk, pocket):
    desk.run("chat", "--keep", stdin="hello\n")
    assert "1 exchange" in desk.run("forget", "--chat", "--dry-run").out
    assert prompts(pocket) == ["hello"]
    assert desk.run("forget", "--chat", "--yes").out == "forgot the chat\n"
    assert pocket.conversation() == ()
    assert desk.run("forget", "--chat", "--yes").out == "no chat is kept\n"
    desk.run("chat", "--keep", stdin="hello\n")
    assert desk.run("forget", "--all", "--yes").code == 0  # though there is no choice
    assert pocket.conversation() == ()


def test_each_person_has_their_own(desk, pocket):
    desk.run("chat", "--keep", "-u", "ada", stdin="of ada\n")
    assert pocket.conversation() == ()
    assert desk.run("chat", "-c", stdin="hello\n").code == 1


# ------------------------------------------------------------------------------ what is kept


def test_every_turn_is_kept_as_it_stands(pocket):
    chat = begin(pocket)
    hear(chat, "hello")
    first = pocket.conversation()[0].answer
    hear(chat, "/retry")
    second = pocket.conversation()[0].answer
    hear(chat, "/prefer 1")
    assert pocket.conversation()[0].answer == first != second
    hear(chat, "/edit")
    (kept,) = pocket.conversation()
    assert (kept.answer, pocket.memory(kept.choices[0]).pair.chosen) == ("Mine.", "Mine.")
    hear(chat, "!multi", "one", "two", "!end")
    assert prompts(pocket) == ["hello", "one\ntwo"]


def test_changing_ones_mind_about_a_choice_costs_nothing_of_the_chat(pocket):
    chat = begin(pocket)
    hear(chat, "hello", "and now?", "/edit", "/edit")
    assert prompts(pocket) == ["hello", "and now?"]
    assert pocket.counts().memories == 1


def test_forgetting_a_choice_forgets_the_chat_and_it_is_not_written_down_again(pocket):
    chat = begin(pocket)
    hear(chat, "hello", "secret?", "/edit")
    hear(chat, "/forget")
    assert pocket.conversation() == ()
    hear(chat, "/edit")
    assert pocket.conversation() == ()
    hear(chat, "and now?")
    assert prompts(pocket) == ["and now?"]


@pytest.mark.parametrize("way", ["choice", "chat", "everything"])
def test_what_another_program_forgets_meanwhile_stays_forgotten(desk, pocket, way):
    chat = begin(pocket)
    hear(chat, "hello", "/edit")
    with desk.open() as other:
        if way == "choice":
            other.forget(*other.conversation()[0].choices)
        elif way == "chat":
            assert other.forget_conversation()
        else:
            other.forget_everything()
    hear(chat, "and now?", "and then?")
    assert prompts(pocket) == ["and now?", "and then?"]


def test_of_two_chats_at_once_the_later_one_is_kept(desk, pocket):
    chat = begin(pocket)
    hear(chat, "hello")
    with desk.open() as other:
        hear(begin(other), "later")
        hear(chat, "and now?")
        assert prompts(other) == ["later"]


def test_the_oldest_is_left_out_where_it_gets_too_long(pocket):
    notebook = pocket.keep_conversation()
    half = Exchange("x" * (MOST_CHARACTERS // 2), "answer")
    notebook.write([half, ONE])
    assert len(pocket.conversation()) == 2
    notebook.write([half, ONE, half])
    assert pocket.conversation() == (ONE, half)
    notebook.write([half, ONE, half, Exchange("x" * MOST_CHARACTERS, "answer")])
    assert pocket.conversation() == ()
    notebook.write([half, ONE, half, TWO])
    assert pocket.conversation() == (ONE, half, TWO)


def test_what_did_not_change_is_not_written(pocket):
    notebook = pocket.keep_conversation()
    notebook.write([])
    assert pocket.conversation() == ()
    notebook.write([ONE])
    before = pocket._components.store.version()
    notebook.write([ONE])
    assert pocket._components.store.version() == before


def test_there_is_nothing_to_go_on_with_unless_something_was_kept(pocket):
    with pytest.raises(NotFoundError):
        pocket.keep_conversation(go_on=True)
    pocket.keep_conversation().write([ONE, TWO])
    notebook = pocket.keep_conversation(go_on=True)
    assert notebook.earlier == (ONE, TWO)
    notebook.write([THREE])
    assert pocket.conversation() == (ONE, TWO, THREE)
    assert "prompt 1" not in repr((notebook, *notebook.earlier))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\xff", b'[["a", "b"]]', b'[["a", 1, []]]', b"[" * 10**5]
)
def test_what_is_no_conversation_is_named_and_can_be_forgotten(desk, pocket, content):
    with pocket._components.store.changing() as documents:
        documents.insert(chat_history.KIND, content)
    with pytest.raises(TamperedError) as caught:
        pocket.conversation()
    assert caught.value.__context__ is None
    assert desk.run("forget", "--chat", "--yes").code == 0
    assert pocket.conversation() == ()


def test_an_archive_does_not_carry_it(desk, tmp_path):
    (tmp_path / "word").write_text("a passphrase of some length\n")
    passphrase = ("--passphrase-file", str(tmp_path / "word"))
    desk.run("chat", "--keep", stdin="hello\n")
    desk.teach()
    file = str(tmp_path / "archive")
    assert desk.run("export", file, *passphrase).code == 0
    assert desk.run("restore", file, *passphrase, "-u", "new").code == 0
    with desk.open("new") as other:
        assert other.conversation() == ()
        assert other.counts().memories == 1


def test_the_summary_and_recall_know_nothing_of_it(desk, pocket):
    desk.run("chat", "--keep", stdin="Is my knee X17 broken?\nexit\n")
    desk.teach()
    shown = [desk.run(*each).out for each in (("profile",), ("summary",), ("status", "--json"))]
    shown.append(json.dumps(pocket.personalize("Is my knee X17 broken?").to_openai()[:-1]))
    assert "X17" not in "".join(shown)


def test_going_elsewhere_with_a_kept_chat_says_that_it_leaves(pocket):
    pocket.keep_conversation().write([ONE])
    view = Script()
    chat = ChatSession(pocket, view, None, pocket.keep_conversation(go_on=True))
    hear(chat, "/remote openai:gpt-5")
    assert "what was said so far leaves with the next prompt" in view.notes
    hear(chat, "/preview and now?")
    assert "answer 1" in view.notes[-1]
