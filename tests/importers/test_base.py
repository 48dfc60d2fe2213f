from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pocketpref.importers.base import moment_from_epoch

NOON = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1_700_000_000, NOON),
        (1_700_000_000.0, NOON),
        (1_700_000_000_000, NOON),  # milliseconds
        (32_503_680_000, datetime(3000, 1, 1, tzinfo=UTC)),
        (0, None),
        (-1, None),
        (True, None),
        ("1700000000", None),
        (float("nan"), None),
        (float("inf"), None),
        (10**400, None),
        (None, None),
    ],
)
def test_seconds_and_milliseconds_since_1970_are_times(
    value: object, expected: datetime | None
) -> None:
    assert moment_from_epoch(value) == expected
