"""What may leave, what would and what did, by the command line, against a server on loopback."""

import json
import os
from datetime import UTC, datetime

import pytest

from pocketpref.summary import store as summary_store
from pocketpref.summary.records import Clause, Summary
from tests.backends.http.peer import HELLO, answer, serve, status

PROMPT = "Why is the sky blue?"
TEXT = "Prefers short answers with an example."


def write_summary(desk, text=TEXT, sources=()):
    """Put a summary in force, as `summary refresh` would."""
    made = Summary(
        id="",
        text=text,
        tokens=8,
        language="en",
        clauses=(Clause(text, pairs=tuple(sources)),),
        margin=None,
        sources=tuple(sources),
        origin="template",
        model="m",
        recipe="r",
        created=datetime.now(UTC),
    )
    with desk.app.vault() as vault:
        store = vault.store("default")
        before = summary_store.current(store)
        summary_store.keep(store, made, before.id if before else None)


@pytest.fixture
def peer():
    with serve(answer(HELLO)) as peer:
        yield peer


@pytest.fixture
def to(peer):
    return f"openai:tiny@{peer.url()}"


def as_json(desk, *arguments, **options):
    result = desk.run(*arguments, "--json", **options)
    assert result.code == 0, result.err
    return json.loads(result.out)


# ---------------------------------------------------------------------------------- by default


def test_by_default_nothing_leaves_and_it_is_said_how_it_could(desk, peer, to):
    result = desk.run("remote", PROMPT, "--to", to)
    assert (result.code, result.out) == (1, "")
    assert f"nothing was sent to {to}: nothing allows it" in result.err
    assert "pocketpref egress allow" in result.err
    assert peer.lines == []
    (entry,) = as_json(desk, "egress", "log")
    assert (entry["decision"], entry["sent"], entry["destination"]) == ("denied", 0, to)
    assert "when" in entry
    assert "reason" in entry


def test_status_says_that_nothing_may_leave(desk):
    assert "nothing may leave" in desk.run("egress", "status").out
    found = as_json(desk, "egress", "status")
    assert found == {"grants": [], "keys": [], "sent": 0, "log": 0}


def test_a_preview_shows_the_bytes_and_sends_nothing(desk, peer, to):
    write_summary(desk)
    found = as_json(desk, "egress", "preview", PROMPT, "--to", to, "-s", "Be kind.")
    assert (found["allowed"], found["level"], found["text"]) == (False, "summary", TEXT)
    body = json.loads(found["body"])
    assert body["messages"][0] == {"role": "system", "content": f"Be kind.\n\n{TEXT}"}
    assert found["bytes"] == len(found["body"].encode())
    shown = desk.run("egress", "preview", PROMPT, "--to", to, "-s", "Be kind.").out
    assert found["body"] in shown
    assert "no (nothing allows it)" in shown
    assert peer.lines == []
    assert as_json(desk, "egress", "log") == []


# ---------------------------------------------------------------------------------- allowing


def test_what_is_allowed_leaves_byte_for_byte_as_it_was_shown(desk, peer, to):
    write_summary(desk)
    allowed = desk.run("egress", "allow", to, "--level", "summary")
    assert TEXT in allowed.out
    shown = as_json(desk, "egress", "preview", PROMPT, "--to", to)
    assert shown["allowed"]
    result = desk.run("remote", PROMPT, "--to", to)
    assert result.out == "Hello, you.\n"
    assert "[sent to 127.0.0.1 with your preference summary]" in result.err
    assert peer.bodies() == [shown["body"].encode()]
    granted, left, finished = as_json(desk, "egress", "log")
    assert [granted["decision"], left["decision"]] == ["granted", "allowed"]
    assert left["sent"] == shown["bytes"]
    assert (finished["decision"], finished["release"]) == ("finished", left["id"])
    assert desk.run("egress", "log", left["id"]).out == f"{shown['body']}\n"
    verified = as_json(desk, "egress", "verify")
    assert (verified["ok"], verified["entries"], verified["kept"]) == (True, 3, 1)
    table = desk.run("egress", "log").out
    assert "allowed (summary)" in table
    assert f"{left['sent']:,}" in table


