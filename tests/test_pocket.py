"""Pocket: the whole flow on a real vault, with a scripted model and embedder."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import pocketpref
from pocketpref.attributes import AttributeBank
from pocketpref.bootstrap import open as opening
from pocketpref.errors import InputError, ModelError, NotFoundError, PairError, VaultError
from pocketpref.methods.exact import LearnRun
from pocketpref.pocket import Pocket
from pocketpref.records import Feedback, Message, Pair, Sampling
from pocketpref.results import Progress
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile

# Told to be short it favours "Yes."; told to be humorous it favours "ha", half as much.
TASTES = {"short and to the point": {"Yes.": 3.0}, "with jokes": {"ha": 1.5}}
SHORT = ("Is tea good?", "Yes.", "That depends on many things.")
FUNNY = ("Tell me about cats", "ha ha cats", "Cats are mammals.")

Opener = Callable[..., Pocket]


@pytest.fixture
def model() -> ScriptedModel:
    return ScriptedModel(TASTES)


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    return KeyFile.make(tmp_path / "key")


@pytest.fixture
def open_pocket(tmp_path: Path, key: KeyFile, model: ScriptedModel) -> Iterator[Opener]:
    """Opens Pockets on one vault."""
    opened: list[Pocket] = []

    def opener(user: str = "ada", **more: Any) -> Pocket:
        parts = {"model": model, "embedder": HashEmbedder(), **more}
        opened.append(pocketpref.open(user, path=tmp_path / "vault.db", key=key, **parts))
        return opened[-1]

    yield opener
    for pocket in opened:
        pocket.close()


@pytest.fixture
def pocket(open_pocket: Opener) -> Pocket:
    return open_pocket()


def prompts(pocket: Pocket) -> list[str]:
    return [memory.pair.prompt for memory in pocket.memories()]


# --------------------------------------------------------------------------------------- add


def test_what_is_added_is_there_for_everyone_at_once(open_pocket: Opener) -> None:
    """Durable when it returns: another Pocket and a later one see it, no learning needed."""
    mine, other = open_pocket(), open_pocket()
    memory_id = mine.add(*SHORT, meta={"rating": 5})
    found = other.memory(memory_id)
    assert found.pair == Pair(*SHORT)
    assert (found.origin, dict(found.meta)) == ("user", {"rating": 5})
    mine.close()
    assert open_pocket().counts().memories == 1


def test_adding_never_touches_a_model(open_pocket: Opener) -> None:
    """A model that cannot be loaded is no reason to lose a choice."""
    pocket = open_pocket(model="nothing.gguf", embedder="nothing")
    pocket.add(*SHORT)
    pocket.add_many([Feedback(Pair(*FUNNY))])
    assert prompts(pocket) == [FUNNY[0], SHORT[0]]


def test_all_of_many_or_none(pocket: Pocket) -> None:
    """When one of many cannot be had, none is kept."""

    def many() -> Iterator[Feedback]:
        yield Feedback(Pair(*SHORT))
        raise PairError("the second is bad")

    with pytest.raises(PairError):
        pocket.add_many(many())
    assert pocket.counts().memories == 0


@pytest.mark.parametrize("wording", ["text", "names"])
def test_an_injected_block_is_no_new_evidence(pocket: Pocket, wording: Any) -> None:
    """What came out of memory is taken off a prompt before it goes in again, by either way."""
    pocket.add(*SHORT)
    pocket.learn()
    block = pocket.attributes.block(
        pocket.personalize(SHORT[0], method="exact").attributes, wording
    )
    assert block.startswith("Attributes: <")
    pocket.add(f"Is coffee good?\n{block}", "Yes.", "No!")
    pocket.add_many([Feedback(Pair(f"Is milk good?\n{block}", "Yes.", "No!"))])
    assert prompts(pocket)[:2] == ["Is milk good?", "Is coffee good?"]


def test_a_line_that_only_looks_like_a_block_is_the_persons_own(pocket: Pocket) -> None:
    """Nothing that the bank would not have written is taken away."""
    own = "Draw a table\nAttributes: <width; height>"
    pocket.add(own, "Yes.", "No!")
    assert prompts(pocket) == [own]


# ------------------------------------------------------------------------------------- learn


def test_learning_begins_with_the_newest(pocket: Pocket) -> None:
    """What was said last counts first."""
    for n in range(4):
        pocket.add(f"question {n}", "Yes.", "No!")
    newest = next(pocket.memories()).id
    with pytest.raises(KeyboardInterrupt):
        pocket.learn(on_progress=lambda p: _stop() if p.done else None)
    assert [pair for entry in pocket.profile().entries for pair in entry.pairs] == [newest]


def _stop() -> None:
    raise KeyboardInterrupt


class Slow(ScriptedModel):
    """Takes 30 ms for each call."""

    def likelihoods(self, *args: Any, **more: Any) -> Any:
        time.sleep(0.03)
        return super().likelihoods(*args, **more)


def test_the_budget_is_respected_to_a_step(open_pocket: Opener) -> None:
    """Learning ends within a step of its budget, even amid a pair, and says what is left."""
    pocket = open_pocket(model=Slow(TASTES))
    for n in range(30):
        pocket.add(f"question {n}", "Yes.", "No!")
    pocket.learn(budget=0)  # measures the model's noise, once
    report = pocket.learn(budget=0.5)
    assert 0 < report.indexed < 30
    assert report.indexed + report.remaining == 30
    assert 0.4 < report.seconds < 2
    in_part = pocket.status()["in_part"]
    assert in_part <= 1
    assert len(pocket.profile().entries[0].pairs) == report.indexed + in_part
    assert pocket.learn(budget=0).indexed == 0


def test_an_interrupt_keeps_what_is_done(pocket: Pocket) -> None:
    """Ctrl-C costs at most the pair at work; the next call does the rest and nothing twice."""
    for n in range(5):
        pocket.add(f"question {n}", "Yes.", "No!")
    steps: list[Progress] = []

    def watch(progress: Progress) -> None:
        steps.append(progress)
        if progress.done == 2 and progress.part < 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pocket.learn(on_progress=watch)
    assert pocket.counts().learned == 2
    assert pocket.learn().indexed == 3
    assert pocket.learn().indexed == 0


def test_progress_goes_forward_and_says_what_was_found(pocket: Pocket) -> None:
    """Parts and finished pairs only grow, and each finished pair names its attributes."""
    pocket.add(*SHORT)
    pocket.add(*FUNNY)
    steps: list[Progress] = []
    pocket.learn(on_progress=steps.append)
    places = [step.done + (0 if step.found else step.part) for step in steps if not step.note]
    assert places == sorted(places)
    assert [step.found for step in steps if step.found] == [("Humor",), ("Concise",)]
    assert {step.total for step in steps} == {2}
    assert steps[-1].done == 2


def test_a_pair_forgotten_while_it_is_learned_stays_forgotten(
    pocket: Pocket, open_pocket: Opener
) -> None:
    """Neither the pair nor anything derived from it comes back."""
    kept, gone = pocket.add(*SHORT), pocket.add(*FUNNY)  # the newest is learned first
    other = open_pocket()

    def forget_it(progress: Progress) -> None:
        if progress.part > 0 and other.counts().memories == 2:
            other.forget(gone)

    pocket.learn(on_progress=forget_it)
    assert [memory.id for memory in pocket.memories()] == [kept]
    assert pocket.counts().learned == 1
    assert {pair for entry in pocket.profile().entries for pair in entry.pairs} == {kept}
    with pytest.raises(NotFoundError):
        pocket.memory(gone)


def test_a_pair_forgotten_while_it_waits_is_passed_over(
    pocket: Pocket, open_pocket: Opener
) -> None:
    """The list of what is pending may be out of date when a pair's turn comes."""
    gone, _ = pocket.add(*SHORT), pocket.add(*FUNNY)
    other = open_pocket()
    pocket.learn(on_progress=lambda p: other.forget(gone) if p.found == ("Humor",) else None)
    assert prompts(pocket) == [FUNNY[0]]
    assert pocket.counts().learned == 1


