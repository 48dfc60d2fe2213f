"""A chat by scripted lines, on a real vault, without a terminal."""

from itertools import count

import pytest

from pocketpref.cli.chat.session import ChatSession
from pocketpref.cli.chat.turns import HELP, ChatOptions
from pocketpref.errors import ModelError
from pocketpref.records import Sampling
from pocketpref.results import Personalized
from pocketpref.testing import ScriptedModel


class Script:
    """A view that writes down what it is shown, and edits as it is told."""

    def __init__(self):
        self.answers = [""]
        self.notes = []
        self.edits = []
        self.edited_from = []
        self.interrupt_after = None
        self.pieces = 0

    def piece(self, text):
        self.answers[-1] += text
        self.pieces += 1
        if self.interrupt_after == self.pieces:
            self.interrupt_after = None
            raise KeyboardInterrupt

    def end_answer(self):
        self.answers.append("")

    def note(self, text):
        self.notes.append(text)

    def edit(self, text):
        self.edited_from.append(text)
        return self.edits.pop(0)


@pytest.fixture
def view():
    return Script()


@pytest.fixture
def pocket(desk):
    with desk.open() as pocket:
        yield pocket


@pytest.fixture
def chat(pocket, view):
    return ChatSession(pocket, view)


def hear(chat, *lines):
    return [chat.hear(line) for line in lines]


def test_a_line_is_a_prompt_and_the_history_grows(chat, view, desk):
    hear(chat, "hello", "and now?")
    assert view.answers[0].startswith("You said: hello")
    assert [m["role"] for m in desk.model.conversations[1]] == ["user", "assistant", "user"]
    assert chat.history[1]["content"] == view.answers[0].strip()


@pytest.mark.parametrize("word", ["exit", "quit", "  exit  ", "/exit", "/quit", "/bye"])
def test_exit_ends_the_chat(chat, word):
    assert hear(chat, "hello", "", word) == [True, True, False]


def test_a_sentence_that_begins_with_exit_is_a_prompt(chat, view):
    assert hear(chat, "exit strategies for startups") == [True]
    assert "exit strategies" in view.answers[0]
    assert hear(chat, "/bye now") == [True]
    assert "no such command" in view.notes[-1]


def test_multi_collects_lines_until_end(chat, desk):
    hear(chat, "!multi", "first", "", "/retry", "exit", "!end")
    assert desk.model.conversations[0][-1]["content"] == "first\n\n/retry\nexit"


def test_multi_can_have_an_end_word_of_its_own(chat, desk):
    hear(chat, "!multi stop", "first", "!end", "!end stop")
    assert desk.model.conversations[0][-1]["content"] == "first\n!end"


def test_the_prompt_can_be_written_in_an_editor(chat, view, desk):
    view.edits = ["/etc/hosts\nis what?", None]
    hear(chat, "!edit begun", "!edit")
    assert view.edited_from == ["begun", ""]
    assert [c[-1]["content"] for c in desk.model.conversations] == ["/etc/hosts\nis what?"]


def test_retry_answers_the_same_prompt_again(chat, view, desk):
    hear(chat, "hello", "/retry")
    first, second = desk.model.conversations
    assert first == second
    assert view.answers[0] != view.answers[1]
    assert "/prefer 1 or /prefer 2" in view.notes[-1]


def test_retry_with_a_fixed_seed_draws_another_answer(pocket, view):
    chat = ChatSession(pocket, view, ChatOptions(sampling=Sampling(seed=5)))
    hear(chat, "hello", "/retry", "/retry")
    assert [a[-8:] for a in view.answers[:3]] == ["(draw 5)", "(draw 6)", "(draw 7)"]


def test_the_best_of_several_answers_is_shown_and_a_retry_draws_others(pocket, view, desk):
    chat = ChatSession(pocket, view, ChatOptions(sampling=Sampling(seed=5), best_of=3))
    hear(chat, "hello", "/retry", "/plain hello")
    first, second, plain = view.answers[:3]
    assert first.endswith(tuple(f"(draw {seed})" for seed in (5, 6, 7)))
    assert second.endswith(tuple(f"(draw {seed})" for seed in (8, 9, 10)))
    assert plain.endswith("(draw 5)")
    assert len(desk.model.conversations) == 3 + 3 + 1
    assert any("drawing 3 answers" in said for said in view.notes)


def test_a_pair_says_what_its_answers_were_written_under(chat, view, pocket, monkeypatch):
    numbers = count()
    used = Personalized("hello", (), ("Concise",), (), "exact")
    monkeypatch.setattr(pocket, "personalize", lambda prompt, **options: used)
    monkeypatch.setattr(
        pocket, "reply", lambda prompt, **options: (str(n) for n in [next(numbers)])
    )
    hear(chat, "hello", "/retry", "/prefer 1")
    assert next(pocket.memories()).meta == {"answered_under": ["Concise"]}


