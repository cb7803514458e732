"""Random values that depend on nothing but a seed, a purpose and a number.

The value for employer 17 is the same however many employers are generated, in which order, and on which machine.
The generator is SplitMix64 (Steele, Lea and Flood, 2014), which turns consecutive numbers into independent ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import polars as pl

_GOLDEN_GAMMA = 0x9E3779B97F4A7C15


class Draws:
    """The draws of one ``seed`` for a series of ``numbers``, one value per number."""

    def __init__(self, seed: int, numbers: pl.Series) -> None:
        self._seed = seed
        self._numbers = numbers.cast(pl.UInt64)

    def bits(self, purpose: str) -> pl.Series:
        """64 random bits for ``purpose``; another purpose gives independent ones."""
        start = int.from_bytes(hashlib.sha256(f"{self._seed}/{purpose}".encode()).digest()[:8])
        z = self._numbers * _make_word(_GOLDEN_GAMMA) + _make_word(start)  # all arithmetic is modulo 2**64
        z = (z ^ (z // _make_word(1 << 30))) * _make_word(0xBF58476D1CE4E5B9)
        z = (z ^ (z // _make_word(1 << 27))) * _make_word(0x94D049BB133111EB)
        return z ^ (z // _make_word(1 << 31))

    def below(self, purpose: str, limit: int) -> pl.Series:
        """Whole numbers from 0 to ``limit`` - 1."""
        return (self.bits(purpose) % _make_word(limit)).cast(pl.Int64)

    def uniform(self, purpose: str) -> pl.Series:
        """Numbers greater than 0 and at most 1."""
        return ((self.bits(purpose) // _make_word(1 << 11)).cast(pl.Float64) + 1) / float(1 << 53)

    def occurs(self, purpose: str, share: float) -> pl.Series:
        """True for about this ``share`` of the numbers."""
        return self.uniform(purpose) <= share

    def count_occurrences(self, purpose: str, share: float, day: int) -> pl.Series:
        """How often something has happened up to ``day`` when each day it happens to another ``share`` of the numbers.

        After 1 / ``share`` days, a whole number, it has happened to all of them once, and begins again with those of
        the first day. On day 0 it has happened to none, on day 1 to those for whom it :meth:`occurs`.
        """
        return (day - self._first_day(purpose, share)) // round(1 / share) + 1

    def occurs_on(self, purpose: str, share: float, day: int) -> pl.Series:
        """Whether it happens on this ``day``, counted from 1, by the rule of :meth:`count_occurrences`."""
        return (day - self._first_day(purpose, share)) % round(1 / share) == 0

    def _first_day(self, purpose: str, share: float) -> pl.Series:
        return (self.uniform(purpose) / share).ceil().cast(pl.Int64)

    def choice(self, purpose: str, values: Sequence[str]) -> pl.Series:
        """One of ``values`` each."""
        return pl.Series(values, dtype=pl.String).gather(self.below(purpose, len(values)))


def _make_word(value: int) -> pl.Series:
    return pl.Series([value], dtype=pl.UInt64)
