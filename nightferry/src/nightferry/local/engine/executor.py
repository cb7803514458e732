"""Durable execution of workflows: the state machine interpreter with a stored history.

::

    outcome of a task    ─┐
    a time that is due    ├─► machine.advance ─► events ─► store (one transaction) ─► commands ─► launcher, topics
    the history (start)  ─┘

The machine is restored and advanced in a thread, because the expressions of a definition may need seconds, and no
data may block the engine's loop. The events of a step are in the store before any of its commands is executed. So the
next engine finds in the history all commands of a killed engine, and in the runs, by their tokens, the results.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from nightferry.backend.executions import WorkflowExecution
from nightferry.contract import Privacy
from nightferry.errors import NightferryError
from nightferry.job.redaction import Redactor
from nightferry.local.engine.bucket_folders import BucketFolders
from nightferry.local.integrations import Integrations, ResourceCall, build_task_outcome
from nightferry.local.runs import arns
from nightferry.local.store import RunRecord, Store, now
from nightferry.local.store.retrying import retry_while_locked
from nightferry.states.language.resources import RUN_TASK
from nightferry.states.machine.commands import CancelTask, Command, Outcome, ReadItems, StartTask, WriteResults
from nightferry.states.machine.context import ContextInfo
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.interpreter import Execution, PendingTask, Step
from nightferry.states.machine.items import execute_command

_Value = TypeVar("_Value")

_SLICE_SECONDS = 0.2  # of computing, after which the events so far are stored, and stop requests are handled
_POLL_SECONDS = 5.0  # between two reads of the clock while an execution waits for a time


class Executor:
    """The executor of one execution. ``resources`` runs its tasks; ``threads`` compute its steps.

    All executors share the lock ``saving``. It lets one step be stored in each iteration of the event loop, so that the
    commits of a thousand executions do not delay a scheduled start or a response.
    """

    def __init__(
        self,
        store: Store,
        record: WorkflowExecution,
        resources: Integrations,
        threads: ThreadPoolExecutor,
        privacy: Privacy,
        saving: asyncio.Lock,
    ) -> None:
        self._store = store
        self._record = record
        self._resources = resources
        self._threads = threads
        self._privacy = privacy
        self._saving = saving
        self._inbox: asyncio.Queue[tuple[str, Outcome] | str] = asyncio.Queue()
        self._written = 0

    @property
    def id(self) -> str:
        """Return the ID of the execution."""
        return self._record.id

    def deliver(self, run: RunRecord) -> None:
        """Deliver the outcome of a run of this execution."""
        if run.token is not None:
            self._inbox.put_nowait((run.token, build_task_outcome(run)))

    def abort(self, reason: str) -> None:
        """Stop the execution and its tasks."""
        self._inbox.put_nowait(reason)

    async def run(self) -> None:
        """Run the execution from its recorded state to its end."""
        machine = await self._restore()
        if self._written:
            self._stop_stale_work(machine)
            for pending in machine.pending_tasks:
                await self._resume(pending)
        while True:
            await self._step(machine)
            if machine.ended:
                return
            await self._wait(machine)

    async def _restore(self) -> Execution:
        history = self._store.events(self.id)
        self._written = len(history)
        machine = await self._compute(_build_machine, self._record, self._store.definition(self.id), history)
        machine.forget_history()
        return machine

    def mark_failed(self, error: Exception) -> str:
        """Record the execution as failed because of an internal error, and return the cause."""
        cause = (
            f"The engine cannot continue execution {self.id}. {format_error(error, self._privacy)} "
            f"Start the workflow again: nightferry start {self._record.workflow}."
        )
        self._store.mark_execution_ended(self.id, "FAILED", None, "States.Runtime", cause)
        for child in self._store.open_children(self.id).values():
            self._store.request_stop(child.id, cause)
        return cause

    async def _step(self, machine: Execution) -> None:
        """Advance the machine, record the events, then execute the commands."""
        step = await self._compute(_compute_step, machine)
        if step.events:
            async with self._saving:
                await retry_while_locked(lambda: save_step(self._store, self.id, self._written, machine, step))
                await asyncio.sleep(0)
            self._written += len(step.events)
            machine.forget_history()
        for command in step.commands:
            await self._execute(command)

    async def _compute(self, function: Callable[..., _Value], *args: object) -> _Value:
        """Call a function in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *args)

    async def _wait(self, machine: Execution) -> None:
        """Wait for an outcome or for the machine's next wake-up time, then deliver all outcomes received."""
        wakeup = machine.next_wakeup
        while self._inbox.empty():  # wait_for receives nothing if no time is left
            timeout = None if wakeup is None else max(0.0, (wakeup - now()).total_seconds())
            try:  # Timers stop while the computer sleeps, so the clock is read periodically.
                item = await asyncio.wait_for(
                    self._inbox.get(), None if timeout is None else min(timeout, _POLL_SECONDS)
                )
            except TimeoutError:
                if timeout is not None and timeout <= _POLL_SECONDS:
                    return
            else:
                self._deliver(machine, item)
                break
        while not self._inbox.empty():
            self._deliver(machine, self._inbox.get_nowait())

    def _deliver(self, machine: Execution, item: tuple[str, Outcome] | str) -> None:
        if isinstance(item, str):
            machine.abort("ExecutionAborted", item, now())
        else:
            machine.deliver(item[0], item[1], now())

    async def _execute(self, command: Command) -> None:
        match command:
            case StartTask():
                await self._begin(command)
            case CancelTask():
                self._resources.cancel(command.resource, command.token, command.reason)
            case ReadItems() | WriteResults():
                buckets = BucketFolders(self._store.file.parent / "buckets")
                outcome = await self._compute(execute_command, command, buckets)
                self._inbox.put_nowait((command.token, outcome))

    def _stop_stale_work(self, machine: Execution) -> None:
        """After a restart, stop runs and executions that no state waits for, because the engine died before it did."""
        awaited = {pending.token for pending in machine.pending_tasks}
        for record in self._store.open_runs_in(self.id):
            if record.token not in awaited:
                self._resources.cancel(RUN_TASK, record.token or "", "The execution no longer waits for its result.")
        for token, child in self._store.open_children(self.id).items():
            if token not in awaited:
                self._store.request_stop(child.id, "The execution no longer waits for its result.")

    async def _resume(self, pending: PendingTask) -> None:
        """After a restart, resume a task that has no end in the history."""
        await self._begin(pending.command, started=pending.started, submitted=pending.submitted is not None)

    async def _begin(self, command: StartTask, *, started: bool = False, submitted: bool = False) -> None:
        await self._resources.begin(ResourceCall(command, self.id, self._put_outcome, started, submitted))

    def _put_outcome(self, token: str, outcome: Outcome) -> None:
        self._inbox.put_nowait((token, outcome))


