"""Java's pseudo-random numbers: a seed given by a definition leads to the numbers that it leads to on AWS.

Source: the specification of ``java.util.Random`` (a linear congruential generator of 48 bits).
"""

from __future__ import annotations

_MULTIPLIER = 0x5DEECE66D
_MASK = (1 << 48) - 1


class JavaRandom:
    """``java.util.Random``, as far as it is needed."""

    def __init__(self, seed: int) -> None:
        self._state = (seed ^ _MULTIPLIER) & _MASK

    def random(self) -> float:
        """``nextDouble()``: from 0 to 1, without 1."""
        return ((self._bits(26) << 27) + self._bits(27)) / (1 << 53)

    def below(self, bound: int) -> int:
        """``nextInt(bound)``: from 0 to ``bound``, without it. ``bound`` is positive."""
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
