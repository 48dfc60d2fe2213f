"""The programs in tools/ import each other as top-level modules."""

from __future__ import annotations

import sys
from pathlib import Path

import pocketpref

TOOLS = str(Path(pocketpref.__file__).parent.parent / "tools")
if TOOLS not in sys.path:
    sys.path.append(TOOLS)  # last, so that no name of a tool hides a library
