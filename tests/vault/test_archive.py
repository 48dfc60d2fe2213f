"""What was exported comes back as it was, once; what was damaged does not come back at all."""

from __future__ import annotations

import json
import os
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pocketpref.errors import FileError, InputError, KeyMissingError, WrongKeyError
from pocketpref.records import Counts, Feedback, Pair
from pocketpref.vault import Vault, archive
from pocketpref.vault.crypto import sealed_stream
from pocketpref.vault.crypto.key_stores import EphemeralKey, KeyFile, Passphrase
from tests.vault.making import QUICK, feedback, learned, same_learned, vault_bytes

CHUNK = sealed_stream.CHUNK_BYTES + 16


def passphrase(text: str = "correct horse") -> Passphrase:
    return Passphrase(lambda: text, QUICK)


@pytest.fixture
def filled(store):
    """Thirty memories, two of them large, half of them learned from."""
    pairs = [feedback(f"question {n}", meta={"n": n}, origin="chat") for n in range(28)]
    pairs += [Feedback(Pair("p", "a" * 90_000, f"b{n}")) for n in range(2)]
    pairs.append(
        feedback("a\u2028line\nbreak \U0001f600", created=datetime(2001, 2, 3, tzinfo=UTC))
    )
    for memory_id in store.add_many(pairs)[::2]:
        store.put_learned(learned(memory_id))
    return store


@pytest.fixture
def other(tmp_path, key):
    with Vault.create(tmp_path / "other" / "vault.db", key) as vault:
        yield vault


@pytest.fixture
def sealed(filled, tmp_path) -> Path:
    archive.export_user(filled, tmp_path / "archive", passphrase())
    return tmp_path / "archive"


@pytest.fixture
def plain(filled, tmp_path) -> Path:
    archive.export_user(filled, tmp_path / "plain.jsonl", plaintext=True)
    return tmp_path / "plain.jsonl"


def test_an_encrypted_archive_brings_everything_back(filled, sealed, other):
    assert archive.restore(other, sealed, passphrase()) == archive.Restored(31, 0)
    back = other.store("ada")
    assert list(back.memories()) == list(filled.memories())
    pairs = zip(back.learned("recipe-1"), filled.learned("recipe-1"), strict=True)
    assert all(same_learned(one, same) for one, same in pairs)
    assert back.counts() == Counts(31, 16)


def test_a_plain_archive_brings_the_pairs_back(filled, plain, other):
    assert archive.restore(other, plain) == archive.Restored(31, 0)
    back = other.store("ada")
    assert list(back.memories()) == list(filled.memories())
    assert back.counts() == Counts(31, 0)


@pytest.mark.parametrize("form", ["sealed", "plain"])
def test_restoring_again_adds_nothing(form, request, filled, other, vault):
    source = request.getfixturevalue(form)
    key = passphrase() if form == "sealed" else None
    archive.restore(other, source, key)
    assert archive.restore(other, source, key) == archive.Restored(0, 31)
    assert archive.restore(vault, source, key) == archive.Restored(0, 31)
    assert filled.counts() == Counts(31, 16)


def test_restoring_fills_in_what_was_forgotten(filled, sealed, vault):
    ids = [memory.id for memory in filled.memories()]
    filled.forget(ids[:10])
    assert archive.restore(vault, sealed, passphrase()) == archive.Restored(10, 21)
    assert {memory.id for memory in filled.memories()} == set(ids)


def test_one_user_may_take_over_anothers_archive(filled, sealed, vault):
    """In one vault an id belongs to one memory, so the copies get ids of their own."""
    assert archive.restore(vault, sealed, passphrase(), user="bob") == archive.Restored(31, 0)
    bob = vault.store("bob")
    pairs = [memory.pair for memory in filled.memories()]
    assert [memory.pair for memory in bob.memories()] == pairs
    assert not {m.id for m in bob.memories()} & {m.id for m in filled.memories()}
    assert archive.restore(vault, sealed, passphrase(), user="bob") == archive.Restored(0, 31)
    assert bob.counts() == Counts(31, 16)


