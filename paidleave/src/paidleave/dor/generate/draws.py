"""Random values that depend only on a seed, a purpose and a number.

For example, the value for employer 17 does not depend on the number or order of employers or on the machine. The
generator is SplitMix64 (Steele, Lea and Flood, 2014), which maps consecutive numbers to independent ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

_GOLDEN_GAMMA = 0x9E3779B97F4A7C15


class Draws:
    """Random draws of one ``seed`` for a series of ``numbers``, one value per number."""

    def __init__(self, seed: int, numbers: pl.Series) -> None:
        self._seed = seed
        self._numbers = numbers.cast(pl.UInt64)

    def bits(self, purpose: str) -> pl.Series:
        """Return 64 random bits for ``purpose``, which are independent of other purposes."""
        start = int.from_bytes(hashlib.sha256(f"{self._seed}/{purpose}".encode()).digest()[:8])
        z = self._numbers * _make_word(_GOLDEN_GAMMA) + _make_word(start)  # All arithmetic is modulo 2**64.
        z = (z ^ (z // _make_word(1 << 30))) * _make_word(0xBF58476D1CE4E5B9)
        z = (z ^ (z // _make_word(1 << 27))) * _make_word(0x94D049BB133111EB)
        return z ^ (z // _make_word(1 << 31))

    def below(self, purpose: str, limit: int) -> pl.Series:
        """Return integers from 0 to ``limit`` - 1."""
        return (self.bits(purpose) % _make_word(limit)).cast(pl.Int64)

    def uniform(self, purpose: str) -> pl.Series:
        """Return numbers greater than 0 and at most 1."""
        return ((self.bits(purpose) // _make_word(1 << 11)).cast(pl.Float64) + 1) / float(1 << 53)

    def occurs(self, purpose: str, share: float) -> pl.Series:
        """Return True for about this ``share`` of the numbers."""
        return self.uniform(purpose) <= share

    def count_occurrences(self, purpose: str, share: float, days: int | pl.Series) -> pl.Series:
        """Return how often an event has occurred after ``days`` if each day it occurs to this ``share`` of the numbers.

        It occurs to every number in turn, each time after about 1 / ``share`` days. On the first day, it occurs to the
        numbers for which :meth:`occurs` is True.
        """
        return (1 - self.uniform(purpose) + share * days).floor().cast(pl.Int64)

    def occurs_on(self, purpose: str, share: float, day: int) -> pl.Series:
        """Return True if the event of :meth:`count_occurrences` occurs on ``day``, counted from 1."""
        return self.count_occurrences(purpose, share, day) > self.count_occurrences(purpose, share, day - 1)

    def find_last_day(self, purpose: str, share: float, days: int) -> pl.Series:
        """Return the last of the ``days`` on which the event of :meth:`count_occurrences` occurred; 0 if none."""
        count = self.count_occurrences(purpose, share, days)
        day = ((count - 1 + self.uniform(purpose)) / share).ceil().cast(pl.Int64)
        return day.clip(0, days)

    def choice(self, purpose: str, values: Sequence[str]) -> pl.Series:
        """Return a random element of ``values`` for each number."""
        return pl.Series(values, dtype=pl.String).gather(self.below(purpose, len(values)))


def _make_word(value: int) -> pl.Series:
    return pl.Series([value], dtype=pl.UInt64)
