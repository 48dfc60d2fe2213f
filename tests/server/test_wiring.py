"""Entering assistants' settings, and leaving them."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pocketpref.errors import FileError, InputError
from pocketpref.integrations import mcp_clients
from tests.cli.conftest import desk  # noqa: F401 - a fixture

OURS = mcp_clients.entry("desk", {}, python="/usr/bin/python3")


@pytest.fixture(autouse=True)
def another_home(tmp_path, monkeypatch):
    """Nobody's real settings are touched."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(mcp_clients.platformdirs, "user_config_path", _below(tmp_path))


def _below(folder):
    def place(program, **_):
        return folder / "settings" / program

    return place


@pytest.fixture
def cursor():
    return mcp_clients.host("cursor")


@pytest.mark.parametrize("known", mcp_clients.HOSTS, ids=lambda known: known.name)
def test_a_host_without_settings_gets_some_and_is_left_again(known, tmp_path):
    assert known.path.is_relative_to(tmp_path.resolve())
    assert not mcp_clients.present(known)
    mcp_clients.entered(known, OURS).make()
    written = json.loads(known.path.read_text())[known.key][mcp_clients.ENTRY]
    assert written["args"][-2:] == ["--client", "desk"]
    assert mcp_clients.present(known)
    assert not mcp_clients.entered(known, OURS).needed
    mcp_clients.removed(known).make()
    assert not mcp_clients.present(known)
    assert mcp_clients.removed(known) is None


def test_everything_else_stays_as_it_was(cursor):
    before = (
        '{\n\t"theme": "Zoë",\n\t"mcpServers": {\n\t\t"b": {"command": "x"},\n\t\t"a": {}\n\t}\n}'
    )
    cursor.path.parent.mkdir()
    cursor.path.write_text(before, "utf-8")
    cursor.path.chmod(0o600)
    mcp_clients.entered(cursor, OURS).make()
    mcp_clients.removed(cursor).make()
    assert json.loads(cursor.path.read_text("utf-8")) == json.loads(before)
    assert list(json.loads(cursor.path.read_text("utf-8"))["mcpServers"]) == ["b", "a"]
    assert '\n\t"theme": "Zoë"' in cursor.path.read_text("utf-8")
    if sys.platform != "win32":
        assert stat.S_IMODE(cursor.path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "content",
    [b"// a comment\n{}", b"[]", b'{"mcpServers": []}', b"\xff", b"{" * 100_000, b"0" * 5_000_000],
    ids=["comment", "list", "servers", "bytes", "deep", "large"],
)
def test_what_is_not_plain_json_is_left_as_it_is(cursor, content):
    cursor.path.parent.mkdir()
    cursor.path.write_bytes(content)
    with pytest.raises(FileError) as caught:
        mcp_clients.entered(cursor, OURS)
    assert "mcp entry" in caught.value.hint
    assert cursor.path.read_bytes() == content
    assert not mcp_clients.present(cursor)


def test_a_file_that_changes_meanwhile_is_not_overwritten(cursor):
    change = mcp_clients.entered(cursor, OURS)
    cursor.path.parent.mkdir()
    cursor.path.write_text("{}")
    with pytest.raises(FileError, match="meanwhile"):
        change.make()
    assert cursor.path.read_text() == "{}"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_stays_a_link(cursor, tmp_path):
    real = tmp_path / "dotfiles.json"
    real.write_text("{}")
    link = tmp_path / ".cursor" / "mcp.json"
    link.parent.mkdir()
    link.symlink_to(real)
    mcp_clients.entered(cursor, OURS).make()
    assert link.is_symlink()
    assert mcp_clients.ENTRY in real.read_text()


def test_the_environment_that_names_places_is_passed_on_and_nothing_else():
    environ = {"POCKETPREF_HOME": "/h", "SECRET": "s", "POCKETPREF_PASSPHRASE_FD": "3"}
    assert mcp_clients.entry("x", environ)["env"] == {"POCKETPREF_HOME": "/h"}


def test_an_unknown_host_is_refused_with_those_that_are_known():
    with pytest.raises(InputError) as caught:
        mcp_clients.host("emacs")
    assert "claude-desktop" in caught.value.hint


def test_what_is_entered_starts_the_server(tmp_path):
    command = [OURS["command"].replace("/usr/bin/python3", sys.executable), *OURS["args"]]
    done = subprocess.run(
        [*command, "--help"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert "--read-only" in done.stdout


def test_by_the_command_line(desk, tmp_path):  # noqa: F811
    shown = desk.run("mcp", "install", "cursor", "--dry-run")
    assert shown.code == 0
    assert '"pocketpref": {' in shown.out
    assert not (tmp_path / ".cursor").exists()
    done = desk.run("mcp", "install", "cursor", "--client", "editor", "--read-only")
    assert done.code == 0
    assert "pocketpref egress allow mcp:editor" in done.err
    listed = json.loads(desk.run("mcp", "hosts", "--json").out)
    assert [one["host"] for one in listed if one["wired"]] == ["cursor"]
    assert desk.run("mcp", "uninstall", "cursor").code == 0
    assert "not in the settings" in desk.run("mcp", "uninstall", "cursor").out
    assert json.loads(desk.run("mcp", "entry").out)["mcpServers"]["pocketpref"]["command"]
    assert desk.run("mcp").code == 2
    assert desk.run("mcp", "install", "cursor", "--client", "No Name").code == 1
