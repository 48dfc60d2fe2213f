"""Bad input: a named error with a hint, and nothing changed.

Everything goes through the real command line as a process of its own. That holds where native code
would crash, too: a crash would be another exit code than 1 or 2.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import pocketpref
from pocketpref.errors import ModelError, PairError
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import EphemeralKey, KeyFile
from pocketpref.vault.storage.schema import FORMAT
from tests.promises.stage import Stage

PAIR = ("--prompt", "Why?", "--chosen", "Because.", "--rejected", "No idea.")
MEGABYTES_10 = "word " * 2_000_000


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """A home with a vault that holds one pair, made by the program itself."""
    stage = Stage.build(tmp_path_factory.mktemp("first"))
    stage.must("add", *PAIR)
    return stage


@pytest.fixture
def stage(first: Stage, tmp_path: Path) -> Stage:
    """The same for one test."""
    stage = Stage.build(tmp_path)
    shutil.copy(first.vault, stage.vault)
    shutil.copytree(first.pocket / "state", stage.pocket / "state")
    shutil.copy(first.props / "key", stage.props / "key")
    return stage


def content(vault: Path) -> str:
    """A digest of every record in a vault file, which no process has open."""
    connection = sqlite3.connect(f"{vault.as_uri()}?immutable=1", uri=True)
    try:
        digest = hashlib.sha256()
        for line in connection.iterdump():
            digest.update(line.encode())
        return digest.hexdigest()
    finally:
        connection.close()


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder that is not a model."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".gguf"
    }


def assert_refused(stage: Stage, *arguments: str | bytes, says: str, code: int = 1, **more) -> None:
    """The command fails by name, gives a hint, and leaves every file as it is."""
    before = digests(stage.root)
    done = stage.run(*arguments, **more)
    lines = done.err.splitlines()
    errors = [line for line in lines if line.startswith("pocketpref: error: ")]
    assert done.code == code, done.err
    assert len(errors) == 1, done.err
    assert says in errors[0]
    assert [line for line in lines if line.startswith("pocketpref: hint: ")], "a hint is given"
    assert "unexpected" not in errors[0]
    assert "Traceback" not in done.err
    assert done.out == ""
    assert digests(stage.root) == before


# ----------------------------------------------------------------------------------------- texts


@dataclass(frozen=True)
class Text:
    """A way to hand in a bad text; a usage error (2) where it is no text at all."""

    says: str
    arguments: Callable[[Stage], tuple[str | bytes, ...]]
    stdin: bytes = b""
    code: int = 1


def _add(chosen: str | bytes, rejected: str | bytes = "No.", prompt: str | bytes = "Why?"):
    return lambda _: ("add", "--prompt", prompt, "--chosen", chosen, "--rejected", rejected)


def _file(command: tuple[str, ...], data: bytes, mark: str = "@"):
    return lambda stage: (*command, mark + stage.prop("handed in", data))


_OTHERS = ("add", "--prompt", "Why?", "--rejected", "No.", "--chosen")

TEXTS = {
    "an empty answer": Text("chosen is empty", _add("")),
    "an answer of spaces": Text("rejected is empty", _add("Because.", " \t ")),
    "an empty prompt": Text("prompt is empty", _add("Because.", prompt=" ")),
    "identical answers": Text("are the same", _add("No. ", "No.")),
    "an empty prompt to personalize": Text("the prompt is empty", lambda _: ("personalize", " ")),
    "10 MB as a file": Text("longer than", _file(_OTHERS, MEGABYTES_10.encode()), code=2),
    "10 MB on standard input": Text(
        "longer than", lambda _: (*_OTHERS, "-"), MEGABYTES_10.encode(), code=2
    ),
    "1.1 MB as a file": Text("at most 1,000,000", _file(_OTHERS, b"word " * 220_000)),
    "invalid UTF-8 as an argument": Text("no valid UTF-8", _add(b"caf\xe9"), code=2),
    "invalid UTF-8 as a file": Text("no valid UTF-8", _file(_OTHERS, b"caf\xe9"), code=2),
    "invalid UTF-8 on standard input": Text(
        "no valid UTF-8", lambda _: (*_OTHERS, "-"), b"caf\xe9", code=2
    ),
    "UTF-16 as a file": Text("no valid UTF-8", _file(_OTHERS, "Grüße".encode("utf-16")), code=2),
    "a lone surrogate as a file": Text("no valid UTF-8", _file(_OTHERS, b"\xed\xa0\x80"), code=2),
    "a file that is not there": Text("cannot be read", lambda _: (*_OTHERS, "@nothing"), code=2),
    "an over-long user": Text("200 characters", lambda _: ("profile", "-u", "x" * 201)),
    "an import that is empty": Text("the file is empty", _file(("import",), b"", "")),
    "an import of junk": Text("", _file(("import",), bytes(range(256)) * 40, "")),
    "a strict import with a lone surrogate": Text(
        "nothing was imported",
        _file(
            ("import", "--strict"),
            b'{"user": "a", "prompt": "\\ud800", "chosen": "x", "rejected": "y"}',
            "",
        ),
    ),
    "a strict import with 10 MB": Text(
        "nothing was imported",
        _file(
            ("import", "--strict"),
            json.dumps({"prompt": MEGABYTES_10, "chosen": "x", "rejected": "y"}).encode(),
            "",
        ),
    ),
    "a restore of junk": Text("", _file(("restore",), bytes(range(256)) * 40, "")),
    "an unknown id": Text("no memory", lambda _: ("forget", "aaaaaaaaaaaa", "--yes")),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_bad_text_is_refused_by_name(stage: Stage, name: str) -> None:
    """Empty, identical, over-long or undecodable texts: a named error, and nothing is kept."""
    case = TEXTS[name]
    if name.endswith("as an argument") and sys.platform == "win32":
        pytest.skip("arguments are Unicode on Windows")
    arguments = case.arguments(stage)
    assert_refused(stage, *arguments, says=case.says, code=case.code, stdin=case.stdin)


def test_nul_characters_are_text_like_any_other(stage: Stage) -> None:
    """A NUL neither ends a text nor breaks anything: it is kept as it came."""
    answer = stage.prop("nul", b"before\0after")
    stage.must("add", "--prompt", "NUL?", "--chosen", f"@{answer}", "--rejected", "before")
    shown = json.loads(stage.must("memory", "ls", "--json", "--limit", "1").out)[0]
    assert shown["chosen"] == "before\0after"


@pytest.mark.parametrize("text", ["a\ud800b", "\udcff", MEGABYTES_10, "", "\n"])
def test_the_python_api_refuses_bad_texts_by_name(tmp_path: Path, text: str) -> None:
    """Lone surrogates reach Python code though not a command line; they are refused there too."""
    path, key = tmp_path / "v.db", EphemeralKey()
    with pocketpref.open(
        "ada", path=path, key=key, model=ScriptedModel(), embedder=HashEmbedder()
    ) as pocket:
        pocket.add("Why?", "Because.", "No.")
        before = content(path)
        for pair in ((text, "a", "b"), ("Why?", text, "b"), ("Why?", "a", text)):
            with pytest.raises(PairError) as caught:
                pocket.add(*pair)
            assert len(caught.value.message) < 200
        assert pocket.counts().memories == 1
        assert content(path) == before


# ---------------------------------------------------------------------------------------- models

# Where a GGUF file is cut: in its magic, header, metadata, tokenizer, list of tensors, tensors.
CUTS = (0, 20, 24, 5_000, 900_000, 1_700_000, 60_000_000, -1)


@pytest.mark.parametrize("size", CUTS)
def test_a_truncated_model_is_refused_by_name(stage: Stage, starter_path: Path, size: int) -> None:
    """A download that ended early is noticed wherever it ended, and nothing crashes."""
    with starter_path.open("rb") as file:
        path = stage.prop("cut.gguf", file.read(size % starter_path.stat().st_size))
    assert_refused(stage, "score", "--attributes", "Concise", *PAIR, "-m", path, says="cut.gguf")


MODELS: dict[str, bytes] = {
    "no GGUF": bytes(range(256)) * 300,
    "junk after the magic": b"GGUF" + bytes(range(255, -1, -1)) * 300,
    "junk after the version": b"GGUF\3\0\0\0" + bytes(range(255, -1, -1)) * 300,
    "a key of absurd length": b"GGUF\3\0\0\0"
    + (1).to_bytes(8, "little") * 2
    + b"\xff" * 7
    + b"\x7f",
    "text": b"This is no model.\n" * 500,
}


@pytest.mark.parametrize("name", MODELS)
def test_a_file_that_is_no_model_is_refused_by_name(stage: Stage, name: str) -> None:
    """Junk in the place of a model is a named error, not a crash of native code."""
    path = stage.prop("junk.gguf", MODELS[name])
    assert_refused(stage, "score", "--attributes", "Concise", *PAIR, "-m", path, says="junk.gguf")


def test_a_missing_model_is_refused_by_name(stage: Stage) -> None:
    """A model that is not there: the error says so and the hint lists what is."""
    for model in (str(stage.props / "nothing.gguf"), "hf:nobody/nothing:Q4_0", "nothing"):
        assert_refused(stage, "learn", "-m", model, says="n")


def test_a_model_that_cannot_be_loaded_costs_no_memory_of_choices(stage: Stage) -> None:
    """Learning with a broken model fails by name; the pairs wait for a sound one."""
    path = stage.prop("junk.gguf", MODELS["junk after the version"])
    before = content(stage.vault)
    assert stage.run("learn", "-m", path).code == 1
    assert content(stage.vault) == before
    status = json.loads(stage.must("status", "--json").out)
    assert (status["pairs"], status["indexed"]) == (1, 0)


# ------------------------------------------------------------------------------------------ keys


def _other_key(stage: Stage) -> str:
    return str(KeyFile.make(stage.props / "other-key").path)


KEYS: dict[str, tuple[str, Callable[[Stage], str]]] = {
    "another vault's key": ("does not open", _other_key),
    "no key": ("there is no key file", lambda s: str(s.props / "nowhere")),
    "a key that is too short": (
        "no pocketpref key",
        lambda s: s.prop("k", "pocketpref-key-1:QUJD"),
    ),
    "a key that is too long": (
        "no pocketpref key",
        lambda s: s.prop("k", (s.props / "key").read_text().strip() + "QUJD"),
    ),
    "an empty key": ("no pocketpref key", lambda s: s.prop("k", b"")),
    "a key of junk": ("no pocketpref key", lambda s: s.prop("k", bytes(range(256)))),
}


@pytest.mark.parametrize("name", KEYS)
def test_a_bad_key_is_refused_by_name(stage: Stage, name: str) -> None:
    """Without the right key nothing is read, nothing is written, and no new key is made."""
    says, key = KEYS[name]
    env = {"POCKETPREF_KEY_FILE": key(stage)}
    assert_refused(stage, "add", *PAIR, says=says, env=env)
    assert_refused(stage, "forget", "--all", "--yes", says=says, env=env)
    assert not (stage.props / "nowhere").exists()


def test_a_wrong_passphrase_is_refused_by_name(stage: Stage) -> None:
    """The vault says how it is kept; a key of another kind or another passphrase is refused."""
    right, wrong = stage.prop("right", "correct horse"), stage.prop("wrong", "battery staple")
    env = {"POCKETPREF_KEY_FILE": "", "POCKETPREF_PASSPHRASE_FILE": right}
    stage.vault.unlink()
    assert stage.run("add", *PAIR, env=env).code == 0
    refused = {**env, "POCKETPREF_PASSPHRASE_FILE": wrong}
    assert_refused(stage, "memory", "ls", says="does not open", env=refused)
    refused = {**env, "POCKETPREF_PASSPHRASE_FILE": stage.prop("empty", "")}
    assert_refused(stage, "memory", "ls", says="is empty", env=refused)
    assert_refused(stage, "memory", "ls", says="opened by a passphrase")


# ------------------------------------------------------------------------------- the vault's file


def _sql(statement: str) -> Callable[[Path], None]:
    def change(vault: Path) -> None:
        with sqlite3.connect(vault) as connection:
            connection.execute(statement)
        connection.close()

    return change


def _cut(vault: Path) -> None:
    vault.write_bytes(vault.read_bytes()[:-5000])


VAULTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a newer version's": (f"has format {FORMAT + 1}", _sql(f"PRAGMA user_version = {FORMAT + 1}")),
    "a much newer version's": ("has format 2000000000", _sql("PRAGMA user_version = 2000000000")),
    "another program's": ("no pocketpref vault", _sql("PRAGMA application_id = 7")),
    "with one more table": ("not those of a vault", _sql("CREATE TABLE more (x)")),
    "truncated": ("truncated", _cut),
    "empty": ("no pocketpref vault", lambda vault: vault.write_bytes(b"") and None),
    "of junk": ("no pocketpref vault", lambda vault: vault.write_bytes(b"junk" * 5000) and None),
}


@pytest.mark.parametrize("name", VAULTS)
def test_a_file_that_cannot_be_the_vault_is_left_as_it_is(stage: Stage, name: str) -> None:
    """A vault of a newer version, truncated, foreign or damaged: refused, not one byte changed."""
    says, change = VAULTS[name]
    change(stage.vault)
    assert_refused(stage, "add", *PAIR, says=says)


# -------------------------------------------------------------------------------------- settings

SETTINGS = {
    "no TOML": ("config.toml", b"user = ada"),
    "no UTF-8": ("config.toml", b"user = '\xff'"),
    "an unknown key": ("config.toml", b"colour = 'red'"),
    "a number for a text": ("config.toml", b"user = 7"),
    "an unknown custody": ("config.toml", b"key_custody = 'cloud'"),
    "attributes: no TOML": ("attributes.toml", b"[[attribute]\nname = "),
    "attributes: no UTF-8": ("attributes.toml", b"# \xff"),
    "attributes: no list": ("attributes.toml", b"attribute = 'Concise'"),
    "attributes: a part is missing": ("attributes.toml", b"[[attribute]]\nname = 'Mine'"),
    "attributes: one name twice": (
        "",
        b"[[attribute]]\nname='Concise'\nwording='x'\nopposite='y'\ncategory='style'",
    ),
    "attributes: would break the block": (
        "attributes.toml",
        b"[[attribute]]\nname='A'\nwording='x>\\ny'\nopposite='y'\ncategory='style'",
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_corrupt_settings_are_refused_by_name(stage: Stage, name: str) -> None:
    """A corrupt config.toml or attributes.toml is named; nothing is overwritten by defaults."""
    says, data = SETTINGS[name]
    file = "attributes.toml" if name.startswith("attributes") else "config.toml"
    (stage.pocket / file).write_bytes(data)
    assert_refused(stage, "profile", says=says)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"x": "y"}', b"\xff\xfe", b'{"%s its own noise": NaN}', b"null"]
)
def test_corrupt_measurements_are_made_again(tmp_path: Path, data: bytes) -> None:
    """What was only measured is measured again: no error, and the same index."""
    model, embedder = ScriptedModel({"short": {"yes": 2.0}}), HashEmbedder()
    measured = Path(os.environ["POCKETPREF_HOME"]) / "cache" / "measured.json"
    selections = []
    for n, content_ in enumerate((None, data)):
        if content_ is not None:
            measured.write_bytes(content_.replace(b"%s", model.fingerprint.encode()))
        with pocketpref.open(
            "ada", path=tmp_path / f"{n}.db", key=EphemeralKey(), model=model, embedder=embedder
        ) as pocket:
            pocket.add("Why?", "yes yes", "no")
            assert pocket.learn().indexed == 1
            selections.append(pocket.profile().entries[0].weight)
        assert json.loads(measured.read_bytes())[f"{model.fingerprint} its own noise"] >= 0
    assert selections[0] == selections[1] > 0


# ----------------------------------------------------------------------------------------- disks


def _mounted(folder: Path) -> str | None:
    """Mount a file system of 1 MiB; why not, if that may not be done here."""
    if sys.platform != "linux":
        return "needs Linux's mounts"
    if ctypes.CDLL(None, use_errno=True).mount(
        b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=1m"
    ):
        return f"may not mount: {os.strerror(ctypes.get_errno())}"
    return None


@pytest.fixture
def small_disk(stage: Stage) -> Iterator[Stage]:
    """The stage with POCKETPREF_HOME on a real file system of 1 MiB."""
    vault = stage.vault.read_bytes()
    if reason := _mounted(stage.pocket):
        pytest.skip(reason)
    try:
        stage.vault.write_bytes(vault)
        yield stage
    finally:
        ctypes.CDLL(None).umount2(os.fsencode(stage.pocket), 2)


def fill(folder: Path, leave: int = 0) -> Path:
    """Take all the room there is but ``leave`` bytes."""
    waste = folder / "waste"
    with waste.open("wb", buffering=0) as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        assert file.tell() > 100_000
        file.truncate(max(0, file.tell() - leave))
    return waste


def assert_storage_failed(stage: Stage, *arguments: str, says: str = "no room left") -> None:
    """Refused by name, the vault's records unchanged (SQLite's own side files may come and go)."""
    before = content(stage.vault)
    done = stage.run(*arguments)
    assert done.code == 1, (arguments, done.err)
    assert done.err.splitlines()[-2].startswith("pocketpref: error: ")
    assert done.err.splitlines()[-1].startswith("pocketpref: hint: ")
    assert says in done.err
    assert "Traceback" not in done.err
    assert content(stage.vault) == before


def test_a_full_disk_is_named_and_changes_nothing(small_disk: Stage) -> None:
    """On a real full file system, a tmpfs of 1 MiB: it is said, and nothing is lost."""
    stage = small_disk
    key = stage.prop("passphrase", "word")
    big = "@" + stage.prop("big", "w" * 900_000)
    for leave in (0, 100_000):
        waste = fill(stage.pocket, leave)
        assert_storage_failed(stage, "add", "--prompt", "Big?", "--chosen", big, "--rejected", "no")
        waste.unlink()
    fill(stage.pocket)
    inside = str(stage.pocket / "kept")
    assert_storage_failed(stage, "add", *PAIR)
    assert_storage_failed(stage, "export", inside, "--passphrase-file", key)
    assert_storage_failed(stage, "keys", "set", "--key-file", str(stage.pocket / "k"), says="room")
    assert_storage_failed(stage, "models", "default", "starter", says="room")
    (stage.pocket / "waste").unlink()
    assert not Path(inside).exists()
    stage.must("add", "--prompt", "Room again?", "--chosen", "yes", "--rejected", "no")
    assert len(json.loads(stage.must("memory", "ls", "--json").out)) == 2


def test_learning_with_a_full_cache_goes_on(
    small_disk: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What cannot be cached is measured again: a full cache costs time, not what is learned."""
    monkeypatch.setenv("POCKETPREF_HOME", str(small_disk.pocket))
    fill(small_disk.pocket)
    with pocketpref.open(
        path=tmp_path / "v.db", key=EphemeralKey(), model=ScriptedModel(), embedder=HashEmbedder()
    ) as pocket:
        pocket.add("Why?", "yes", "no")
        assert pocket.learn().indexed == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit on Windows")