def test_learning_with_a_failing_model_keeps_everything(open_pocket: Opener) -> None:
    """The error passes through by name; nothing is half learned."""
    model = ScriptedModel(TASTES)
    pocket = open_pocket(model=model)
    pocket.add(*SHORT)
    model.close()
    with pytest.raises(ModelError):
        pocket.learn()
    assert pocket.counts().learned == 0
    assert pocket.counts().memories == 1


# ---------------------------------------------------------------------------- personalize, reply


def test_what_was_learned_is_injected_after_a_like_prompt(pocket: Pocket) -> None:
    """The block is the last line; the person's own words stay as they are."""
    memory_id = pocket.add(*SHORT)
    pocket.learn()
    found = pocket.personalize("Is black tea good?", method="exact")
    wording = pocket.attributes["Concise"].wording
    assert str(found) == found.prompt == f"Is black tea good?\nAttributes: <{wording}>"
    assert found.attributes == ("Concise",)
    assert found.method == "exact"
    assert [source.id for source in found.sources] == [memory_id]
    assert 0.5 <= found.sources[0].similarity < 1


def test_nothing_is_injected_where_nothing_is_relevant(pocket: Pocket) -> None:
    """Abstention: the prompt goes as it came, and it is said that nothing was added."""
    before = pocket.personalize("Is tea good?", method="exact")
    pocket.add(*SHORT)
    unlearned = pocket.personalize("Is tea good?", method="exact")
    pocket.learn()
    unlike = pocket.personalize("Explain quantum chromodynamics", method="exact")
    for found in (before, unlearned, unlike):
        assert found.prompt in ("Is tea good?", "Explain quantum chromodynamics")
        assert (found.attributes, found.sources, found.method) == ((), (), "none")


