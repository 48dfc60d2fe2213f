"""The commands in the pages: all are understood, the cheap ones run; cli.md is what --help says."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import CliRunner

from pocketpref.cli.main import cli
from tests.docs.conftest import Reader
from tests.docs.pages import PAGES, ROOT, Line, inline_calls, shell_lines

LINES = list(dict.fromkeys(line for page in PAGES for line in shell_lines(page)))

# Beginnings of what is read but not run here: it needs a network, a terminal, a model that was
# pulled, or minutes. Most of it has tests of its own under tests/cli.
NOT_RUN = [
    ("demo",),
    ("models", "pull"),
    ("models", "default"),
    ("models", "rm"),
    ("models", "prepare"),
    ("remote",),
    ("chat", "--to"),
    ("egress", "key"),
    ("mcp",),
    ("serve",),
    ("open",),
    ("service",),
    ("uninstall",),
    ("adapters", "check"),
    ("adapters", "ask"),
    ("ask",),
    ("correct",),
    ("eval",),
]

# Of the pages a newcomer follows, what is quick with the real models, too.
QUICK = ("add", "doctor", "import", "memory", "models", "personalize", "status")


def _can_run(line: Line) -> bool:
    needs_terminal = line.arguments[0] in ("export", "restore") and not any(
        word in ("--passphrase-file", "--plaintext") for word in line.arguments
    )
    begins = any(line.arguments[: len(words)] == words for words in NOT_RUN)
    return not (begins or needs_terminal or line.is_schematic)


def _resolve(arguments: Sequence[str]) -> tuple[click.Command, list[str]]:
    """The command that a line means, and what is left for it."""
    command: click.Command = cli
    left = list(arguments)
    while isinstance(command, click.Group) and left and not left[0].startswith("-"):
        found = command.commands.get(left[0])
        assert found is not None, f"no such command: {left[0]}"
        command, left = found, left[1:]
    return command, left


def test_there_are_commands_to_test() -> None:
    assert len(LINES) > 30
    assert {"README.md", "tutorial.md", "keys.md", "cli.md"} <= {line.page for line in LINES}


@pytest.mark.parametrize("line", LINES, ids=str)
def test_every_command_in_a_shell_block_is_understood(line: Line, reader: Reader) -> None:
    reader.lay_out(line.arguments)
    (reader.folder / "backup.pocketpref").touch()
    command, left = _resolve(line.arguments)
    assert not isinstance(command, click.Group) or command.invoke_without_command
    with CliRunner().isolation(input="Explain DNS"):
        command.make_context(command.name, left)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_running_text_exists_with_its_options(page: Path) -> None:
    for words in inline_calls(page):
        command, left = _resolve(words)
        known = {name for param in command.params for name in param.opts}
        assert {word for word in left if word.startswith("-") and word != "-"} <= known, words


@pytest.mark.parametrize("page", sorted({line.page for line in LINES}))
def test_the_commands_of_a_page_work_one_after_the_other(page: str, reader: Reader) -> None:
    """With a real vault, and quick fakes in the place of the models."""
    reader.remember_something()
    for line in (line for line in LINES if line.page == page and _can_run(line)):
        if line.arguments[0] == "doctor":
            continue  # loads the real models; run below
        reader.lay_out(line.arguments)
        code, err = reader.type(line.arguments)
        assert (code, "error" in err) == (0, False), f"{line}\n{err}"


@pytest.mark.parametrize("page", ["README.md", "tutorial.md"])
def test_the_quick_commands_work_for_real(page: str, reader: Reader) -> None:
    """The program itself, in processes of its own, with the real embedder and starter model."""
    for line in (line for line in LINES if line.page == page and _can_run(line)):
        if line.arguments[0] in QUICK:
            reader.lay_out(line.arguments)
            code, err = reader.run(line.arguments)
            assert (code, "error" in err) == (0, False), f"{line}\n{err}"


# ---------------------------------------------------------------------------- the reference


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_cli_docs", ROOT / "tools/make_cli_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_tool_makes(tool: ModuleType) -> None:
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    assert page == tool.render(), "run: python tools/make_cli_docs.py"
    assert tool.main(["--check"]) == 0


def test_a_reference_that_is_out_of_date_is_noticed(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool, "TARGET", tmp_path / "cli.md")
    monkeypatch.setattr(tool, "MAN_TARGET", tmp_path / "pocketpref.1")
    assert tool.main(["--check"]) == 1
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_man_page_is_read_without_a_warning() -> None:
    page = ROOT / "docs" / "pocketpref.1"
    read = subprocess.run(
        ["groff", "-man", "-ww", "-Tascii", "-P-cbou", str(page)], capture_output=True, check=True
    )
    assert read.stderr == b""
    plain = read.stdout.decode()
    assert "pocketpref egress allow" in plain
    assert "--any-summary" in plain


def test_the_reference_says_what_help_says(tool: ModuleType) -> None:
    """Every paragraph, example and option of the page, compared without white space."""
    for command, context in tool.commands():
        words = context.command_path.split()[1:]
        shown = CliRunner().invoke(cli, [*words, "--help"], prog_name="pocketpref").output
        bare = "".join(shown.split())
        paragraphs, example = tool.split_help(command)
        options = [row.split("`")[1] for row in tool.option_rows(command, context)]
        for part in (*paragraphs, example, *options):
            assert "".join(part.replace("\\|", "|").split()) in bare, (words, part)