def test_a_file_that_may_not_grow_is_named_and_changes_nothing(stage: Stage) -> None:
    """The same where nothing may be mounted: the system's limit of a file's size is reached."""
    limited = Stage(stage.root, stage.props, before=(sys.executable, "-c", _LIMITED))
    big = "@" + stage.prop("big", "w" * 900_000)
    before = content(stage.vault)
    done = limited.run("add", "--prompt", "Big?", "--chosen", big, "--rejected", "no")
    assert done.code == 1, done.err
    assert "pocketpref: error: " in done.err
    assert "pocketpref: hint: " in done.err
    assert "Traceback" not in done.err
    assert content(stage.vault) == before


_LIMITED = """
import os, resource, signal, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def read_only(stage: Stage) -> Iterator[Stage]:
    """A POCKETPREF_HOME that may not be written: by its mode, or for root by its mount."""
    if sys.platform == "win32":
        pytest.skip("modes mean nothing on Windows")
    if os.geteuid() != 0:
        stage.pocket.chmod(0o500)
        yield stage
        stage.pocket.chmod(0o700)
        return
    libc, target = ctypes.CDLL(None, use_errno=True), os.fsencode(stage.pocket)
    vault = stage.vault.read_bytes()
    if reason := _mounted(stage.pocket):
        pytest.skip(reason)
    try:
        stage.vault.write_bytes(vault)
        assert libc.mount(b"", target, b"", 1 | 32, b"") == 0  # MS_RDONLY | MS_REMOUNT
        yield stage
    finally:
        libc.umount2(target, 2)


def test_a_read_only_folder_is_named_and_changes_nothing(read_only: Stage) -> None:
    """Nothing can be added or forgotten, and it is said that the folder may not be written."""
    commands = (
        ("add", *PAIR),
        ("forget", "--all", "--yes"),
        ("keys", "set", "--key-file", str(read_only.pocket / "new")),
    )
    for command in commands:
        assert_refused(read_only, *command, says="vault.db" if command[0] != "keys" else "new")
    assert_refused(read_only, "models", "default", "starter", says="configuration")


def test_a_cache_that_may_not_be_written_is_named(
    read_only: Stage, starter_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The 16-bit copy of a model cannot be made: that is a model's error, from Python too."""
    monkeypatch.setenv("POCKETPREF_HOME", str(read_only.pocket))
    with (
        pocketpref.open(path=tmp_path / "v.db", key=EphemeralKey()) as pocket,
        pytest.raises(ModelError) as caught,
    ):
        pocket.score("Why?", "a", "b", attributes=["Concise"])
    assert caught.value.hint


def test_every_check_above_can_fail(stage: Stage) -> None:
    """A command that succeeds, or that changes a file, does not pass for a refusal."""
    with pytest.raises(AssertionError):
        assert_refused(stage, "add", "--prompt", "p", "--chosen", "a", "--rejected", "b", says="")
    with pytest.raises(AssertionError):
        assert_refused(stage, "add", *PAIR[:-1], "Because.", says="another reason")
