"""Estimates of what a month costs, kept for some minutes, because an estimate on AWS needs many calls."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from weakref import WeakKeyDictionary

from nightferry.costs.estimate import Estimate, estimate_month
from nightferry.costs.fires import Month
from nightferry.costs.observations import Observations, observe
from nightferry.dashboard.site import Site

OBSERVED = timedelta(days=30)
_VALID = timedelta(minutes=10)

_observations: WeakKeyDictionary[Site, Observations] = WeakKeyDictionary()
_observing = threading.Lock()


def estimate(site: Site, month: Month) -> Estimate | None:
    """Return the estimate of a month, from what was observed at most ten minutes ago.

    One thread observes at a time. Meanwhile the others return the estimate from what was observed before, or None, so
    that they stay free for other pages.
    """
    observed = _observe(site, site.clock.now())
    return None if observed is None else estimate_month(site.catalog, site.environment, month, observed)


def _observe(site: Site, now: datetime) -> Observations | None:
    known = _observations.get(site)
    if known is not None and now - known.until < _VALID:
        return known
    if not _observing.acquire(blocking=False):
        return known
    try:
        deployed = site.environment.backend == "aws"
        found = observe(site.backend, site.catalog, site.name, deployed, now - OBSERVED, now)
        _observations[site] = found
        return found
    finally:
        _observing.release()
