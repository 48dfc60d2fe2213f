"""The figures of the package's structure, on a small package that breaks every rule."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tools import structure

if TYPE_CHECKING:
    import pytest

FILES = {
    "__init__.py": "",
    "first.py": """
from pocketpref.second import Answer, double

class Verdict: ...

def quadruple(value):
    return _checked(double(double(value)))

def _checked(value):
    return value
""",
    "second.py": """
from functools import cache

class Answer: ...
class Verdict: ...

def double(value):
    from pocketpref.third import halve
    return halve(_same(_same(4 * value)))

def _same(value):
    return value

@cache
def _constant():
    return 1
""",
    "third.py": """
from pocketpref.first import quadruple

def halve(value):
    return value / 2
""",
    "nested/__init__.py": "from pocketpref.nested.inner import one\n",
    "nested/inner.py": "from pocketpref.nested.other import two\n\none = 1\n",
    "nested/other.py": "from pocketpref import nested\n\ntwo = 2\n",
}


def package(folder: Path) -> Path:
    root = folder / "pocketpref"
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


def test_sizes_count_every_file_and_function(tmp_path: Path) -> None:
    figures = structure.report(structure.modules(package(tmp_path)))
    lines = {name: len(text.splitlines()) for name, text in FILES.items()}
    assert (figures["files"], figures["lines"]) == (len(FILES), sum(lines.values()))
    assert figures["module_largest"] == ["second.py", lines["second.py"]]
    assert (figures["functions"], figures["function_median"]) == (6, 2)


def test_a_private_function_used_once_is_found(tmp_path: Path) -> None:
    found = structure.modules(package(tmp_path))
    names = [function.name for module in found for function in module.one_use()]
    assert names == ["_checked"]  # not the one used twice, the decorated or the public ones
    figures = structure.report(found)
    assert (figures["one_use_private"], figures["one_use_private_share"]) == (1, 0.1667)


def test_a_class_name_used_twice_is_found(tmp_path: Path) -> None:
    figures = structure.report(structure.modules(package(tmp_path)))
    assert figures["classes_named_twice"] == {"Verdict": ["first.py", "second.py"]}


def test_an_import_cycle_is_found(tmp_path: Path) -> None:
    """Imports inside functions close no cycle: the first three files import in a line."""
    cycles = structure.import_cycles(structure.modules(package(tmp_path)))
    cycle = ["pocketpref.nested", "pocketpref.nested.inner", "pocketpref.nested.other"]
    assert cycles == [cycle]


def test_only_check_fails_on_a_broken_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found, target = structure.modules(package(tmp_path)), tmp_path / "figures.json"
    monkeypatch.setattr(structure, "modules", lambda: found)
    monkeypatch.setattr("sys.argv", ["structure.py", "--list", "--json", str(target)])
    assert structure.main() == 0
    assert "first.py:9 _checked" in capsys.readouterr().out
    assert json.loads(target.read_text("utf-8")) == structure.report(found)
    monkeypatch.setattr("sys.argv", ["structure.py", "--check"])
    assert structure.main() == 1
