"""Whatever stands in a file: it is parsed or refused by name, and no message quotes it."""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pocketpref.errors import FileError
from tools.fuzz import checks
from tools.fuzz import parsers as fuzz_parsers
from tools.fuzz.checks import Parser
from tools.fuzz.mutations import MARKER
from tools.fuzz.parsers import Report
from tools.fuzz.targets import CORPUS, PARSERS, affordable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ROOT = Path(__file__).parents[2]
FRESH = 300
FEWER = {"damaged-vault": 60}  # a case of it takes ten times as long
# A bad line is reported and others are read; what only saves time counts as not there.
TOLERANT = ("pair-file", "model-record", "ollama", "measurements")
parsers = pytest.mark.parametrize("parser", PARSERS, ids=[p.name for p in PARSERS])


@functools.cache
def kept(parser: Parser) -> Report:
    return fuzz_parsers.fuzz(parser, fuzz_parsers.kept_cases(parser))


@parsers
def test_everything_that_is_kept_is_parsed_or_refused(parser: Parser) -> None:
    """The corpus, with each input that ever found a mistake and the inputs of other parsers."""
    assert kept(parser).failures == {}


@parsers
def test_fresh_cases_are_parsed_or_refused(parser: Parser) -> None:
    number = FEWER.get(parser.name, FRESH)
    report = fuzz_parsers.fuzz(parser, islice(fuzz_parsers.fresh_cases(parser, 4), number))
    assert report.cases == number
    assert report.failures == {}


@parsers
def test_the_corpus_holds_what_is_parsed_and_what_is_refused(parser: Parser) -> None:
    """Guards the tests above: made of what is refused at its first byte, cases show nothing."""
    assert kept(parser).parsed
    assert kept(parser).refused or parser.name in TOLERANT
    assert any(MARKER[1:].encode() in case for case in fuzz_parsers.corpus(parser))


def test_every_folder_of_the_corpus_belongs_to_a_parser() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == {parser.name for parser in PARSERS}


def test_the_same_seed_gives_the_same_cases() -> None:
    one, same, other = (
        list(islice(fuzz_parsers.fresh_cases(PARSERS[0], seed), 50)) for seed in (1, 1, 2)
    )
    assert one == same
    assert one != other


# ------------------------------------------------------------------- that mistakes are noticed


def fails(parse: Callable[[bytes, Path], Iterable[str]], case: bytes = b"x", file: str = "") -> str:
    report = fuzz_parsers.fuzz(Parser("under test", "text", parse, file), [case])
    return " ".join(report.failures)


def quoting(content: bytes, _: Path) -> Iterable[str]:
    raise FileError("not good", hint=content.decode("latin-1"))


def showing(content: bytes, _: Path) -> Iterable[str]:
    return [content.decode("latin-1")]


def hiding(content: bytes, _: Path) -> Iterable[str]:
    try:
        content.decode("ascii")
    except UnicodeDecodeError:
        raise FileError("not good") from None
    return ()


def test_another_exception_is_noticed() -> None:
    assert "raised KeyError" in fails(lambda *_: {}["a"])


@pytest.mark.parametrize("parse", [quoting, hiding, showing])
def test_text_of_the_input_is_noticed_where_it_is_shown(
    parse: Callable[[bytes, Path], Iterable[str]],
) -> None:
    """In a hint, in an exception that only ``from None`` hides, and in what was parsed."""
    assert "shows text" in fails(parse, MARKER[2:10].encode() + b"\xff")
    assert fails(parse, b"something else\xff") == ""


def test_time_and_memory_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object) -> Iterable[str]:
        while True:
            pass

    monkeypatch.setattr(checks, "SECONDS", 0.1)
    if sys.platform != "win32":
        assert "did not end" in fails(hang)
    monkeypatch.setattr(checks, "SECONDS", 0)
    assert "more than" in fails(lambda *_: [str(sum(range(100_000)))])
    monkeypatch.setattr(checks, "SECONDS", 10)
    assert "memory" in fails(lambda *_: [str(len(bytearray(80 * 2**20)))])


SWELLING = """
from tools.fuzz import parsers as fuzz_parsers
from tools.fuzz.checks import Parser

parser = Parser("under test", "text", lambda content, _: [str(len(content * 200 * 2**20))])
report = fuzz_parsers.fuzz(parser, [b"", b"x"], traced=100)
print(report.failed, *report.failures)
"""


def test_memory_is_noticed_where_not_every_case_is_traced() -> None:
    """In a process of its own: this one may have held more before. The second case is untraced."""
    done = subprocess.run(
        [sys.executable, "-c", SWELLING], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1 took too much memory\n"


def test_a_file_that_is_changed_or_left_behind_is_noticed() -> None:
    def change(_: bytes, path: Path) -> Iterable[str]:
        path.write_bytes(b"")
        return ()

    def leave(_: bytes, path: Path) -> Iterable[str]:
        path.with_name("other").write_bytes(b"")
        return ()

    assert "changed" in fails(change, file="f")
    assert "left" in fails(leave, file="f")


def test_only_allowed_costs_of_a_passphrase_are_lowered() -> None:
    """What `Argon2Cost.check` refuses must reach it."""
    dear, absurd = b"\0\0\x10\0\x40\0\0\0\x04\0\0\0rest", b"\xff" * 12 + b"rest"
    assert affordable(absurd) == absurd
    assert affordable(dear) != dear
    assert affordable(dear)[12:] == b"rest"


# ------------------------------------------------------------------------------ the program


def test_the_program_prints_a_table_and_writes_the_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    assert fuzz_parsers.main(["--cases", "50", "--only", "handle", "--json", str(report)]) == 0
    (row,) = json.loads(report.read_text())["parsers"]
    assert row["parser"] == "handle"
    assert row["cases"] == row["parsed"] + row["refused"] > 50
    assert row["failed"] == 0
    assert "handle" in capsys.readouterr().out


def test_what_fails_is_shortened_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def parse(content: bytes, _: Path) -> Iterable[str]:
        return [str(1 // (b"Q" not in content))]

    broken = Parser("broken", "text", parse)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "seed").write_bytes(b"some text with a Q in it")
    monkeypatch.setattr(fuzz_parsers, "CORPUS", tmp_path)
    monkeypatch.setattr(fuzz_parsers, "PARSERS", (broken,))
    assert fuzz_parsers.main(["--cases", "20", "--keep"]) == 1
    (found,) = [f for f in (tmp_path / "broken").iterdir() if f.name.startswith("found-")]
    assert found.read_bytes() == b"Q"
    assert "ZeroDivisionError" in capsys.readouterr().err
