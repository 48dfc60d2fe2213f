"""tools/README.md names every program."""

from __future__ import annotations

import re
from pathlib import Path

TOOLS = Path(__file__).parents[2] / "tools"


def programs() -> set[tuple[str, ...]]:
    """Import names, below `tools`, of all modules and folders that can be run."""
    found = set()
    for path in TOOLS.rglob("*.py"):
        parts = path.relative_to(TOOLS).with_suffix("").parts
        if parts[-1] == "__main__":
            found.add(parts[:-1])
        elif 'if __name__ == "__main__"' in path.read_text("utf-8") and parts[-1] != "main":
            found.add(parts)
    return found


def test_readme_lists_every_program() -> None:
    listed, folder = set(), ""
    for line in (TOOLS / "README.md").read_text("utf-8").splitlines():
        if heading := re.match(r"## `(\w+)/`", line):
            folder = heading[1]
        if row := re.match(r"\| `([\w.]+)` \|", line):
            name = row[1].removeprefix("train.")
            listed.add((*([folder] if folder not in {"", "tools"} else []), *name.split(".")))
    assert listed == programs()
