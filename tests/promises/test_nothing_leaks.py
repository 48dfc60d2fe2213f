"""No private text outside the places it is meant for: not in a file, a log, an error or a repr."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import logging
import typing
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pocketpref
from pocketpref import records
from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel
from pocketpref.cli.chat.turns import ChatOptions, ChatTurn
from pocketpref.config import Config, Places
from pocketpref.errors import PocketprefError
from pocketpref.importers import read
from pocketpref.methods.exact import ExactSettings
from pocketpref.pocket import Pocket
from pocketpref.records import Feedback, Pair, Sampling
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault import Vault, archive
from pocketpref.vault.crypto.key_stores import Argon2Cost, EphemeralKey, Passphrase
from pocketpref.vault.storage.serialization import load_learned, load_memory
from tests.promises.real import few, real_pocket
from tests.promises.story import CHOSEN, PROMPT, REJECTED, Story
from tests.promises.traces import PLANTS, forms, leaks, leaks_in_files, shown_by

# ------------------------------------------------------------------------- through the command line


def test_the_story_did_what_it_was_to_do(story: Story) -> None:
    """Otherwise the tests below would search for what nobody wrote."""
    assert story.personalized["attributes"], "a pair was learned and recalled"
    assert "similarity 1.00" in story.why
    assert len(story.replies) >= 2
    assert PLANTS["prompt"] in story.gone_on, "the chat was kept"
    names = {path.name for path in story.stage.files()}
    assert {"vault.db", "measured.json", "kept.pocketpref"} <= names


def test_no_file_holds_a_planted_text(story: Story) -> None:
    """Prompt, answers, user, system prompt, passphrase and replies are in no file at all.

    Every file under HOME, POCKETPREF_HOME, TMPDIR and the working folder is searched.
    """
    texts = [*PLANTS.values(), *story.replies]
    assert leaks_in_files(story.stage.files(), texts) == []


def test_a_failing_command_says_nothing_private(story: Story) -> None:
    """Commands that fail name what is wrong without quoting any text that was handed in."""
    assert len(story.failures) > 10
    for done in story.failures:
        assert done.code in (1, 2), done.arguments[0]
        assert done.err.startswith("pocketpref: ")
        assert leaks((done.out + done.err).encode(), PLANTS.values()) == [], done.arguments[0]
        assert "Traceback" not in done.err


def test_the_process_list_shows_no_text(story: Story) -> None:
    """With ``-`` and ``@FILE`` no other user of the machine sees a private text."""
    seen = "\n".join(story.processes)
    assert seen.count("pocketpref") >= 2
    assert leaks(seen.encode(), PLANTS.values()) == []


@pytest.mark.parametrize("form", forms("x"))
def test_the_search_finds_what_is_there(tmp_path: Path, form: str) -> None:
    """The tests above can fail: a planted text is found in every form, at every alignment."""
    text = PLANTS["prompt"]
    file = tmp_path / "file"
    file.write_bytes(bytes(range(256)) + forms(text)[form] + b"more")
    assert any(form in leak for leak in leaks_in_files([file], [text]))


def test_the_search_finds_a_plain_vault_entry(tmp_path: Path) -> None:
    """A text exported on purpose, ``--plaintext``, is found."""
    with Vault.create(tmp_path / "v.db", EphemeralKey()) as vault:
        store = vault.store("ada")
        store.add(Feedback(Pair(PROMPT, CHOSEN, REJECTED)))
        archive.export_user(store, tmp_path / "plain.jsonl", None, plaintext=True)
    assert leaks_in_files([tmp_path / "plain.jsonl"], [PLANTS["prompt"]])
    assert not leaks_in_files([tmp_path / "v.db"], [PLANTS["prompt"]])


# --------------------------------------------------------------------------- through the Python API


@pytest.fixture
def pocket(tmp_path: Path, model: LlamaModel) -> Iterator[Pocket]:
    """A Pocket on a real vault with the real model and embedder, under a planted user name."""
    bank, settings = few("Concise", "Analytic"), ExactSettings(k=1)
    # No gain is below this noise, so that something is learned for certain.
    name = PLANTS["username"]
    with real_pocket(tmp_path, model, bank, settings, user=name, noise=-100.0) as opened:
        yield opened


@pytest.fixture
def every_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Hear every logger of every library at its most talkative."""
    caplog.set_level(logging.DEBUG)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def test_the_python_api_logs_and_prints_nothing_private(
    pocket: Pocket,
    every_log: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No log record, no line of native code and no file shows what passes through the library."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    logging.getLogger("control").debug(PLANTS["meta"])
    memory_id = pocket.add(PROMPT, CHOSEN, REJECTED, meta={"note": PLANTS["meta"]})
    shown = [repr(item) for item in (pocket, pocket.learn(), pocket.profile(), pocket.counts())]
    personal = pocket.personalize(PROMPT, system=PLANTS["system"], method="exact")
    assert personal.attributes
    short = Sampling(max_tokens=8, seed=1)
    reply = pocket.reply(PROMPT, system=PLANTS["system"], sampling=short)
    pocket.add(PLANTS["question"], reply, REJECTED)
    shown += [repr(item) for item in (personal, pocket.memory(memory_id), pocket.status)]
    shown += [repr(pocket.score(PROMPT, CHOSEN, REJECTED, attributes=["Concise"]))]
    out, err = capfd.readouterr()
    texts = [*PLANTS.values(), reply]
    assert leaks("\n".join([*shown, out, err]).encode(), texts) == []
    assert leaks_in_files((p for p in tmp_path.rglob("*") if p.is_file()), texts) == []
    logged = [(r.name, f"{r.getMessage()} {r.args!r} {r.exc_text}") for r in every_log.records]
    assert [name for name, said in logged if leaks(said.encode(), texts)] == ["control"]


class Unwritable:
    """Something that no JSON can hold, and whose repr says too much."""

    def __repr__(self) -> str:
        return PLANTS["meta"]


def _vault(folder: Path) -> Vault:
    return Vault.create(folder / "vault.db", EphemeralKey())


def _scripted(folder: Path) -> Pocket:
    return pocketpref.open(
        PLANTS["username"],
        path=folder / "p.db",
        key=EphemeralKey(),
        model=ScriptedModel(),
        embedder=HashEmbedder(),
    )


def _read(folder: Path, content: bytes, form: Any = "jsonl") -> Any:
    (folder / "in").write_bytes(content)
    return list(read(folder / "in", form))


def _plain(folder: Path, line: str) -> Any:
    (folder / "plain").write_text(f'{{"id": "x", "user": "{line}\n', "utf-8")
    with _vault(folder) as vault:
        return archive.restore(vault, folder / "plain", None)


def _bank(folder: Path, content: bytes) -> Any:
    (folder / "attributes.toml").write_bytes(content)
    return AttributeBank.standard(folder / "attributes.toml")


def _restore(folder: Path, secret: str, damage: int = 0) -> Any:
    cost = Argon2Cost(memory_kib=64, passes=1, lanes=1)
    with _vault(folder) as vault:
        store = vault.store(PLANTS["username"])
        store.add(Feedback(Pair(PROMPT, CHOSEN, REJECTED)))
        file = folder / "archive"
        archive.export_user(store, file, Passphrase(lambda: PLANTS["passphrase"], cost))
        file.write_bytes(file.read_bytes()[: -damage or None])
        return archive.restore(vault, file, Passphrase(lambda: secret, cost))


def _config(folder: Path) -> Any:
    (folder / "config.toml").write_text(f"user = {PLANTS['username']}", "utf-8")
    return Config.load(Places.find({"POCKETPREF_HOME": str(folder)}))


LONG = PLANTS["prompt"] + "x" * 1_000_000

FAILURES: dict[str, Callable[[Path], Any]] = {
    "identical answers": lambda _: Pair(PROMPT, CHOSEN, f" {CHOSEN}"),
    "empty answer": lambda _: Pair(PROMPT, CHOSEN, " "),
    "over-long answer": lambda _: Pair(PROMPT, LONG, CHOSEN),
    "lone surrogate": lambda _: Pair(PROMPT + "\udc80", CHOSEN, REJECTED),
    "not text": lambda _: Pair(PROMPT.encode(), CHOSEN, REJECTED),  # type: ignore[arg-type]  # on purpose
    "over-long user": lambda f: _vault(f).store(PLANTS["username"] * 500),
    "user with a lone surrogate": lambda f: _vault(f).store(PLANTS["username"] + "\udc80"),
    "meta that is no JSON": lambda f: (
        _vault(f)
        .store("ada")
        .add(Feedback(Pair(PROMPT, CHOSEN, REJECTED), meta={PLANTS["meta"]: Unwritable()}))
    ),
    "unknown memory": lambda f: _scripted(f).memory(PLANTS["prompt"]),
    "forgetting the unknown": lambda f: _scripted(f).forget(PLANTS["prompt"]),
    "unknown attribute": lambda f: _scripted(f).score(
        PROMPT, CHOSEN, REJECTED, attributes=[PLANTS["prompt"]]
    ),
    "empty prompt": lambda f: _scripted(f).personalize(" "),
    "a file that is no JSON": lambda f: _read(f, f"{PROMPT}\n".encode() * 3),
    "a file that is no UTF-8": lambda f: _read(f, PROMPT.encode("utf-16")),
    "a chat export that is no JSON": lambda f: _read(
        f, f'[{{"title": "{PROMPT}", ]'.encode(), "chatgpt"
    ),
    "a chat export that is no UTF-8": lambda f: _read(
        f, f'[{{"title": "{PROMPT}'.encode() + b"\xff", "chatgpt"
    ),
    "meta with a lone surrogate": lambda f: (
        _vault(f)
        .store("ada")
        .add(
            Feedback(
                Pair(PROMPT, CHOSEN, REJECTED), meta={PLANTS["meta"]: PLANTS["meta"] + "\udc80"}
            )
        )
    ),
    "a plain archive that is no JSON": lambda f: _plain(f, PROMPT),
    "attributes that are no TOML": lambda f: _bank(f, f"name = {PROMPT}".encode()),
    "attributes that are no UTF-8": lambda f: _bank(f, PROMPT.encode() + b"\xff"),
    "a sealed memory in a strange form": lambda _: load_memory("a" * 12, PROMPT.encode()),
    "a sealed entry in a strange form": lambda _: load_learned(
        "a" * 12, b"\x60\x00\x00\x00" + PROMPT.encode() * 9
    ),
    "a wrong passphrase": lambda f: _restore(f, "not " + PLANTS["passphrase"]),
    "a truncated archive": lambda f: _restore(f, PLANTS["passphrase"], damage=20),
    "a broken configuration": _config,
}
REPORTED = {"a file that is no JSON"}


@pytest.mark.parametrize("what", FAILURES)
def test_no_exception_carries_a_text(tmp_path: Path, what: str) -> None:
    """Neither the error, nor its fields, nor any exception behind it holds a private text.

    Exceptions that ``from None`` hides from tracebacks count as well: crash reporters see them.
    """
    if what in REPORTED:  # readers report bad entries instead of raising
        shown = repr(FAILURES[what](tmp_path))
        assert "reason" in shown
    else:
        with pytest.raises(PocketprefError) as caught:
            FAILURES[what](tmp_path)
        shown = shown_by(caught.value)
        assert caught.value.message in shown
    assert leaks(shown.encode("utf-8", "backslashreplace"), PLANTS.values()) == []


def test_the_chain_of_an_exception_is_followed() -> None:
    """The test above can fail: what hides behind ``from None`` is found."""

    def fail() -> None:
        try:
            (PLANTS["prompt"].encode() + b"\xff").decode()
        except UnicodeDecodeError:
            raise PocketprefError("bad") from None

    with pytest.raises(PocketprefError) as caught:
        fail()
    assert leaks(shown_by(caught.value).encode(), PLANTS.values())


# --------------------------------------------------------------------------------- reprs of records

# Names that the program gives itself (of attributes, methods, models) and what people write into
# attribute banks are no private texts; everything else that is a text is.
OURS = {
    "Attribute": {"name", "wording", "opposite", "category"},
    "Memory": {"id", "origin"},
    "Feedback": {"origin"},
    "Learned": {"memory_id", "recipe"},
    "Document": {"id", "sources"},
    "Source": {"id"},
    "Condition": {"method", "sources"},
    "Personalized": {"method", "sources"},
    "ProfileEntry": {"name", "pairs"},
    "Profile": {"entries", "method"},
    "Progress": {"found", "note"},
    "Forgotten": {"ids"},
    "Scores": {"model", "margins"},
    "Selection": {"gains"},
    "Likelihoods": {"totals", "tokens"},
}

RECORDS = [
    kind
    for _, kind in inspect.getmembers(records, inspect.isclass)
    if kind.__module__ == records.__name__ and dataclasses.is_dataclass(kind)
]


def _planted(hint: Any, index: int) -> Any:  # noqa: PLR0911, PLR0912 - a line for each kind of type
    """A value of a type, with a planted text wherever one fits."""
    text = f"{PLANTS['prompt']} {index}"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, type(int | str)):
        return _planted(arguments[0], index)
    if origin is typing.Literal:
        return arguments[0]
    if hint is str:
        return text
    if origin is tuple:
        return tuple(_planted(arguments[0], i) for i in range(2))
    if origin is not None and issubclass(origin, typing.Mapping):
        return {text: _planted(arguments[1], index)}
    if hint is Pair:
        return Pair(text, "a" + text, "b" + text)
    if hint is bytes:
        return text.encode()
    if hint is datetime:
        return datetime(2001, 2, 3, tzinfo=UTC)
    if typing.is_typeddict(hint) or hint is dict:
        return {"role": "user", "content": text}
    simple = {int: index, float: 1.0 + index, bool: True}
    if hint in simple:
        return simple[hint]
    if dataclasses.is_dataclass(hint):
        return _filled(hint)
    if isinstance(hint, enum.EnumType):
        return next(iter(hint))
    if origin is np.ndarray:
        return np.ones(3, dtype=np.float32)
    return text  # Any


