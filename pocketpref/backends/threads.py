"""How many threads to compute with."""

from __future__ import annotations

import os

import psutil


def threads() -> int:
    """The cores this process may use, without hyper-threads.

    Two threads on one core share its arithmetic units; matrix products gain nothing from them.
    """
    try:
        usable = len(os.sched_getaffinity(0))  # Linux, where a container may hold us to fewer
    except AttributeError:  # macOS and Windows
        usable = os.cpu_count() or 1
    return max(1, min(usable, psutil.cpu_count(logical=False) or usable))
