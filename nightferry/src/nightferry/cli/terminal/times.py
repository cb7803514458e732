"""Parse the times that options take."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from nightferry.errors import NightferryError

FORMS = "90s, 15m, 2h or 3d ago, or ISO 8601 (local time without an offset)"
"""The accepted forms, for the help of an option."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(option: str, text: str) -> datetime:
    """Return the instant that the value of an option names, in UTC; raises NightferryError.

    ``15m`` is that long ago (s, m, h, d). Anything else is ISO 8601, in local time without an offset.
    """
    if ago := re.fullmatch(r"(\d{1,6})([smhd])", text.strip()):
        return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        time = datetime.fromisoformat(text.strip())
        if not 1970 <= time.year <= 2199:
            raise NightferryError(f"{option} {text}: use a year from 1970 to 2199, as in a schedule.")
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise NightferryError(
            f"{option} {text}: write a time as 90s, 15m, 2h or 3d (ago), or as 2026-11-24T20:30:00, with or without "
            "an offset (+00:00)."
        ) from None