def test_what_taught_nothing_injects_nothing(pocket: Pocket) -> None:
    """A choice that no attribute explains is learned, and stays silent."""
    pocket.add("Is tea good?", "Perhaps so", "Perhaps not")
    assert pocket.learn().indexed == 1
    assert pocket.personalize("Is tea good?", method="exact").prompt == "Is tea good?"
    assert pocket.profile().entries == ()


def test_personalizing_needs_no_language_model(open_pocket: Opener, pocket: Pocket) -> None:
    """Only the embedder is used: another program's model may do the answering."""
    pocket.add(*SHORT)
    pocket.learn()
    asked = pocket._components.scorer().scored  # type: ignore[attr-defined]  # the scripted model
    pocket.personalize(SHORT[0], method="exact")
    assert pocket._components.scorer().scored == asked  # type: ignore[attr-defined]  # as above


def test_a_forgotten_choice_has_no_effect_any_more(pocket: Pocket) -> None:
    """From the moment on in which it was forgotten, in a Pocket that had it in its index."""
    memory_id = pocket.add(*SHORT)
    pocket.learn()
    assert pocket.personalize(SHORT[0], method="exact").attributes
    dry = pocket.forget(memory_id, dry_run=True)
    assert (dry.ids, dry.learned, dry.dry_run) == ((memory_id,), 1, True)
    assert pocket.personalize(SHORT[0], method="exact").attributes
    assert pocket.forget(memory_id).learned == 1
    assert pocket.personalize(SHORT[0], method="exact").prompt == SHORT[0]


def test_forgetting_everything_leaves_an_empty_pocket(pocket: Pocket) -> None:
    """And a usable one."""
    pocket.add(*SHORT)
    pocket.learn()
    pocket.forget_everything()
    assert (pocket.counts().memories, list(pocket.memories())) == (0, [])
    assert pocket.personalize(SHORT[0], method="exact").prompt == SHORT[0]
    pocket.add(*SHORT)
    assert pocket.learn().indexed == 1


def test_messages_for_other_apis(pocket: Pocket) -> None:
    """OpenAI's takes a list of messages; Anthropic's takes the system prompt apart."""
    pocket.add(*SHORT)
    pocket.learn()
    history = (Message(role="user", content="Hi"), Message(role="assistant", content="Hello"))
    found = pocket.personalize("Is tea good?", system="Be kind", history=history, method="exact")
    openai = found.to_openai()
    assert [m["role"] for m in openai] == ["system", "user", "assistant", "user"]
    assert openai[-1]["content"] == found.prompt
    anthropic = found.to_anthropic()
    assert anthropic["system"] == "Be kind"
    assert anthropic["messages"] == openai[1:]
    assert "system" not in pocket.personalize("Is tea good?", method="exact").to_anthropic()
    assert found.to_dict()["messages"] == openai


