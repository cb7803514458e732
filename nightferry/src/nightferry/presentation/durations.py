"""Durations as text."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import quantiles


def format_duration(seconds: float) -> str:
    """Return a duration as text: 0.4 s, 12 s, 3 min 5 s, 2 h 4 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def find_percentile(lengths: Sequence[float], percentile: int) -> float | None:
    """Return a percentile of durations, 50 for the median; None without any."""
    if not lengths:
        return None
    if len(lengths) == 1:
        return lengths[0]
    return quantiles(lengths, n=100, method="inclusive")[percentile - 1]
