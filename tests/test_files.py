"""TOML files are read or refused, and what is said of them is where, not what."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketpref.files import MAX_BYTES, TomlError, parse_toml, read_toml


def test_a_sound_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b'a.b = "\xc3\xbc"\r\n[[c]]\n')
    assert read_toml(path) == {"a": {"b": "ü"}, "c": [{}]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"[SECRET]\n[SECRET]\n", "no valid TOML (at line 2, column 8)"),
        (b'SECRET = "SECRET', "no valid TOML (at end of document)"),
        (b'SECRET = "\xff"', "no UTF-8"),
        (b"SECRET = " + b"[" * 100_000, "nested too deeply"),
        (b"SECRET = " + b"1" * 5000, "too many digits"),
        (b"SECRET" + b".a" * 60_000 + b" = 1", "dots"),
        (b"#" * (MAX_BYTES + 1), "256 KiB"),
    ],
)
def test_what_is_wrong_is_said_without_quoting_it(content: bytes, says: str) -> None:
    with pytest.raises(TomlError) as caught:
        parse_toml(content)
    assert says in str(caught.value)
    assert "SECRET" not in str(caught.value)
    assert caught.value.__context__ is None