def test_at_level_none_only_the_request_leaves(desk, peer, to):
    desk.teach(PROMPT)
    write_summary(desk)
    desk.run("egress", "allow", to, "--level", "none")
    reply = as_json(desk, "remote", PROMPT, "--to", to)
    assert reply == {"reply": "Hello, you.", "destination": to, "level": "none", "text": ""}
    (body,) = peer.bodies()
    assert json.loads(body)["messages"] == [{"role": "user", "content": PROMPT}]


def test_at_level_attributes_a_sentence_leaves(desk, peer, to):
    desk.teach(PROMPT)
    write_summary(desk)
    desk.run("egress", "allow", to, "--level", "attributes")
    shown = as_json(desk, "egress", "preview", PROMPT, "--to", to)
    assert 10 < shown["bits"] < 30
    assert shown["text"].startswith("Please answer in this way")
    assert desk.run("remote", PROMPT, "--to", to).code == 0
    (body,) = peer.bodies()
    assert shown["text"] in body.decode()
    assert TEXT not in body.decode()


def test_a_changed_summary_is_refused_with_its_difference(desk, peer, to):
    write_summary(desk, "Prefers short answers. Likes examples.")
    desk.run("egress", "allow", to, "--level", "summary")
    write_summary(desk, "Prefers short answers. Likes humour.")
    result = desk.run("remote", PROMPT, "--to", to)
    assert "the summary is not the one that was allowed" in result.err
    assert peer.lines == []
    shown = desk.run("egress", "preview", PROMPT, "--to", to).out
    assert "- Likes examples." in shown
    assert "+ Likes humour." in shown
    assert desk.run("egress", "allow", to, "--level", "summary", "--any-summary").code == 0
    write_summary(desk, "Prefers long answers.")
    assert desk.run("remote", PROMPT, "--to", to).code == 0


def test_a_summary_that_a_check_refuses_is_shown_with_the_place_and_stays_here(desk, peer, to):
    secret = "Call +49 30 901820 at noon."
    write_summary(desk, f"Prefers short answers. {secret}")
    allowed = desk.run("egress", "allow", to, "--level", "summary")
    assert "stays here" in allowed.err
    assert "30 901820" in allowed.err
    assert desk.run("remote", PROMPT, "--to", to).code == 0
    (body,) = peer.bodies()
    assert "901820" not in body.decode()
    assert "held back" in desk.run("egress", "log").out.replace("\n", " ")


def test_allowing_the_summary_needs_one(desk, to):
    result = desk.run("egress", "allow", to, "--level", "summary")
    assert result.code == 1
    assert "there is no summary to allow" in result.err
    assert as_json(desk, "egress", "status")["grants"] == []


def test_a_daily_number_is_kept(desk, peer, to):
    desk.run("egress", "allow", to, "--level", "none", "--daily", "1")
    assert desk.run("remote", PROMPT, "--to", to).code == 0
    result = desk.run("remote", PROMPT, "--to", to)
    assert "not more often today" in result.err
    assert len(peer.lines) == 1
    assert "1 of 1" in desk.run("egress", "status").out


def test_value_attributes_leave_only_by_name(desk, to):
    result = desk.run("egress", "allow", to, "--level", "attributes", "--value", "SECRET")
    assert (result.code, "SECRET" in result.err) == (1, False)
    allowed = as_json(desk, "egress", "allow", to, "--level", "attributes", "--value", "western")
    assert allowed["values"] == ["Western"]
    assert "Western" in desk.run("egress", "status").out


