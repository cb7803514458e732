"""Java's pseudo-random numbers, so that a seed in a definition produces the same numbers as on AWS.

Source: the specification of ``java.util.Random`` (a linear congruential generator of 48 bits).
"""

from __future__ import annotations

_MULTIPLIER = 0x5DEECE66D
_MASK = (1 << 48) - 1


class JavaRandom:
    """The required subset of ``java.util.Random``."""

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ _MULTIPLIER) & _MASK

    def random(self) -> float:
        """Return ``nextDouble()``: a number from 0 (included) to 1 (excluded)."""
        return ((self._bits(26) << 27) + self._bits(27)) / (1 << 53)

    def below(self, bound: int) -> int:
        """Return ``nextInt(bound)``: a number from 0 (included) to ``bound`` (excluded), which must be positive."""
        if bound & -bound == bound:
            return (bound * self._bits(31)) >> 31
        while True:
            bits = self._bits(31)
            value = bits % bound
            if bits - value + (bound - 1) < 1 << 31:
                return value

    def _bits(self, number: int) -> int:
        self._state = (self._state * _MULTIPLIER + 0xB) & _MASK
        return self._state >> (48 - number)
