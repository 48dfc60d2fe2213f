"""Core dumps: whether a process that crashes leaves one here, and how to permit it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PERMIT = """
import resource
_, most = resource.getrlimit(resource.RLIMIT_CORE)
resource.setrlimit(resource.RLIMIT_CORE, (most, most))
"""
"""Code that raises the limit on core files as far as this process may."""


def leaves_core_files(folder: Path) -> bool:
    """Whether an ordinary program that aborts leaves a core file in its working folder.

    It does not where there are none, where they are forbidden for good (a hard limit of 0), and
    where the kernel hands them to a crash reporter.
    """
    place = folder / "an ordinary program"
    place.mkdir()
    crash = [sys.executable, "-c", PERMIT + "import os; os.abort()"]
    if sys.platform == "win32" or subprocess.run(crash, cwd=place, check=False).returncode == 0:
        return False
    return any(place.iterdir())
