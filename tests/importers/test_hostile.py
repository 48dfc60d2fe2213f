"""Whatever the bytes: entries or a FileError come out, and never a text of the file."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketpref.errors import FileError
from pocketpref.importers import FORMATS, BadEntry, Format, read
from pocketpref.records import Feedback
from tests.importers.conftest import (
    chatgpt_conversation,
    chatgpt_node,
    openwebui_chat,
    openwebui_message,
    openwebui_rating,
)
from tests.importers.published import PLANTED, ROWS


def endure(content: bytes, name: Format | None) -> list[Feedback | BadEntry]:
    """Read and check that nothing but the agreed comes out."""
    entries: list[Feedback | BadEntry] = []
    error: FileError | None = None
    reading = read(io.BytesIO(content), name)
    try:
        entries.extend(reading)  # what came before an error counts, too
    except FileError as raised:
        error = raised
    if error is not None:
        assert PLANTED not in f"{error}{error.hint}"
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
    for entry in entries:
        assert isinstance(entry, (Feedback, BadEntry))
        assert PLANTED not in repr(entry)
        if isinstance(entry, Feedback):
            assert entry.origin == "import"
            json.dumps(dict(entry.meta), allow_nan=False).encode()
            assert entry.created is None or entry.created.utcoffset() is not None
    return entries


def valid(name: Format) -> bytes:
    chat = openwebui_chat(
        openwebui_message("q", None, "user", PLANTED),
        openwebui_message("a", "q", "assistant", f"{PLANTED} a", annotation={"rating": 1}),
        openwebui_message("b", "q", "assistant", f"{PLANTED} b"),
        current="b",
    )
    documents: dict[Format, list[Any]] = {
        "chatgpt": [
            chatgpt_conversation(
                chatgpt_node("q", None, "user", PLANTED),
                chatgpt_node("a", "q", "assistant", f"{PLANTED} a"),
                chatgpt_node("b", "q", "assistant", f"{PLANTED} b"),
                current="b",
            )
        ],
        "openwebui": [chat, openwebui_rating(chat, "a", 1, ["llama3:8b"])],
    }
    documents |= ROWS
    if name in documents:
        return json.dumps(documents[name]).encode()
    pair = {"user": "u", "prompt": PLANTED, "chosen": PLANTED + "a", "rejected": "b", "meta": {}}
    return (json.dumps(pair) + "\n").encode() * 2


formats = st.sampled_from([*FORMATS, None])


@pytest.mark.parametrize("name", FORMATS)
def test_the_unchanged_files_do_hold_pairs_and_are_recognized(name: Format) -> None:
    """Guards the tests below: they start from files that are really read."""
    found = endure(valid(name), name if name in ROWS else None)
    assert found
    assert all(isinstance(entry, Feedback) for entry in found)


@given(st.binary(max_size=300), formats)
@settings(max_examples=200, deadline=None)
def test_random_bytes(content: bytes, name: Format | None) -> None:
    endure(content, name)


@given(st.sampled_from(FORMATS), st.data())
@settings(max_examples=300, deadline=None)
def test_files_with_bytes_cut_out_changed_or_put_in(name: Format, data: st.DataObject) -> None:
    content = valid(name)
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(len(content), start + 40)))
    patch = data.draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"null", b"[]", b"{}"])))
    endure(content[:start] + patch + content[end:], data.draw(st.sampled_from([name, None])))


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.just(10**400),
    st.floats(),
    st.text(max_size=5),
    st.sampled_from([PLANTED, "q", "a", "b", "user", "assistant", "\ud800", PLANTED * 30]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found = []
    for key, item in inner:
        found.append((*path, key))
        if isinstance(item, (dict, list)):
            found += places(item, (*path, key))
    return found


@given(st.sampled_from(["chatgpt", "openwebui", *ROWS]), st.data())
@settings(max_examples=500, deadline=None)
def test_documents_with_values_of_wrong_types_anywhere(name: Format, data: st.DataObject) -> None:
    document = json.loads(valid(name))
    for path in data.draw(st.lists(st.sampled_from(places(document)), min_size=1, max_size=3)):
        target = document
        try:
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = data.draw(values)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took this place away
    endure(json.dumps(document).encode(), name)


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_pair_lines_with_values_of_wrong_types(data: st.DataObject) -> None:
    pair = {"prompt": PLANTED, "chosen": "a", "rejected": "b", "user": "u", "meta": {"time": "x"}}
    pair[data.draw(st.sampled_from([*pair, "other"]))] = data.draw(values)
    endure(json.dumps(pair).encode(), "jsonl")


ids = st.sampled_from([*"abcdefgh", PLANTED])


@given(
    st.dictionaries(
        ids, st.tuples(st.one_of(st.none(), ids), st.sampled_from(["user", "assistant", "tool"]))
    ),
    ids,
)
@settings(max_examples=400, deadline=None)
def test_messages_tied_together_at_random(
    shape: dict[str, tuple[str | None, str]], current: str
) -> None:
    """Loops, orphans, forests, answers to answers: in both tree formats."""
    nodes = [
        chatgpt_node(key, parent, role, f"{key} said") for key, (parent, role) in shape.items()
    ]
    endure(json.dumps([chatgpt_conversation(*nodes, current=current)]).encode(), "chatgpt")
    messages = [
        openwebui_message(key, parent, role, f"{key} said") for key, (parent, role) in shape.items()
    ]
    chat = openwebui_chat(*messages, current=current)
    endure(json.dumps([chat, openwebui_rating(chat, current, 1, None)]).encode(), "openwebui")


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"mapping":{"a":', '[{"chat":'])
@pytest.mark.parametrize("name", [*FORMATS, None])
def test_nesting_bombs(opening: str, name: Format | None) -> None:
    endure((opening * 100_000).encode(), name)


@pytest.mark.parametrize("name", ["chatgpt", "openwebui"])
def test_a_very_long_conversation_is_no_problem(name: Format) -> None:
    """Trees are walked without recursion."""
    count = 30_000
    roles = ("user", "assistant")
    if name == "chatgpt":
        nodes = [
            chatgpt_node(str(n), str(n - 1) if n else None, roles[n % 2], f"{n}")
            for n in range(count)
        ]
        content: Any = chatgpt_conversation(*nodes, current=str(count - 1))
    else:
        messages = [
            openwebui_message(str(n), str(n - 1) if n else None, roles[n % 2], f"{n}")
            for n in range(count)
        ]
        content = openwebui_chat(*messages, current=str(count - 1))
    assert endure(json.dumps([content]).encode(), name) == []


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_zip_files(data: st.DataObject) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", valid("chatgpt"))
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    endure(bytes(content[: data.draw(st.integers(10, len(content)))]), None)
