"""Silence: the main job uses no network and writes nothing outside its own folders.

Watched from the operating system, because what native code does is invisible to Python.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.promises.stage import Stage, isolation, network_calls, strace_missing, under_strace
from tests.promises.story import Story

DATAGRAM = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM)"
CONNECT = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"


def test_the_main_job_makes_no_call_that_has_to_do_with_the_internet(story: Story) -> None:
    """Import, learn, personalize, score, chat, export, restore, forget: no socket to anywhere.

    strace has seen every process and thread of the story: no connect, sendto or sendmsg, and not
    even a name is looked up.
    """
    if story.trace is None:
        pytest.skip(str(strace_missing()))
    assert network_calls(story.trace.read_text()) == []
    assert len(story.stage.done) > 20


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ("connect(", CONNECT),
        ("sendto(", f"{DATAGRAM}.sendto(b'', ('127.0.0.1', 9))"),
        ("sendmsg(", f"{DATAGRAM}.sendmsg([b''], [], 0, ('127.0.0.1', 9))"),
        ("", "import socket; socket.getaddrinfo('pocketpref.invalid', 80)"),
        ("AF_NETLINK", "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)"),
        ("socket(AF_INET6", "import ctypes; ctypes.CDLL(None).socket(10, 1, 0)"),
    ],
)
def test_the_watch_sees_what_there_is_to_see(tmp_path: Path, call: str, code: str) -> None:
    """The test above can fail: what a child process does, native code included, is seen."""
    if reason := strace_missing():
        pytest.skip(reason)
    log = tmp_path / "trace"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}])"
    subprocess.run([*under_strace(log), sys.executable, "-c", child], check=True)
    assert any(call in line for line in network_calls(log.read_text()))


def test_the_watch_lets_programs_on_this_machine_talk(tmp_path: Path) -> None:
    """As the keyring and the system's own look-ups of user names do."""
    if reason := strace_missing():
        pytest.skip(reason)
    log = tmp_path / "trace"
    code = (
        "import socket; a, b = socket.socketpair(); a.sendall(b'hello'); b.recv(5); a.shutdown(1)"
    )
    subprocess.run([*under_strace(log), sys.executable, "-c", code], check=True)
    assert "sendto(" in log.read_text()
    assert network_calls(log.read_text()) == []


def test_nothing_is_written_outside_its_own_folders(story: Story) -> None:
    """An empty home stays empty, and so do the temporary and the working folder.

    Native telemetry would leave a device id or an event store in the home. CI is unset, since some
    libraries behave better under CI.
    """
    assert "CI" not in story.stage.environ
    written = [path.relative_to(story.stage.root) for path in story.stage.root.rglob("*")]
    outside = [str(path) for path in written if path.parts[0] != "pocket" and len(path.parts) > 1]
    assert outside == [str(Path("work", "kept.pocketpref"))]


def test_the_main_job_needs_no_network(tmp_path: Path, story: Story) -> None:
    """The same without any network interface, as after pulling the plug."""
    if not isolation():
        pytest.skip("no process without network interfaces may be made here (unshare -n)")
    probe = [*isolation(), sys.executable, "-c", CONNECT]
    cut_off = subprocess.run(probe, capture_output=True, check=False)
    assert b"unreachable" in cut_off.stderr, "there is no interface, not even the loopback's"
    stage = Stage.build(tmp_path, before=isolation())
    # What is made once for a model is there already; the story has shown how it is made.
    shutil.copytree(story.stage.pocket / "cache", stage.pocket / "cache", copy_function=os.link)
    row = {"prompt": "Why is the sky blue?", "chosen": "Air scatters it.", "rejected": "Ha ha!"}
    stage.must("import", stage.prop("pairs.jsonl", json.dumps(row)))
    assert "learned from 1 choice" in stage.must("learn", "--budget", "120").out
    stage.must("add", "--prompt", "Explain DNS", "--chosen", "Names.", "--rejected", "Numbers.")
    stage.must("personalize", "Why is the sky blue?")
    chat = ("chat", "-o", "max_tokens", "4", "--no-learn")
    assert len(stage.must(*chat, stdin=b"Why is the sky blue?\nexit\n").out.strip()) > 3
    stage.must("profile")
    passphrase = ("--passphrase-file", stage.prop("passphrase", "word"))
    stage.must("export", "kept", *passphrase)
    stage.must("forget", "--all", "--yes")
    stage.must("restore", "kept", *passphrase)
    assert len(json.loads(stage.must("memory", "ls", "--json").out)) == 2
    assert "WRONG" not in stage.must("doctor").out
    assert list(stage.home.iterdir()) == list(stage.temp.iterdir()) == []


@pytest.mark.parametrize(
    "code",
    [
        "from pocketpref.backends.onnx import embedder as e; e.open_embedder(None).embed(['a'])",
        "from pocketpref.cli import main; main(['doctor'])",
        "from pocketpref.cli import main; main(['models', 'ls'])",
        "from huggingface_hub import HfApi",
    ],
)
def test_single_parts_are_silent_too(tmp_path: Path, code: str) -> None:
    """The embedder, the doctor, the list of models, and the library that pulls, before it pulls."""
    if reason := strace_missing():
        pytest.skip(reason)
    stage = Stage.build(tmp_path)
    log = tmp_path / "trace"
    command = [*under_strace(log), sys.executable, "-c", code]
    subprocess.run(command, env=stage.environ, cwd=stage.work, capture_output=True, check=True)
    assert network_calls(log.read_text()) == []
    assert [path for path in stage.home.rglob("*") if path.is_file()] == []