def test_prefer_records_the_pair_and_the_answer_stands(chat, view, pocket, pairs_of):
    hear(chat, "hello", "/retry", "/prefer 1")
    one, two = (a.strip() for a in view.answers[:2])
    assert pairs_of(pocket) == [("hello", one, two)]
    assert next(pocket.memories()).origin == "chat"
    assert chat.history[-1]["content"] == one
    assert chat.recorded == 1


def test_preferring_one_of_three_says_it_is_better_than_both(chat, view, pocket, pairs_of):
    hear(chat, "hello", "/retry", "/retry", "/prefer 2")
    one, two, three = (a.strip() for a in view.answers[:3])
    assert sorted(pairs_of(pocket)) == sorted([("hello", two, one), ("hello", two, three)])


def test_a_changed_mind_takes_the_first_choice_back(chat, view, pocket, pairs_of):
    hear(chat, "hello", "/retry", "/prefer 1", "/prefer 2")
    one, two = (a.strip() for a in view.answers[:2])
    assert pairs_of(pocket) == [("hello", two, one)]


@pytest.mark.parametrize("line", ["/prefer 1", "/prefer", "/retry", "/edit", "/why"])
def test_a_command_without_its_object_says_so(chat, view, pocket, line):
    assert hear(chat, line) == [True]
    assert view.notes
    assert pocket.counts().memories == 0


@pytest.mark.parametrize("number", ["0", "3", "", "x", "²"])
def test_prefer_takes_a_number_there_is(chat, view, pocket, number):
    hear(chat, "hello", "/retry", f"/prefer {number}")
    assert view.notes[-1] == "/prefer takes a number from 1 to 2"
    assert pocket.counts().memories == 0


def test_the_same_answer_twice_is_no_pair(desk, view):
    desk.model = ScriptedModel(replies=lambda *_: "always this")
    with desk.open() as pocket:
        hear(ChatSession(pocket, view), "hello", "/retry", "/prefer 1")
        assert pocket.counts().memories == 0
    assert "the same" in view.notes[-1]


def test_an_edited_answer_is_preferred_over_the_original(chat, view, pocket, pairs_of):
    view.edits = ["better\n"]
    hear(chat, "hello", "/edit")
    original = view.answers[0].strip()
    assert view.edited_from == [original]
    assert pairs_of(pocket) == [("hello", "better", original)]
    assert next(pocket.memories()).origin == "edit"
    assert chat.history[-1]["content"] == "better"


def test_an_answer_left_as_it_was_is_no_pair(chat, view, pocket):
    view.edits = [None]
    hear(chat, "hello", "/edit")
    assert view.notes[-1] == "nothing was changed"
    assert pocket.counts().memories == 0


def test_what_was_learned_is_used_and_why_explains_it(desk, view):
    memory_id = desk.teach("Is tea better than coffee?")
    with desk.open() as pocket:
        hear(
            ChatSession(pocket, view, ChatOptions(method="exact")),
            "Is tea better than coffee today?",
            "/why",
        )
    assert "Yes." in view.answers[0], "the model heard the wording it favours that word for"
    assert view.notes[0] == "added: Concise (exact)"
    assert view.notes[1].startswith(f"from {memory_id}, similarity 0.9")
    assert view.notes[1].endswith(": Is tea better than coffee?")


def test_nothing_is_used_where_nothing_is_related(desk, view):
    desk.teach("Is tea better than coffee?")
    with desk.open() as pocket:
        hear(ChatSession(pocket, view, ChatOptions(method="exact")), "Explain DNS", "/why")
    assert "Yes." not in view.answers[0]
    assert view.notes[-1].startswith("nothing was added: no past choice")


def test_the_injected_block_is_not_part_of_the_history(desk, view):
    desk.teach("Is tea better than coffee?")
    with desk.open() as pocket:
        chat = ChatSession(pocket, view, ChatOptions(method="exact"))
        hear(chat, "Is tea better than coffee?", "/retry", "/prefer 2")
        assert chat.history[0]["content"] == "Is tea better than coffee?"
        assert next(pocket.memories()).pair.prompt == "Is tea better than coffee?"


def test_plain_holds_for_one_turn(desk, view):
    desk.teach("Is tea better than coffee?")
    with desk.open() as pocket:
        chat = ChatSession(pocket, view, ChatOptions(method="exact"))
        prompt = "Is tea better than coffee?"
        hear(chat, "/plain", prompt, "/why", prompt, f"/plain {prompt}")
    assert ["Yes." in answer for answer in view.answers[:3]] == [False, True, False]
    assert "this turn was plain" in view.notes[1]