def test_every_kind_of_key_may_hold_an_archive(filled, tmp_path, key, other):
    for holder in (key, EphemeralKey()):
        archive.export_user(filled, tmp_path / "archive", holder)
        assert archive.custody(tmp_path / "archive") == holder.kind
        archive.restore(other, tmp_path / "archive", holder)
    assert other.store("ada").counts() == Counts(31, 16)


def test_what_opens_an_archive_can_be_asked_without_a_key(sealed, plain, tmp_path):
    assert archive.custody(sealed) == "passphrase"
    assert archive.custody(plain) == "plaintext"
    with pytest.raises(FileError):
        archive.custody(tmp_path / "nowhere")


def test_an_archive_without_memories_is_one(store, tmp_path, other):
    assert archive.export_user(store, tmp_path / "archive", passphrase()) == 0
    assert archive.restore(other, tmp_path / "archive", passphrase()) == archive.Restored(0, 0)


@pytest.mark.skipif(os.name == "nt", reason="modes mean nothing on Windows")
def test_archives_are_readable_for_their_owner_alone(sealed, plain):
    assert {file.stat().st_mode & 0o777 for file in (sealed, plain)} == {0o600}


def test_an_encrypted_archive_shows_no_text_and_leaves_no_other_file(filled, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    archive.export_user(filled, folder / "archive", passphrase())
    assert [file.name for file in folder.iterdir()] == ["archive"]
    content = vault_bytes(folder)
    for trace in (b"question", b"answer", b"ada", b"Concise", b"2001", b"aaaa", b"recipe"):
        assert trace not in content.replace(sealed_stream.MAGIC, b"")


def test_its_size_shows_only_how_many_chunks_it_has(store, tmp_path):
    sizes = set()
    for number in range(3):
        store.add(feedback("x" * 50 * number + "y"))
        archive.export_user(store, tmp_path / "archive", passphrase())
        sizes.add((tmp_path / "archive").stat().st_size)
    assert len(sizes) == 1


def test_an_export_that_fails_leaves_the_older_file(filled, sealed, monkeypatch):
    before = sealed.read_bytes()

    def fail(*_):
        raise OSError(28, "no space")

    monkeypatch.setattr(sealed_stream.SealedWriter, "finish", fail)
    with pytest.raises(Exception, match="room"):
        archive.export_user(filled, sealed, passphrase())
    assert sealed.read_bytes() == before
    assert not list(sealed.parent.glob(".*part"))


def test_plain_text_must_be_asked_for_by_name(filled, tmp_path):
    with pytest.raises(KeyMissingError):
        archive.export_user(filled, tmp_path / "archive")
    with pytest.raises(InputError):
        archive.export_user(filled, tmp_path / "archive", passphrase(), plaintext=True)
    assert not (tmp_path / "archive").exists()


def test_a_plain_archive_is_a_pair_file(filled, plain):
    rows = [json.loads(line) for line in plain.read_text("utf-8").split("\n")[:-1]]
    assert len(rows) == 31
    assert all({"user", "prompt", "chosen", "rejected", "meta"} <= row.keys() for row in rows)
    assert [row["id"] for row in rows] == [memory.id for memory in filled.memories()][::-1]


# -------------------------------------------------------------------------------- refusals


def assert_refused(vault: Vault, source: Path, key=None, error=FileError) -> None:
    """By name, without touching the vault or the file."""
    content, users = source.read_bytes(), vault.users()
    with pytest.raises(error):
        archive.restore(vault, source, key)
    assert vault.users() == users
    assert source.read_bytes() == content


def test_another_key_does_not_open_it(sealed, other, tmp_path):
    assert_refused(other, sealed, passphrase("wrong horse"), WrongKeyError)
    assert_refused(other, sealed, KeyFile.make(tmp_path / "k"), WrongKeyError)
    assert_refused(other, sealed, None, KeyMissingError)


def test_every_flipped_byte_is_noticed(store, tmp_path, other):
    """All of the header, and places all over the one chunk."""
    store.add(feedback())
    source = tmp_path / "archive"
    archive.export_user(store, source, passphrase())
    whole = source.read_bytes()
    header = len(whole) - CHUNK
    for place in [*range(header), *range(header, len(whole), 4099), len(whole) - 1]:
        flipped = bytearray(whole)
        flipped[place] ^= 0x10
        source.write_bytes(flipped)
        with pytest.raises((InputError, WrongKeyError)):
            archive.restore(other, source, passphrase())
    assert other.users() == []


@pytest.mark.parametrize(
    "rebuild",
    [
        lambda header, chunks: header,
        lambda header, chunks: header + b"".join(chunks[:-1]),
        lambda header, chunks: header + b"".join(chunks[1:]),
        lambda header, chunks: header + b"".join([chunks[1], chunks[0], *chunks[2:]]),
        lambda header, chunks: header + b"".join([*chunks, chunks[-1]]),
        lambda header, chunks: header + b"".join([*chunks, chunks[0]]),
        lambda header, chunks: header + b"".join([chunks[0], *chunks]),
        lambda header, chunks: header + b"".join(chunks)[:-1],
        lambda header, chunks: header + b"".join(chunks) + b"x",
        lambda header, chunks: header[:-1],
        lambda header, chunks: header[: len(sealed_stream.MAGIC)],
    ],
)
def test_chunks_left_out_moved_or_added_are_noticed(sealed, other, rebuild):
    whole = sealed.read_bytes()
    start = len(whole) % CHUNK
    chunks = [whole[at : at + CHUNK] for at in range(start, len(whole), CHUNK)]
    assert len(chunks) >= 3
    sealed.write_bytes(rebuild(whole[:start], chunks))
    assert_refused(other, sealed, passphrase())


def test_no_change_is_begun_before_the_last_chunk_was_checked(sealed, other, monkeypatch):
    whole = bytearray(sealed.read_bytes())
    whole[-1] ^= 1
    sealed.write_bytes(whole)
    began: list[object] = []
    monkeypatch.setattr("pocketpref.vault.store.UserStore.restore", began.append)
    assert_refused(other, sealed, passphrase())
    assert began == []


def test_chunks_of_another_archive_of_the_same_key_are_noticed(filled, tmp_path, key, other):
    one, two = tmp_path / "one", tmp_path / "two"
    archive.export_user(filled, one, key)
    archive.export_user(filled, two, key)
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(first[:-CHUNK] + second[-CHUNK:])
    assert_refused(other, one, key)


def crafted(target: Path, key, content: bytes) -> Path:
    """An archive by someone who has the key."""
    with target.open("wb") as file:
        writer = sealed_stream.SealedWriter(file, key)
        writer.write(content)
        writer.finish()
    return target


def frame(kind: int, content: bytes, size: int | None = None) -> bytes:
    return struct.pack("<BI", kind, len(content) if size is None else size) + content


MEMORY = (
    b'{"chosen":"a","created":"2026-01-01T00:00:00+00:00","meta":{},'
    b'"origin":"user","prompt":"p","rejected":"b"}'
)
GOOD = frame(1, b"ada") + frame(2, b"abcdefghjkmn" + MEMORY)


def test_a_crafted_archive_that_is_right_is_read(tmp_path, key, other):
    source = crafted(tmp_path / "archive", key, GOOD + frame(0, b""))
    assert archive.restore(other, source, key) == archive.Restored(1, 0)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        GOOD[:-3],
        GOOD + frame(0, b"", 5),
        GOOD + frame(0, b"") + b"more",
        GOOD + frame(2, b"abcdefghjkmp", 2**32 - 1),
        GOOD + frame(2, b"abcdefghjkmp"),
        GOOD + frame(2, b"abcdefghjkmp{}") + frame(0, b""),
        GOOD + frame(2, b"ABCDEFGHJKMP" + MEMORY) + frame(0, b""),
        GOOD + frame(2, b"\xff" * 12 + MEMORY) + frame(0, b""),
        GOOD + frame(2, b"abcdefghjkmn" + MEMORY.replace(b'"a"', b'"c"')) + frame(0, b""),
        GOOD + frame(3, b"no learned entry") + frame(0, b""),
        frame(1, b"ada") + frame(3, b"of no memory") + frame(0, b""),
        GOOD + frame(9, b"of no kind") + frame(0, b""),
        frame(2, b"abcdefghjkmn" + MEMORY) + frame(0, b""),
        frame(1, b"") + frame(2, b"abcdefghjkmn" + MEMORY) + frame(0, b""),
    ],
)
def test_a_hostile_archive_is_refused_whole(tmp_path, key, other, content):
    source = crafted(tmp_path / "archive", key, content)
    assert_refused(other, source, key, InputError)


