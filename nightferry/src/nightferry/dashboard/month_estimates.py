"""Estimates of what a month costs, kept for some minutes, because an estimate on AWS needs many calls."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta

from nightferry.costs.estimate import Estimate, estimate_month
from nightferry.costs.fires import Month
from nightferry.costs.observations import Observations, observe
from nightferry.dashboard.site import Site

OBSERVED = timedelta(days=30)
_VALID = timedelta(minutes=10)
_MAX_SITES = 8

_observations: OrderedDict[tuple[int, str], Observations] = OrderedDict()
_lock = threading.Lock()  # one thread observes, the others wait for its result


def estimate(site: Site, month: Month) -> Estimate:
    """Return the estimate of a month, from what was observed at most ten minutes ago."""
    return estimate_month(site.catalog, site.environment, month, _observe(site, site.clock.now()))


def _observe(site: Site, now: datetime) -> Observations:
    key = (id(site), site.name)
    with _lock:
        known = _observations.get(key)
        if known is not None and now - known.until < _VALID:
            return known
        deployed = site.environment.backend == "aws"
        found = observe(site.backend, site.catalog, site.name, deployed, now - OBSERVED, now)
        _observations[key] = found
        _observations.move_to_end(key)
        while len(_observations) > _MAX_SITES:
            _observations.popitem(last=False)
        return found
