"""Destinations: one model at one address, in a canonical form."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pocketpref.errors import InputError

Dialect = Literal["openai", "anthropic", "mcp"]
Scheme = Literal["http", "https", "stdio"]

_DIALECTS: dict[str, Dialect] = {"openai": "openai", "anthropic": "anthropic"}
_ADDRESS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
_ENDPOINT = {"openai": "/chat/completions", "anthropic": "/messages"}
_PORT = {"https": 443, "http": 80}

# ASCII only: in a name of another script a letter can be exchanged for its twin.
_MODEL = re.compile(r"[A-Za-z0-9/_][A-Za-z0-9._:/@+-]{0,199}")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CLIENT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PATH = re.compile(r"(?:/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*")
_ADDRESSED = re.compile(r"(?P<model>.+)@(?P<address>https?://.*)", re.IGNORECASE)
_HOST_LENGTH = 253  # RFC 1035, section 2.3.4

_FORM = (
    "write openai:MODEL or anthropic:MODEL, or add its address: openai:MODEL@https://HOST/v1; an "
    "assistant that asks by MCP is mcp:NAME"
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request may be sent: exactly one model behind one address, or one MCP client.

    Two destinations are the same only if everything about them is: another port or another model
    is another destination. An MCP client is a program on this machine that asks by itself, through
    a pipe, and passes on what it is given to a model that nobody here knows: it has a name and no
    address.

    Attributes:
        dialect: which protocol is spoken there.
        model: its name there; of an MCP client the name that it was installed under.
        scheme: https; http on this machine alone; stdio for an MCP client.
        host: lower-case name or IP address in canonical form, without brackets; "" for a client.
        port: always given; 0 for a client.
        path: what comes before the endpoint, like ``/v1``; "" or beginning with a slash.

    Raises:
        InputError: it is not in canonical form, or may not be used; ``parse`` makes it canonical.
    """

    dialect: Dialect
    model: str
    scheme: Scheme
    host: str
    port: int
    path: str

    def __post_init__(self) -> None:
        if self.dialect != "mcp":
            self._check_endpoint()
            return
        if not _CLIENT.fullmatch(self.model):
            raise _unusable("the name of an MCP client is 1 to 63 of a-z 0-9 and inner -")
        if (self.scheme, self.host, self.port, self.path) != ("stdio", "", 0, ""):
            raise _unusable("an MCP client has no address")

    def _check_endpoint(self) -> None:
        if self.dialect not in _ENDPOINT:
            raise _unusable("its dialect must be openai, anthropic or mcp")
        if not _MODEL.fullmatch(self.model):
            raise _unusable("the model's name must be 1 to 200 of A-Z a-z 0-9 . _ : / @ + -")
        if "://" in self.model:
            raise _unusable("the model's name contains an address")
        if self.scheme not in _PORT:
            raise _unusable("its address must begin with https:// or http://")
        if not is_canonical_host(self.host):
            raise _unusable("its host must be a name in ASCII or an IP address in canonical form")
        if not 0 < self.port < 65536:
            raise _unusable("its port must lie in 1 to 65535")
        if not _PATH.fullmatch(self.path):
            raise _unusable("its path may hold letters, digits and - . _ ~ between slashes")
        if self.path.endswith(tuple(_ENDPOINT.values())):
            raise _unusable("its address must end before /chat/completions or /messages")
        if self.scheme == "http" and not self.on_this_machine:
            raise InputError(
                "plain http reaches further than this machine",
                hint="use https; http is for localhost, 127.0.0.1 and [::1]",
            )

    @classmethod
    def parse(cls, text: str) -> Destination:
        """Read what a person wrote: ``openai:MODEL``, ``anthropic:MODEL``, ``...@ADDRESS``.

        An address without a path means ``/v1`` below it, for both dialects. ``mcp:NAME`` is an MCP
        client.

        Raises:
            InputError: it is in no such form, or may not be used.
        """
        name, _, rest = text.partition(":")
        if name == "mcp":
            return cls("mcp", rest, "stdio", "", 0, "")
        dialect = _DIALECTS.get(name)
        if dialect is None:
            raise _unusable("it does not begin with openai:, anthropic: or mcp:")
        found = _ADDRESSED.fullmatch(rest)
        model, address = found.group("model", "address") if found else (rest, _ADDRESS[dialect])
        scheme, host, port, path = _split(address)
        return cls(dialect, model, scheme, host, port, path)

    def __str__(self) -> str:
        client = f"{self.dialect}:{self.model}"
        return f"{client}@{self._address()}" if self.posted else client

    @property
    def posted(self) -> bool:
        """Whether requests are posted there; an MCP client asks for what it gets."""
        return self.dialect != "mcp"

    @property
    def endpoint(self) -> str:
        """The URL that is posted to; of an MCP client its name."""
        return self._address() + _ENDPOINT[self.dialect] if self.posted else str(self)

    @property
    def on_this_machine(self) -> bool:
        """Whether the host is a loopback address, or the name that stands for it.

        An MCP client is not: it is here, and the model that it asks is anywhere.
        """
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def _address(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORT[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"


def _split(address: str) -> tuple[Literal["http", "https"], str, int, str]:
    # urlsplit silently drops tabs and line breaks, so nothing but visible ASCII gets that far.
    if not all("!" <= letter <= "~" for letter in address):
        raise _unusable("its address must be visible ASCII (punycode for other scripts)")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host:
        raise _unusable("its address is none")
    if "@" in parts.netloc:
        raise InputError(
            "an address must not carry a name or password",
            hint="keep the key with: pocketpref egress key",
        )
    if parts.query or parts.fragment or address.endswith(("?", "#")):
        raise _unusable("its address must not have a query or fragment")
    scheme: Literal["http", "https"] = "https" if parts.scheme == "https" else "http"
    path = parts.path.rstrip("/") or "/v1"
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError:
        host = host.removesuffix(".")  # urlsplit has made it lower-case
    return scheme, host, port if port is not None else _PORT[scheme], path


def is_canonical_host(host: str) -> bool:
    """Whether a host is a name, or an IP address in its one canonical form."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        labels = host.split(".")
        # What ends in a number is read as an IPv4 address by some (0x7f.1, 2130706433).
        return (
            len(host) <= _HOST_LENGTH
            and all(_LABEL.fullmatch(label) for label in labels)
            and not _NUMBER.fullmatch(labels[-1])
        )
    return str(address) == host and "%" not in host


def _unusable(reason: str) -> InputError:
    return InputError(f"this destination cannot be used: {reason}", hint=_FORM)