ROW = {
    "user": "ada",
    "prompt": "p",
    "chosen": "a",
    "rejected": "b",
    "meta": {},
    "id": "abcdefghjkmn",
    "created": "2026-01-01T00:00:00+00:00",
    "origin": "user",
}


@pytest.mark.parametrize(
    "change",
    [
        {"id": "x"},
        {"id": 5},
        {"id": None},
        {"user": ""},
        {"user": 5},
        {"user": "bob"},
        {"prompt": ""},
        {"prompt": 5},
        {"chosen": "b"},
        {"created": "today"},
        {"created": None},
        {"origin": "planted"},
        {"origin": []},
        {"meta": "planted"},
        {"meta": None},
        {"chosen": "another answer"},
    ],
)
def test_a_bad_line_is_named_and_nothing_restored(tmp_path, other, change):
    source = tmp_path / "plain.jsonl"
    lines = [ROW, ROW | change]
    source.write_text("".join(json.dumps(row) + "\n" for row in lines))
    assert_refused(other, source)


@pytest.mark.parametrize(
    "line",
    [b"planted", b"[]", b"5", b"\xff\xfe", b"[" * 100_000, b"{}"],
    ids=["text", "a list", "a number", "no UTF-8", "nested too deep", "an empty object"],
)
def test_a_line_that_is_no_memory_is_named_but_not_quoted(tmp_path, other, line):
    source = tmp_path / "plain.jsonl"
    source.write_bytes(json.dumps(ROW).encode() + b"\n\n" + line + b"\n")
    with pytest.raises(FileError) as caught:
        archive.restore(other, source)
    assert caught.value.line == 3
    assert "planted" not in str(caught.value)
    assert other.users() == []


