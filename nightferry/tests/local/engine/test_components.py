"""An error of the operating system in a part of the engine is a problem that is retried, and never the engine's end."""

from __future__ import annotations

import asyncio
import errno
import os

import pytest

from nightferry.local.engine import components as engine_components
from nightferry.local.engine.components import Components


class ObjectWatch:
    """A component that fails a number of times, and then runs."""

    def __init__(self, error: Exception, failures: int) -> None:
        self.error = error
        self.failures = failures
        self.runs = 0

    async def run(self) -> None:
        self.runs += 1
        if self.runs <= self.failures:
            raise self.error
        await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_components, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(engine_components, "_SUCCESS_SECONDS", 0.02)


def test_a_component_runs_again_after_an_error_of_the_system() -> None:
    async def scenario() -> None:
        watch = ObjectWatch(OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/home/jane"), failures=3)
        running = Components()
        running.start([watch])
        while watch.runs < 2:
            await asyncio.sleep(0.001)
        running.raise_errors()
        message = "The object watch failed: Too many open files. The engine retries every 0 seconds."
        assert running.problems == {"object watch": message}
        while running.problems:
            await asyncio.sleep(0.001)
        assert watch.runs == 4
        running.cancel()
        await running.wait()

    asyncio.run(scenario())


def test_another_error_of_a_component_ends_the_engine() -> None:
    async def scenario() -> None:
        running = Components()
        running.start([ObjectWatch(ValueError("a fault"), failures=1)])
        await running.wait()
        with pytest.raises(ValueError, match="a fault"):
            running.raise_errors()

    asyncio.run(scenario())
