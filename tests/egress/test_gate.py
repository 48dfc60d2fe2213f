"""The door: checks, asking, previews, and the exact bytes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pocketpref.egress import Decision, Offer, Preview, Request
from pocketpref.egress.disclosure import Level
from pocketpref.errors import DeniedError, InputError
from pocketpref.records import Message, Sampling
from tests.egress.conftest import ASKED, CLAUDE, GPT, LOCAL, SECRET

HOST = Request((Message(role="system", content="Be kind."), *ASKED.messages))


class Person:
    """Answers as told, and remembers what was shown."""

    def __init__(self, *answers: Decision) -> None:
        self.answers = list(answers)
        self.shown: list[Preview] = []

    def __call__(self, preview: Preview) -> Decision:
        self.shown.append(preview)
        return self.answers.pop(0)


# ---------------------------------------------------------------------------------- the bytes


def test_the_body_byte_for_byte(door, offer) -> None:
    for destination in (GPT, LOCAL, CLAUDE):
        door.allow(destination, Level.SUMMARY, any_summary=True)
    drawn = replace(HOST, sampling=Sampling(temperature=1.5, max_tokens=9, seed=3))
    summary = offer.summary
    assert door.clear(ASKED, offer, GPT).body == (
        b'{"model":"gpt-x","messages":[{"role":"system","content":"' + summary.encode() + b'"},'
        b'{"role":"user","content":"Why is the sky blue?"}],"stream":true}'
    )
    assert door.clear(drawn, offer, LOCAL).body == (
        b'{"model":"tiny","messages":[{"role":"system","content":"Be kind.\\n\\n'
        + summary.encode()
        + b'"},{"role":"user","content":"Why is the sky blue?"}],"stream":true,'
        b'"temperature":1.5,"top_p":0.95,"max_tokens":9,"seed":3}'
    )
    assert b'"max_completion_tokens":9' in door.clear(drawn, offer, GPT).body
    assert door.clear(drawn, offer, CLAUDE).body == (
        b'{"model":"claude-x","system":"Be kind.\\n\\n' + summary.encode() + b'","messages":'
        b'[{"role":"user","content":"Why is the sky blue?"}],"stream":true,"max_tokens":9,'
        b'"temperature":1.0,"top_k":50}'
    )
    assert b'"max_tokens":4096' in door.clear(ASKED, offer, CLAUDE).body


def test_nothing_else_in_a_message_is_sent(door, offer) -> None:
    door.allow(GPT, Level.NONE)
    message = {"role": "user", "content": "Hi", "name": "ada", "meta": {"id": 7}}
    assert b"ada" not in door.clear(Request((message,)), offer, GPT).body


@pytest.mark.parametrize(
    "messages",
    [
        (),
        ({"role": "system", "content": "Be kind."},),
        ({"role": "tool", "content": "x"}, *ASKED.messages),
        ({"role": "user", "content": [{"type": "image_url"}]},),
        ({"role": "user"},),
        ("user: hello",),
        ({"role": "user", "content": "\udc80"},),
    ],
)
def test_what_is_no_conversation_is_refused(messages) -> None:
    with pytest.raises(InputError) as caught:
        Request(messages)
    assert caught.value.__context__ is None
    with pytest.raises(InputError):
        Request(ASKED.messages, Sampling(temperature=float("nan")))


def test_a_request_shows_sizes_only() -> None:
    assert "sky" not in repr(ASKED)
    assert "short" not in repr(Offer("short", ("Concise",)))


# ---------------------------------------------------------------------------------- checks


def test_a_summary_with_a_finding_stays_and_attributes_go_instead(door, offer) -> None:
    spoilt = replace(offer, summary=f"Likes what {SECRET} says.")
    for terms in ({"any_summary": True}, {"offer": spoilt}):
        door.allow(GPT, Level.SUMMARY, **terms)
        shown = door.preview(ASKED, spoilt, GPT)
        assert [(f.check, f.start) for f in shown.findings] == [("planted", 11)]
        sent = door.clear(ASKED, spoilt, GPT)
        assert (sent.level, sent.body) == (Level.ATTRIBUTES, shown.body)
        assert SECRET.encode() not in sent.body
        assert door.log()[-1].reason == "granted; the summary was held back by the checks: planted"
        bare = door.clear(ASKED, replace(spoilt, attributes=()), GPT)
        assert (bare.level, bare.text) == (Level.NONE, "")


def test_a_changed_summary_with_a_finding_needs_no_asking_for_attributes(make, offer) -> None:
    person = Person()
    door = make(person)
    door.allow(GPT, Level.SUMMARY, offer=offer)
    sent = door.clear(ASKED, replace(offer, summary=SECRET), GPT)
    assert (sent.level, person.shown) == (Level.ATTRIBUTES, [])


def test_the_checks_are_told_which_values_may_be_said(store, clock, offer) -> None:
    from pocketpref.egress import EgressGate
    from tests.egress.conftest import nothing_known

    told = []

    def look(text, known):
        told.append(known.values)
        return ()

    door = EgressGate(store, nothing_known().attributes, nothing_known(), clock=clock, check=look)
    door.allow(GPT, Level.SUMMARY, any_summary=True, values=["Western"])
    door.clear(ASKED, offer, GPT)
    door.preview(ASKED, offer, LOCAL)
    assert told == [frozenset({"Western"}), frozenset()]


def test_the_real_checks_stand_at_the_door_by_default(store, clock, ids) -> None:
    from pocketpref.egress import EgressGate, Known
    from pocketpref.records import Feedback, Pair
    from tests.egress.conftest import nothing_known

    said = "Mr Zebrowski of Quellmann Ltd has a persistent cough since Tuesday"
    store.add(Feedback(Pair(said, "See a doctor.", "Wait.")))
    texts = lambda: [m.pair.prompt for m in store.memories()]  # noqa: E731 - shorter than a def
    known = Known(texts, ("ada",), nothing_known().attributes)
    door = EgressGate(store, known.attributes, known, clock=clock)
    door.allow(GPT, Level.SUMMARY, any_summary=True)
    for leak in (said, "Prefers what Mr Zebrowski says.", "Has a persistent cough since Tuesday."):
        sent = door.clear(ASKED, Offer(leak, ("Concise",), tuple(ids)), GPT)
        assert sent.level is Level.ATTRIBUTES
    fine = "Prefers short, direct answers."
    assert door.clear(ASKED, Offer(fine, (), tuple(ids)), GPT).text == fine


# ---------------------------------------------------------------------------------- previews


def test_a_preview_shows_what_would_leave_and_does_nothing(door, store, offer) -> None:
    before = store.version()
    shown = door.preview(ASKED, offer, GPT)
    assert (shown.allowed, shown.reason, shown.level) == (False, "nothing allows it", Level.SUMMARY)
    assert (shown.bits, shown.diff, shown.findings) == (None, (), ())
    assert store.version() == before
    assert door.log() == []
    door.allow(GPT, Level.ATTRIBUTES, daily=1)
    shown = door.preview(ASKED, offer, GPT)
    assert shown.allowed
    assert 18 < shown.bits < 19
    assert door.preview(ASKED, offer, GPT, level=Level.NONE).bits == 0.0
    assert door.preview(ASKED, Offer(), GPT).bits == shown.bits, "saying nothing says something"
    assert door.clear(ASKED, offer, GPT).body == shown.body
    assert "sky" not in repr(shown)
    assert "short" not in repr(shown)


def test_what_is_offered_without_need_is_never_shown_or_sent(door, offer) -> None:
    door.allow(GPT, Level.ATTRIBUTES)
    more = replace(offer, attributes=(SECRET, "Concise"), topic=SECRET)
    shown, sent = door.preview(ASKED, more, GPT), door.clear(ASKED, more, GPT)
    assert shown.body == sent.body
    assert SECRET.encode() not in sent.body
    assert offer.summary.encode() not in sent.body


# ---------------------------------------------------------------------------------- asking


def test_without_a_grant_the_person_is_asked(make, offer) -> None:
    person = Person(Decision.ONCE, Decision.NO, Decision.KEEP)
    door = make(person)
    assert door.clear(ASKED, offer, GPT).body == person.shown[0].body
    assert door.grants() == []
    with pytest.raises(DeniedError, match="asked, and not allowed"):
        door.clear(ASKED, offer, GPT)
    door.clear(ASKED, offer, GPT)
    (grant,) = door.grants()
    assert (grant.level, grant.approved, grant.uses) == (Level.SUMMARY, offer.summary, 1)
    door.clear(ASKED, offer, GPT)
    assert len(person.shown) == 3, "what was allowed from now on is not asked again"
    assert [e.reason for e in door.log() if e.event in ("allowed", "denied")] == [
        "asked, and allowed once",
        "asked, and not allowed",
        "asked, and allowed from now on",
        "granted",
    ]


def test_what_is_kept_is_what_was_shown_and_no_more(make, offer) -> None:
    door = make(Person(Decision.KEEP, Decision.KEEP))
    door.clear(ASKED, offer, GPT, level=Level.ATTRIBUTES)
    door.clear(ASKED, replace(offer, summary=SECRET), LOCAL)
    assert [(g.level, g.summary_hash) for g in door.grants()] == [(Level.ATTRIBUTES, None)] * 2


def test_a_changed_summary_asks_again_and_shows_the_difference(make, offer, clock) -> None:
    person = Person(Decision.ONCE, Decision.KEEP)
    door = make(person)
    granted = door.allow(GPT, Level.SUMMARY, offer=offer, values=["Western"], daily=9)
    other = replace(offer, summary="Likes short answers.")
    assert door.clear(ASKED, other, GPT).text == other.summary
    assert person.shown[0].diff == ("  Likes short answers.", "- Likes examples.")
    clock.tick(days=1)
    door.clear(ASKED, other, GPT)
    (kept,) = door.grants()
    assert (kept.approved, kept.values, kept.daily) == (other.summary, ("Western",), 9)
    assert kept.expires > granted.expires
    with pytest.raises(DeniedError):
        make().clear(ASKED, offer, GPT)


def test_asking_never_goes_beyond_the_level_that_was_chosen(make, offer, clock) -> None:
    person = Person(Decision.NO)
    door = make(person)
    door.allow(GPT, Level.ATTRIBUTES)
    clock.tick(days=31)
    with pytest.raises(DeniedError):
        door.clear(ASKED, offer, GPT)
    assert person.shown[0].level is Level.ATTRIBUTES


def test_an_expired_grant_is_renewed_on_its_terms(make, offer, clock) -> None:
    door = make(Person(Decision.KEEP))
    door.allow(GPT, Level.SUMMARY, any_summary=True, values=["Western"])
    clock.tick(days=31)
    door.clear(ASKED, offer, GPT)
    (grant,) = door.grants()
    assert (grant.summary_hash, grant.values) == (None, ("Western",))
    door.clear(ASKED, replace(offer, summary="Another."), GPT)


def test_whoever_gives_no_answer_lets_nothing_leave(make, door, offer) -> None:
    def interrupted(_: Preview) -> Decision:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(interrupted).clear(ASKED, offer, GPT)
    assert door.log() == []


def test_what_is_revoked_while_the_person_thinks_is_asked_again(make, door, offer) -> None:
    shown = []

    def slow(preview: Preview) -> Decision:
        shown.append(preview)
        if len(shown) == 1:
            door.revoke(GPT)
        return Decision.KEEP if len(shown) == 1 else Decision.NO

    door.allow(GPT, Level.SUMMARY, offer=offer, values=["Western"])
    with pytest.raises(DeniedError):
        make(slow).clear(ASKED, replace(offer, summary="Another."), GPT)
    assert [preview.grant is None for preview in shown] == [False, True]
    assert door.grants() == []


def test_the_last_use_that_goes_meanwhile_is_asked_about(make, door, offer) -> None:
    """Between the draft and the decision another takes the last one."""
    person = Person(Decision.NO)
    asking = make(person)
    door.allow(GPT, Level.NONE, daily=1)
    first = asking._draft(ASKED, offer, GPT, Level.SUMMARY)
    door.clear(ASKED, offer, GPT)
    assert first.preview.allowed
    assert asking._settle(first, None) is None
    with pytest.raises(DeniedError, match="asked"):
        asking.clear(ASKED, offer, GPT)


def test_what_is_forgotten_while_the_person_thinks_does_not_leave(make, store, offer, ids) -> None:
    def slow(_: Preview) -> Decision:
        store.forget(ids[:1])
        return Decision.KEEP

    door = make(slow)
    with pytest.raises(DeniedError, match="forgotten"):
        door.clear(ASKED, offer, GPT)
    assert door.grants() == []
    assert [(e.event, e.number) for e in door.log()] == [("denied", 1)]
    assert door.verify().ok


def test_a_grant_that_never_stands_still_ends_in_a_denial(make, door, offer) -> None:
    def restless(_: Preview) -> Decision:
        door.allow(GPT, Level.NONE)
        door.revoke(GPT)
        door.allow(GPT, Level.NONE, daily=1)
        door.clear(ASKED, offer, GPT)
        return Decision.ONCE

    door.allow(GPT, Level.NONE, daily=1)
    door.clear(ASKED, offer, GPT)
    with pytest.raises(DeniedError):
        make(restless).clear(ASKED, offer, GPT)


# ---------------------------------------------------------------------------------- the least


@pytest.mark.parametrize("level", [Level.NONE, Level.ATTRIBUTES])
def test_what_falls_short_of_the_least_is_denied_and_logged(door, offer, level) -> None:
    grant = door.allow(GPT, level, daily=1)
    with pytest.raises(DeniedError) as caught:
        door.clear(ASKED, offer, GPT, least=Level.SUMMARY)
    assert "less than what was asked for" in str(caught.value)
    assert door.log()[-1].event == "denied"
    assert door.clear(ASKED, offer, GPT).level is level  # it did not use up the day
    assert grant.level is level


def test_a_summary_held_back_by_the_checks_falls_short_of_one(door, offer) -> None:
    door.allow(GPT, Level.SUMMARY, any_summary=True)
    assert door.clear(ASKED, offer, GPT, least=Level.SUMMARY).level is Level.SUMMARY
    for held_back in (f"Prefers what {SECRET} says.", ""):
        with pytest.raises(DeniedError):
            door.clear(ASKED, replace(offer, summary=held_back), GPT, least=Level.SUMMARY)


def test_nobody_is_asked_about_what_falls_short_of_the_least(make, offer) -> None:
    person = Person()
    with pytest.raises(DeniedError):
        make(person).clear(
            ASKED, replace(offer, summary=""), GPT, level=Level.NONE, least=Level.SUMMARY
        )
    assert person.shown == []
