"""Which retrier and which catcher an error meets, and how long a retry waits.

Sources: Amazon States Language specification, "Errors"; recordings of AWS: ``States.Runtime`` is never caught, not
even by name; ``States.ALL`` does catch ``States.DataLimitExceeded``.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from nightferry.states.language.model import Catcher, Retrier

# States.TaskFailed stands for every failure but these.
_NOT_TASK_FAILED = frozenset({"States.Timeout", "States.HeartbeatTimeout"})


def matches(names: Sequence[str], error: str | None) -> bool:
    """Whether one of ErrorEquals' names stands for the error."""
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
    """The retrier that the error meets, if it has an attempt left. Each counts for itself."""
    for index, retrier in enumerate(retriers):
        if matches(retrier.errors, error):
            used = retries[index] if index < len(retries) else 0
            return index if used < retrier.attempts else None
    return None


def choose_catcher(catchers: Sequence[Catcher], error: str | None) -> int | None:
    """The catcher that the error meets."""
    return next((index for index, catcher in enumerate(catchers) if matches(catcher.errors, error)), None)


def compute_delay(retrier: Retrier, used: int, rng: Random) -> float:
    """Seconds until the retry after ``used`` retries. Full jitter draws from 0 to the delay, by ``rng``."""
    try:
        seconds = retrier.interval * retrier.backoff**used
    except OverflowError:
        seconds = float("inf")
    seconds = min(seconds, retrier.max_delay if retrier.max_delay is not None else 99_999_999)
    return rng.uniform(0, seconds) if retrier.full_jitter else seconds
