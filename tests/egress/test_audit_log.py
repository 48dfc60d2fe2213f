"""The log: every decision, the exact bytes, and what forgetting leaves of them."""

from __future__ import annotations

import json
import re

import pytest

from pocketpref.egress import Offer, Request
from pocketpref.egress.disclosure import Level
from pocketpref.errors import DeniedError, InputError, TamperedError
from pocketpref.records import Message
from tests.egress.conftest import ASKED, GPT, LOCAL


def documents(store, kind: str) -> list:
    with store.documents() as found:
        return found.all(kind)


def events(door) -> list[str]:
    return [entry.event for entry in door.log()]


@pytest.fixture
def used(door, offer, clock):
    """A door that has seen something of everything."""
    with pytest.raises(DeniedError):
        door.clear(ASKED, offer, GPT)
    door.allow(GPT, Level.SUMMARY, offer=offer, daily=3)
    clock.tick(minutes=5)
    sent = door.clear(ASKED, offer, GPT)
    door.finished(sent, "complete")
    door.clear(ASKED, offer, GPT, level=Level.NONE)
    door.revoke(GPT)
    return door


def test_every_decision_is_on_the_log(used, offer, ids) -> None:
    found = used.log()
    assert events(used) == ["denied", "granted", "allowed", "finished", "allowed", "revoked"]
    assert [entry.number for entry in found] == [1, 2, 3, 4, 5, 6]
    assert {entry.destination for entry in found} == {str(GPT)}
    sent, done, plain = found[2:5]
    assert sent.to_dict() == {
        "id": sent.id,
        "when": "2026-03-01T09:05:00+00:00",
        "destination": "openai:gpt-x@https://api.openai.com/v1",
        "decision": "allowed",
        "reason": "granted",
        "level": "summary",
        "sent": len(used.released(sent.id)),
        "sources": list(offer.sources),
        "release": None,
    }
    assert (done.release, done.reason) == (sent.id, "complete")
    assert (plain.level, plain.sources) == (Level.NONE, ()), "nothing of the memory went along"


def test_the_exact_bytes_are_kept(door, offer) -> None:
    door.allow(GPT, Level.SUMMARY, any_summary=True)
    sent = door.clear(ASKED, offer, GPT)
    assert door.released(sent.release) == sent.body
    assert door.released("no such id") is None


def test_no_text_stands_in_an_entry(used, store, offer) -> None:
    kept = b"".join(document.content for document in documents(store, "release"))
    for text in ("sky blue", "short", "question"):
        assert text.encode() not in kept


def test_nothing_of_it_stands_in_the_file(used, path) -> None:
    files = [file.read_bytes() for file in path.parent.glob("vault.db*")]
    assert not any(word in file for file in files for word in (b"gpt-x", b"sky blue", b"granted"))


def test_the_log_verifies(used) -> None:
    found = used.verify()
    assert (found.ok, found.entries, found.kept, found.forgotten) == (True, 6, 2, ())
    assert (found.problems, found.notes) == ((), ())


def test_an_empty_log_verifies(door) -> None:
    assert door.verify().ok
    assert door.log() == []


def test_forgetting_a_memory_removes_the_bytes_and_the_chain_stays_whole(
    used, store, ids, path
) -> None:
    """That something left stays, and where to: it cannot be undone."""
    before = used.log()
    forgotten = before[2].id
    store.forget(ids[1:2])
    assert used.log() == before
    assert used.released(forgotten) is None
    assert used.released(before[4].id) is not None, "the plain request drew on no memory"
    found = used.verify()
    assert (found.ok, found.kept, found.forgotten) == (True, 1, (forgotten,))


def test_what_is_left_does_not_tell_what_the_bytes_were(used, store, offer, ids) -> None:
    """Whoever guesses the body exactly, and has the key, cannot confirm the guess."""
    import hashlib

    sent = used.log()[2]
    body = used.released(sent.id)
    store.forget(ids[:1])
    kept = b"".join(d.content for kind in ("release", "released") for d in documents(store, kind))
    assert hashlib.sha256(body).hexdigest().encode() not in kept
    assert hashlib.sha256(offer.summary.encode()).hexdigest().encode() not in kept


def test_forgetting_a_person_forgets_their_log(used, store, vault) -> None:
    store.forget_everything()
    assert used.log() == []
    assert used.verify().ok
    with pytest.raises(DeniedError):
        used.clear(ASKED, Offer(), GPT)
    assert [entry.number for entry in used.log()] == [1]
    assert used.verify().ok


