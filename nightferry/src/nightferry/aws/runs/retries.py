"""The delays before a call to AWS is repeated."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from nightferry.aws.session import TemporarilyRefused
from nightferry.clock import Clock

RETRY_SECONDS = (2, 5, 10, 20, 40)
"""The longest delays before the attempts after a failure that may pass."""

_Response = TypeVar("_Response")


def vary(seconds: float) -> float:
    """Return a random delay of at most ``seconds``, so that commands that fail together do not retry together."""
    return seconds * random.uniform(0.75, 1)  # noqa: S311  # no secret


def call_when_ready(call: Callable[[], _Response], clock: Clock) -> _Response:
    """Call a function again while AWS refuses the request for a temporary reason, for about a minute."""
    for seconds in RETRY_SECONDS:
        try:
            return call()
        except TemporarilyRefused:
            clock.sleep(vary(seconds))
    return call()
