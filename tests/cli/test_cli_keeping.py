"""keys, export and restore, doctor."""

import json
import os
import stat
from pathlib import Path

import pytest

from pocketpref.cli import context as app_module
from pocketpref.vault import Vault

SECRET = "planted-Q9-string"


@pytest.fixture
def asked(monkeypatch):
    """A person at the terminal, who answers each question for a passphrase in turn."""
    answers, questions = [], []
    monkeypatch.setattr(app_module, "_somebody_there", lambda: True)

    def ask(question, *, twice):
        questions.append((question, twice))
        return answers.pop(0)

    monkeypatch.setattr(app_module, "_ask", ask)
    ask.answers, ask.questions = answers, questions
    return ask


def test_keys_status_names_the_keeper(desk):
    assert "not made yet" in desk.run("keys", "status").out
    desk.teach()
    assert f"key file {desk.home / 'key'}" in desk.run("keys", "status").out
    shape = json.loads(desk.run("keys", "status", "--json").out)
    assert shape["key_custody"] == "key-file"
    assert shape["vault"] == str(desk.home / "vault.db")


def test_the_key_can_be_given_to_another_file(desk, tmp_path):
    memory_id = desk.teach()
    new = tmp_path / "keys" / "new.key"
    result = desk.run("keys", "set", "--key-file", str(new))
    assert result.code == 0
    assert "POCKETPREF_KEY_FILE is set and comes before" in result.err
    if os.name != "nt":
        assert stat.S_IMODE(new.stat().st_mode) == 0o600
    assert desk.run("export", str(tmp_path / "x"), "--plaintext").code == 1, "the old key is out"
    desk.environ_more = {"POCKETPREF_KEY_FILE": ""}
    assert desk.run("export", str(tmp_path / "x"), "--plaintext").code == 0
    assert memory_id in (tmp_path / "x").read_text()


def test_the_key_can_be_a_passphrase_and_change(desk, asked):
    desk.teach()
    asked.answers += ["first"]
    assert desk.run("keys", "set", "--passphrase").code == 0
    assert asked.questions == [("New passphrase", True)]
    assert Vault.custody(desk.home / "vault.db") == "passphrase"
    desk.environ_more = {"POCKETPREF_KEY_FILE": ""}
    asked.answers += ["first", "second"]
    assert desk.run("keys", "set", "--passphrase").code == 0
    asked.answers += ["first"]
    refused = desk.run("export", str(desk.home / "x"), "--plaintext")
    assert (refused.code, "does not open" in refused.err) == (1, True)
    asked.answers += ["second"]
    assert desk.run("export", str(desk.home / "x"), "--plaintext").code == 0


def test_a_choice_without_a_vault_is_for_the_next_one(desk, tmp_path):
    assert desk.run("keys", "set", "--key-file", str(tmp_path / "k")).code == 0
    assert not (desk.home / "vault.db").exists()
    assert f'key_file = "{tmp_path / "k"}"' in (desk.home / "config.toml").read_text()


@pytest.mark.parametrize(
    "wrong", [(), ("--keyring", "--passphrase"), ("--passphrase", "--key-file", "k")]
)
def test_one_keeper_is_chosen(desk, wrong):
    assert desk.run("keys", "set", *wrong).code == 2


def _passphrase_file(folder: Path, text: str = "horse battery") -> str:
    path = folder / "passphrase"
    path.write_text(text + "\n")
    return str(path)


def test_what_is_exported_is_encrypted_and_comes_back(desk, tmp_path):
    with desk.open("ada") as pocket:
        pocket.add(f"prompt {SECRET}", "Yes.", f"No {SECRET}")
        pocket.learn()
    file, words = tmp_path / "backup", _passphrase_file(tmp_path)
    assert (
        "exported 1 choice, encrypted"
        in desk.run("export", str(file), "-u", "ada", "--passphrase-file", words).out
    )
    assert SECRET.encode() not in file.read_bytes()
    desk.run("forget", "--all", "--yes", "-u", "ada")
    restored = desk.run("restore", str(file), "--passphrase-file", words)
    assert restored.out == "restored 1 choice, 0 known already\n"
    again = desk.run("restore", str(file), "--passphrase-file", words)
    assert again.out == "restored 0 choices, 1 known already\n"
    with desk.open("ada") as pocket:
        assert (pocket.counts().memories, pocket.counts().learned) == (1, 1)


