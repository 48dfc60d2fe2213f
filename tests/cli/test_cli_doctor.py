"""doctor --repair and --accept-older."""

from __future__ import annotations

import json

import pytest

PAGE = 4096


@pytest.fixture
def vault(desk):
    """A vault with a choice that was learned, whose log was copied back."""
    desk.teach()
    return desk.home / "vault.db"


def files(desk) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in desk.home.iterdir() if f.name.startswith("vault.db")}


def break_structure(vault) -> None:
    """Zero the first page, so that SQLite takes the file for none of its own."""
    data = vault.read_bytes()
    vault.write_bytes(bytes(PAGE) + data[PAGE:])


def test_repair_saves_what_is_intact_and_says_what_to_do_next(desk, vault):
    break_structure(vault)
    before = files(desk)
    assert desk.run("memory", "ls").code == 1
    result = desk.run("doctor", "--repair")
    repaired = desk.home / "vault.db.repaired"
    assert result.code == 0, result.err
    assert f"saved to {repaired}" in result.out
    assert "nothing" in result.out
    assert "default" in result.out
    assert f"move {repaired} to {vault}" in result.err
    assert {name: files(desk)[name] for name in before} == before
    assert files(desk).keys() - before.keys() == {"vault.db.repaired"}


def test_doctor_says_how_to_save_a_damaged_vault(desk, vault):
    break_structure(vault)
    found = json.loads(desk.run("doctor", "--json").out)
    hints = {f["check"]: f["hint"] for f in found if f["state"] == "wrong"}
    assert "doctor --repair" in hints["vault"]


def test_following_what_it_says_gives_a_working_vault(desk, vault):
    break_structure(vault)
    desk.run("doctor", "--repair")
    (desk.home / "vault.db").rename(desk.home / "kept.db")
    (desk.home / "vault.db.repaired").rename(vault)
    listed = json.loads(desk.run("memory", "ls", "--json").out)
    assert [row["prompt"] for row in listed] == ["Is tea better than coffee?"]
    assert json.loads(desk.run("doctor", "--json").out)


def test_repair_tells_what_was_lost(desk, vault, tmp_path):
    lost = desk.teach("Is green tea better than black tea?")
    data = vault.read_bytes()
    at = max(data.rfind(b"memory" + lost.encode()), data.find(b"memory" + lost.encode()))
    assert at > 0
    vault.write_bytes(data[: at + 100] + bytes([data[at + 100] ^ 1]) + data[at + 101 :])
    file = tmp_path / "saved.db"
    result = desk.run("doctor", "--repair", str(file), "--json")
    shape = json.loads(result.out)
    assert shape["target"] == str(file)
    assert shape["ownerless"] == 0
    (user,) = shape["users"]
    assert user == {
        "user": "default",
        "memories": 1,
        "learned": 1,
        "missing": 2,
        "damaged": [lost],
    }
    again = desk.run("doctor", "--repair", str(tmp_path / "again.db"))
    assert f"2 records; damaged: {lost}" in again.out


def test_repair_never_replaces_a_file(desk, vault, tmp_path):
    file = tmp_path / "mine"
    file.write_text("mine")
    result = desk.run("doctor", "--repair", str(file))
    assert result.code == 1
    assert "already" in result.err
    assert file.read_text() == "mine"


def test_repair_of_what_cannot_be_saved_says_so(desk, vault):
    vault.write_bytes(bytes(10 * PAGE))
    result = desk.run("doctor", "--repair")
    assert result.code == 1
    assert "no header" in result.err
    assert files(desk).keys() == {"vault.db"}


def test_repair_asks_the_damaged_header_who_keeps_the_key_and_leaves_the_log_alone(desk, vault):
    with desk.open() as pocket:
        pocket.add("Is cocoa better than milk?", "Yes.", "That depends.")
        kept = files(desk)
    for name, content in kept.items():
        (desk.home / name).write_bytes(content)
    desk.environ_more = {"POCKETPREF_KEY_CUSTODY": "", "POCKETPREF_KEY_FILE": ""}
    result = desk.run("doctor", "--repair")
    assert result.code == 1
    assert "opened by a key file" in result.err
    assert files(desk) == kept
    desk.environ_more = {}
    assert desk.run("doctor", "--repair").code == 0
    assert kept.items() <= files(desk).items()
    assert "vault.db-wal" in kept


def test_repair_needs_a_vault(desk):
    result = desk.run("doctor", "--repair")
    assert result.code == 1
    assert "no vault" in result.err


def test_one_thing_at_a_time(desk, vault):
    assert desk.run("doctor", "--repair", "--accept-older").code == 2


def test_an_older_copy_is_accepted_once_it_is_said(desk, vault):
    older = vault.read_bytes()
    desk.teach("Is green tea better than black tea?")
    vault.write_bytes(older)
    refused = desk.run("memory", "ls")
    assert refused.code == 1
    assert "doctor --accept-older" in refused.err
    assert _state(desk, "vault") == "wrong"
    accepted = desk.run("doctor", "--accept-older")
    assert accepted.code == 0, accepted.err
    assert len(json.loads(desk.run("memory", "ls", "--json").out)) == 1
    assert _state(desk, "freshness") == "note"


def test_a_vault_that_was_never_put_back_is_fresh(desk, vault):
    assert _state(desk, "freshness") == "ok"
    desk.run("doctor", "--accept-older")
    assert _state(desk, "freshness") == "ok"


def test_there_must_be_a_vault_to_be_accepted(desk):
    assert desk.run("doctor", "--accept-older").code == 1
    assert not (desk.home / "vault.db").exists()


def _state(desk, check: str) -> str:
    found = json.loads(desk.run("doctor", "--json").out)
    return next(f["state"] for f in found if f["check"] == check)
