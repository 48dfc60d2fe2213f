from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pocketpref.errors import FileError
from pocketpref.importers import BadEntry, read
from pocketpref.importers import jsonl as jsonl_module

GOOD = {"prompt": "Explain DNS", "chosen": "Short.", "rejected": "Long."}


def line(**changes: Any) -> bytes:
    return json.dumps(GOOD | changes).encode() + b"\n"


def test_a_line_is_a_pair_with_its_user_and_meta(reading: Any) -> None:
    found = reading(line(user="ada", meta={"reason": "brief", "n": [1, 2.5, None]})).found
    assert found[0].user == "ada"
    assert found[0].origin == "import"
    assert found[0].meta == {"reason": "brief", "n": [1, 2.5, None]}
    assert found[0].pair.chosen == "Short."


def test_user_and_meta_may_be_absent_or_null(reading: Any) -> None:
    result = reading(line() + line(user=None, meta=None))
    assert [f.user for f in result.found] == [None, None]
    assert [f.meta for f in result.found] == [{}, {}]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2016-01-31T18:25:59Z", datetime(2016, 1, 31, 18, 25, 59, tzinfo=UTC)),
        ("2016-01-31T20:25:59+02:00", datetime(2016, 1, 31, 18, 25, 59, tzinfo=UTC)),
        ("2016-01-31", datetime(2016, 1, 31, tzinfo=UTC)),
        ("yesterday", None),
        ("0001-01-01T00:00:00+14:00", None),
        (3.2, None),
    ],
)
def test_an_iso_time_becomes_the_time_of_the_choice(
    reading: Any, time: object, expected: datetime | None
) -> None:
    assert reading(line(meta={"time": time})).found[0].created == expected


def test_byte_order_mark_crlf_blank_lines_and_a_missing_last_newline_are_fine(reading: Any) -> None:
    content = b"\xef\xbb\xbf" + line().replace(b"\n", b"\r\n") + b"\r\n  \n" + line().rstrip()
    result = reading(content)
    assert (len(result.found), result.bad) == (2, [])


BAD_LINES = {
    "not JSON": b'{"prompt": "SECRET", \n',
    "invalid UTF-8": b'{"prompt": "SECRET\xff", "chosen": "a", "rejected": "b"}\n',
    "not an object": b'["SECRET"]\n',
    "missing key": b'{"prompt": "SECRET", "chosen": "a"}\n',
    "wrong type": line(prompt=["SECRET"]),
    "empty": line(prompt="SECRET", chosen="  "),
    "identical": line(chosen="SECRET", rejected=" SECRET "),
    "over-long": line(chosen="SECRET" * 200_000),
    "lone surrogate": b'{"prompt": "SECRET\\ud800", "chosen": "a", "rejected": "b"}\n',
    "duplicate key": b'{"prompt":"SECRET","prompt":"b","chosen":"a","rejected":"b"}\n',
    "duplicate key inside": line().replace(b"}", b',"meta":{"SECRET":1,"SECRET":2}}'),
    "NaN": line(meta={"SECRET": float("nan")}),
    "infinity": line().replace(b"}", b',"meta":{"SECRET":1e999}}'),
    "huge integer": line().replace(b"}", b',"meta":{"SECRET":' + b"9" * 5000 + b"}}"),
    "nesting bomb": b'{"prompt":"SECRET","meta":' + b"[" * 200_000 + b"\n",
    "deep meta": line(meta={"SECRET": json.loads("[" * 50 + "]" * 50)}),
    "long meta": line(meta={"SECRET": "x" * 200_000}),
    "surrogate in meta": line().replace(b"}", b',"meta":{"SECRET":"\\udfff"}}'),
    "meta is no object": line(meta=["SECRET"]),
    "user is no text": line(user=7, prompt="SECRET"),
    "user is empty": line(user=" ", prompt="SECRET"),
    "user is a novel": line(user="SECRET" * 1000),
    "user has control characters": line(user="SECRET\x00"),
}


@pytest.mark.parametrize("content", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_bad_line_is_reported_by_number_and_the_others_are_read(
    reading: Any, content: bytes
) -> None:
    result = reading(line() + b"\n" + content + line(), "jsonl")
    assert len(result.found) == 2
    assert [entry.line for entry in result.bad] == [3]
    assert result.bad[0].reason
    assert "SECRET" not in repr(result.bad)


def test_a_line_beyond_the_limit_is_skipped_and_counted_once(
    reading: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl_module, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(jsonl_module, "_SKIP_BYTES", 100)
    result = reading(line(prompt="x" * 5000) + line(), "jsonl")
    assert [entry.line for entry in result.bad] == [1]
    assert len(result.found) == 1


def test_lines_are_read_one_at_a_time() -> None:
    """Ten thousand lines are not in memory before the first pair is out."""
    file = io.BytesIO(line() * 10_000)
    entries = read(file)
    next(entries)
    assert file.tell() < len(file.getvalue()) / 2


def test_a_ten_megabyte_line_is_one_bad_entry(reading: Any) -> None:
    result = reading(line(prompt="x" * 10_000_000) + line(), "jsonl")
    assert len(result.found) == 1
    assert [type(entry) for entry in result.bad] == [BadEntry]


def test_a_path_is_read_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(line())
    assert len(list(read(path))) == len(list(read(str(path)))) == 1
    path.unlink()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n ", "empty"),
        (b"\x89PNG\r\n\x1a\n\x00SECRET", "not known"),
        (b"prompt,chosen,rejected\nSECRET,a,b\n", "not known"),
        ('{"prompt": "SECRET"}'.encode("utf-16"), "UTF-16"),
        (b'[{"SECRET": 1}]', "not known"),
    ],
)
def test_a_file_that_is_none_of_the_formats_is_refused(content: bytes, said: str) -> None:
    with pytest.raises(FileError, match=said) as caught:
        list(read(io.BytesIO(content)))
    assert caught.value.hint
    assert "SECRET" not in f"{caught.value}{caught.value.hint}"


def test_a_missing_file_a_folder_and_an_unknown_format_are_named(tmp_path: Path) -> None:
    for source in (tmp_path / "none.jsonl", tmp_path, "a\0b"):
        with pytest.raises(FileError):
            list(read(source))
    with pytest.raises(FileError, match="no import format"):
        list(read(tmp_path, "csv"))  # type: ignore[arg-type]  # what a caller may do all the same


def test_a_broken_first_line_does_not_hide_the_format(reading: Any) -> None:
    result = reading(b"garbage\n" + line())
    assert ([b.line for b in result.bad], len(result.found)) == ([1], 1)


def test_an_unseekable_file_can_be_read() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.content = io.BytesIO(line() * 3)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self.content.readinto(buffer[:7])

    assert len(list(read(io.BufferedReader(Pipe())))) == 3


def test_a_file_named_as_lines_is_read_as_lines_even_if_the_first_is_broken(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(b"[broken\n" + line())
    with path.open("rb") as file:
        assert [type(entry).__name__ for entry in read(file)] == ["BadEntry", "Feedback"]
        assert not file.closed
    assert len(list(read(path))) == 2
