"""The guard: while it holds, whatever tries to use a network gets an error, and nothing arrives."""

from __future__ import annotations

import contextlib
import platform
import socket
import subprocess
import sys
import textwrap
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pocketpref.errors import DeniedError
from pocketpref.offline import silence
from tests.promises.stage import Stage

KERNEL = sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")
needs_kernel = pytest.mark.skipif(not KERNEL, reason="the kernel's fence is for 64-bit Linux")


class Ear:
    """A server on loopback that counts who comes."""

    def __init__(self) -> None:
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]

    def heard(self) -> bool:
        self.server.settimeout(0.05)
        with contextlib.suppress(TimeoutError):
            self.server.accept()[0].close()
            return True
        return False


@pytest.fixture
def ear() -> Iterator[Ear]:
    ear = Ear()
    with ear.server:
        yield ear


def _udp() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)


WAYS: dict[str, Callable[[int], object]] = {
    "connect": lambda port: socket.socket().connect(("127.0.0.1", port)),
    "connect_ex": lambda port: socket.socket().connect_ex(("127.0.0.1", port)),
    "create_connection": lambda port: socket.create_connection(("127.0.0.1", port)),
    "ipv6": lambda port: socket.socket(socket.AF_INET6).connect(("::1", port)),
    "datagram": lambda port: _udp().sendto(b"secret", ("127.0.0.1", port)),
    "message": lambda port: _udp().sendmsg([b"secret"], [], 0, ("127.0.0.1", port)),
    "listening": lambda port: socket.create_server(("127.0.0.1", 0)),
    "urllib": lambda port: urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1),
    "name": lambda port: socket.getaddrinfo("secret.example.org", 80),
    "old name": lambda port: socket.gethostbyname("secret.example.org"),
    "address": lambda port: socket.gethostbyaddr("192.0.2.1"),
    "both": lambda port: socket.getnameinfo(("192.0.2.1", 80), 0),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_out_is_an_error_and_nothing_arrives(way: str, ear: Ear) -> None:
    with silence(), pytest.raises(DeniedError) as denied:
        WAYS[way](ear.port)
    assert "secret" not in f"{denied.value.message} {denied.value.hint}"
    assert not ear.heard()


def test_behind_the_block_and_before_it_connections_are_made(ear: Ear) -> None:
    """The test above can fail; and what was forbidden is forbidden for as long as was said."""
    with silence():
        with silence():
            pass
        with pytest.raises(DeniedError):
            WAYS["connect"](ear.port)
    WAYS["connect"](ear.port)
    assert ear.heard()


def test_it_holds_in_every_thread(ear: Ear) -> None:
    errors: list[BaseException] = []

    def call() -> None:
        try:
            WAYS["create_connection"](ear.port)
        except DeniedError as error:
            errors.append(error)

    with silence():
        thread = threading.Thread(target=call)
        thread.start()
        thread.join()
    assert len(errors) == 1
    assert not ear.heard()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no AF_UNIX")
def test_programs_on_this_machine_are_still_reached(tmp_path: Path) -> None:
    """So the keyring works on."""
    with silence():
        one, other = socket.socketpair()
        one.sendall(b"hello")
        assert other.recv(5) == b"hello"
        with pytest.raises(FileNotFoundError):
            socket.socket(socket.AF_UNIX).connect(str(tmp_path / "nobody"))


def _child(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_process_that_cannot_be_watched_is_refused() -> None:
    """Rather than a guard that guards nothing."""
    done = _child(
        """
        import sys
        def no_more(event, arguments):
            if event == "sys.addaudithook":
                raise RuntimeError
        sys.addaudithook(no_more)
        from pocketpref.errors import DeniedError
        from pocketpref.offline import silence
        try:
            with silence():
                print("silent?")
        except DeniedError as error:
            print(error.message)
        """
    )
    assert done.stdout == "this process cannot be watched: it forbids audit hooks\n", done.stderr


NATIVE = """
import ctypes, errno, os, socket, subprocess, sys, threading
from pocketpref.offline import cut_off
libc = ctypes.CDLL(None, use_errno=True)

def refused(call):
    ctypes.set_errno(0)
    return call() == -1 and ctypes.get_errno() == errno.EACCES

go, told = threading.Event(), []
def earlier():
    go.wait()
    told.append(refused(lambda: libc.socket(2, 1, 0)))
thread = threading.Thread(target=earlier)
thread.start()
before = libc.socket(2, 1, 0) >= 0
held = cut_off()
go.set()
thread.join()
print(before, held, *told)
print(*(refused(lambda: libc.socket(family, 1, 0)) for family in (2, 10, 16, 17)))
print(refused(lambda: libc.syscall(ctypes.c_long(425), 1, None)))
print(libc.socket(1, 1, 0) >= 0, len(socket.socketpair()))
code = "import socket\\ntry: socket.socket()\\nexcept PermissionError: print('refused')"
print(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip())
"""


@needs_kernel
def test_the_kernel_refuses_native_code_other_threads_and_children() -> None:
    """IPv4, IPv6, netlink and raw sockets, also by io_uring; but not those on this machine."""
    done = _child(NATIVE)
    if done.stdout.startswith("True False"):
        pytest.skip("seccomp is switched off here")
    lines = done.stdout.splitlines()
    assert lines == [
        "True True True",
        "True True True True",
        "True",
        "True 2",
        "refused",
    ], done.stderr


@pytest.mark.parametrize(
    "command", [("chat", "-o", "max_tokens", "4", "--no-learn"), ("learn", "--budget", "60")]
)
def test_the_main_job_works_offline(
    command: tuple[str, ...], tmp_path: Path, prepared_path: Path
) -> None:
    """With the real models, whose native code would fail at what the kernel refuses."""
    stage = Stage.build(tmp_path)
    stage.lend(prepared_path)
    stage.must("add", "--prompt", "Why is the sky blue?", "--chosen", "Air.", "--rejected", "Ha!")
    done = stage.must(*command, "--offline", stdin=b"Why is the sky blue?\nexit\n")
    words = "the system refuses this program" if KERNEL else "Python code that tries"
    assert done.err.startswith(f"offline: {words}")
    assert len(done.out.strip()) > 3
