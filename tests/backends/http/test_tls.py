"""TLS: nothing is sent before it is proven who is there, and tunnels change nothing about that."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from pocketpref.backends.http import HttpGenerator, Timeouts, transport
from pocketpref.egress.api_keys import ApiKey
from pocketpref.errors import InputError, RemoteRefusedError, RemoteUnreachableError
from tests.backends.http.certificates import DAY, Certificate, authority, issue
from tests.backends.http.conftest import Clear
from tests.backends.http.peer import HELLO, Line, answer, serve

QUICK = Timeouts(connect=0.5, first_byte=0.5, between_bytes=0.3, total=2)


def test_over_tls_the_same_bytes_arrive(clear: Clear, tmp_path: Path) -> None:
    good = issue(by=authority())
    with serve(answer(HELLO), tls=good.serving(tmp_path)) as peer:
        disclosure = clear(peer.url())
        generator = HttpGenerator(timeouts=QUICK, authorities=authority().trusted(tmp_path))
        assert "".join(generator.generate(disclosure)) == "Hello, you."
        assert peer.bodies() == [disclosure.body]
        assert peer.requests()[0].startswith(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % peer.port
        )


BAD: dict[str, tuple[Callable[[], Certificate], str]] = {
    "signed by itself": (lambda: issue(by=None), "vouched for by nobody"),
    "of another authority": (lambda: issue(by=authority("B")), "not trusted here"),
    "expired": (lambda: issue(by=authority(), begins=-3 * DAY, ends=-DAY), "expired"),
    "expired a moment ago": (lambda: issue(by=authority(), ends=timedelta(seconds=-1)), "expired"),
    "of tomorrow": (lambda: issue(by=authority(), begins=DAY, ends=2 * DAY), "not valid"),
    "for another address": (lambda: issue("127.0.0.2", by=authority()), "another address"),
    "for a name": (lambda: issue("localhost", by=authority()), "another address"),
}


@pytest.mark.parametrize(("make", "words"), BAD.values(), ids=BAD)
def test_a_certificate_that_proves_nothing_gets_nothing(
    clear: Clear, tmp_path: Path, make: Callable[[], Certificate], words: str
) -> None:
    """Not one byte of the request, and no key."""
    generator = HttpGenerator(
        lambda destination: ApiKey(b"sk-secret"),
        timeouts=QUICK,
        authorities=authority().trusted(tmp_path),
    )
    with serve(answer(HELLO), tls=make().serving(tmp_path)) as peer:
        with pytest.raises(RemoteUnreachableError) as caught:
            list(generator.generate(clear(peer.url())))
        assert peer.requests() == [b""]
    assert "does not prove who it is" in caught.value.message
    assert words in caught.value.message
    assert caught.value.__context__ is None


def test_a_name_is_compared_too(clear: Clear, tmp_path: Path) -> None:
    generator = HttpGenerator(timeouts=QUICK, authorities=authority().trusted(tmp_path))
    with serve(answer(HELLO), tls=issue("localhost", by=authority()).serving(tmp_path)) as peer:
        url = f"https://localhost:{peer.port}/v1"
        assert "".join(generator.generate(clear(url))) == "Hello, you."
    with serve(answer(HELLO), tls=issue("other.test", by=authority()).serving(tmp_path)) as peer:
        url = f"https://localhost:{peer.port}/v1"
        with pytest.raises(RemoteUnreachableError, match="another name"):
            list(generator.generate(clear(url)))
        assert set(peer.requests()) == {b""}


def test_a_changed_certificate_is_noticed(clear: Clear, tmp_path: Path) -> None:
    """One's own server is trusted by its certificate; another one in its place gets nothing."""
    first, second = issue(by=None), issue(by=None)
    generator = HttpGenerator(timeouts=QUICK, authorities=first.trusted(tmp_path))
    with serve(answer(HELLO), tls=first.serving(tmp_path)) as peer:
        assert "".join(generator.generate(clear(peer.url()))) == "Hello, you."
    with serve(answer(HELLO), tls=second.serving(tmp_path)) as peer:
        with pytest.raises(RemoteUnreachableError, match="does not prove who it is"):
            list(generator.generate(clear(peer.url())))
        assert peer.requests() == [b""]


