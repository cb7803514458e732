"""Two tiers of one test suite: fixed samples in every run, everything and by chance when ``SEED`` is set.

::

    @settings(max_examples=examples(50))                    # 50; 500 with SEED

With ``SEED=7`` in the environment, ``SEED`` is 7, so that a failure can be repeated; without it, it is 0.
"""

from __future__ import annotations

import os

LONG = bool(os.environ.get("SEED"))
SEED = int(os.environ.get("SEED") or 0)

_TIMES = 10  # as many examples of a property when SEED is set


def examples(count: int) -> int:
    """Return how many examples of a property to try: ``count``, and ten times as many when SEED is set."""
    return count * _TIMES if LONG else count