def test_forget_takes_back_what_was_last_remembered(chat, view, pocket):
    hear(chat, "hello", "/retry", "/prefer 1", "other", "/forget")
    assert pocket.counts().memories == 0
    assert chat.recorded == 0
    hear(chat, "/forget")
    assert "remembered nothing" in view.notes[-1]


def test_forget_by_id(desk, view):
    memory_id = desk.teach()
    with desk.open() as pocket:
        hear(ChatSession(pocket, view), f"/forget {memory_id}", "/forget nosuchid")
        assert pocket.counts().memories == 0
    assert len(view.notes) == 2


def test_no_learn_records_nothing_but_the_choice_stands(pocket, view):
    chat = ChatSession(pocket, view, ChatOptions(record=False))
    hear(chat, "hello", "/retry", "/prefer 1")
    assert pocket.counts().memories == 0
    assert chat.history[-1]["content"] == view.answers[0].strip()
    assert "--no-learn" in view.notes[-1]


def test_an_interruption_keeps_the_beginning_of_the_answer_and_the_chat(chat, view, desk):
    view.interrupt_after = 3
    assert hear(chat, "hello there", "next") == [True, True]
    assert chat.history[1]["content"] == "You said: hello"
    assert "(stopped)" in view.notes[0]
    assert len(desk.model.conversations) == 2


def test_without_streaming_the_answer_comes_in_one_piece(pocket, view):
    hear(ChatSession(pocket, view, ChatOptions(stream=False)), "hello")
    assert view.pieces == 1
    assert view.answers[0].startswith("You said: hello")


def test_the_system_prompt_comes_first(pocket, view, desk):
    hear(ChatSession(pocket, view, ChatOptions(system="Be kind.")), "hello")
    assert desk.model.conversations[0][0] == {"role": "system", "content": "Be kind."}


def test_an_unknown_command_is_named_as_such_and_a_path_is_a_prompt(chat, view, desk):
    hear(chat, "/nosuch thing", "/etc/hosts is what?")
    assert view.notes == ["no such command; /help lists them"]
    assert len(desk.model.conversations) == 1


def test_help_names_every_command(chat, view):
    hear(chat, "/help")
    assert view.notes == [HELP]
    for word in chat._commands:
        assert word in HELP or word == "/help"


def test_a_failing_model_ends_the_chat_with_its_error(chat, desk):
    desk.model.close()
    with pytest.raises(ModelError):
        chat.hear("hello")


def test_no_repr_shows_what_was_said(pocket, view):
    chat = ChatSession(pocket, view, ChatOptions(system="SECRET"))
    hear(chat, "SECRET")
    for thing in (chat, chat._options, *chat._turns):
        assert "SECRET" not in repr(thing)


# ------------------------------------------------------------------------ feedback in words


def test_feedback_in_words_is_offered_to_be_remembered(chat, view, pocket):
    hear(chat, "Explain DNS", "Shorter please, from now on")
    assert view.notes[-1].startswith("Remember ")
    assert view.notes[-1].endswith("? y or n")
    assert pocket.statements() == [], "nothing is kept unasked"


def test_yes_keeps_the_statement_and_the_reworked_answer(chat, view, pocket, pairs_of):
    hear(chat, "Explain DNS", "Shorter please", "y")
    assert len(pocket.statements()) == 1
    first, second = (answer.strip() for answer in view.answers[:2])
    assert pairs_of(pocket) == [("Explain DNS", second, first)]


def test_no_keeps_nothing(chat, view, pocket):
    hear(chat, "Explain DNS", "Shorter please", "n")
    assert view.notes[-1] == "not remembered"
    assert (pocket.statements(), pocket.counts().memories) == ([], 0)


def test_an_offer_lapses_with_the_next_prompt(chat, view, pocket):
    hear(chat, "Explain DNS", "Shorter please", "What is TCP?", "y")
    assert pocket.statements() == []
    assert chat.history[-2]["content"] == "y", "a y that answers nothing is a prompt"


def test_a_new_question_is_no_feedback(chat, view, pocket):
    hear(chat, "Explain DNS", "What is a shorter name for it?")
    assert not any(note.startswith("Remember") for note in view.notes)


def test_nothing_is_offered_where_nothing_is_recorded(view, pocket):
    hear(ChatSession(pocket, view, ChatOptions(record=False)), "Explain DNS", "Shorter please")
    assert not any(note.startswith("Remember") for note in view.notes)
