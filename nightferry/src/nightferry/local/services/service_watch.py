"""The component of the engine that restarts services that have ended.

A start may take many seconds, so it happens in the services' own thread and does not block the engine.
"""

from __future__ import annotations

import asyncio
import logging

from nightferry.local.services.services import CHECK_SECONDS, Services

_log = logging.getLogger("nightferry.engine")


class ServiceWatch:
    """The component of the engine that restarts services."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def run(self) -> None:
        """Check the services periodically until canceled."""
        while True:
            restarted = await asyncio.get_running_loop().run_in_executor(self._services.thread, self._services.check)
            for name in restarted:
                _log.warning("Service '%s' ended and was restarted.", name, extra={"event": "service_revived"})
            await asyncio.sleep(CHECK_SECONDS)
