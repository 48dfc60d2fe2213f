"""Forms, read as hostile: small, each field once, valid Unicode. No error quotes what was sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from urllib.parse import parse_qsl

from starlette.requests import Request

from pocketpref.errors import InputError
from pocketpref.hosts.page.gate import MOST_FORM_BYTES

_MOST_FIELDS = 40


class Form(Mapping[str, str]):
    """The fields of one form. A field that was left out is empty."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = dict(fields)

    def __getitem__(self, name: str) -> str:
        return self._fields.get(name, "")

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"Form(<{len(self)} fields>)"

    def number(self, name: str, low: int, high: int) -> int | None:
        """A whole number; None if the field is empty.

        Raises:
            InputError: it holds anything else.
        """
        text = self[name].strip()
        if not text:
            return None
        if not (text.isascii() and text.isdecimal() and len(text) < 10):
            raise InputError(f"{name} must be a whole number")
        if not low <= int(text) <= high:
            raise InputError(f"{name} must lie in {low:,} to {high:,}")
        return int(text)

    def text(self, name: str) -> str:
        """A text with plain line ends; browsers send others.

        Raises:
            InputError: the field is empty.
        """
        text = self[name].replace("\r\n", "\n").strip()
        if not text:
            raise InputError(f"the field {name} is empty")
        return text


async def read_form(request: Request) -> Form:
    """The form in a request.

    Raises:
        InputError: it is none, is too large, or has a field twice.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise InputError("this is no form")
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MOST_FORM_BYTES:
            raise InputError(f"a form has at most {MOST_FORM_BYTES:,} bytes")
    return _parsed(bytes(body))


def _parsed(body: bytes) -> Form:
    fields = None
    with suppress(ValueError):  # another is raised outside of the handler: this may quote a field
        fields = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    if fields is None or len(dict(fields)) < len(fields):
        raise InputError("the form cannot be read")
    return Form(dict(fields))