def test_a_wrong_passphrase_restores_nothing(desk, tmp_path):
    desk.teach()
    file = tmp_path / "backup"
    desk.run("export", str(file), "--passphrase-file", _passphrase_file(tmp_path))
    result = desk.run("restore", str(file), "--passphrase-file", _passphrase_file(tmp_path, "no"))
    assert (result.code, "pocketpref: error:" in result.err) == (1, True)


def test_plain_text_is_written_only_when_asked_for(desk, tmp_path):
    desk.teach()
    file = tmp_path / "plain.jsonl"
    assert desk.run("export", str(file)).code == 1, "nobody to ask for a passphrase"
    assert not file.exists()
    result = desk.run("export", str(file), "--plaintext")
    assert "anyone who gets this file can read it" in result.err
    assert json.loads(file.read_text())["chosen"] == "Yes."
    assert desk.run("import", str(file), "--as", "copy").code == 0
    restored = desk.run("restore", str(file), "-u", "other")
    assert restored.out == "restored 1 choice, 0 known already\n"


def test_an_existing_file_is_replaced_only_when_confirmed(desk, tmp_path):
    desk.teach()
    file = tmp_path / "plain.jsonl"
    file.write_text("mine")
    assert desk.run("export", str(file), "--plaintext", stdin="n\n").code == 1
    assert file.read_text() == "mine"
    assert desk.run("export", str(file), "--plaintext", "--yes").code == 0


def test_there_must_be_something_to_export(desk, tmp_path):
    desk.teach()
    file = tmp_path / "plain.jsonl"
    assert desk.run("export", str(file), "--plaintext", "-u", "nobody").code == 1
    assert not file.exists()


def test_doctor_finds_everything_in_order(desk):
    desk.teach()
    result = desk.run("doctor")
    assert result.code == 0, result.out
    for words in ("1 record, all sound", "AES-256-GCM", "telemetry", "key file", "egress"):
        assert words in result.out
    states = {f["check"]: f["state"] for f in json.loads(desk.run("doctor", "--json").out)}
    assert "wrong" not in states.values()
    assert states["vault"] == states["model"] == states["embedder"] == "ok"


@pytest.mark.skipif(os.name == "nt", reason="modes mean nothing there")
def test_doctor_tells_a_folder_that_others_may_list_from_a_file_they_may_read(desk):
    desk.teach()
    desk.home.chmod(0o755)
    assert _state(desk, "permissions") == "note"
    (desk.home / "key").chmod(0o644)
    assert _state(desk, "permissions") == "wrong"


def _state(desk, check):
    found = json.loads(desk.run("doctor", "--json").out)
    return next(f["state"] for f in found if f["check"] == check)


def test_doctor_makes_no_vault(desk):
    desk.home.mkdir(mode=0o700)
    desk.run("doctor")
    assert not (desk.home / "vault.db").exists()


def test_doctor_names_what_is_wrong(desk):
    desk.teach()
    (desk.home / "vault.db").chmod(0o644)
    data = bytearray((desk.home / "vault.db").read_bytes())
    data[len(data) // 2 :] = bytes(len(data) - len(data) // 2)
    (desk.home / "vault.db").write_bytes(data)
    result = desk.run("doctor", "-m", "no-such-model", "--json")
    assert result.code == 1
    states = {f["check"]: f["state"] for f in json.loads(result.out)}
    assert states["vault"] == "wrong"
    assert states["model"] == "wrong"
    if os.name != "nt":
        assert states["permissions"] == "wrong"


def test_all_keys_are_exchanged_and_everything_is_still_there(desk):
    ids = [desk.teach(user=user) for user in ("ada", "bob")]
    done = desk.run("keys", "rotate")
    assert (done.code, done.out) == (
        0,
        "master key: exchanged\ndata keys:  exchanged, 4 records sealed anew\n",
    )
    assert desk.run("keys", "rotate", "--master-only").out == "master key: exchanged\n"
    for user, memory_id in zip(("ada", "bob"), ids, strict=True):
        assert desk.run("memory", "show", memory_id, "-u", user).code == 0


def test_there_are_no_keys_to_exchange_before_there_is_a_vault(desk):
    done = desk.run("keys", "rotate")
    assert (done.code, "no vault yet" in done.err) == (1, True)
