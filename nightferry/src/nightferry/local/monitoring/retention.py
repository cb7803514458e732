"""What has ended does not stay for ever: runs, their lines, executions, notifications and starts are pruned by setting.

A few at a time, in transactions of their own, so that nobody waits for it. What is open is never touched, nor a run
whose execution stays. Logs go first, by themselves; a run or an execution takes all that is its own with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime

from nightferry.environments.engine_settings import EngineSettings
from nightferry.local.store import Store, now
from nightferry.local.store.retrying import retry_while_locked

PRUNE_SECONDS = 600.0  # seconds between two looks when there is nothing more to prune
_PAUSE_SECONDS = 0.05  # seconds between two batches
_VACUUM_PAGES = 500  # of the file that are given back to the disk after a batch

_log = logging.getLogger("nightferry.engine")


class Retention:
    """A component of the engine that prunes its store. ``clock`` answers the time, in UTC."""

    def __init__(self, store: Store, settings: EngineSettings, clock: Callable[[], datetime] = now) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock

    async def run(self) -> None:
        """Prune, for ever."""
        while True:
            pruned = 0
            while batch := await retry_while_locked(self.prune):
                pruned += batch
                await asyncio.sleep(_PAUSE_SECONDS)
            if pruned:
                _log.info("%d old records were removed.", pruned, extra={"event": "pruned", "records": pruned})
            await asyncio.sleep(PRUNE_SECONDS)

    def prune(self) -> int:
        """Remove one batch of what is due to go, the oldest first, and answer how much that was."""
        settings, time = self._settings, self._clock()
        pruned = (
            self._store.prune_lines(time - settings.keep_logs)
            or self._store.prune_executions(time - settings.keep, settings.keep_executions)
            or self._store.prune_runs(time - settings.keep, settings.keep_runs)
            or self._store.prune_notifications(time - settings.keep)
            or self._store.prune_starts(time - settings.keep)
        )
        if pruned:
            self._store.vacuum(_VACUUM_PAGES)
        return pruned
