"""The engine: whoever holds the lock of a state directory works on all that is open there.

A command adds what it wants to the store and then either works itself, or, where another process holds the lock,
watches that one work. When that process ends (or is killed), the next one takes the lock and goes on. So two commands
at once get along, nothing is worked on twice, and nothing that was begun is forgotten.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sqlite3
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from longshore.catalog import Catalog
from longshore.environment import Environment
from longshore.local.executor import Executor
from longshore.local.launcher import Launcher
from longshore.local.services import Services
from longshore.local.store import RunRecord, Store, now

POLL = 0.1  # seconds between two looks at what other processes have written


@contextlib.contextmanager
def lock(state: Path) -> Iterator[bool]:
    """Try to become the engine of a state directory; True for the one that is. It ends with the process."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (state / "engine.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield True


def is_running(state: Path) -> bool:
    """Whether some process is the engine of this state directory."""
    file = state / "engine.lock"
    if not file.exists():
        return False
    with file.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


class Component(Protocol):
    """Something that the engine runs beside its work until it ends: a scheduler, a watcher of objects."""

    async def run(self) -> None:
        """Go on until cancelled. An error ends the engine: what is expected to go wrong is the component's to bear."""
        ...


class Engine:
    """Works on the open runs and executions of one state directory. Only the holder of its lock may.

    The ``components`` run beside that in the same event loop, and may use the engine's :attr:`store`
    between two awaits.
    """

    def __init__(self, catalog: Catalog, environment: Environment, state: Path, services: Services) -> None:
        self.store = self._store = Store(state / "engine.sqlite")
        self.components: Sequence[Component] = ()
        self._launcher = Launcher(self._store, catalog, environment, state, services, self._run_ended)
        self._catalog = catalog
        self._services = services
        self._executors: dict[str, Executor] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._told_to_stop: set[str] = set()

    async def work(self, until: Callable[[], bool] = lambda: False) -> None:
        """Work until nothing is open any more, and ``until`` has nothing against going (it is asked last).

        On cancellation and on errors of its own, tasks are killed and executions stay open for the next engine.
        """
        components = [asyncio.create_task(component.run()) for component in self.components]
        try:
            self._recover()
            while True:
                for component in components:
                    if component.done():
                        component.result()  # its error is the engine's
                self._take_up()
                self._pass_on_stops()
                self._reap()
                if not self._running and not self._store.open_runs() and not self._store.open_executions() and until():
                    return
                if dead := self._services.check():
                    self._note(f"Services started again: {', '.join(dead)}.")
                await self._wait()
        finally:
            self._launcher.kill_all()
            for task in (*self._running.values(), *components):
                task.cancel()
            await asyncio.gather(*self._running.values(), *components, return_exceptions=True)
            self._launcher.close()
            self._store.close()

    def _recover(self) -> None:
        """Settle what a killed engine left: runs whose process died, and runs that no execution waits for any more."""
        self._launcher.recover()
        open_ones = {execution.id for execution in self._store.open_executions()}
        for record in self._store.open_runs():
            if record.run.execution is not None and record.run.execution not in open_ones:
                self._store.run_stopped(record.run.id, None, "UserInitiated", "Its execution has ended.")

    async def _wait(self) -> None:
        """Until something of ours ends, or it is time to look for what others want."""
        if self._running:
            await asyncio.wait(self._running.values(), timeout=POLL, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(POLL)

    def _take_up(self) -> None:
        at_work: set[str] = set()
        for record in self._store.open_executions():  # the oldest first
            declared = self._catalog.workflows.get(record.workflow)
            if record.workflow in at_work and declared is not None and declared.overlap != "allow":
                continue  # its turn comes when the one before it has ended
            at_work.add(record.workflow)
            if record.id not in self._running:
                executor = Executor(self._store, record, self._launch, self._stop_run)
                self._executors[record.id] = executor
                self._running[record.id] = asyncio.create_task(executor.run())
        for run in self._store.open_runs():
            if run.run.status == "QUEUED" and run.run.id not in self._running:
                self._launch(run)

    def _launch(self, record: RunRecord) -> None:
        if record.run.id not in self._running:
            self._running[record.run.id] = asyncio.create_task(self._launcher.run(record))

    def _run_ended(self, record: RunRecord) -> None:
        if record.run.execution in self._executors:
            self._executors[record.run.execution].deliver(record)

    def _pass_on_stops(self) -> None:
        for id, reason in self._store.stops().items():
            if id in self._told_to_stop:
                continue
            self._told_to_stop.add(id)
            if id in self._executors:
                self._executors[id].abort(reason)
            elif (waiting := self._store.execution(id)) is not None:
                Executor(self._store, waiting, self._launch, self._stop_run).end(reason)
            else:
                self._stop_run(id, reason)

    def _stop_run(self, run: str, reason: str) -> None:
        if run in self._running:
            self._launcher.stop(run, reason)

    def _reap(self) -> None:
        for id in [id for id, task in self._running.items() if task.done()]:
            task = self._running.pop(id)
            executor = self._executors.pop(id, None)
            try:
                task.result()  # an error of the engine itself is to be seen
            except sqlite3.Error:
                raise  # without its store the engine can do nothing
            except Exception as error:
                if executor is None:
                    raise
                self._give_up(executor, error)

    def _give_up(self, executor: Executor, error: Exception) -> None:
        """End an execution that cannot be driven on: the others go on."""
        cause = executor.give_up(error)
        for record in self._store.open_runs():
            if record.run.execution != executor.id:
                continue
            if record.run.id in self._running:
                self._stop_run(record.run.id, cause)
            else:
                self._store.run_stopped(record.run.id, None, "UserInitiated", cause)
        places = "".join(traceback.format_tb(error.__traceback__))  # no values: they may be personal
        self._note(f"{now().isoformat(timespec='seconds')} {cause}\n{places}")

    def _note(self, text: str) -> None:
        with contextlib.suppress(OSError), self._store.file.with_name("engine.log").open("a") as log:
            log.write(text + "\n")
