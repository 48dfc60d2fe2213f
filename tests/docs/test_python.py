"""The Python in the pages runs as it stands."""

from __future__ import annotations

import contextlib
import doctest
import io
import os
from pathlib import Path

import pytest

from tests.docs.conftest import Reader
from tests.docs.pages import PAGES, ROOT, blocks

PYTHON = [
    pytest.param(code, id=f"{page.name}-{number}")
    for page in PAGES
    for number, code in enumerate(blocks(page, "python"), 1)
]
DOCTESTS = [page for page in PAGES if blocks(page, "pycon")]


def _run(code: str) -> str:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        exec(compile(code, "<documentation>", "exec"), {"__name__": "__main__"})
    return shown.getvalue()


def test_there_is_python_to_test() -> None:
    assert [page.name for page in DOCTESTS] == ["api.md"]
    assert len(PYTHON) >= 2


@pytest.mark.parametrize("code", PYTHON)
def test_every_block_of_python_runs_as_written(
    code: str, reader: Reader, prepared_path: Path
) -> None:
    """With the real embedder and starter model; only its 16-bit copy is there already."""
    reader.lay_out(["choices.jsonl"])
    copies = reader.home / "cache" / "models"
    copies.mkdir(parents=True)
    os.link(prepared_path, copies / prepared_path.name)
    assert _run(code).strip(), "it shows something"


@pytest.mark.parametrize("page", DOCTESTS, ids=lambda page: page.name)
def test_every_example_shows_what_the_page_says(page: Path) -> None:
    """One after the other, as a reader would type them."""
    source = "\n".join(blocks(page, "pycon"))
    name = str(page.relative_to(ROOT))
    examples = doctest.DocTestParser().get_doctest(source, {}, name, name, 0)
    said = io.StringIO()
    result = doctest.DocTestRunner().run(examples, out=said.write)
    assert result.attempted > 40
    assert result.failed == 0, said.getvalue()
