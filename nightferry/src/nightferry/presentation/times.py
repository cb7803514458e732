"""Parse the times in options."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from nightferry.clock import get_clock
from nightferry.errors import NightferryError

TIME_FORMATS = "90s, 15m, 2h or 3d ago, or ISO 8601 (local time without an offset)"
"""The accepted forms, for the help of an option."""

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_time(option: str, text: str, *, also: str = "") -> datetime:
    """Return the time in UTC that the text of an option specifies; raises NightferryError.

    ``15m`` means 15 minutes ago (units: s, m, h, d). Other texts are ISO 8601, in local time if they have no offset.
    ``also`` is another form that the option accepts, for the message.
    """
    ago = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    try:
        if ago is not None:
            time = get_clock().now() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        else:
            time = datetime.fromisoformat(text.strip())
        if not 1970 <= time.year <= 2199:
            raise NightferryError(f"{option} {text} is out of range. Use a year from 1970 to 2199, as in a schedule.")
        return time.astimezone(UTC)
    except (ValueError, OverflowError):
        forms = f"{also}, 90s" if also else "90s"
        raise NightferryError(
            f"{option} {text} is not a time. Use {forms}, 15m, 2h or 3d (ago), or 2026-11-24T20:30:00 with or without "
            "an offset (+00:00)."
        ) from None