def test_a_certificate_changed_between_two_tries_is_noticed(clear: Clear, tmp_path: Path) -> None:
    """Each try proves anew who is there: no session is resumed."""
    first, second = issue(by=None).serving(tmp_path), issue(by=None)

    def overloaded_then_another(line: Line) -> None:
        line.send(b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n")
        peer.tls = second.serving(tmp_path)

    with serve(overloaded_then_another, tls=first) as peer:
        pinned = tmp_path / "first.pem"
        pinned.write_bytes(ssl.get_server_certificate(("127.0.0.1", peer.port)).encode())
        generator = HttpGenerator(timeouts=Timeouts(), authorities=pinned)
        disclosure = clear(peer.url())
        with pytest.raises(RemoteUnreachableError, match="does not prove who it is"):
            list(generator.generate(disclosure))
        assert [body for body in peer.bodies() if body] == [disclosure.body]


def test_by_default_the_systems_authorities_decide(clear: Clear, tmp_path: Path) -> None:
    with serve(answer(HELLO), tls=issue(by=authority()).serving(tmp_path)) as peer:
        with pytest.raises(RemoteUnreachableError, match="does not prove who it is"):
            list(HttpGenerator(timeouts=QUICK).generate(clear(peer.url())))
        assert peer.requests() == [b""]


def test_keys_of_sessions_are_written_nowhere(
    clear: Clear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``SSLKEYLOGFILE`` makes many programs write down what decrypts their traffic."""
    log = tmp_path / "keys.log"
    monkeypatch.setenv("SSLKEYLOGFILE", str(log))
    ssl.create_default_context()
    assert log.exists(), "the variable works"
    log.unlink()
    generator = HttpGenerator(timeouts=QUICK, authorities=authority().trusted(tmp_path))
    with serve(answer(HELLO), tls=issue(by=authority()).serving(tmp_path)) as peer:
        list(generator.generate(clear(peer.url())))
        with suppress(RemoteUnreachableError):
            list(HttpGenerator(timeouts=QUICK).generate(clear(peer.url())))
    assert not log.exists()


def test_old_versions_of_tls_are_not_spoken(clear: Clear, tmp_path: Path) -> None:
    for trusted in (None, authority().trusted(tmp_path)):
        assert transport.tls_context(trusted).minimum_version == ssl.TLSVersion.TLSv1_2
    old = issue(by=authority()).serving(tmp_path)
    old.set_ciphers("ALL:@SECLEVEL=0")  # by default most systems do not even offer it
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with serve(answer(HELLO), tls=old) as peer:
        generator = HttpGenerator(timeouts=QUICK, authorities=authority().trusted(tmp_path))
        with pytest.raises(RemoteUnreachableError, match="no TLS that is understood"):
            list(generator.generate(clear(peer.url())))
        assert peer.requests() == [b""]


@pytest.mark.parametrize(
    "script",
    [
        lambda line: line.wait(),
        lambda line: line.send(
            b"HTTP/1.1 400 The plain HTTP request was sent to HTTPS port\r\n\r\n"
        ),
        lambda line: line.drip(b"\x16\x03\x03\x40\x00" + b"\x02" * 200, 0.05),
        lambda line: line.reset(),
        lambda line: None,
    ],
    ids=["silent", "plain", "dripping", "resetting", "hanging up"],
)
def test_a_handshake_that_comes_to_nothing_ends(clear: Clear, script) -> None:
    with serve(script, eager=True) as peer:
        disclosure = clear(f"https://127.0.0.1:{peer.port}/v1")
        began = time.monotonic()
        with pytest.raises(RemoteUnreachableError) as caught:
            list(HttpGenerator(timeouts=QUICK).generate(disclosure))
        assert time.monotonic() - began < 4
        assert caught.value.__context__ is None
        assert disclosure.body[:20] not in b"".join(peer.requests())


@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nnone\n", b"\xff"])
def test_a_file_of_authorities_that_is_none_is_refused(
    clear: Clear, tmp_path: Path, content: bytes | None
) -> None:
    """Never is the system's list taken in its place."""
    file = tmp_path / "authorities.pem"
    if content is not None:
        file.write_bytes(content)
    with serve(answer(HELLO), tls=issue(by=authority()).serving(tmp_path)) as peer:
        with pytest.raises(InputError, match=r"authorities\.pem") as caught:
            list(HttpGenerator(authorities=file).generate(clear(peer.url())))
        assert peer.lines == []
        assert caught.value.__context__ is None


class Tunnel:
    """A proxy that opens a way to one server, whatever it is asked for."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.asked = b""
        self.through = b""

    def __call__(self, line: Line) -> None:
        while not bytes(line.received).endswith(b"\r\n\r\n"):
            line.received += line.socket.recv(1)
        self.asked = bytes(line.received)
        line.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", self.to)) as onward:
            back = threading.Thread(target=self._copy, args=(onward, line.socket), daemon=True)
            back.start()
            self._copy(line.socket, onward, keep=True)

    def _copy(self, source: socket.socket, target: socket.socket, *, keep: bool = False) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if keep:
                    self.through += data
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def test_a_proxy_learns_the_address_and_nothing_else(clear: Clear, tmp_path: Path) -> None:
    """It is asked for a tunnel in fixed words; what goes through is TLS for the other side."""
    tls = issue("api.example.test", by=authority()).serving(tmp_path)
    with serve(answer(HELLO), tls=tls) as peer:
        tunnel = Tunnel(peer.port)
        with serve(tunnel, eager=True) as proxy:
            generator = HttpGenerator(
                lambda destination: ApiKey(b"sk-secret"),
                proxy=f"http://127.0.0.1:{proxy.port}",
                authorities=authority().trusted(tmp_path),
            )
            disclosure = clear("https://api.example.test/v1")
            assert "".join(generator.generate(disclosure)) == "Hello, you."
        assert tunnel.asked == (
            b"CONNECT api.example.test:443 HTTP/1.1\r\n"
            b"Host: api.example.test:443\r\nAccept: */*\r\n\r\n"
        )
        assert peer.bodies() == [disclosure.body]
        assert b"Host: api.example.test\r\n" in peer.requests()[0]
        for secret in (b"sk-secret", b"sky blue", disclosure.body[:30]):
            assert secret not in tunnel.through


def test_a_proxy_that_is_somebody_else_gets_nothing(clear: Clear, tmp_path: Path) -> None:
    """A tunnel that leads elsewhere is noticed like a false server."""
    with serve(answer(HELLO), tls=issue(by=None).serving(tmp_path)) as peer:
        with serve(Tunnel(peer.port), eager=True) as proxy:
            url = f"http://127.0.0.1:{proxy.port}"
            with pytest.raises(RemoteUnreachableError, match="does not prove who it is"):
                list(HttpGenerator(proxy=url).generate(clear("https://api.example.test/v1")))
        assert peer.requests() == [b""]


@pytest.mark.parametrize("code", [403, 407, 502])
def test_a_proxy_that_refuses_is_named(clear: Clear, code: int) -> None:
    def refuse(line: Line) -> None:
        line.socket.recv(4096)
        line.send(b"HTTP/1.1 %d sky blue\r\nContent-Length: 0\r\n\r\n" % code)

    with serve(refuse, eager=True) as proxy:
        generator = HttpGenerator(proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(RemoteRefusedError, match="proxy") as caught:
            list(generator.generate(clear("https://api.example.test/v1")))
    assert caught.value.__context__ is None


def test_what_is_on_this_machine_is_not_asked_through_a_proxy(clear: Clear) -> None:
    with serve(answer(HELLO)) as trap, serve(answer(HELLO)) as peer:
        generator = HttpGenerator(proxy=f"http://127.0.0.1:{trap.port}")
        assert "".join(generator.generate(clear(peer.url()))) == "Hello, you."
        assert trap.requests() == []


@pytest.mark.parametrize(
    "proxy", ["https://p:1", "socks5://p:1", "http://me:secret@p:1", "p:1", "http://p:1/x", ""]
)
def test_other_proxies_are_refused_at_once(proxy: str) -> None:
    with pytest.raises(InputError) as caught:
        HttpGenerator(proxy=proxy)
    assert "secret" not in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="a descriptor is a number elsewhere only")
def test_nothing_is_left_open(clear: Clear, tmp_path: Path) -> None:
    """Good and bad ends alike give back what they took from the system."""
    good, bad = issue(by=authority()), issue(by=None)
    generator = HttpGenerator(timeouts=QUICK, authorities=authority().trusted(tmp_path))
    probe = os.open(os.devnull, os.O_RDONLY)
    os.close(probe)
    for certificate in (good, bad):
        with serve(answer(HELLO), tls=certificate.serving(tmp_path)) as peer:
            for _ in range(5):
                with suppress(RemoteUnreachableError):
                    list(generator.generate(clear(peer.url())))
            peer.requests()
    again = os.open(os.devnull, os.O_RDONLY)
    os.close(again)
    assert again == probe
