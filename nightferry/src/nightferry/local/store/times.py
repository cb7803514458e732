"""Times as the store has them: text in UTC with microseconds, which sorts as the times do."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The time of the machine, in UTC."""
    return datetime.now(UTC)


def format_time(time: datetime) -> str:
    """A time as it is stored."""
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def parse_time(text: str) -> datetime:
    """A stored time."""
    return datetime.fromisoformat(text)


def parse_optional_time(text: str | None) -> datetime | None:
    """A stored time, if there is one."""
    return None if text is None else parse_time(text)
