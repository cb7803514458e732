"""The report of notices that were stored on this machine instead of sent."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.cli.terminal.options import format_env_option


def format_stored_notices(topics: Sequence[str], env: str) -> list[str]:
    """Return the line about notices for ``topics``, one topic per notice; none if there are none."""
    if not topics:
        return []
    names = ", ".join(sorted({*topics}))
    what = "a notice" if len(topics) == 1 else f"{len(topics)} notices"
    return [
        f"Stored {what} for {names}, because this machine sends none. See: nightferry notifications"
        f"{format_env_option(env)}"
    ]
