"""Destinations: one model behind one address, in one spelling."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketpref.egress.destination import Destination
from pocketpref.errors import InputError


@pytest.mark.parametrize(
    ("text", "canonical", "endpoint"),
    [
        ("openai:gpt-4o", "openai:gpt-4o@https://api.openai.com/v1", "/v1/chat/completions"),
        ("anthropic:c-1", "anthropic:c-1@https://api.anthropic.com/v1", "/v1/messages"),
        ("openai:llama3:8b@http://127.0.0.1:8080", None, "127.0.0.1:8080/v1/chat/completions"),
        ("openai:a/b@https://OpenRouter.ai./api/v1/", None, "//openrouter.ai/api/v1/chat/compl"),
        ("openai:m@https://host:443/v1", "openai:m@https://host/v1", ""),
        ("openai:m@http://[0:0::1]:80/v1", "openai:m@http://[::1]/v1", ""),
        ("openai:/models/m.gguf@http://localhost", None, "http://localhost/v1/"),
        ("openai:a@b@https://host", "openai:a@b@https://host/v1", ""),
        ("anthropic:m@https://10.0.0.7:8443/gate/v1", None, "https://10.0.0.7:8443/gate/v1/mess"),
        ("mcp:claude-desktop", "mcp:claude-desktop", "mcp:claude-desktop"),
    ],
)
def test_one_spelling_stands_for_all(text, canonical, endpoint) -> None:
    found = Destination.parse(text)
    assert endpoint in found.endpoint
    assert canonical in (None, str(found))
    assert Destination.parse(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "openai", "openai:", "gpt-4o", "Openai:m", "mistral:m", "openai:a b", "openai:é"),
        *("openai:m@ftp://host", "openai:m@https://", "openai:m@https://host/v1@x", "openai:m\n"),
        *("openai:m@https://host:0", "openai:m@https://host:99999", "openai:m@https://host:1e3"),
        *("openai:m@https://host/v1?key=1", "openai:m@https://host/v1#x", "openai:m@https://host?"),
        *("openai:m@https://host/../v1", "openai:m@https://host/%2e/v1", "openai:m@https://h//v1"),
        *("openai:m@https://host/v1/chat/completions", "anthropic:m@https://host/v1/messages"),
        *("openai:m@https://user:pass@host/v1", "openai:m@https://user@host/v1"),
        *(
            "openai:m@https://h\N{CYRILLIC SMALL LETTER O}st/v1",
            "openai:m@https://ho\tst/v1",
            "openai:m@https://ho st",
        ),
        *("openai:m@https://2130706433", "openai:m@https://0x7f.1", "openai:m@https://127.1"),
        *(
            "openai:m@https://[fe80::1%25eth0]/v1",
            "openai:m@https://-host",
            "openai:m@https://a..b",
        ),
        *("openai:m@https://host\\@evil/v1", "openai:m@https://[::1", "openai:" + "m" * 201),
        "openai:m@https://" + "a." * 130 + "com",
        *(
            "mcp",
            "mcp:",
            "mcp:Desk",
            "mcp:a b",
            "mcp:-a",
            "mcp:a@https://host/v1",
            "mcp:" + "a" * 64,
        ),
    ],
)
def test_what_is_ambiguous_or_could_carry_more_is_refused(text) -> None:
    with pytest.raises(InputError):
        Destination.parse(text)


@pytest.mark.parametrize(
    "host", ["host", "10.0.0.1", "192.168.1.1", "[::ffff:127.0.0.1]", "0.0.0.0", "localhost.evil"]
)
def test_plain_http_stays_on_this_machine(host) -> None:
    with pytest.raises(InputError, match="plain http"):
        Destination.parse(f"openai:m@http://{host}/v1")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
def test_loopback_is_this_machine(host) -> None:
    assert Destination.parse(f"openai:m@http://{host}/v1").on_this_machine


def test_the_constructor_checks_as_much() -> None:
    good = Destination.parse("openai:m@https://host/v1")
    spoilt = {
        "dialect": ("other",),
        "model": ("", "m@https://x"),
        "scheme": ("http", "ftp"),
        "host": ("Host", "host.", "ho st", "[::1]", "0:0::1", "host/x", "host@x", ""),
        "port": (0, 65536),
        "path": ("v1", "/v1/", "/a/../b", "/v1?x", "/v1/messages"),
    }
    assert set(spoilt) == {field.name for field in fields(Destination)}
    for name, values in spoilt.items():
        for value in values:
            with pytest.raises(InputError):
                replace(good, **{name: value})


def test_an_mcp_client_has_a_name_and_no_address() -> None:
    client = Destination.parse("mcp:desk")
    assert not client.posted
    assert not client.on_this_machine
    for name, value in {"host": "host", "port": 443, "path": "/v1", "scheme": "https"}.items():
        with pytest.raises(InputError, match="no address"):
            replace(client, **{name: value})
    with pytest.raises(InputError):
        replace(client, dialect="openai")


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_written_is_refused_by_name_or_has_one_spelling(model, address) -> None:
    for text in (f"openai:{model}@https://{address}", f"anthropic:{model}", address):
        try:
            found = Destination.parse(text)
        except InputError:
            continue
        assert Destination.parse(str(found)) == found
        assert str(found).isascii()
        assert found.endpoint.startswith(f"{found.scheme}://" if found.posted else "mcp:")
