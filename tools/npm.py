"""Packages from npm, for tools that need one: in a folder of their own, their scripts not run.

npm checks what it fetches against the registry's hash.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path


def missing(*names: str) -> list[str]:
    """Which of these programs are not there."""
    return [name for name in names if shutil.which(name) is None]


def program(name: str) -> str:
    """A program's path."""
    return shutil.which(name, path=os.environ.get("PATH")) or name


def fetched(folder: Path, wanted: Sequence[str]) -> Path:
    """Fetch packages, each ``name@version``.

    Returns:
        The folder ``node_modules`` that holds them.

    Raises:
        subprocess.CalledProcessError: npm could not; it said why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    subprocess.run(
        [
            *(program("npm"), "install", "--silent", "--no-save", "--ignore-scripts"),
            *("--no-audit", "--no-fund", "--prefix", str(folder), *wanted),
        ],
        check=True,
    )
    return folder / "node_modules"
