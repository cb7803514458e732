"""Times in options."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nightferry.errors import NightferryError
from nightferry.presentation.times import parse_time


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        (" 2h ", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
    ],
)
def test_a_time_ago(text: str, ago: timedelta) -> None:
    assert abs(datetime.now(UTC) - ago - parse_time("--since", text)) < timedelta(seconds=5)


def test_a_time_with_an_offset_and_without_one() -> None:
    assert parse_time("--at", "2026-11-24T20:30:00-05:00") == datetime(2026, 11, 25, 1, 30, tzinfo=UTC)
    assert parse_time("--at", "2026-11-24T20:30") == datetime(2026, 11, 24, 20, 30).astimezone(UTC)


@pytest.mark.parametrize("text", ["", "tomorrow", "2h ago", "9999999d", "1969-12-31", "2200-01-01", "0001-01-01T00:00"])
def test_an_invalid_time_is_an_error(text: str) -> None:
    with pytest.raises(NightferryError, match=f"--from {text} is "):
        parse_time("--from", text)
