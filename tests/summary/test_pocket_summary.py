"""A Pocket's summary and its exit, from outside, on a real vault."""

from __future__ import annotations

import pytest

import pocketpref
from pocketpref.egress import Destination, Offer, Request
from pocketpref.egress.disclosure import Level
from pocketpref.errors import DeniedError, InputError
from pocketpref.records import Attribute
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import EphemeralKey

TO = "openai:tiny@http://127.0.0.1:9/v1"


@pytest.fixture
def pocket(tmp_path):
    model, embedder = ScriptedModel({"short": {"yes": 2.0}}), HashEmbedder()
    with pocketpref.open(
        "ada", path=tmp_path / "v.db", key=EphemeralKey(), model=model, embedder=embedder
    ) as pocket:
        yield pocket


def test_what_a_person_states_is_their_summary_and_conditions_prompts(pocket):
    pocket.state("Metric units, please")
    assert pocket.summary().text == "Metric units, please."
    assert not pocket.summarize().changed, "it is said without a search"
    text = pocket.summary().text
    assert "etric units" in text
    asked = pocket.personalize("How far is it?", method="popi")
    assert (text in asked.prompt, asked.method) == (True, "popi")
    assert pocket.personalize("How far is it?", method="exact").prompt == "How far is it?"


def test_what_was_injected_is_taken_off_what_is_remembered(pocket):
    pocket.edit_summary("Answer in metric units.")
    asked = pocket.personalize("How far is it?", method="popi")
    name = pocket.add(asked.prompt, "2 km", "a mile")
    assert pocket.memory(name).pair.prompt == "How far is it?"


def test_an_edited_summary_is_in_force_and_the_old_one_history(pocket):
    pocket.edit_summary("Answer in metric units.")
    pocket.edit_summary("Answer in one sentence.")
    assert pocket.summary().text == "Answer in one sentence."
    assert [s.text for s in pocket.summaries()] == [
        "Answer in metric units.",
        "Answer in one sentence.",
    ]


def test_nothing_leaves_unless_it_is_allowed_and_status_says_so(pocket):
    assert pocket.status()["egress"] == "off"
    with pytest.raises(DeniedError):
        pocket.reply_remotely("How far is it?", to=TO)
    assert not pocket.preview("How far is it?", to=TO).allowed
    pocket.egress.allow(Destination.parse(TO), Level.NONE)
    assert pocket.status()["egress"].startswith("1 destination allowed")
    shown = pocket.preview("How far is it?", to=TO)
    assert shown.allowed
    assert shown.body == pocket.preview("How far is it?", to=TO).body
    with pytest.raises(InputError):
        pocket.preview(" ", to=TO)


def test_what_left_as_a_prompt_and_is_forgotten_later_goes_from_the_log(pocket):
    pocket.egress.allow(Destination.parse(TO), Level.NONE)
    with pytest.raises(pocketpref.PocketprefError):  # nobody listens there
        pocket.reply_remotely("Is zanthoxylum edible?", to=TO)
    (release,) = (entry.id for entry in pocket.egress.log() if entry.event == "allowed")
    assert b"zanthoxylum" in pocket.egress.released(release)
    name = pocket.add("Is zanthoxylum edible?", "yes", "no")
    pocket.forget(name)
    assert pocket.egress.released(release) is None
    assert pocket.egress.verify().ok
    assert [entry.reason for entry in pocket.egress.log()][-2] == "RemoteUnreachableError"


def test_values_are_not_learned_where_that_is_switched_off(tmp_path, monkeypatch):
    monkeypatch.setenv("POCKETPREF_LEARN_VALUES", "no")
    model, embedder = ScriptedModel({"short": {"yes": 2.0}}), HashEmbedder()
    with pocketpref.open(
        "ada", path=tmp_path / "o.db", key=EphemeralKey(), model=model, embedder=embedder
    ) as pocket:
        assert {a.category for a in pocket.attributes} == {"style", "tone", "expertise"}


def test_what_a_person_states_may_leave_in_their_own_words(pocket):
    pocket.add("Why is the sky blue?", "Rayleigh.", "Because.")
    text = "Likes answers that begin with the result."
    pocket.edit_summary(text)
    shown = pocket.preview("How far is it?", to=TO)
    assert (shown.level, shown.text, shown.findings) == (Level.SUMMARY, text, ())


def test_a_persons_own_attributes_stay_here(pocket):
    """Their wordings are the person's own words; a sentence is built from a shared list."""
    wording = "as my brother Quentin does"
    own = Attribute("Mine", wording, "otherwise", "style")
    pocket._components.bank._attributes += (own,)
    pocket._components.bank._by_name["mine"] = own
    request = Request(({"role": "user", "content": "How far is it?"},))
    offer = Offer(attributes=("Mine", "Concise"))
    shown = pocket.egress.preview(request, offer, Destination.parse(TO))
    assert shown.level is Level.ATTRIBUTES
    assert b"Quentin" not in shown.body
