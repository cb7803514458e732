"""Numbers with their noun."""

from __future__ import annotations


def choose_noun(number: int, noun: str) -> str:
    """Return a noun in the form that belongs to a number: "run" or "runs"."""
    return noun if number == 1 else f"{noun}s"


def format_quantity(number: int, noun: str) -> str:
    """Return a number with its noun: "1 run" or "1,200 runs"."""
    return f"{number:,} {choose_noun(number, noun)}"
