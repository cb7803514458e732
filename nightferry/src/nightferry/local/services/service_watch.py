"""Services that die are started again, beside the engine's work.

A start may take many seconds, so it happens in a thread of the services' own: nothing else waits for it.
"""

from __future__ import annotations

import asyncio
import logging

from nightferry.local.services.services import CHECK_SECONDS, Services

_log = logging.getLogger("nightferry.engine")


class ServiceWatch:
    """A component of the engine that looks after services."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self) -> None:
        """Look at the services from time to time, for ever."""
        while True:
            restarted = await asyncio.get_running_loop().run_in_executor(self._services.thread, self._services.check)
            for name in restarted:
                _log.warning("Service '%s' had ended. It runs again.", name, extra={"event": "service_revived"})
            await asyncio.sleep(CHECK_SECONDS)
