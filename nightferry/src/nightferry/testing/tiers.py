"""Two tiers of one test suite: fixed samples by default, all cases and random samples when ``TEST_SEED`` is set.

::

    @settings(max_examples=examples(50))                    # 20; 500 with TEST_SEED

``TEST_SEED=7`` in the environment sets ``SEED`` to 7, so that a failure can be reproduced. The default is 0. The
variable is not ``SEED``, which can be a job's setting.
"""

from __future__ import annotations

import math
import os

LONG = bool(os.environ.get("TEST_SEED"))
SEED = int(os.environ.get("TEST_SEED") or 0)

_LONG_FACTOR = 10  # times as many examples of a property if TEST_SEED is set
_SHORT_SHARE = 0.4  # of the examples otherwise: they are the same each time, so that more of them find little


def examples(count: int) -> int:
    """Return the number of examples of a property to try: 40 % of ``count``, or ten times ``count`` with TEST_SEED."""
    return count * _LONG_FACTOR if LONG else math.ceil(count * _SHORT_SHARE)
