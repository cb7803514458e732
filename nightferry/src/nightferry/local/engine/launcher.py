"""The launcher: it runs tasks as child processes with the command and environment that ECS would pass to them.

The lifecycle of a run: queued → pending → process started → output stored line by line → process ended, on its own or
because of a limit → stopped. All of this happens in the engine's event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from nightferry.backend import request_checks
from nightferry.backend.runs import TaskRun
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Task
from nightferry.contract import EVENTS_VARIABLE, EXITED_REASON, ExitCode, StopCode
from nightferry.environments.environment import Environment
from nightferry.errors import NightferryError
from nightferry.job.supervision.processes import kill_below
from nightferry.local.engine.run_output import EngineEnd, Pipe, RunEvents, RunOutput
from nightferry.local.processes.limits import LimitMonitor, MonitoredTask, Processors
from nightferry.local.processes.processes import (
    Reaper,
    build_base_environment,
    build_supervised_command,
    kill_detached,
    kill_group,
    kill_orphans,
    read_creation_time,
    restrict,
)
from nightferry.local.runs.repeats import end_run
from nightferry.local.runs.variables import build_declared_variables, build_supplied_variables
from nightferry.local.services import secrets
from nightferry.local.services.services import Services
from nightferry.local.store import RunRecord, Store
from nightferry.local.store.retrying import retry_while_locked

STOP_GRACE_SECONDS = 30.0  # between SIGTERM and SIGKILL, the default of ECS
LIMIT_GRACE_SECONDS = 30.0  # after the time limit, for the job to end with exit code 124
_OUTPUT_GRACE_SECONDS = 2.0  # without output, between the end of a task and the end of its output
_LAST_OUTPUT_SECONDS = 600.0  # for the output of an ended task, while the store is locked or its disk is full

_log = logging.getLogger("nightferry.engine")


@dataclass(frozen=True)
class _Started:
    """The process of a run, with its pipes."""

    process: asyncio.subprocess.Process
    output: Pipe
    events: Pipe
    engine_end: EngineEnd


class Launcher:
    """A launcher and monitor of the processes of runs. ``ended`` is called with the record of each stopped run."""

    def __init__(
        self,
        store: Store,
        catalog: Catalog,
        environment: Environment,
        state: Path,
        services: Services,
        ended: Callable[[RunRecord], None],
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._environment = environment
        self._state = state
        self._services = services
        self._ended = ended
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._stopping: dict[str, str] = {}
        self._over_time: set[str] = set()
        self._reaper = Reaper()
        self._processors = Processors()
        self._limits = LimitMonitor(self._kill_over_memory, self._stop_over_time)

    @property
    def limit_problem(self) -> str | None:
        """Return why the limits of running tasks cannot be checked, or None."""
        return self._limits.problem

    def recover(self) -> None:
        """Record the runs of a killed engine as stopped, and kill their remaining processes."""
        for record in self._store.begun_runs():
            if record.pid is not None and record.pid_created is not None:
                kill_orphans(record.pid, record.pid_created)
                kill_detached(record.run.id)
            reason = "The engine stopped while the task ran."
            end_run(self._store, self._catalog, record.run.id, None, StopCode.TERMINATED, reason)

    async def run(self, record: RunRecord) -> None:
        """Run a pending run to its end."""
        run = record.run
        if reason := self._stopping.pop(run.id, None):
            await self._finish(run.id, None, StopCode.BY_USER, reason)
            return
        try:
            task = self._catalog.tasks[run.task]
            secret_values = secrets.read_values(
                self._state, {**self._catalog.secrets, **task.secrets}, f"task '{task.name}'"
            )
            if problem := request_checks.find_start_problem(task, record.environment, run.args):
                await retry_while_locked(lambda: self._store.add_lines([(run.id, problem)]))
                await self._finish(run.id, ExitCode.BAD_SETTINGS, StopCode.EXITED, EXITED_REASON)
                return
            processors = self._processors.assign(record.cpu or task.size.cpu)
            try:
                started = await self._start(record, task, secret_values, processors)
            except BaseException:
                self._processors.release(processors)
                raise
        except (NightferryError, KeyError, OSError, ValueError) as error:
            self._stopping.pop(run.id, None)
            await self._fail_start(record, error)
            return
        output = RunOutput(self._store, run.id, secrets.Mask(secret_values.values()))
        events = RunEvents(self._store, run.id)
        process = started.process
        try:
            code = await self._follow(record, task, started, output, events)
        finally:
            started.engine_end.close()
            kill_group(process.pid, 0)
            self._processors.release(processors)
            self._processes.pop(run.id, None)
            self._reaper.end(process.pid)
        stopped = self._stopping.pop(run.id, None)
        if skipped := events.skip_reason:
            _log.warning("Task '%s' was skipped: %s", run.task, skipped, extra={"event": "run_skipped", "id": run.id})
        if events.start_error:
            await self._fail_start(record, OSError(events.start_error, os.strerror(events.start_error)))
            return
        reason = stopped or skipped or EXITED_REASON
        over_time = run.id in self._over_time
        self._over_time.discard(run.id)
        by_user = stopped is not None and not over_time and not stopped.startswith("OutOfMemory")
        if over_time and code == ExitCode.STOPPED:
            code = ExitCode.TIME_LIMIT  # as of a job that ends itself
        await self._finish(run.id, code, StopCode.BY_USER if by_user else StopCode.EXITED, reason)

    async def _follow(
        self, record: RunRecord, task: Task, started: _Started, output: RunOutput, events: RunEvents
    ) -> int:
        """Store the output and monitor the limits until the process ends; return its code, 128 + n for signal n."""
        process = started.process
        self._processes[record.run.id] = process
        memory = (record.memory or task.size.memory) * 1024 * 1024
        deadline = time.monotonic() + task.time_limit.total_seconds() + LIMIT_GRACE_SECONDS
        self._limits.begin(record.run.id, MonitoredTask(process, memory, task.time_limit, deadline))
        storing: set[asyncio.Task[None]] = set()
        try:
            await retry_while_locked(
                lambda: self._store.mark_run_started(record.run.id, process.pid, read_creation_time(process.pid))
            )
            if record.run.id in self._stopping:  # The stop was requested during the start.
                self._signal_to_stop(process)
            storing = {
                asyncio.create_task(output.store(await started.output.open())),
                asyncio.create_task(events.store(await started.events.open())),
            }
            code = await process.wait()
            if code < 0:  # Its supervisor was killed, and ended nothing.
                kill_group(process.pid, 0)
                kill_detached(record.run.id)
            await _wait_for_output(storing, output)
            started.output.close()
            started.events.close()
            await asyncio.gather(*storing)
        finally:
            for one in storing:
                one.cancel()
            started.output.close()
            started.events.close()
            self._limits.end(record.run.id)
        return 128 - code if code < 0 else code

    def stop(self, run: str, reason: str) -> None:
        """Send SIGTERM, and SIGKILL after the grace period or on a second call. A run not started yet never starts."""
        process = self._processes.get(run)
        again = run in self._stopping
        self._stopping.setdefault(run, reason)
        if process is not None and again:
            self._kill(process)
        elif process is not None:
            self._signal_to_stop(process)

    def is_stopping(self, run: str) -> bool:
        """Return True if the run was requested to stop."""
        return run in self._stopping

    def close(self) -> None:
        """Kill all processes and end the reaper."""
        self.kill_all()
        self._reaper.close()

    def kill_all(self) -> None:
        """Kill all processes."""
        for process in self._processes.values():
            kill_below(process.pid)
            kill_group(process.pid, 0)

    async def _start(
        self, record: RunRecord, task: Task, secret_values: Mapping[str, str], processors: frozenset[int]
    ) -> _Started:
        environment = self._build_environment(record, task, secret_values)
        command = [*self._services.resolve(list(task.command)), *record.run.args]
        is_job = task.main is not None
        with contextlib.ExitStack() as opened:  # which closes the pipes if the process does not start
            opened.callback((output := Pipe()).close)
            opened.callback((events := Pipe()).close)
            opened.callback((engine_end := EngineEnd()).close)
            if is_job:
                environment[EVENTS_VARIABLE] = str(events.write)  # for the supervisor in the job's runtime
            else:
                command = build_supervised_command(events.write, processors, command)
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL if is_job else engine_end.read,
                stdout=output.write,
                stderr=asyncio.subprocess.STDOUT,  # one stream, as in CloudWatch
                env=environment,
                cwd=self._state,
                start_new_session=True,
                umask=0o077,  # what a job writes may be personal data
                pass_fds=(events.write,),  # no preexec_fn, with which this process would be copied at each start
            )
            self._reaper.begin(process.pid)
            if is_job and processors:
                restrict(process.pid, processors)
            opened.pop_all()
        return _Started(process, output, events, engine_end)

    def _build_environment(self, record: RunRecord, task: Task, secret_values: Mapping[str, str]) -> dict[str, str]:
        supplied = build_supplied_variables(
            self._catalog, self._environment.name, task, self._services.resolve, record.run.id
        )
        return {
            **build_base_environment(self._state),
            **build_declared_variables(self._catalog, task, self._services.resolve),
            **secret_values,
            **supplied,
            **record.environment,
        }

    async def _fail_start(self, record: RunRecord, error: Exception) -> None:
        run = record.run
        reason = str(error) if isinstance(error, NightferryError) else self._explain_failure(record, error)
        text = f"Task '{run.task}' could not be started. {reason}"
        await retry_while_locked(lambda: self._store.add_lines([(run.id, text)]))
        await self._finish(run.id, None, StopCode.NOT_STARTED, reason)

    def _explain_failure(self, record: RunRecord, error: Exception) -> str:
        if isinstance(error, KeyError):
            return (
                f"Task '{record.run.task}' is not in the catalog with which the engine started. If it was added since, "
                "restart the engine (Ctrl-C, then nightferry up) and start the task again. If it was removed or "
                "renamed, start the task that replaces it."
            )
        command = self._catalog.tasks[record.run.task].command
        missing = isinstance(error, FileNotFoundError)
        hint = " Check that the program is installed in this environment." if missing else ""
        return f"CannotStartContainerError: {command[0][:200]}: {getattr(error, 'strerror', None) or error}.{hint}"

    def _kill_over_memory(self, run: str, limit: int) -> None:
        self._stopping[run] = f"OutOfMemoryError: Container killed due to memory usage (limit {limit // 1024**2} MiB)"
        self._kill(self._processes[run])

    def _stop_over_time(self, run: str, limit: timedelta) -> None:
        if run not in self._stopping:  # A second stop would kill the process at once.
            self._over_time.add(run)
            self.stop(run, f"The task exceeded its time limit of {limit}.")

    def _signal_to_stop(self, process: asyncio.subprocess.Process) -> None:
        self._signal(process, signal.SIGTERM)
        asyncio.get_running_loop().call_later(STOP_GRACE_SECONDS, self._kill, process)

    @staticmethod
    def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

    def _kill(self, process: asyncio.subprocess.Process) -> None:
        """Kill the processes of a task, and soon afterwards its supervisor if it does not end with them."""
        if process.returncode is None:
            kill_below(process.pid)
            asyncio.get_running_loop().call_later(_OUTPUT_GRACE_SECONDS, self._signal, process, signal.SIGKILL)

    async def _finish(self, run: str, exit_code: int | None, stop_code: str, reason: str) -> None:
        again = await retry_while_locked(lambda: end_run(self._store, self._catalog, run, exit_code, stop_code, reason))
        record = self._store.run(run)
        assert record is not None
        if again is not None:
            _log_retry(again.run)
        self._ended(record)


def _log_retry(run: TaskRun) -> None:
    _log.warning(
        "Task '%s' failed. Attempt %d starts at %s as run %s.",
        run.task, run.attempt, f"{run.not_before:%Y-%m-%d %H:%M:%S} UTC", run.id,
        extra={"event": "retry", "id": run.id},
    )  # fmt: skip


async def _wait_for_output(storing: set[asyncio.Task[None]], output: RunOutput) -> None:
    """Wait until the pipes of an ended task are read. A process that could not be killed may keep one open."""
    end = time.monotonic() + _LAST_OUTPUT_SECONDS
    while (await asyncio.wait(storing, timeout=_OUTPUT_GRACE_SECONDS))[1] and time.monotonic() < end:
        if output.waiting_since is not None and time.monotonic() - output.waiting_since >= _OUTPUT_GRACE_SECONDS:
            return
