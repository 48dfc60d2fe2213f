"""Numbers measured once on this machine and remembered: noise floors and speeds of models.

They say nothing about a person. A file that is lost or damaged is measured again.
"""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pocketpref.files import replace_file


class Measurements:
    """A small JSON file of named numbers. Safe for threads; of two processes the last one wins."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def get(self, name: str, measure: Callable[[], float]) -> float:
        """The number of that name, measured now if it is not known.

        Raises:
            ModelError: what ``measure`` raises.
        """
        with self._lock:
            known = self._read()
            if name not in known:
                known[name] = measure()
                # Where it cannot be kept it is measured again next time, and nothing else is lost.
                with suppress(OSError):
                    self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    replace_file(self._path, json.dumps(known, indent=1).encode())
            return known[name]

    def known(self, name: str, default: float) -> float:
        """The number of that name if it has been measured, else the default."""
        return self._read().get(name, default)

    def _read(self) -> dict[str, float]:
        try:
            values = json.loads(self._path.read_bytes())
            numbers = {str(name): float(value) for name, value in values.items()}
        except (OSError, ValueError, AttributeError, TypeError, OverflowError, RecursionError):
            return {}
        return {name: value for name, value in numbers.items() if math.isfinite(value)}
