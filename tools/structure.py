"""Print the structure of the package: files, sizes, functions, names used twice.

    python tools/structure.py [--json FILE] [--check] [--list]

``--check`` exits with 1 where a limit of CONTRIBUTING.md is passed, ``--list`` names the functions.
"""

from __future__ import annotations

import argparse
import ast
import json
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "pocketpref"
MOST_FILES = 215
MOST_ONE_USE = 0.10

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """A parsed file: its path in the package, its lines and its syntax tree."""

    path: str
    lines: int
    tree: ast.Module

    def functions(self) -> Iterator[Function]:
        """Every function and method, nested ones included."""
        for node in ast.walk(self.tree):
            if isinstance(node, Function):
                yield node

    def one_use(self) -> Iterator[Function]:
        """Private functions and methods that this module names at most once.

        Decorated ones are left out: a property, a command or a hook is called by its framework.
        """
        uses = Counter(
            node.id if isinstance(node, ast.Name) else node.attr
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Name | ast.Attribute)
        )
        for function in self.functions():
            private = function.name.startswith("_") and not function.name.startswith("__")
            if private and not function.decorator_list and uses[function.name] <= 1:
                yield function


def modules(package: Path = PACKAGE) -> list[Module]:
    """Every Python file of the package."""
    found = []
    for path in sorted(package.rglob("*.py")):
        text = path.read_text("utf-8")
        name = path.relative_to(package).as_posix()
        found.append(Module(name, len(text.splitlines()), ast.parse(text)))
    return found


def import_cycles(found: list[Module]) -> list[list[str]]:
    """Groups of modules that import one another at the top level (Tarjan's algorithm)."""
    names = {dotted(module): module for module in found}
    edges = {name: set(imported(module, names)) - {name} for name, module in names.items()}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    cycles: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(edges[name]):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                cycles.append(sorted(group))

    sys.setrecursionlimit(10_000)
    for name in sorted(names):
        if name not in index:
            visit(name)
    return cycles


def dotted(module: Module) -> str:
    """The module's import name."""
    parts = ("pocketpref", *Path(module.path).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(module: Module, names: dict[str, Module]) -> Iterator[str]:
    """Modules of the package that this one imports when it is loaded."""
    for node in module.tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from (
                    [full] if full in names else [node.module] if node.module in names else []
                )


def report(found: list[Module]) -> dict[str, object]:
    """The figures, by name."""
    lengths = [
        (function.end_lineno or function.lineno) - function.lineno + 1
        for module in found
        for function in module.functions()
    ]
    one_use = sum(1 for module in found for _ in module.one_use())
    largest = max(found, key=lambda module: module.lines)
    homes: dict[str, list[str]] = defaultdict(list)
    for module in found:
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(module.path)
    return {
        "files": len(found),
        "lines": sum(module.lines for module in found),
        "module_median": statistics.median(module.lines for module in found),
        "module_largest": [largest.path, largest.lines],
        "functions": len(lengths),
        "function_median": statistics.median(lengths),
        "function_p90": statistics.quantiles(lengths, n=10)[-1],
        "one_use_private": one_use,
        "one_use_private_share": round(one_use / len(lengths), 4),
        "classes_named_twice": {name: at for name, at in sorted(homes.items()) if len(at) > 1},
        "import_cycles": import_cycles(found),
    }


def main() -> int:
    """Print the report; with ``--check``, fail where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--list", action="store_true", help="name the private one-use functions")
    given = parser.parse_args()
    found = modules()
    figures = report(found)
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):24} {value}")
    if given.list:
        for module in found:
            for function in module.one_use():
                print(f"{module.path}:{function.lineno} {function.name}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    passed = (
        figures["classes_named_twice"]
        or figures["import_cycles"]
        or len(found) > MOST_FILES
        or float(str(figures["one_use_private_share"])) >= MOST_ONE_USE
    )
    return 1 if given.check and passed else 0


if __name__ == "__main__":
    sys.exit(main())
