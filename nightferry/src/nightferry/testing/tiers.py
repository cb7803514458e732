"""Two tiers of one test suite: fixed samples in every run, everything and by chance when ``SEED`` is set.

::

    @pytest.mark.parametrize("case", sample(CASES, 20))    # always the same 20; all of them with SEED
    @settings(max_examples=examples(50))                    # 50; 500 with SEED

With ``SEED=7`` in the environment, ``SEED`` is 7, so that a failure can be repeated; without it, it is 0.
"""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from typing import TypeVar

LONG = bool(os.environ.get("SEED"))
SEED = int(os.environ.get("SEED") or 0)

_Case = TypeVar("_Case")
_TIMES = 10  # as many examples of a property when SEED is set


def sample(cases: Sequence[_Case], size: int) -> list[_Case]:
    """Return all cases when SEED is set; otherwise ``size`` of them, in order, the same each time."""
    if LONG or size >= len(cases):
        return list(cases)
    chosen = sorted(random.Random(SEED).sample(range(len(cases)), size))  # noqa: S311
    return [cases[index] for index in chosen]


def examples(count: int) -> int:
    """Return how many examples of a property to try: ``count``, and ten times as many when SEED is set."""
    return count * _TIMES if LONG else count
