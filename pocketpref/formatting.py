"""Numbers as people say them."""

from __future__ import annotations


def plural(number: int, noun: str) -> str:
    """``1 choice``, ``1,200 choices``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def duration(seconds: float) -> str:
    """A span of time in words, as coarse as people say it."""
    if seconds < 90:
        return f"{max(round(seconds), 0)} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def size(count: int) -> str:
    """A number of bytes in words (powers of ten, as disks are sold)."""
    amount = float(count)
    for unit in ("bytes", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def certainty(probability: float) -> str:
    """Return how sure a belief is, in words for people."""
    if probability >= 0.95:
        return "very sure"
    return "sure" if probability >= 0.8 else "fairly sure"
