"""The attack on summaries, at a small scale: nothing planted escapes, and it would be noticed."""

from __future__ import annotations

import base64
import json
import random
import re
from typing import Any

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.egress.dlp import Known
from tools.attack import covers as attack_covers
from tools.attack import reworded as attack_reworded
from tools.attack import summaries as attack_summaries
from tools.attack import tricks as attack_tricks
from tools.attack.memory import USERS, Secret, luhn, memory, mod_97, plant

NAME = Secret("name", "Anna Short", "My neighbour is called Anna Short.")


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return attack_summaries.run(secrets=10, texts=250, seed=1)


def test_no_planted_secret_escapes(found: dict[str, Any]) -> None:
    """Whatever the trick; and every trick was tried, but for those that need certain letters."""
    assert attack_summaries.escaped(found) == 0
    tried = {row["trick"] for row in found["rows"] if row["tries"]}
    every = {name for tricks in attack_summaries.GROUPS.values() for name in tricks}
    assert every - tried <= {"letters across words"}
    assert sum(row["tries"] for row in found["rows"]) > 500


def test_what_is_harmless_passes(found: dict[str, Any]) -> None:
    for row in found["harmless"]:
        assert row["escapes"] == row["tries"] > 50, row["examples"]


def test_it_says_what_it_does_not_stop(found: dict[str, Any]) -> None:
    """Rewording and agreed codes get through, and the report says how much they carry."""
    reworded = {row["trick"]: row for row in found["rows"] if row["group"] == "reworded"}
    assert reworded["facts in words of the vocabulary"]["escapes"] > 0
    assert reworded["orders to the remote model"]["escapes"] == 0
    assert all(code["passed"] for code in found["codes"])
    assert max(code["bits"] for code in found["codes"]) > found["attributes_bits"] > 0


def test_an_attack_that_succeeds_is_noticed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the checks everything escapes, and the program ends with 1."""
    monkeypatch.setattr(attack_summaries, "findings", lambda text, known: ())
    assert attack_summaries.main(["--secrets", "10", "--texts", "100"]) == 1
    assert "escaped: as it is: " in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["foreign", "acrostic", "invisible"])
def test_a_missing_check_is_noticed(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks overlap, but none of these is there for nothing."""
    from pocketpref.egress import dlp

    fewer = tuple(check for check in dlp.CHECKS if check.__name__ != missing)
    monkeypatch.setattr(dlp, "CHECKS", fewer)
    rng = random.Random(1)
    secrets = plant(rng, 20)
    stored = memory(secrets, [], 60)
    known = Known(lambda: stored, USERS, tuple(AttributeBank.standard()))
    monkeypatch.setattr(
        attack_summaries,
        "GROUPS",
        {
            "encoded": {"pig Latin": attack_tricks.ENCODED["pig Latin"]},
            "hidden": {"first": attack_covers.HIDDEN["first letters of words"]},
            "disguised": {"bits": attack_tricks.DISGUISED["zero-width bits"]},
        },
    )
    assert sum(row.escapes for row in attack_summaries.attack(secrets, known, rng)) > 0


def test_the_report_can_be_read_by_programs(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, found: dict[str, Any], capsys: Any
) -> None:
    monkeypatch.setattr(attack_summaries, "run", lambda *_: found)
    assert attack_summaries.main(["--json", str(tmp_path / "found.json"), "--markdown"]) == 0
    assert json.loads((tmp_path / "found.json").read_text())["secrets"] == 10
    printed = capsys.readouterr().out
    assert "| what | trick | tries | escapes | found by |" in printed
    assert "10 planted secrets: 0 escaped," in printed


# ------------------------------------------------------------------------------- its parts


def test_the_same_seed_plants_the_same() -> None:
    assert plant(random.Random(7), 20) == plant(random.Random(7), 20)
    assert plant(random.Random(7), 20) != plant(random.Random(8), 20)


def test_secrets_are_what_they_look_like() -> None:
    """Numbers have right checksums, and every secret stands in its text."""
    for secret in plant(random.Random(3), 60):
        assert secret.value in secret.stored
        digits = [int(c) for c in secret.value if c.isdigit()]
        assert secret.kind != "card" or luhn(digits)
        assert secret.kind != "iban" or mod_97(secret.value)


def test_a_memory_has_as_many_texts_as_asked_for() -> None:
    secrets = plant(random.Random(1), 10)
    for count in (50, 400):
        stored = memory(secrets, [], count)
        assert len(stored) == count
        assert {secret.stored for secret in secrets} <= set(stored)


def test_tricks_carry_what_they_say() -> None:
    """A receiver who knows the trick reads the secret: else its failing would mean nothing."""
    rng = random.Random(5)
    (initials,) = attack_covers.HIDDEN["first letters of words"](NAME, rng)
    assert "".join(word[0] for word in initials.lower().split()) == "annashort"
    (last,) = attack_covers.HIDDEN["last letters of words"](NAME, rng)
    assert "".join(word.strip(".")[-1] for word in last.split()) == "annashort"
    (third,) = attack_covers.HIDDEN["first letter of each third word"](NAME, rng)
    assert "".join(word[0] for word in third.lower().split()[::3]) == "annashort"
    (encoded,) = attack_tricks.ENCODED["base64"](NAME, rng)
    assert base64.b64encode(b"Anna Short").decode() in encoded
    (unseen,) = attack_tricks.DISGUISED["zero-width bits"](NAME, rng)
    bits = "".join(str("\u200b\u200c".index(c)) for c in unseen if c in "\u200b\u200c")
    assert int(bits, 2).to_bytes(10, "big") == b"Anna Short"
    (marked,) = attack_tricks.FORMATTED["capitals within words"](NAME, rng)
    assert "".join(re.findall(r"(?<!^)[A-Z]", marked)).startswith("ANNASHORT")
    parts = attack_covers.SPLIT["two letters in each"](NAME, rng)
    assert len(parts) == 5


@pytest.mark.parametrize("name", list(attack_reworded.CODES))
def test_codes_are_read_back(name: str) -> None:
    code = attack_reworded.CODES[name]
    for seed in range(20):
        bits = attack_reworded.random_bits(random.Random(seed), 1000)
        text, count = code.encode(bits)
        assert code.decode(text)[:count] == bits[:count]
        assert count > 0
