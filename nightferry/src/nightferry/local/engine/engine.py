"""The engine: the process that holds a state directory's lock and runs all open runs and executions in it.

A command adds its requests to the store. Then it takes the lock and becomes the engine, or, if another process holds
the lock, it watches that engine. When an engine ends or is killed, the next process takes the lock and resumes its
work. So commands can run concurrently, nothing runs twice, and nothing that has started is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nightferry.catalog.catalog import Catalog
from nightferry.contract import StopCode
from nightferry.environments.environment import Environment
from nightferry.environments.private_paths import open_private
from nightferry.local.engine.components import Component, Components
from nightferry.local.engine.executor import Executor, abort_execution
from nightferry.local.engine.failure_notices import FailureNotices
from nightferry.local.engine.launcher import Launcher
from nightferry.local.integrations import Integrations
from nightferry.local.runs.admission import Admission, ExecutionAdmission
from nightferry.local.runs.repeats import end_run
from nightferry.local.services.service_watch import ServiceWatch
from nightferry.local.services.services import Services
from nightferry.local.store import RunRecord, Store, now
from nightferry.local.store.retrying import retry_while_locked

POLL_SECONDS = 0.1  # between two checks for writes by other processes
_STARTING_SECONDS = 0.05  # after which a poll leaves further starts to the next one, however many are queued
_THREADS = 16  # that compute steps; with more, the event loop would wait longer for the interpreter's lock
_BUSY_TIMEOUT_SECONDS = 0.2  # maximum time that a write blocks the engine while another process writes

_log = logging.getLogger("nightferry.engine")


class Engine:
    """The engine of one state directory. Only the holder of the directory's lock may create it.

    The ``components`` run in the same event loop and may use the engine's :attr:`store` between two awaits.
    """

    def __init__(self, catalog: Catalog, environment: Environment, state: Path, services: Services) -> None:
        self.store = self._store = Store(state / "engine.sqlite", busy_timeout=_BUSY_TIMEOUT_SECONDS)
        self.components: Sequence[Component] = ()
        self._running_components = Components()
        self._service_watch = Components()
        self.launcher = self._launcher = Launcher(self.store, catalog, environment, state, services, self._run_ended)
        self._admission = Admission(self.store, catalog, environment.engine.concurrency)
        self._execution_admission = ExecutionAdmission(self.store, catalog, environment.engine.executions)
        self._resources = Integrations(
            self.store, catalog, state, resolve=services.resolve, launch=self._launch, stop=self._stop_run
        )
        self.notices = FailureNotices(self.store, catalog, services.resolve)
        self._catalog = catalog
        self._services = services
        self._executors: dict[str, Executor] = {}
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="execution")
        self._saving = asyncio.Lock()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ended: deque[str] = deque()
        self._forwarded_stops: set[str] = set()
        self._wake = asyncio.Event()
        self._draining = False
        self.run_ended: Callable[[RunRecord], None] = lambda _: None
        """Called with the record of each stopped run."""

    async def work(self, until: Callable[[], bool] = lambda: False) -> None:
        """Run until nothing is open and ``until`` returns True; after :meth:`drain`, until no task is running.

        On cancellation and on internal errors, kill the tasks and leave executions open for the next engine.
        """
        self._service_watch.start([ServiceWatch(self._services)])
        self._running_components.start(self.components)
        try:
            await retry_while_locked(self._recover)
            while True:
                self._service_watch.raise_errors()
                self._running_components.raise_errors()
                await retry_while_locked(self._poll)
                if self._draining and not self._admission.active:
                    return
                if not self._draining and not self._running and not self._store.has_open_work() and until():
                    return
                await self._wait()
        finally:
            self._launcher.kill_all()
            for task in self._running.values():
                task.cancel()
            self._running_components.cancel()
            self._service_watch.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            await self._running_components.wait()
            await self._service_watch.wait()
            await self._resources.close()
            self._threads.shutdown(wait=False, cancel_futures=True)
            self._launcher.close()
            self._store.close()

    def drain(self) -> None:
        """End the components and start nothing more. Running tasks continue; queued runs wait for the next engine."""
        self._draining = True
        self._running_components.cancel()
        self._wake.set()

    def stop_tasks(self, reason: str) -> None:
        """Stop all running tasks."""
        for run in [id for id in self._running if id not in self._executors]:
            self._launcher.stop(run, reason)

    def find_problems(self) -> dict[str, str]:
        """Return the problems of the engine's parts that the operating system causes, by part."""
        limits = self._launcher.limit_problem
        parts = self._service_watch.problems | self._running_components.problems
        return parts if limits is None else parts | {"limits": limits}

    def count_running(self) -> int:
        """Return the number of running tasks."""
        return self._admission.active

    def _recover(self) -> None:
        """Clean up after a killed engine: stop its runs, and runs and executions whose parent has ended."""
        self._launcher.recover()
        self._store.mark_executions_waiting()
        for id in self._store.abandoned_runs():
            self._store.mark_run_stopped(id, None, StopCode.BY_USER, "The run's execution has ended.")
        for orphan in self._store.open_orphans():
            self._store.request_stop(orphan.id, "The execution that waited for it has ended.")

    async def _wait(self) -> None:
        """Wait for an internal event or for the next check of the store."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), POLL_SECONDS)
        self._wake.clear()

    def _poll(self) -> None:
        """Process ended work, stop requests and queued work. The method is repeated if the store cannot be written."""
        self._reap()
        self._forward_stops()
        self.notices.add_due()
        if not self._draining:
            self._start_ready()

    def _start_ready(self) -> None:
        end = time.monotonic() + _STARTING_SECONDS
        for record in self._execution_admission.admit():
            self._executors[record.id] = executor = Executor(
                self._store, record, self._resources, self._threads, self._catalog.privacy, self._saving
            )
            self._begin(record.id, executor.run())
            if time.monotonic() > end:
                self._wake.set()
                break
        for run in self._admission.admit():
            self._begin(run.run.id, self._launcher.run(run))
            if time.monotonic() > end:
                self._wake.set()
                break

    def _begin(self, id: str, work: Coroutine[Any, Any, None]) -> None:
        self._running[id] = task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._note_end(id))

    def _note_end(self, id: str) -> None:
        self._ended.append(id)
        self._wake.set()

    def _launch(self, _: RunRecord) -> None:
        """Wake the engine, which starts the recorded run as soon as the limits allow."""
        self._wake.set()

    def _run_ended(self, record: RunRecord) -> None:
        self.run_ended(record)
        if record.run.execution in self._executors:
            self._executors[record.run.execution].deliver(record)

    def _forward_stops(self) -> None:
        stops = self._store.stop_requests()
        self._forwarded_stops &= stops.keys()
        for id, reason in stops.items():
            if id in self._forwarded_stops:
                continue
            if id in self._executors:
                self._executors[id].abort(reason)
            elif (waiting := self._store.execution(id)) is not None:
                abort_execution(self._store, waiting, reason, self._catalog.privacy)
            elif id in self._running:
                self._launcher.stop(id, reason)
            else:
                self._cancel_pending(id, reason)
            self._forwarded_stops.add(id)

    def _stop_run(self, run: str, reason: str) -> None:
        """Stop a run on behalf of its execution, which may request it twice: a second stop would kill the job."""
        if run in self._running:
            if not self._launcher.is_stopping(run):
                self._launcher.stop(run, reason)
        else:
            self._cancel_pending(run, reason)

    def _cancel_pending(self, run: str, reason: str) -> None:
        self._store.mark_run_stopped(run, None, StopCode.BY_USER, reason)
        record = self._store.run(run)
        assert record is not None
        self._run_ended(record)

    def _reap(self) -> None:
        while self._ended:
            id = self._ended.popleft()
            task = self._running.pop(id)
            self._admission.release(id)
            self._execution_admission.release(id)
            executor = self._executors.pop(id, None)
            try:
                task.result()  # Raise internal errors of the engine.
            except sqlite3.Error:
                raise  # The engine cannot work without its store.
            except OSError as error:
                if executor is None:
                    self._end_unmonitored(id, error)
                else:
                    self._fail_execution(executor, error)
            except Exception as error:
                if executor is None:
                    raise
                self._fail_execution(executor, error)

    def _end_unmonitored(self, run: str, error: OSError) -> None:
        """Record the end of a run whose processes were killed, because the operating system refused a call for it."""
        reason = f"The engine could not monitor the task: {error.strerror or type(error).__name__}."
        _log.error("%s", reason, extra={"event": "run_unmonitored", "id": run})
        end_run(self._store, self._catalog, run, None, StopCode.TERMINATED, reason)
        if (record := self._store.run(run)) is not None:
            self._run_ended(record)

    def _fail_execution(self, executor: Executor, error: Exception) -> None:
        """Fail an execution that cannot continue because of an internal error. Other executions continue."""
        cause = executor.mark_failed(error)
        for record in self._store.open_runs_in(executor.id):
            self._stop_run(record.run.id, cause)
        places = "".join(traceback.format_tb(error.__traceback__))  # without values, which may be personal data
        _log.error("%s", cause, extra={"event": "gave_up", "execution": executor.id})
        with contextlib.suppress(OSError), open_private(self._store.file.with_name("engine.log"), "a") as log:
            log.write(f"{now().isoformat(timespec='seconds')} {cause}\n{places}\n")