def test_a_reply_hears_the_block_unless_plain(pocket: Pocket, model: ScriptedModel) -> None:
    """The local model gets the personalized messages; ``plain`` leaves out what was learned."""
    pocket.add(*SHORT)
    pocket.learn()
    one = Sampling(seed=1)
    assert "Yes." in pocket.reply("Is tea good?", sampling=one, system="Be kind", method="exact")
    assert "Yes." not in pocket.reply("Is tea good?", sampling=one, plain=True)
    pieces = list(pocket.reply("Is tea good?", sampling=one, stream=True, method="exact"))
    assert len(pieces) > 1
    assert "Yes." in "".join(pieces)
    first, plain, _ = model.conversations
    assert first[0] == {"role": "system", "content": "Be kind"}
    assert plain == ({"role": "user", "content": "Is tea good?"},)


@pytest.mark.parametrize("prompt", ["", " \n"])
def test_an_empty_prompt_is_refused(pocket: Pocket, prompt: str) -> None:
    """By every way."""
    with pytest.raises(InputError):
        pocket.personalize(prompt)
    with pytest.raises(InputError):
        pocket.reply(prompt, plain=True)


# ----------------------------------------------------------------------------- index and profile


def test_another_model_makes_the_index_stale(open_pocket: Opener, pocket: Pocket) -> None:
    """What one model's margins taught is not used with another; ``learn`` does it again."""
    pocket.add(*SHORT)
    pocket.learn()
    other = open_pocket(model=ScriptedModel(TASTES, name="another"))
    assert other.personalize(SHORT[0], method="exact").attributes == ()
    assert other.status()["indexed"] == 0
    assert other.learn().indexed == 1
    assert other.personalize(SHORT[0], method="exact").attributes == ("Concise",)


def test_another_embedder_makes_the_index_stale(open_pocket: Opener, pocket: Pocket) -> None:
    """Vectors of different embedders are never compared."""
    pocket.add(*SHORT)
    pocket.learn()
    other = open_pocket(embedder=HashEmbedder(64))
    assert other.personalize(SHORT[0], method="exact").attributes == ()
    assert other.learn().indexed == 1


def test_another_bank_makes_the_index_stale(
    open_pocket: Opener, pocket: Pocket, home: Path
) -> None:
    """An own attribute is a new way to explain old choices: they are learned again."""
    pocket.add("Is tea good?", "aye aye", "no")
    pocket.learn()
    assert pocket.profile().entries == ()
    home.mkdir(exist_ok=True)
    own = "name='Pirate'\nwording='like a pirate'\nopposite='like a clerk'\ncategory='style'"
    (home / "attributes.toml").write_text(f"[[attribute]]\n{own}")
    tastes = {**TASTES, "like a pirate": {"aye": 2.0}}
    other = open_pocket(model=ScriptedModel(tastes))
    assert len(other.attributes) == len(AttributeBank.standard()) + 1
    assert other.learn().indexed == 1
    assert other.personalize("Is tea good?", method="exact").attributes == ("Pirate",)


def test_the_profile_weighs_by_gain_and_shows_its_evidence(pocket: Pocket) -> None:
    """Weight: mean gain over all learned pairs. Evidence: the pairs, the strongest first."""
    twice = pocket.add("Is milk good?", "Yes. Yes.", "That depends on things.")
    once = pocket.add(*SHORT)
    funny = pocket.add(*FUNNY)
    pocket.add("Why?", "Perhaps so", "Perhaps not")
    pocket.learn()
    profile = pocket.profile()
    assert (profile.pairs, profile.indexed, profile.method) == (4, 4, "exact")
    assert [(e.name, e.pairs) for e in profile.entries] == [
        ("Concise", (twice, once)),
        ("Humor", (funny,)),
    ]
    assert [e.weight for e in profile.entries] == pytest.approx([(6 + 3) / 4, 3 / 4])
    shape = profile.to_dict()
    assert set(shape) == {
        *("attributes", "method", "pairs", "indexed", "auto", "policy", "preferences"),
    }
    assert set(shape["attributes"][0]) == {"name", "weight", "pairs"}


def test_what_one_choice_taught_is_told_without_the_others(pocket: Pocket) -> None:
    taught, plain = pocket.add(*SHORT), pocket.add("Why?", "Perhaps so", "Perhaps not")
    assert pocket.learned_from(taught) == ()
    pocket.learn()
    assert [pocket.learned_from(each) for each in (taught, plain)] == [("Concise",), ()]