def _compute_step(machine: Execution) -> Step:
    end = time.monotonic() + _SLICE_SECONDS
    return machine.advance(now(), interrupted=lambda: time.monotonic() > end)


def abort_execution(store: Store, record: WorkflowExecution, reason: str, privacy: Privacy) -> dict[str, str]:
    """Abort an execution and its open children if no engine is running them; return the reasons by ID."""
    try:
        machine, written = restore_machine(store, record)
        machine.abort("ExecutionAborted", reason, now())
        save_step(store, record.id, written, machine, machine.advance(now()))
    except sqlite3.Error:
        raise
    except Exception as error:
        cause = f"{reason} (The engine could not record the abort in the history. {format_error(error, privacy)})"
        store.mark_execution_ended(record.id, "ABORTED", None, "ExecutionAborted", cause)
    ended = {record.id: reason}
    for child in store.open_children(record.id).values():
        ended |= abort_execution(store, child, f"Execution {record.id}, which waited for it, was stopped.", privacy)
    return ended


def restore_machine(store: Store, record: WorkflowExecution) -> tuple[Execution, int]:
    """Return the machine in the state that its history has reached, and the number of recorded events."""
    history = store.events(record.id)
    return _build_machine(record, store.definition(record.id), history), len(history)


def _build_machine(record: WorkflowExecution, definition: Mapping[str, Any], history: list[HistoryEvent]) -> Execution:
    info = ContextInfo(
        execution_id=arns.make_execution_arn(record.workflow, record.id),
        execution_name=record.id,
        role_arn=arns.make_role_arn(record.workflow),
        state_machine_id=arns.make_state_machine_arn(record.workflow),
        state_machine_name=record.workflow,
        start_time=record.started_at,
    )
    if history:
        return Execution.replay(definition, history, context=info)
    return Execution.start(definition, record.input, context=info, now=now())


def save_step(store: Store, id: str, written: int, machine: Execution, step: Step) -> None:
    """Record the events of a step, and the end of the execution if the step ended it."""
    with store.transaction():
        store.add_events(id, written, step.events)
        if machine.ended:
            store.mark_execution_ended(id, machine.status, machine.output, machine.error, machine.cause)


def format_error(error: Exception, privacy: Privacy) -> str:
    """Return an error's message; for errors not written for users, its type with what the policy shows of it."""
    return (
        str(error) if isinstance(error, NightferryError) else f"{Redactor(privacy).describe_error(error, short=True)}."
    )
