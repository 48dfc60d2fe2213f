"""models, and the demo."""

import json
import struct
import tomllib

import pytest

from pocketpref.backends import huggingface
from pocketpref.errors import ModelMissingError
from pocketpref.models.gguf_file import ModelRecord, file_sha256, write_record

GGUF = struct.pack("<4sIQQ", b"GGUF", 3, 5, 7) + b"\0" * 1000
HANDLE = "hf:someone/tiny-GGUF/tiny.gguf"


@pytest.fixture(autouse=True)
def _no_models_of_other_programs(tmp_path, monkeypatch):
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    for name in ("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub_without_network(monkeypatch):
    """A hub that has one tiny file; the real one is tested in tests/backends."""

    def pull(handle, into, on_progress):
        if handle != HANDLE:
            raise ModelMissingError("there is no such model on the hub")
        into.mkdir(parents=True, exist_ok=True)
        path = into / "someone--tiny-GGUF--tiny.gguf"
        for done in range(0, len(GGUF) + 1, 64):
            on_progress(done, len(GGUF))
        path.write_bytes(GGUF)
        write_record(path, ModelRecord(handle, f"{handle}@1", file_sha256(path), len(GGUF)))
        return path

    monkeypatch.setattr(huggingface, "pull", pull)


def listed(desk):
    return {m["handle"]: m for m in json.loads(desk.run("models", "ls", "--json").out)}


def test_the_starter_is_there_and_the_default(desk):
    assert listed(desk)["starter"]["default"] is True
    assert "*" in desk.run("models", "ls").out
    assert desk.run("models", "default").out == "starter\n"
    assert json.loads(desk.run("models", "show", "--json").out)["handle"] == "starter"
    assert "handle   starter" in desk.run("models", "show").out


def test_a_model_is_pulled_chosen_and_removed(desk, hub_without_network):
    pulled = desk.run("models", "pull", HANDLE)
    assert (pulled.code, pulled.out) == (0, HANDLE + "\n")
    assert "pulling: " in pulled.err
    assert len(pulled.err.splitlines()) <= 13, "a line for each tenth"
    assert desk.run("models", "default", HANDLE).code == 0
    assert tomllib.loads((desk.home / "config.toml").read_text()) == {"model": HANDLE}
    assert listed(desk)[HANDLE]["default"] is True
    assert "would delete" in desk.run("models", "rm", HANDLE, "--dry-run").out
    assert desk.run("models", "rm", HANDLE, stdin="n\n").code == 1
    assert HANDLE in listed(desk)
    assert desk.run("models", "rm", HANDLE, "--yes").code == 0
    assert HANDLE not in listed(desk)


def test_choosing_a_model_keeps_what_else_is_configured_and_nothing_of_the_environment(desk):
    desk.home.mkdir()
    (desk.home / "config.toml").write_text('wording = "names"\n')
    desk.environ_more = {"POCKETPREF_USER": "ada"}
    desk.run("models", "default", "starter")
    kept = tomllib.loads((desk.home / "config.toml").read_text())
    assert kept == {"wording": "names", "model": "starter"}


@pytest.mark.parametrize("verb", ["show", "default", "rm", "pull"])
def test_a_model_that_is_not_there_is_an_error(desk, hub_without_network, verb):
    result = desk.run("models", verb, "hf:no/such/model.gguf")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith("pocketpref: error: ")


def test_what_others_own_is_not_removed(desk):
    assert desk.run("models", "rm", "starter", "--yes").code == 1
    assert "starter" in listed(desk)


def test_prepare_makes_the_copy_that_learning_uses_once(desk):
    first = desk.run("models", "prepare")
    assert first.code == 0
    assert first.out.strip().endswith("-f16.gguf")
    assert desk.run("models", "prepare").out == first.out


def test_demo_applies_what_it_shows_and_leaves_nothing(desk):
    result = desk.run("demo")
    assert result.code == 0, result.err
    for words in (
        "30 choices between two answers",
        "short answers: 30 of 30 choices, very sure",
        "How do I brew a good cup of tea?",
        "said to the model: Answer in one or two short sentences.",
        "plain: ",
        "personalized: ",
        "encryption: AES-256-GCM",
        "key:        ephemeral",
        "egress:     off",
        "It has been deleted.",
    ):
        assert words in result.out
    assert not (desk.home / "vault.db").exists(), "the person's own vault is not touched"
