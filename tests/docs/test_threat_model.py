"""Every promise of the threat model names a test, and every test that the page names exists."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.pages import ROOT, text_of

PAGE = text_of(ROOT / "docs" / "threat-model.md")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)))


def test_there_are_tests_to_look_for() -> None:
    assert len(NAMED) > 40


@pytest.mark.parametrize(("file", "name"), NAMED, ids="::".join)
def test_a_test_that_the_page_names_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_promise_names_a_test() -> None:
    rows = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    promises = [(promise, tests) for promise, tests in rows if "tests/" in tests]
    table = PAGE.split("## The promises")[1].split("## What is not promised")[0]
    written = [line for line in table.splitlines() if line.startswith("| ")]
    headings = [line for line in written if line.startswith("| promise")]
    assert len(promises) == len(written) - len(headings)


def test_every_file_that_the_page_names_exists() -> None:
    for name in re.findall(r"`((?:tests|tools)/[\w/]+\.py)`", PAGE):
        assert (ROOT / name).is_file(), name
