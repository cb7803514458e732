"""Times that people write on the command line."""

from __future__ import annotations

from datetime import UTC, datetime

from nightferry.errors import NightferryError


def moment(option: str, text: str) -> datetime:
    """The instant that an option names in ISO 8601, in UTC; raises NightferryError."""
    try:
        time = datetime.fromisoformat(text)
        if not 1970 <= time.year <= 2199:
            raise NightferryError(f"{option} {text}: schedules know the years 1970 to 2199.")
        return time.astimezone(UTC)
    except ValueError:
        raise NightferryError(
            f"{option} {text}: write a time as 2026-11-24T20:30:00 or with an offset, …+00:00."
        ) from None
