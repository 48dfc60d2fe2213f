"""Stopping: Ctrl-C and a closed generator end the connection at once, wherever it stands."""

from __future__ import annotations

import signal
import sys
import threading
import time

import pytest

from pocketpref.backends.http import HttpGenerator, Retries
from tests.backends.http.conftest import Clear, assert_only_approved
from tests.backends.http.peer import OK, Line, Script, chunk, serve, status

AT_ONCE = 2.0  # seconds, on a machine that has other things to do


def endless(line: Line) -> None:
    line.send(OK)
    while True:
        line.send(chunk("and so on "))
        time.sleep(0.01)


def after_head(line: Line) -> None:
    line.send(OK)
    line.wait()


def test_closing_the_generator_hangs_up(clear: Clear) -> None:
    with serve(endless) as peer:
        reply = HttpGenerator().generate(clear(peer.url()))
        assert next(reply) == "and so on "
        assert not peer.lines[0].closed.is_set()
        reply.close()
        assert peer.lines[0].closed.wait(AT_ONCE)


def test_a_generator_that_nobody_holds_hangs_up(clear: Clear) -> None:
    with serve(endless) as peer:
        for piece in HttpGenerator().generate(clear(peer.url())):
            assert piece
            break
        assert peer.lines[0].closed.wait(AT_ONCE)


def test_an_error_of_the_reader_hangs_up(clear: Clear) -> None:
    def read() -> None:
        for _ in HttpGenerator().generate(clear(peer.url())):
            raise ZeroDivisionError

    with serve(endless) as peer:
        with pytest.raises(ZeroDivisionError):
            read()
        assert peer.lines[0].closed.wait(AT_ONCE)


@pytest.mark.skipif(sys.platform == "win32", reason="no signal to a thread")
@pytest.mark.parametrize(
    "script",
    [lambda line: line.wait(), after_head, endless, status(503, "Retry-After: 20")],
    ids=["before an answer", "before its body", "within its body", "between two tries"],
)
def test_control_c_hangs_up(clear: Clear, script: Script) -> None:
    """A real signal, while the main thread waits in the system."""
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    with serve(script) as peer:
        disclosure = clear(peer.url())
        main = threading.get_ident()
        timer = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
        timer.start()
        began = time.monotonic()
        try:
            with pytest.raises(KeyboardInterrupt):
                list(HttpGenerator(retries=Retries()).generate(disclosure))
        finally:
            timer.join()
            signal.signal(signal.SIGINT, previous)
        assert time.monotonic() - began < AT_ONCE
        assert peer.lines[0].closed.wait(AT_ONCE)
        assert_only_approved(peer, disclosure)
        assert len(peer.lines) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no signal to a thread")
def test_control_c_in_a_handshake_hangs_up_with_nothing_sent(clear: Clear) -> None:
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    with serve(lambda line: line.wait(), eager=True) as peer:
        disclosure = clear(f"https://127.0.0.1:{peer.port}/v1")
        main = threading.get_ident()
        timer = threading.Timer(0.3, lambda: signal.pthread_kill(main, signal.SIGINT))
        timer.start()
        try:
            with pytest.raises(KeyboardInterrupt) as caught:
                list(HttpGenerator().generate(disclosure))
        finally:
            timer.join()
            signal.signal(signal.SIGINT, previous)
        del caught  # its traceback holds the socket on Python 3.11
        assert peer.lines[0].closed.wait(AT_ONCE)
        assert disclosure.body[:20] not in bytes(peer.lines[0].received)
