"""Selection of the retrier and catcher of an error, and the delay of a retry.

Sources: Amazon States Language specification, "Errors"; recordings of AWS: ``States.Runtime`` is never caught, not
even by name; ``States.ALL`` catches ``States.DataLimitExceeded``.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from nightferry.states.language.model import Catcher, Retrier

# States.TaskFailed matches every error except these.
_NOT_TASK_FAILED = frozenset({"States.Timeout", "States.HeartbeatTimeout"})


def matches(names: Sequence[str], error: str | None) -> bool:
    """Return True if a name in ErrorEquals matches the error."""
    if error == "States.Runtime":
        return False
    for name in names:
        if name in ("States.ALL", error):
            return True
        if name == "States.TaskFailed" and error not in _NOT_TASK_FAILED:
            return True
        if name == "States.Timeout" and error == "States.HeartbeatTimeout":
            return True
    return False


def choose_retrier(retriers: Sequence[Retrier], retries: Sequence[int], error: str | None) -> int | None:
    """Return the index of the first retrier that matches, if it has attempts left. Each retrier has its own count."""
    for index, retrier in enumerate(retriers):
        if matches(retrier.errors, error):
            used = retries[index] if index < len(retries) else 0
            return index if used < retrier.attempts else None
    return None


def choose_catcher(catchers: Sequence[Catcher], error: str | None) -> int | None:
    """Return the index of the first catcher that matches the error, or None."""
    return next((index for index, catcher in enumerate(catchers) if matches(catcher.errors, error)), None)


def compute_delay(retrier: Retrier, used: int, rng: Random) -> float:
    """Return the seconds before the retry after ``used`` retries. With full jitter, draw from 0 to the delay."""
    try:
        seconds = retrier.interval * retrier.backoff**used
    except OverflowError:
        seconds = float("inf")
    seconds = min(seconds, retrier.max_delay if retrier.max_delay is not None else 99_999_999)
    return rng.uniform(0, seconds) if retrier.full_jitter else seconds
