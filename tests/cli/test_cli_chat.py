"""The chat command and the terminal's side of it."""

import stat
import sys
from pathlib import Path

import pytest

from pocketpref.cli.chat.terminal import edit_in, memory_folder
from pocketpref.errors import InputError


def test_a_chat_by_pipe_answers_and_records(desk):
    result = desk.run("chat", stdin="hello\n/retry\n/prefer 2\nexit\n")
    assert result.code == 0
    assert "You said: hello (draw 1)\nYou said: hello (draw 2)\n" in result.out
    header = result.err.splitlines()[0]
    assert header == (
        "Chatting with scripted as default, 0 choices remembered, egress: off, "
        "runs on: as its owner decides"
    )
    assert result.err.endswith("1 choice remembered; nothing is sure yet\n")
    with desk.open() as pocket:
        assert (pocket.counts().memories, pocket.counts().learned) == (1, 0)


def test_a_chat_with_exact_learns_at_its_end(desk):
    result = desk.run("chat", "--method", "exact", stdin="hello\n/retry\n/prefer 2\nexit\n")
    assert "learned from 1 choice" in result.out
    with desk.open() as pocket:
        assert pocket.counts().learned == 1


def test_the_end_of_input_ends_the_chat(desk):
    assert desk.run("chat", stdin="hello").code == 0


def test_no_learn_leaves_the_vault_as_it_was(desk):
    assert desk.run("chat", "--no-learn", stdin="hello\n/retry\n/prefer 2\n").code == 0
    with desk.open() as pocket:
        assert pocket.counts().memories == 0


def test_adapter_says_that_it_waits_for_a_summary(desk):
    waiting = "an adapter is written once there is a summary"
    assert waiting in desk.run("chat", "--adapter", stdin="exit\n").err
    assert waiting not in desk.run("chat", stdin="exit\n").err
    assert desk.run("summary", "edit", "The user prefers answers that are brief.").code == 0
    assert waiting not in desk.run("chat", "--adapter", stdin="exit\n").err


def test_options_reach_the_model(desk):
    result = desk.run("chat", "-o", "seed", "41", "-o", "max_tokens", "2", stdin="hello\n")
    assert "You said:\n" in result.out
    assert desk.run("chat", "-o", "seed", "SECRET").code == 2
    wrong = desk.run("chat", "-o", "SECRET", "1")
    assert (wrong.code, "SECRET" in wrong.err) == (2, False)


def test_a_broken_line_is_reported_and_the_chat_goes_on(desk):
    result = desk.run("chat", stdin=b"caf\xe9\nhello\n")
    assert "no valid UTF-8 (set the terminal to UTF-8)" in result.err
    assert result.code == 0


def _editor(tmp_path: Path, body: str) -> str:
    script = tmp_path / "editor.py"
    script.write_text(f"import os, pathlib, sys\nfile = pathlib.Path(sys.argv[1])\n{body}\n")
    return f"{sys.executable} {script}"


def test_editing_gives_back_the_text_and_leaves_no_file(tmp_path, monkeypatch):
    record = tmp_path / "seen"
    body = (
        "mode = oct(file.stat().st_mode & 0o777) + oct(file.parent.stat().st_mode & 0o777)\n"
        f"pathlib.Path({str(record)!r}).write_text(mode + file.read_text())\n"
        "file.with_name('text.md.swp').write_text('copy')\n"
        "file.write_text('nachher äö')"
    )
    monkeypatch.setenv("EDITOR", _editor(tmp_path, body))
    monkeypatch.delenv("VISUAL", raising=False)
    folder = tmp_path / "memory"
    folder.mkdir()
    assert edit_in(folder, "vorher") == "nachher äö"
    assert record.read_text() == "0o6000o700vorher" or sys.platform == "win32"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("body", ["sys.exit(3)", "file.write_bytes(b'\\xff')"])
def test_a_failing_editor_is_a_named_error_and_leaves_no_file(tmp_path, monkeypatch, body):
    monkeypatch.setenv("EDITOR", _editor(tmp_path, body))
    monkeypatch.delenv("VISUAL", raising=False)
    folder = tmp_path / "memory"
    folder.mkdir()
    with pytest.raises(InputError):
        edit_in(folder, "text")
    assert list(folder.iterdir()) == []


def test_the_editor_works_in_memory_where_there_is_such_a_folder(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"none {tmp_path} tmpfs rw 0 0\ndisk / ext4 rw 0 0\n")
    inner = tmp_path / "run"
    inner.mkdir()
    assert memory_folder({"XDG_RUNTIME_DIR": str(inner)}, mounts) == inner


def test_a_folder_on_disk_does_not_count_as_memory(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"none {tmp_path} ext4 rw 0 0\ndisk / ext4 rw 0 0\n")
    assert memory_folder({"XDG_RUNTIME_DIR": str(tmp_path)}, mounts) is None
    assert memory_folder({}, tmp_path / "no such list") is None


def test_chat_edits_through_the_editor_and_removes_the_file(desk, tmp_path, monkeypatch):
    place = tmp_path / "place"
    body = f"pathlib.Path({str(place)!r}).write_text(str(file))\nfile.write_text('better')"
    monkeypatch.setenv("EDITOR", _editor(tmp_path, body))
    monkeypatch.delenv("VISUAL", raising=False)
    result = desk.run("chat", "--no-learn", stdin="hello\n/edit\n")
    assert result.code == 0
    edited = Path(place.read_text())
    assert not edited.parent.exists()
    assert stat.S_ISDIR(edited.parent.parent.stat().st_mode)