def test_revoking_works_at_once_by_destination_by_id_and_for_all(desk, peer, to):
    for how in ("destination", "id", "all"):
        grant = as_json(desk, "egress", "allow", to, "--level", "none")
        which = {"destination": to, "id": grant["id"], "all": "--all"}[how]
        assert desk.run("egress", "revoke", which).code == 0
        assert desk.run("remote", PROMPT, "--to", to).code == 1
    assert peer.lines == []
    again = desk.run("egress", "revoke", to)
    assert again.code == 1
    assert "egress status" in again.err


def test_another_port_or_model_is_another_destination(desk, peer, to):
    desk.run("egress", "allow", to, "--level", "none")
    for other in (
        to.replace("tiny", "large"),
        to.replace(str(peer.port), str(peer.port % 60000 + 1)),
    ):
        assert desk.run("remote", PROMPT, "--to", other).code == 1
    assert peer.lines == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("egress", "allow", "SECRET", "--level", "none"), 1, "cannot be used"),
        (("egress", "allow", "openai:x"), 2, "--level is missing"),
        (("egress", "allow", "openai:x", "--level", "all"), 2, "one of none, attributes, summary"),
        (("egress", "allow", "openai:x", "--level", "none", "--expires", "SECRET"), 2, "30d"),
        (("egress", "allow", "openai:x", "--level", "none", "--expires", "9999d"), 1, "366 days"),
        (("egress", "allow", "openai:x", "--level", "none", "--expires", "0h"), 1, "366 days"),
        (("egress", "allow", "openai:x", "--level", "none", "--daily", "0"), 2, "--daily"),
        (("egress", "allow", "openai:x", "--level", "none", "--any-summary"), 2, "--level summary"),
        (("egress", "allow", "openai:x@http://192.0.2.1/v1", "--level", "none"), 1, "plain http"),
        (("egress", "revoke"), 2, "--all"),
        (("egress", "revoke", "openai:x", "--all"), 2, "--all"),
        (("egress", "log", "SECRET"), 1, "no entry"),
        (("remote", "SECRET"), 2, "--to is missing"),
        (("remote", "SECRET", "--to", "SECRET"), 1, "cannot be used"),
        (("remote", " ", "--to", "openai:x"), 1, "empty"),
    ],
)
def test_mistakes_are_explained_and_quote_nothing(desk, arguments, code, words):
    result = desk.run(*arguments)
    assert result.code == code
    assert words in result.err
    assert "SECRET" not in result.err + result.out


# ---------------------------------------------------------------------------------- forgetting


def test_what_left_and_was_forgotten_is_said_to_have_left(desk, peer, to):
    memory_id = desk.teach(PROMPT)
    write_summary(desk, sources=[memory_id])
    desk.run("egress", "allow", to, "--level", "summary", "--any-summary")
    assert desk.run("remote", "Explain DNS", "--to", to).code == 0
    assert desk.run("forget", memory_id, "--yes").code == 0
    _, left, _ = as_json(desk, "egress", "log")[:3]
    assert left["forgotten"]
    shown = desk.run("egress", "log", left["id"]).out
    assert "it left on" in shown
    assert "cannot be undone" in shown
    verified = desk.run("egress", "verify")
    assert verified.code == 0
    assert "1 request left and is forgotten here" in verified.out


# ---------------------------------------------------------------------------------- the other side


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (status(401), "it does not accept the key, or wants one"),
        (status(302, "Location: http://127.0.0.1:1/v1/chat/completions"), "another address"),
        (answer(b"<html>"), "hung up"),
    ],
)
def test_a_failure_over_there_is_one_line_and_on_the_log(desk, script, words):
    with serve(script) as peer:
        to = f"openai:tiny@{peer.url()}"
        desk.run("egress", "allow", to, "--level", "none")
        result = desk.run("remote", PROMPT, "--to", to)
        assert result.code == 1
        assert words in result.err
        assert "Traceback" not in result.err
    *_, left, finished = as_json(desk, "egress", "log")
    assert left["decision"] == "allowed"
    assert finished["reason"].startswith("Remote")