def test_texts_that_left_as_they_are_can_be_erased(door) -> None:
    door.allow(GPT, Level.NONE)
    sent = []
    for asked in ("Why do I cough?", 'He said "no".\nIs that right, do you think?', "Why? Tell."):
        request = Request((Message(role="user", content=asked),))
        sent.append(door.clear(request, Offer(), GPT).release)
    assert door.erase() == door.erase("", " ") == door.erase("unknown") == []
    assert door.erase("Why?", "said") == [], "a few words are looked for as a whole message"
    assert door.erase("Why do I cough? ", '"no".\nIs that right, do you') == sent[:2]
    assert door.erase("Why do I cough?") == []
    assert [door.released(release) is None for release in sent] == [True, True, False]
    found = door.verify()
    assert (found.ok, found.forgotten) == (True, tuple(sent[:2]))
    assert events(door)[-2:] == ["erased", "erased"]


def change(store, kind: str, place: int, old: bytes, new: bytes) -> None:
    """What a mistake of ours could do: it goes through the vault, which notices nothing."""
    document = documents(store, kind)[place]
    assert old in document.content
    with store.changing() as changing:
        content = document.content.replace(old, new)
        changing.put(kind, document.id, content, document.sources)


def test_a_changed_entry_is_noticed(used, store) -> None:
    change(store, "release", -1, b'"revoked"', b'"granted"')
    with pytest.raises(TamperedError):
        used.verify()


@pytest.mark.parametrize("place", [0, 3, 5, -1])
def test_a_missing_entry_is_noticed(used, store, place) -> None:
    entry = used.log()[place]
    with store.changing() as changing:
        changing.delete("release", entry.id)
    assert not used.verify().ok


def test_a_log_that_ends_early_or_says_so_twice_is_noticed(used, store) -> None:
    end = next(d for d in documents(store, "release") if b"release-end" in d.content)
    with store.changing() as changing:
        copied = changing.insert("release", end.content)
    assert "2 documents" in used.verify().problems[0]
    with store.changing() as changing:
        changing.delete("release", copied)
        changing.delete("release", end.id)
    assert not used.verify().ok


def test_other_bytes_than_those_that_left_are_noticed(used, store) -> None:
    change(store, "released", 0, b"sky", b"sea")
    assert used.verify().problems == ("the bytes of entry 3 are not those that left",)


def test_bytes_without_an_entry_are_noticed(used, store) -> None:
    with store.changing() as changing:
        changing.insert("released", bytes(40))
    assert used.verify().problems == ("bytes are kept that no entry tells of",)


def test_the_log_goes_on_where_its_end_was_lost(used, store, make, offer) -> None:
    """As after saving what is intact of a damaged vault."""
    end = next(d for d in documents(store, "release") if b"release-end" in d.content)
    with store.changing() as changing:
        changing.delete("release", end.id)
    for door in (used, make()):
        with pytest.raises(DeniedError):
            door.clear(ASKED, offer, LOCAL)
    assert [entry.number for entry in used.log()] == list(range(1, 9))
    assert used.verify().ok


def test_a_clock_that_was_set_back_shows(door, clock, offer) -> None:
    door.allow(GPT, Level.NONE)
    clock.tick(days=-2)
    door.clear(ASKED, offer, GPT)
    found = door.verify()
    assert found.ok
    assert found.notes == ("the clock was set back before entry 2",)


@pytest.mark.parametrize("outcome", ["", "He said: no", "a\nb", "x" * 81, "äh"])
def test_no_text_gets_into_the_log_as_an_outcome(door, offer, outcome) -> None:
    door.allow(GPT, Level.NONE)
    sent = door.clear(ASKED, offer, GPT)
    with pytest.raises(InputError):
        door.finished(sent, outcome)
    door.finished(sent, "RemoteUnreachableError after 3 pieces")


def test_two_doors_write_one_log(make, offer, path, key) -> None:
    from pocketpref.vault import Vault

    door = make()
    door.allow(GPT, Level.SUMMARY, any_summary=True)
    with Vault.open(path, key) as other:
        elsewhere = make(store=other.store("ada"))
        for turn in range(6):
            (door, elsewhere)[turn % 2].clear(ASKED, offer, GPT)
    assert events(door) == ["granted", *["allowed"] * 6]
    assert door.verify().ok


def test_the_log_is_what_its_documentation_says(used, store) -> None:
    """Read by hand, as docs/egress-log.md tells to."""
    import hashlib

    entries = [json.loads(document.content) for document in documents(store, "release")]
    entries = [entry for entry in entries if entry["form"] == "release/1"]
    previous = "0" * 64
    for entry in sorted(entries, key=lambda entry: entry["number"]):
        assert entry["previous"] == previous
        previous = entry.pop("hash")
        plain = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        assert hashlib.sha256(plain).hexdigest() == previous
        assert re.fullmatch(r"[0-9a-f]{64}|", entry["commitment"])
    kept = {d.id: d.content for d in documents(store, "released")}
    commitments = {hashlib.sha256(content).hexdigest() for content in kept.values()}
    assert commitments == {entry["commitment"] for entry in entries} - {""}
