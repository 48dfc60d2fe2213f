"""The attack on the door, at a small scale; and that it notices a door with a hole in it."""

from __future__ import annotations

import json

import pytest

from pocketpref.egress import Grant, audit_log, gate, preview
from pocketpref.egress.attribute_sentence import Vocabulary
from tools.attack import door as attack_door
from tools.attack.door_machine import attack
from tools.attack.door_oracle import disguises, request_bytes
from tools.attack.door_scene import SECRETS


def test_what_is_on_the_wire_is_what_was_approved(tmp_path, capsys) -> None:
    """The program as it is run by hand, with one worker."""
    report = tmp_path / "report.json"
    options = ["--sequences", "40", "--workers", "1", "--seed", "7", "--json", str(report)]
    assert attack_door.main([*options, "--folder", str(tmp_path)]) == 0
    found = json.loads(report.read_text("utf-8"))
    assert found["sequences"] >= 40
    assert found["searched"] == sum(found["sent"].values()) > 20
    assert "| secrets found | 0 |" in capsys.readouterr().out
    assert SECRETS == 500


def leaves_a_mark(destination, request, text, real=preview.body):
    return real(destination, request, text).replace(b'"stream":true', b'"stream":true,"user":"ada"')


def finds_nothing(self, text, known):
    return ()


def puts_nothing_off(self, restored):
    return None


def says_everything(self, offer, values, real=Vocabulary.sentence):
    every = {a.name for a in self._attributes if a.category == "values"}
    return real(self, offer, every)


@pytest.mark.parametrize(
    ("where", "name", "hole"),
    [
        (preview, "body", leaves_a_mark),
        (gate.EgressGate, "_look", finds_nothing),
        (Grant, "refusal", puts_nothing_off),
        (Grant, "used", lambda self: self),
        (Grant, "covers", lambda self, summary: True),
        (Vocabulary, "sentence", says_everything),
        (gate.EgressGate, "_refuse", lambda self, documents, destination, reason: reason),
        (audit_log, "ENTRY", "released"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_hole_in_the_door_is_noticed(tmp_path, monkeypatch, where, name, hole) -> None:
    monkeypatch.setattr(where, name, hole)
    with pytest.raises(Exception) as caught:  # noqa: PT011  # whatever the hole leads to
        attack(tmp_path, 150, 30, 4, shrink=False)
    assert not isinstance(caught.value, TypeError | AttributeError)


def test_the_bytes_that_are_expected_can_be_read_off_here() -> None:
    place = ("openai", "tiny", 8080)
    assert request_bytes(place, [("user", 'Say "hi"\x07')], "Be short.", drawn=False) == (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: pocketpref\r\n"
        b"Accept: text/event-stream\r\nAccept-Encoding: identity\r\n"
        b"Content-Type: application/json\r\nContent-Length: 128\r\nConnection: close\r\n\r\n"
        b'{"model":"tiny","messages":[{"role":"system","content":"Be short."},'
        b'{"role":"user","content":"Say \\"hi\\"\\u0007"}],"stream":true}'
    )


def test_a_secret_is_looked_for_in_its_disguises() -> None:
    assert disguises("Ada 7") == ["ada 7", "7 ada", "a d a   7", "qwrhidc", "4164612037"]