def test_scoring_keeps_nothing(pocket: Pocket) -> None:
    """Margins of named attributes by the rule of the scripted model, exactly."""
    scores = pocket.score(*SHORT, attributes=["concise", "Humor"])
    assert dict(scores.margins) == pytest.approx({"Concise": 3.0, "Humor": 0.0})
    assert (scores.chosen, scores.rejected, scores.noise) == (-1.0, -5.0, 0.0)
    assert len(pocket.score(*SHORT).margins) == len(pocket.attributes)
    assert pocket.counts().memories == 0
    with pytest.raises(NotFoundError):
        pocket.score(*SHORT, attributes=["Conciseness"])
    with pytest.raises(PairError):
        pocket.score("p", "same", "same")


class Impatient:
    """Time ends at a given step of the first search."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self._left = steps
        monkeypatch.setattr(LearnRun, "_over", self.over)

    def over(self) -> bool:
        self._left -= 1
        return self._left < 0


def test_what_is_learned_in_part_is_kept_and_refined_later(
    pocket: Pocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A budget keeps the best so far; the next call goes on to the whole."""
    pocket.add("Is tea good?", "Yes. ha", "That depends on many things.")
    with monkeypatch.context() as patched:
        Impatient(patched, steps=4)
        report = pocket.learn()
    assert (report.indexed, report.remaining) == (0, 1)
    status = pocket.status()
    assert (status["indexed"], status["in_part"]) == (1, 1)
    before = pocket.personalize("Is tea good?", method="exact").attributes
    assert len(before) == 1
    assert pocket.learn().indexed == 1
    assert pocket.status()["in_part"] == 0
    after = pocket.personalize("Is tea good?", method="exact").attributes
    assert after[:1] == before
    assert len(after) == 2


def test_nothing_found_in_part_is_nothing_learned(
    pocket: Pocket, monkeypatch: pytest.MonkeyPatch
) -> None:
    pocket.add(*SHORT)
    with monkeypatch.context() as patched:
        Impatient(patched, steps=2)
        assert pocket.learn().remaining == 1
    assert pocket.status()["indexed"] == 0


