"""Grants: nothing leaves without one, and exactly what it says."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta

import pytest

from pocketpref.egress import Offer
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from pocketpref.errors import DeniedError, InputError, NotFoundError, RolledBackError, TamperedError
from pocketpref.records import Feedback, Pair
from pocketpref.vault import Vault
from tests.egress.conftest import ASKED, CLAUDE, GPT, LOCAL


def denied(door, offer, destination=GPT, **more) -> str:
    with pytest.raises(DeniedError) as caught:
        door.clear(ASKED, offer, destination, **more)
    assert caught.value.__context__ is None
    return caught.value.message.partition(": ")[2]


def test_nothing_is_allowed_by_default(door, offer) -> None:
    assert door.grants() == []
    assert denied(door, offer) == "nothing allows it"
    assert denied(door, Offer(), LOCAL) == "nothing allows it"
    assert denied(door, offer, level=Level.NONE) == "nothing allows it"


@pytest.mark.parametrize(
    "other",
    [
        "openai:gpt-y",
        "anthropic:gpt-x@https://api.openai.com/v1",
        "openai:gpt-x@https://api.openai.com:8443/v1",
        "openai:gpt-x@https://api.openai.com/v2",
        "openai:gpt-x@https://api.openai.com.evil.example/v1",
        "openai:gpt-x@http://127.0.0.1:443/v1",
    ],
)
def test_a_grant_is_for_one_destination_alone(door, offer, other) -> None:
    door.allow(GPT, Level.SUMMARY, any_summary=True)
    assert door.clear(ASKED, offer, GPT).destination == GPT
    assert denied(door, offer, Destination.parse(other)) == "nothing allows it"


def test_each_level_lets_that_much_go_along(door, offer) -> None:
    sentence = "Please answer in this way: informal and relaxed, like talking to a friend; "
    for level, begins in ((0, ""), (1, sentence), (2, offer.summary)):
        door.allow(GPT, Level(level), any_summary=True)
        sent = door.clear(ASKED, offer, GPT)
        assert (sent.level, sent.text[: len(begins) or None]) == (level, begins)
        lower = door.clear(ASKED, offer, GPT, level=Level.NONE)
        assert (lower.level, lower.text) == (Level.NONE, "")


def test_values_leave_only_where_they_are_named(door, offer) -> None:
    only = replace(offer, attributes=("Western",), summary="")
    door.allow(GPT, Level.SUMMARY, any_summary=True)
    assert door.clear(ASKED, only, GPT).text == ""
    assert door.allow(GPT, Level.ATTRIBUTES, values=["western"]).values == ("Western",)
    assert "Western" in door.clear(ASKED, only, GPT).text
    with pytest.raises(InputError):
        door.allow(GPT, Level.ATTRIBUTES, values=["Miller"])


def test_a_grant_for_one_summary_allows_no_other(door, offer) -> None:
    assert door.allow(GPT, Level.SUMMARY, offer=offer).approved == offer.summary
    assert door.clear(ASKED, offer, GPT).text == offer.summary
    other = replace(offer, summary="Likes short answers. Likes jokes.")
    assert denied(door, other) == "the summary is not the one that was allowed"
    shown = door.preview(ASKED, other, GPT)
    assert shown.diff == ("  Likes short answers.", "- Likes examples.", "+ Likes jokes.")
    assert not shown.allowed
    assert door.clear(ASKED, other, GPT, level=Level.ATTRIBUTES).level is Level.ATTRIBUTES
    door.allow(GPT, Level.SUMMARY, any_summary=True)
    assert door.clear(ASKED, other, GPT).text == other.summary


def test_a_summary_that_differs_in_one_space_is_another(door, offer) -> None:
    door.allow(GPT, Level.SUMMARY, offer=offer)
    assert "not the one" in denied(door, replace(offer, summary=offer.summary + " "))


def test_one_summary_needs_one(door) -> None:
    for nothing in (None, Offer(), Offer("  ")):
        with pytest.raises(InputError, match="no summary"):
            door.allow(GPT, Level.SUMMARY, offer=nothing)


def test_a_grant_ends(door, offer, clock) -> None:
    door.allow(GPT, Level.NONE, expires=timedelta(hours=1))
    clock.tick(minutes=59, seconds=59)
    door.clear(ASKED, offer, GPT)
    clock.tick(seconds=1)
    assert denied(door, offer) == "what allowed it has expired"
    (grant,) = door.grants()
    assert door.refusal(grant) == "what allowed it has expired"


def test_a_clock_set_back_brings_no_expired_grant_back(door, offer, clock) -> None:
    door.allow(GPT, Level.NONE, expires=timedelta(hours=1))
    clock.tick(hours=2)
    assert "expired" in denied(door, offer)
    clock.tick(hours=-2)
    assert "expired" in denied(door, offer)
    assert not door.preview(ASKED, offer, GPT).allowed


def test_a_day_has_as_many_uses_as_allowed(door, offer, clock) -> None:
    door.allow(GPT, Level.NONE, daily=2)
    door.clear(ASKED, offer, GPT)
    door.clear(ASKED, offer, GPT)
    assert denied(door, offer) == "allowed, but not more often today"
    clock.tick(hours=15)  # midnight, UTC
    door.clear(ASKED, offer, GPT)
    assert door.grants()[0].uses == 1


def test_a_clock_set_back_gives_no_uses_back(door, offer, clock) -> None:
    door.allow(GPT, Level.NONE, daily=1)
    clock.tick(days=1)
    door.clear(ASKED, offer, GPT)
    for days in (-1, -30, 10, 21):  # the last ends on the day of the use
        clock.tick(days=days)
        assert "today" in denied(door, offer)
    clock.tick(days=1)
    door.clear(ASKED, offer, GPT)


def test_allowing_again_gives_no_uses_back(door, offer) -> None:
    door.allow(GPT, Level.NONE, daily=1)
    door.clear(ASKED, offer, GPT)
    door.allow(GPT, Level.NONE, daily=1)
    assert "today" in denied(door, offer)
    door.allow(GPT, Level.NONE, daily=2)
    door.clear(ASKED, offer, GPT)
    assert "today" in denied(door, offer)


def test_allowing_again_mends_a_clock_that_was_ahead(door, offer, clock) -> None:
    clock.tick(days=4000)
    door.allow(GPT, Level.NONE, daily=1)
    door.clear(ASKED, offer, GPT)
    clock.tick(days=-4000)
    assert "today" in denied(door, offer)
    door.allow(GPT, Level.NONE, daily=1)
    door.clear(ASKED, offer, GPT)
    clock.tick(days=1)
    door.clear(ASKED, offer, GPT)


@pytest.mark.parametrize(
    "terms",
    [
        {"expires": timedelta(0)},
        {"expires": timedelta(days=-1)},
        {"expires": timedelta(days=400)},
        {"daily": 0},
        {"daily": -3},
    ],
)
def test_a_grant_must_end_and_be_of_use(door, terms) -> None:
    with pytest.raises(InputError):
        door.allow(GPT, Level.NONE, **terms)
    assert door.grants() == []


def test_a_destination_has_one_grant(door, offer) -> None:
    first = door.allow(GPT, Level.SUMMARY, any_summary=True)
    second = door.allow(GPT, Level.NONE)
    assert [grant.id for grant in door.grants()] == [second.id]
    assert first.id != second.id
    assert door.clear(ASKED, offer, GPT).text == ""


def test_revoking_works_at_once(door, offer) -> None:
    door.allow(GPT, Level.NONE)
    door.allow(LOCAL, Level.NONE)
    grant = door.allow(CLAUDE, Level.NONE)
    assert door.revoke(GPT) == 1
    assert door.revoke(grant.id) == 1
    assert (door.revoke(GPT), door.revoke("no such id"), door.revoke("")) == (0, 0, 0)
    assert denied(door, offer) == denied(door, offer, CLAUDE) == "nothing allows it"
    door.clear(ASKED, offer, LOCAL)


def test_revoking_works_through_another_connection(make, offer, path, key) -> None:
    door = make()
    door.allow(GPT, Level.NONE)
    with Vault.open(path, key) as other:
        elsewhere = make(store=other.store("ada"))
        elsewhere.clear(ASKED, offer, GPT)
        elsewhere.revoke(GPT)
    assert denied(door, offer) == "nothing allows it"


def test_people_have_grants_of_their_own(make, vault, offer) -> None:
    make().allow(GPT, Level.NONE)
    assert denied(make(store=vault.store("bob")), Offer()) == "nothing allows it"


def test_grants_are_void_once_an_older_copy_was_accepted(make, vault, offer, key, notes) -> None:
    """Revoked after the copy was made: putting the copy back must not bring the grant back."""
    make().allow(GPT, Level.SUMMARY, values=["Western"], any_summary=True)
    path = key.path.with_name("vault.db")
    vault.close()
    copy = path.read_bytes()
    with Vault.open(path, key, anchor=notes) as one:
        assert make(store=one.store("ada")).revoke(GPT) == 1
    path.write_bytes(copy)
    with pytest.raises(RolledBackError):
        Vault.open(path, key, anchor=notes)
    with Vault.open(path, key, anchor=notes, accept_older=True) as two:
        door = make(store=two.store("ada"))
        assert denied(door, offer) == "an older copy of the vault was accepted since it was allowed"
        shown = door.preview(ASKED, replace(offer, attributes=("Western",), summary=""), GPT)
        assert (shown.allowed, shown.text) == (False, "")
        door.allow(GPT, Level.NONE)
        door.clear(ASKED, offer, GPT)


def test_a_revoked_grant_that_is_put_back_into_the_file_is_noticed(door, offer, path) -> None:
    door.allow(GPT, Level.NONE)
    with closing(sqlite3.connect(path)) as raw, raw:
        (row,) = raw.execute("SELECT * FROM records WHERE kind = 'grant'").fetchall()
    door.revoke(GPT)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?)", row)
    with pytest.raises(TamperedError):
        door.clear(ASKED, offer, GPT)


def test_the_uses_of_a_day_cannot_be_put_back_in_the_file(door, offer, path) -> None:
    door.allow(GPT, Level.NONE, daily=1)
    with closing(sqlite3.connect(path)) as raw, raw:
        (unused,) = raw.execute("SELECT sealed, seq FROM records WHERE kind = 'grant'").fetchall()
    door.clear(ASKED, offer, GPT)
    with closing(sqlite3.connect(path)) as raw, raw:
        raw.execute("UPDATE records SET sealed = ? WHERE seq = ?", unused)
    with pytest.raises(TamperedError):
        door.clear(ASKED, offer, GPT)


def test_what_was_allowed_of_a_forgotten_memory_is_allowed_no_more(door, store, offer, ids) -> None:
    door.allow(GPT, Level.SUMMARY, offer=offer)
    door.allow(LOCAL, Level.SUMMARY, any_summary=True)
    store.forget(ids[:1])
    assert [grant.destination for grant in door.grants()] == [LOCAL]
    left = replace(offer, sources=tuple(ids[1:]))
    assert denied(door, left) == "nothing allows it"
    with pytest.raises(NotFoundError):
        door.allow(GPT, Level.SUMMARY, offer=offer)


def test_a_grant_shows_no_text(door, offer) -> None:
    shown = repr(door.allow(GPT, Level.SUMMARY, offer=offer))
    assert "short" not in shown
    assert "gpt-x" in shown


def test_more_memories_change_no_grant(door, store, offer) -> None:
    door.allow(GPT, Level.SUMMARY, offer=offer)
    store.add(Feedback(Pair("another", "yes", "no")))
    assert door.clear(ASKED, offer, GPT).text == offer.summary
