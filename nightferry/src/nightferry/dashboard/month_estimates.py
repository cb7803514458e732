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
_lock = threading.Lock()  # one thread observes, the others wait for its result


def estimate(site: Site, month: Month) -> Estimate:
    """Return the estimate of a month, from what was observed at most ten minutes ago."""
    return estimate_month(site.catalog, site.environment, month, _observe(site, site.clock.now()))


def _observe(site: Site, now: datetime) -> Observations:
    with _lock:
        known = _observations.get(site)
        if known is not None and now - known.until < _VALID:
            return known
        deployed = site.environment.backend == "aws"
        found = observe(site.backend, site.catalog, site.name, deployed, now - OBSERVED, now)
        _observations[site] = found
        return found