def test_an_exhaustive_search_refines_what_the_default_found(
    open_pocket: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    pocket = open_pocket()
    pocket.add(*SHORT)
    assert pocket.learn().indexed == 1
    assert pocket.learn().indexed == 0
    thorough = open_pocket(exhaustive=True)
    with monkeypatch.context() as patched:  # a part of it is no reason to forget the whole
        Impatient(patched, steps=6)
        assert thorough.learn().remaining == 1
    assert pocket.status()["in_part"] == 0
    assert thorough.learn().indexed == 1
    assert thorough.learn().indexed == 0
    assert pocket.learn().indexed == 0  # the default has nothing to add to it


def test_status_has_its_shape(pocket: Pocket, tmp_path: Path) -> None:
    """The keys that ``pocketpref status --json`` promises."""
    pocket.add(*SHORT)
    pocket.add(*FUNNY)
    pocket.learn()
    pocket.add("Why?", "Yes.", "No!")
    found = pocket.status()
    assert {"user", "pairs", "indexed", "in_part", "model", "vault", "egress"} <= set(found)
    assert found["scoring"] == {"weights": "its own", "quantized_because": None, "noise": 0.0}
    assert set(found["vault"]) == {"path", "encryption", "key_custody"}
    assert (found["user"], found["pairs"], found["indexed"]) == ("ada", 3, 2)
    assert (found["model"], found["egress"]) == ("scripted", "off")
    assert found["vault"]["path"] == str(tmp_path / "vault.db")
    assert found["vault"]["key_custody"] == "key-file"


# ------------------------------------------------------------------- users, threads and processes


def test_two_users_never_mix(open_pocket: Opener) -> None:
    """Nothing of one person is listed, recalled, counted or forgotten as another."""
    ada, bob = open_pocket("ada"), open_pocket("bob")
    memory_id = ada.add(*SHORT)
    ada.learn()
    bob.add(*FUNNY)
    bob.learn()
    assert (prompts(ada), prompts(bob)) == ([SHORT[0]], [FUNNY[0]])
    assert bob.personalize(SHORT[0], method="exact").attributes == ()
    for attempt in (lambda: bob.memory(memory_id), lambda: bob.forget(memory_id)):
        with pytest.raises(NotFoundError):
            attempt()
    bob.forget_everything()
    assert ada.personalize(SHORT[0], method="exact").attributes == ("Concise",)


def test_an_open_pocket_sees_what_another_one_learned(open_pocket: Opener) -> None:
    """The index is built again as soon as anybody has changed the vault."""
    one, two = open_pocket(), open_pocket()
    assert two.personalize(SHORT[0], method="exact").attributes == ()
    one.add(*SHORT)
    one.learn()
    assert two.personalize(SHORT[0], method="exact").attributes == ("Concise",)


def test_two_processes_see_each_others_choices(
    pocket: Pocket, tmp_path: Path, key: KeyFile
) -> None:
    """What a second program adds and learns is used by the first while both are open."""
    code = (
        "import sys, pocketpref\n"
        "from pocketpref.testing import HashEmbedder, ScriptedModel\n"
        "from pocketpref.vault.crypto.key_stores import KeyFile\n"
        f"model = ScriptedModel({TASTES!r})\n"
        f"with pocketpref.open('ada', path={str(tmp_path / 'vault.db')!r}, model=model,\n"
        f"        key=KeyFile({str(key.path)!r}), embedder=HashEmbedder()) as pocket:\n"
        "    print(pocket.counts().memories, flush=True)\n"
        "    sys.stdin.readline()\n"
        "    print(pocket.counts().memories)\n"
        f"    pocket.add(*{SHORT!r})\n"
        "    pocket.learn()\n"
    )
    pocket.personalize(SHORT[0], method="exact")
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "0\n"
    pocket.add(*FUNNY)
    out, _ = other.communicate("\n", timeout=60)
    assert (out, other.returncode) == ("1\n", 0)
    assert prompts(pocket) == [SHORT[0], FUNNY[0]]
    assert pocket.personalize(SHORT[0], method="exact").attributes == ("Concise",)


def test_eight_threads_on_one_pocket(pocket: Pocket) -> None:
    """Adding, learning, personalizing, replying and forgetting at once: nothing lost or doubled."""

    def work(number: int) -> list[str]:
        ids = []
        for turn in range(6):
            ids.append(pocket.add(f"question {number} {turn}", "Yes.", "No, not at all!"))
            pocket.learn(budget=0.05)
            pocket.personalize(f"question {number} {turn}")
            pocket.reply("question", sampling=Sampling(seed=1))
            pocket.profile()
        pocket.forget(ids.pop())
        return ids

    with ThreadPoolExecutor(8) as pool:
        kept = [memory_id for ids in pool.map(work, range(8)) for memory_id in ids]
    assert sorted(memory.id for memory in pocket.memories()) == sorted(kept)
    pocket.learn()
    assert pocket.counts().learned == len(kept) == 40
    assert sorted(pocket.profile().entries[0].pairs) == sorted(kept)


# ------------------------------------------------------------------------------ opening, closing


def test_a_closed_pocket_says_so(pocket: Pocket) -> None:
    """Closing twice is fine; anything else afterwards is a named error."""
    pocket.close()
    pocket.close()
    assert repr(pocket) == "Pocket(closed)"
    for attempt in (
        lambda: pocket.add(*SHORT),
        pocket.counts,
        lambda: pocket.personalize("x", method="exact"),
    ):
        with pytest.raises(VaultError):
            attempt()


def test_a_model_of_ones_own_is_not_closed(open_pocket: Opener, model: ScriptedModel) -> None:
    """Whoever brings a model keeps it."""
    with open_pocket() as pocket:
        pocket.reply("Hi")
    assert not model.closed


def test_personalize_without_a_pocket(
    home: Path, key: KeyFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``pocketpref.personalize``: the configured user, in the configured place, opened once."""
    monkeypatch.setenv("POCKETPREF_KEY_FILE", str(key.path))
    monkeypatch.setenv("POCKETPREF_USER", "ada")
    monkeypatch.setattr(opening, "_default_pockets", [])
    with pocketpref.open(model=ScriptedModel(TASTES)) as pocket:
        assert pocket.user == "ada"
        pocket.add(*SHORT)
    found = pocketpref.personalize("Is tea good?")
    assert found.prompt == "Is tea good?"
    (default,) = opening._default_pockets
    assert default.user == "ada"
    assert prompts(default) == [SHORT[0]]
    pocketpref.personalize("Is tea good?")
    assert opening._default_pockets == [default]
    assert (home / "vault.db").is_file()
    default.close()
