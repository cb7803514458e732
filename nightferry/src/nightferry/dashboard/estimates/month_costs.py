"""Estimates of what a month costs. An estimate on AWS needs many calls."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from nightferry.costs.estimate import Estimate, estimate_month
from nightferry.costs.fires import Month
from nightferry.costs.observations import Observations, observe
from nightferry.dashboard.site import Site

OBSERVED = timedelta(days=30)
_VALID = timedelta(minutes=10)


class MonthCosts:
    """The estimates of the months of a site, from what was observed at most ten minutes ago."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._observations: Observations | None = None
        self.observing = threading.Lock()
        """Held while a thread observes."""

    def estimate(self, month: Month) -> Estimate | None:
        """Return the estimate of a month.

        One thread observes at a time. Meanwhile the others return the estimate from what was observed before, or None,
        so that they stay free for other pages.
        """
        observed = self._observe(self._site.clock.now())
        return None if observed is None else estimate_month(self._site.catalog, self._site.environment, month, observed)

    def _observe(self, now: datetime) -> Observations | None:
        known, site = self._observations, self._site
        if known is not None and now - known.until < _VALID:
            return known
        if not self.observing.acquire(blocking=False):
            return known
        try:
            deployed = site.environment.backend == "aws"
            self._observations = observe(site.backend, site.catalog, site.name, deployed, now - OBSERVED, now)
            return self._observations
        finally:
            self.observing.release()
