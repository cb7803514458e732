"""The health of the engine: a list of current problems, which is empty if the engine is healthy."""

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

MAX_LAG_SECONDS = 5.0  # maximum delay of a scheduled start
_RESPONSE_SECONDS = 3.0  # maximum response time of a service


class Health:
    """Checks of the database and other services, the store, the disk and the scheduler."""

    def __init__(
        self,
        state: Path,
        settings: EngineSettings,
        store: Store,
        services: Services,
        scheduler: Scheduler,
        engine_problems: Callable[[], dict[str, str]],
        draining: Callable[[], bool],
    ) -> None:
        self._state = state
        self._settings = settings
        self._store = store
        self._services = services
        self._scheduler = scheduler
        self._engine_problems = engine_problems
        self._draining = draining

    async def find_problems(self) -> dict[str, str]:
        """Return the current problems by component. A check that the operating system refuses is a problem, too."""
        found = self._engine_problems()
        found |= {f"service {name}": problem for name, problem in self._services.problems.copy().items()}
        try:
            silent = await asyncio.wait_for(asyncio.to_thread(self._services.find_unresponsive), _RESPONSE_SECONDS)
        except TimeoutError:
            silent = ["services"]
        except OSError as error:
            silent = []
            found["services"] = f"The services cannot be checked: {error.strerror}."
        for name in silent:
            found.setdefault(f"service {name}", f"Service '{name}' does not respond.")
        if waits := retrying.wait_reason():
            found["store"] = waits
        else:
            try:
                self._store.has_open_work()
            except sqlite3.Error as error:
                found["store"] = f"Cannot read the store: {error}."
        if problem := self._check_disk():
            found["disk"] = problem
        if (behind := self._scheduler.overdue()) > MAX_LAG_SECONDS:
            found["scheduler"] = f"A scheduled start is {behind:.0f} s late."
        if self._draining():
            found["engine"] = "The engine is stopping; no new tasks start."
        return found

    def _check_disk(self) -> str | None:
        try:
            free = shutil.disk_usage(self._state).free / 1e6
        except OSError as error:
            return f"The free space of {self._state} cannot be read: {error.strerror}."
        required = self._settings.free_megabytes
        return (
            f"{self._state} has {free:.0f} MB of free space; {required} MB are required." if free < required else None
        )
