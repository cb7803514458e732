"""Conversion of times to the store's format: text in UTC with microseconds, which sorts chronologically."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the machine's time in UTC."""
    return datetime.now(UTC)


def format_time(time: datetime) -> str:
    """Return a time in the store's format."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def parse_time(text: str) -> datetime:
    """Return the time of a stored text."""
    return datetime.fromisoformat(text)


def parse_optional_time(text: str | None) -> datetime | None:
    """Return the time of a stored text; None for None."""
    return None if text is None else parse_time(text)
