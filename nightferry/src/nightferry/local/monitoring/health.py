"""What is wrong with the engine now, in sentences; nothing wrong is healthy."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from nightferry.environments.engine_settings import EngineSettings
from nightferry.local.services.services import Services
from nightferry.local.store import Store, retrying
from nightferry.local.triggers.scheduler import Scheduler

MAX_LAG_SECONDS = 5.0  # seconds that a schedule's start may be behind
_RESPONSE_SECONDS = 3.0  # seconds that a service has to answer


class Health:
    """Looks at the database and other services, the store, the disk and the scheduler."""

    def __init__(
        self,
        state: Path,
        settings: EngineSettings,
        store: Store,
        services: Services,
        scheduler: Scheduler,
        draining: Callable[[], bool],
    ) -> None:
        self._state = state
        self._settings = settings
        self._store = store
        self._services = services
        self._scheduler = scheduler
        self._draining = draining

    async def problems(self) -> dict[str, str]:
        """What is wrong, by the part that it is wrong with."""
        found = {f"service {name}": problem for name, problem in self._services.problems.copy().items()}
        try:
            silent = await asyncio.wait_for(asyncio.to_thread(self._services.find_unresponsive), _RESPONSE_SECONDS)
        except TimeoutError:
            silent = ["services"]
        for name in silent:
            found.setdefault(f"service {name}", f"'{name}' does not answer.")
        if waits := retrying.wait_reason():
            found["store"] = waits
        else:
            try:
                self._store.has_open_work()
            except sqlite3.Error as error:
                found["store"] = f"The store cannot be read: {error}."
        free = shutil.disk_usage(self._state).free / 1e6
        if free < self._settings.free_megabytes:
            found["disk"] = (
                f"{self._state} has {free:.0f} MB left; below {self._settings.free_megabytes} is too little."
            )
        if (behind := self._scheduler.overdue()) > MAX_LAG_SECONDS:
            found["scheduler"] = f"A schedule's start is {behind:.0f} s behind."
        if self._draining():
            found["engine"] = "It is being stopped: nothing starts any more."
        return found
