"""The price of a run on Fargate.

Source: AWS's price page of Fargate. A run is billed for its vCPUs, its memory and its ephemeral storage above 20 GB, by
the second, from the download of its image to its end, and for at least one minute.
"""

from __future__ import annotations

import math

from nightferry.catalog.fargate import INCLUDED_SCRATCH, Size
from nightferry.costs.prices import Architecture, Prices

LEAST_SECONDS = 60
"""The shortest time for which a run on Linux is billed."""

_KEYS: dict[Architecture, tuple[str, str]] = {
    "x86": ("fargate_vcpu_hour", "fargate_gb_hour"),
    "arm": ("fargate_arm_vcpu_hour", "fargate_arm_gb_hour"),
}
_STORAGE = "fargate_storage_gb_hour"
_HOUR = 3600


def list_price_keys(scratch: int, architecture: Architecture) -> tuple[str, ...]:
    """Return the keys of the prices of a task with ``scratch`` GiB of temporary files."""
    return (*_KEYS[architecture], *((_STORAGE,) if count_billed_storage(scratch) else ()))


def count_billed_storage(scratch: int) -> int:
    """Return the GiB of ephemeral storage that are billed, of those that a task declares as ``scratch``."""
    return max(scratch - INCLUDED_SCRATCH, 0)


def bill_seconds(seconds: float) -> int:
    """Return the seconds for which a run of this duration is billed."""
    return max(math.ceil(seconds), LEAST_SECONDS)


def price_seconds(
    size: Size, scratch: int, billed: float, prices: Prices, architecture: Architecture = "x86"
) -> float | None:
    """Return the price of ``billed`` seconds of a task, or None without a price for its region."""
    found = prices.find(*list_price_keys(scratch, architecture))
    if found is None:
        return None
    amounts = (size.cpu / 1024, size.memory / 1024, count_billed_storage(scratch))
    return sum(price * amount for price, amount in zip(found, amounts, strict=False)) * billed / _HOUR