def test_a_line_without_end_is_refused(tmp_path, other, monkeypatch):
    monkeypatch.setattr(archive, "MAX_PAYLOAD_BYTES", 1000)
    source = tmp_path / "plain.jsonl"
    source.write_bytes(b'{"prompt": "' + b"x" * 5000)
    assert_refused(other, source)


def test_an_empty_file_and_a_missing_one_are_refused(tmp_path, other):
    (tmp_path / "empty").write_bytes(b"")
    assert_refused(other, tmp_path / "empty")
    with pytest.raises(FileError):
        archive.restore(other, tmp_path / "nowhere")


def test_a_memory_changed_by_hand_is_not_taken_for_the_old_one(filled, plain, vault):
    plain.write_text(plain.read_text("utf-8").replace("question 5", "question five"), "utf-8")
    before = list(filled.memories())
    with pytest.raises(FileError, match="another memory"):
        archive.restore(vault, plain)
    assert list(filled.memories()) == before


def test_a_file_that_changes_while_it_is_read_restores_nothing(sealed, other, monkeypatch):
    """The second reading is checked like the first, inside one transaction."""
    real = type(other.store("ada")).restore

    def restore_after_a_change(self, entries, documents):
        content = bytearray(sealed.read_bytes())
        content[-1] ^= 1
        sealed.write_bytes(content)
        return real(self, entries, documents)

    monkeypatch.setattr("pocketpref.vault.store.UserStore.restore", restore_after_a_change)
    with pytest.raises(FileError):
        archive.restore(other, sealed, passphrase())
    assert other.users() == []
