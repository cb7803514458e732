"""Removal of old runs, log lines, executions, notifications, starts and actions, according to the engine's settings.

Records are removed in small batches with separate transactions, so that other writes do not wait. Open runs and
executions, and runs of retained executions, are never removed. Log lines may be removed earlier than their runs.
Removing a run or an execution removes all of its records.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from nightferry.environments.engine_settings import EngineSettings
from nightferry.local.store import Store, now
from nightferry.local.store.retrying import retry_while_locked

PRUNE_SECONDS = 600.0  # between two checks after everything due was removed
_PAUSE_SECONDS = 0.05  # between two batches
_VACUUM_PAGES = 500  # free pages that are returned to the file system after a batch

_log = logging.getLogger("nightferry.engine")


class Retention:
    """The component of the engine that prunes its store. ``clock`` returns the current time in UTC.

    ``remove_results`` removes the stored results of removed runs, and returns their number.
    """

    def __init__(
        self,
        store: Store,
        settings: EngineSettings,
        clock: Callable[[], datetime] = now,
        remove_results: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store = store
        self._remove_results = remove_results
        self._settings = settings
        self._clock = clock

    async def run(self) -> None:
        """Prune periodically until canceled."""
        while True:
            pruned = 0
            while batch := await retry_while_locked(self.prune):
                pruned += batch
                await asyncio.sleep(_PAUSE_SECONDS)
            results = await retry_while_locked(self.remove_results)
            if results:
                _log.info("%d results of removed runs were removed.", results, extra={"event": "pruned_results"})
            if pruned:
                _log.info("%d old records were removed.", pruned, extra={"event": "pruned", "records": pruned})
            await asyncio.sleep(PRUNE_SECONDS)

    def remove_results(self) -> int:
        """Remove the results of removed runs, and return their number. A file that cannot be removed is reported."""
        try:
            return self._remove_results()
        except OSError as error:
            _log.warning("Results of removed runs remain: %s.", error, extra={"event": "results_remain"})
            return 0

    def prune(self) -> int:
        """Remove one batch of the oldest expired records, and return their number."""
        settings, time = self._settings, self._clock()
        pruned = (
            self._store.prune_lines(time - settings.log_retention)
            or self._store.prune_executions(time - settings.retention, settings.keep_executions)
            or self._store.prune_runs(time - settings.retention, settings.keep_runs)
            or self._store.prune_notifications(time - settings.retention)
            or self._store.prune_starts(time - settings.retention)
            or self._store.prune_actions(time - settings.action_retention)
        )
        if pruned:
            self._store.vacuum(_VACUUM_PAGES)
        return pruned