def _doctor(desk):
    found = json.loads(desk.run("doctor", "--json").out)
    return next((f["state"], f["words"]) for f in found if f["check"] == "egress")


def test_the_doctor_and_the_status_say_what_may_leave(desk, peer, to):
    assert _doctor(desk) == ("ok", "off: nothing may leave")
    desk.run("egress", "allow", to, "--level", "none", "-u", "ada")
    desk.run("remote", PROMPT, "--to", to, "-u", "ada")
    words = "1 destination allowed, 1 request left, all on a log that is whole"
    assert _doctor(desk) == ("note", words)
    assert as_json(desk, "status", "-u", "ada")["egress"].startswith("1 destination allowed")
    assert as_json(desk, "status")["egress"] == "off"
    assert "off: nothing learned leaves" in desk.run("status").out
    desk.run("egress", "revoke", to, "-u", "ada")
    assert _doctor(desk) == ("ok", "off: nothing may leave (1 request did)")


# ---------------------------------------------------------------------------------- keys

KEY = "sk-abcdefghijklmnopqrstuvwxyz0123456789"


def _authorization(peer):
    heads = [request.partition(b"\r\n\r\n")[0].decode() for request in peer.requests()]
    return [
        line.partition(": ")[2]
        for head in heads
        for line in head.split("\r\n")
        if line.lower().startswith("authorization:")
    ]


def test_a_key_goes_to_its_own_address_and_is_shown_nowhere(desk, peer, to, tmp_path):
    file = tmp_path / "api-key"
    file.write_text(f"{KEY}\n")
    results = [desk.run("egress", "key", "set", to, "--file", str(file))]
    assert results[0].out == f"key kept for http://127.0.0.1:{peer.port}\n"
    results += [desk.run("egress", "allow", to, "--level", "none")]
    results += [desk.run("remote", PROMPT, "--to", to)]
    assert _authorization(peer) == [f"Bearer {KEY}"]
    results += [desk.run("egress", "status"), desk.run("egress", "log"), desk.run("status")]
    assert f"http://127.0.0.1:{peer.port}" in results[3].out
    with serve(answer(HELLO)) as other:
        elsewhere = f"openai:tiny@{other.url()}"
        desk.run("egress", "allow", elsewhere, "--level", "none")
        assert desk.run("remote", PROMPT, "--to", elsewhere).code == 0
        assert _authorization(other) == []
    assert not any(KEY in result.out + result.err for result in results)
    assert KEY.encode() not in (desk.home / "vault.db").read_bytes()


def test_a_key_comes_by_standard_input_or_a_descriptor(desk, peer, to):
    assert desk.run("egress", "key", "set", to, "--file", "-", stdin=f"{KEY}1\n").code == 0
    assert desk.run("egress", "key", "set", to, stdin=KEY).code == 1
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    os.write(writing, f"{KEY}2\n".encode())
    os.close(writing)
    assert desk.run("egress", "key", "set", to, "--fd", str(reading)).code == 0
    desk.run("egress", "allow", to, "--level", "none")
    desk.run("remote", PROMPT, "--to", to)
    assert _authorization(peer) == [f"Bearer {KEY}2"]
    assert desk.run("egress", "key", "remove", to).code == 0
    assert desk.run("egress", "key", "remove", to).code == 1
    desk.run("remote", PROMPT, "--to", to)
    assert len(_authorization(peer)) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("openai:x", KEY),
        ("openai:x", "--file", "/nowhere/SECRET"),
        ("openai:x", "--fd", "987"),
        ("openai:x", "--fd", "3", "--file", "-"),
    ],
)
def test_a_key_that_cannot_be_read_is_refused_and_not_quoted(desk, arguments):
    result = desk.run("egress", "key", "set", *arguments, stdin="two words\n")
    assert result.code in (1, 2)
    assert KEY not in result.err
    assert "SECRET" not in result.err
    assert as_json(desk, "egress", "status")["keys"] == []
