"""AlignX (Li et al., 2025; JinaLeejnl/AlignX), as JSON lines or a JSON list.

A row is one person: four pairs that they judged before, in ``Pair-wise Comparative Feedback``, and
one that is asked about, in ``prompt``, ``chosen`` and ``rejected``. They come out in this order, so
that ``pocketpref eval --ordered`` asks what the benchmark asks. What the row says of the person in
words (``Demographic Information``, ``User-Generated Content``) is no choice and is not read.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pocketpref.readers.rows import Choices, Row, choice, rows_in, text

PAST = "Pair-wise Comparative Feedback"

_BEGUN = datetime(2025, 1, 1, tzinfo=UTC)
"""Rows have no times, and pairs of one file need an order: the one that is asked about is last."""


def convert(number: int, row: Row) -> Choices:
    """Choices of one person."""
    for place, pair in enumerate([*rows_in(row, PAST), row]):
        yield choice(
            *(text(pair, "prompt"), text(pair, "chosen"), text(pair, "rejected")),
            user=f"alignx {number}",
            created=_BEGUN + timedelta(minutes=place),
        )
