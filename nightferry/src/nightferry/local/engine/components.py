"""The parts that an engine runs concurrently with its work, such as the scheduler and the object triggers.

The operating system may refuse a call at any time: no file descriptors, memory or processes are left, a folder is
unmounted, a disk fails. Such an error is a problem that ``/health`` reports. The component runs again soon after.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import Protocol

RETRY_SECONDS = 5.0  # between a failure of a component and its next attempt
_SUCCESS_SECONDS = 5.0  # without a failure, after which the problem is over; all components check more often or at once

_log = logging.getLogger("nightferry.engine")


class Component(Protocol):
    """A part that the engine runs concurrently with its work, such as the scheduler or the object triggers."""

    async def run(self) -> None:
        """Run until canceled. It is called again after an OSError. Any other exception ends the engine."""
        ...


class Components:
    """The running components of an engine. ``problems`` has a message for each that has just failed."""

    def __init__(self) -> None:
        self.problems: dict[str, str] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, components: Sequence[Component]) -> None:
        """Run the components in the event loop."""
        self._tasks += [asyncio.create_task(self._keep_running(component)) for component in components]

    def raise_errors(self) -> None:
        """Raise the exception of a component that has ended, which ends the engine."""
        for task in self._tasks:
            if task.done() and not task.cancelled():
                task.result()

    def cancel(self) -> None:
        """Request all components to end."""
        for task in self._tasks:
            task.cancel()

    async def wait(self) -> None:
        """Wait until all components have ended."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_running(self, component: Component) -> None:
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(component).__name__).lower()  # ObjectTriggers: object triggers
        success: asyncio.TimerHandle | None = None
        while True:
            try:
                await component.run()
                return
            except OSError as error:
                if success is not None:
                    success.cancel()
                self.problems[name] = describe_problem(f"The {name} failed", error)
                _log.error("%s", self.problems[name], extra={"event": "component_failed", "component": name})
            await asyncio.sleep(RETRY_SECONDS)
            success = asyncio.get_running_loop().call_later(_SUCCESS_SECONDS, self.problems.pop, name, None)


def describe_problem(what: str, error: OSError) -> str:
    """Return a message about an error of the operating system. It has no path, which may be personal data."""
    return f"{what}: {error.strerror or type(error).__name__}. The engine retries every {RETRY_SECONDS:.0f} seconds."