def _filled(kind: type) -> Any:
    hints = typing.get_type_hints(kind)
    ours = OURS.get(kind.__name__, set())
    values = {}
    for index, item in enumerate(dataclasses.fields(kind)):
        value = _planted(hints[item.name], index)
        if item.name in ours and PLANTS["prompt"] in repr(value):
            value = "ours" if isinstance(value, str) else type(value)()
        values[item.name] = value
    return kind(**values)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_the_repr_of_a_record_shows_no_text(kind: type) -> None:
    """Whatever record is printed, logged or shown by a debugger: sizes are seen, texts are not."""
    record = _filled(kind)
    assert kind.__name__ in repr(record)
    for shown in (repr(record), f"{[record]}", f"{record!r:>200}"):
        assert leaks(shown.encode(), [PLANTS["prompt"]]) == []


def test_other_objects_that_hold_texts_do_not_show_them(tmp_path: Path) -> None:
    """Settings, stores, chats and Pockets show no name, no prompt and no answer."""
    with _scripted(tmp_path) as pocket, _vault(tmp_path) as vault:
        pocket.add(PROMPT, CHOSEN, REJECTED)
        personal = pocket.personalize(PROMPT)
        shown = [
            *(pocket, vault, vault.store(PLANTS["username"]), pocket._components.store),
            Config(user=PLANTS["username"]),
            ChatOptions(system=PLANTS["system"]),
            ChatTurn(PROMPT, personal, [CHOSEN]),
            Passphrase(lambda: PLANTS["passphrase"]),
            ScriptedModel({PLANTS["prompt"]: {CHOSEN: 1.0}}),
        ]
        assert leaks("\n".join(map(repr, shown)).encode(), PLANTS.values()) == []
