"""Executions: the pure machine, driven durably.

::

    what came of a task ─┐
    a time that came     ├─► machine.advance ─► events ─► store (one transaction) ─► commands ─► launcher, topics
    the history (start)  ┘

The events of a step are in the store before any of its commands is carried out. So a killed engine finds in the
history all that it had asked for, and in the runs, by their tokens, what became of it.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from longshore.backend import Execution as ExecutionRecord
from longshore.errors import LongshoreError
from longshore.local.objects import BucketFolders
from longshore.local.patience import patiently
from longshore.local.store import RunRecord, Store, now
from longshore.states.builder import PUBLISH, RUN_TASK
from longshore.states.commands import (
    CancelTask,
    Command,
    Outcome,
    ReadItems,
    StartTask,
    TaskFailed,
    TaskStarted,
    TaskSubmitted,
    TaskSucceeded,
    WriteResults,
)
from longshore.states.context import ContextInfo
from longshore.states.interpreter import Execution, PendingTask, Step
from longshore.states.items import carry_out

RUN_TASK_ONLY = RUN_TASK.removesuffix(".sync")
ACCOUNT = "000000000000"


def arn(workflow: str, execution: str) -> str:
    """An execution's id in the shape of Step Functions."""
    return f"arn:aws:states:local:{ACCOUNT}:execution:{workflow}:{execution}"


class Executor:
    """One execution. ``launch`` is called with a run that was written down; ``stop`` with one that is to stop."""

    def __init__(
        self,
        store: Store,
        record: ExecutionRecord,
        launch: Callable[[RunRecord], None],
        stop: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._record = record
        self._launch = launch
        self._stop = stop
        self._inbox: asyncio.Queue[tuple[str, Outcome] | str] = asyncio.Queue()
        self._written = 0

    @property
    def id(self) -> str:
        return self._record.id

    def deliver(self, run: RunRecord) -> None:
        """A run of this execution has ended."""
        if run.token is not None:
            self._inbox.put_nowait((run.token, outcome_of(run)))

    def abort(self, reason: str) -> None:
        """Stop the execution and its tasks."""
        self._inbox.put_nowait(reason)

    async def run(self) -> None:
        """Drive the execution to its end, from wherever its history says that it is."""
        machine = self._read_back()
        if self._written:
            self._stop_forgotten(machine)
            for pending in machine.pending_tasks:
                await self._go_on(pending)
        while True:
            await self._step(machine)
            if machine.ended:
                return
            await self._wait(machine)

    def end(self, reason: str) -> None:
        """Abort the execution at once, where no engine works on it that could do so."""
        try:
            machine = self._read_back()
            machine.abort("ExecutionAborted", reason, now())
            self._write_down(machine, machine.advance(now()))
        except sqlite3.Error:
            raise
        except Exception as error:
            cause = f"{reason} (The engine could not write its history's end. {in_words(error)})"
            self._store.execution_ended(self.id, "ABORTED", None, "ExecutionAborted", cause)

    def give_up(self, error: Exception) -> str:
        """Write down as failed what ``error`` keeps from being driven on; the answer is the cause."""
        cause = (
            f"The engine cannot go on with execution {self.id}. {in_words(error)} "
            f"Start it anew: longshore start {self._record.workflow}."
        )
        self._store.execution_ended(self.id, "FAILED", None, "States.Runtime", cause)
        return cause

    def _read_back(self) -> Execution:
        """The machine where its history says that it is, or at its start."""
        history = self._store.events(self.id)
        info = ContextInfo(
            execution_id=arn(self._record.workflow, self.id),
            execution_name=self.id,
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/{self._record.workflow}",
            state_machine_id=f"arn:aws:states:local:{ACCOUNT}:stateMachine:{self._record.workflow}",
            state_machine_name=self._record.workflow,
            start_time=self._record.started_at,
        )
        definition = self._store.definition(self.id)
        self._written = len(history)
        if history:
            return Execution.replay(definition, history, context=info)
        return Execution.start(definition, self._record.input, context=info, now=now())

    async def _step(self, machine: Execution) -> None:
        """Advance, write down, then act."""
        step = machine.advance(now())
        if step.events:
            await patiently(lambda: self._write_down(machine, step))
            self._written += len(step.events)
        for command in step.commands:
            await self._carry_out(command)

    def _write_down(self, machine: Execution, step: Step) -> None:
        with self._store.transaction():
            self._store.add_events(self.id, self._written, step.events)
            if machine.ended:
                self._store.execution_ended(self.id, machine.status, machine.output, machine.error, machine.cause)

    async def _wait(self, machine: Execution) -> None:
        """Wait for an outcome or for the next time that matters, and deliver all that has come."""
        wakeup = machine.next_wakeup
        timeout = None if wakeup is None else max(0.0, (wakeup - now()).total_seconds())
        try:
            item = await asyncio.wait_for(self._inbox.get(), timeout)
        except TimeoutError:
            return
        while True:
            if isinstance(item, str):
                machine.abort("ExecutionAborted", item, now())
            else:
                machine.deliver(item[0], item[1], now())
            if self._inbox.empty():
                return
            item = self._inbox.get_nowait()

    async def _carry_out(self, command: Command) -> None:
        match command:
            case StartTask():
                await self._begin(command)
            case CancelTask():
                run = self._store.run_of_token(command.token)
                if run is not None:
                    self._stop(run.run.id, command.reason)
            case ReadItems() | WriteResults():
                buckets = BucketFolders(self._store.file.parent / "buckets")
                self._inbox.put_nowait((command.token, carry_out(command, buckets)))

    def _stop_forgotten(self, machine: Execution) -> None:
        """After a restart: a run that was to be cancelled when the engine died is not started any more."""
        awaited = {pending.token for pending in machine.pending_tasks}
        for record in self._store.open_runs():
            if record.run.execution == self.id and record.token not in awaited:
                self._stop(record.run.id, "Nobody waits for its result any more.")

    async def _go_on(self, pending: PendingTask) -> None:
        """After a restart: take up a task whose end is not in the history."""
        run = self._store.run_of_token(pending.token)
        if run is None:
            await self._begin(pending.command, started=pending.started)
            return
        self._tell_submitted(pending.command, run, pending.started, pending.submitted is not None)
        if run.run.status == "STOPPED":
            self.deliver(run)

    async def _begin(self, command: StartTask, *, started: bool = False) -> None:
        parameters = command.parameters
        if not isinstance(parameters, dict):
            reason = f"The parameters of {command.resource} are not an object."
            self._inbox.put_nowait((command.token, TaskFailed("States.Runtime", reason, "Start")))
            return
        match command.resource:
            case res if res in (RUN_TASK, RUN_TASK_ONLY):
                if problem := override_problem(parameters):
                    self._inbox.put_nowait((command.token, TaskFailed("States.Runtime", problem, "Start")))
                    return
                run = uuid.uuid4().hex
                await patiently(lambda: self._add_run(run, command.token, parameters))
                record = self._store.run(run)
                assert record is not None
                self._launch(record)
                self._tell_submitted(command, record, started, submitted=False)
            case res if res == PUBLISH:
                await patiently(lambda: self._publish(command.token, parameters))
                if not started:
                    self._inbox.put_nowait((command.token, TaskStarted()))
                self._inbox.put_nowait((command.token, TaskSucceeded({"MessageId": str(uuid.uuid4())})))
            case _:
                reason = f"The embedded engine has nothing for the resource {command.resource}."
                self._inbox.put_nowait((command.token, TaskFailed("States.Runtime", reason, "Start")))

    def _tell_submitted(self, command: StartTask, record: RunRecord, started: bool, submitted: bool) -> None:
        """What the history has between a task's begin and its end, unless it has it already."""
        answer = {"Tasks": [described(record)], "Failures": []}
        if not started:
            self._inbox.put_nowait((command.token, TaskStarted()))
        if command.resource == RUN_TASK_ONLY:
            self._inbox.put_nowait((command.token, TaskSucceeded(answer)))
        elif not submitted:
            self._inbox.put_nowait((command.token, TaskSubmitted(answer)))

    def _add_run(self, id: str, token: str, parameters: dict[str, Any]) -> None:
        task = str(parameters.get("TaskDefinition", "")).rpartition("/")[2].partition(":")[0]
        overrides = parameters.get("Overrides", {})
        container: dict[str, Any] = next(iter(overrides.get("ContainerOverrides", [])), {})
        with self._store.unhurried():  # the commit that comes before the process starts makes it durable
            self._store.add_run(
                id,
                task,
                container.get("Command", []),
                {item["Name"]: item["Value"] for item in container.get("Environment", [])},
                cpu=_number(overrides.get("Cpu")),
                memory=_number(overrides.get("Memory")),
                started_by="AWS Step Functions",
                execution=self.id,
                token=token,
            )

    def _publish(self, token: str, parameters: dict[str, Any]) -> None:
        message = parameters.get("Message", "")
        text = message if isinstance(message, str) else json.dumps(message)
        topic = str(parameters.get("TopicArn", "")).rpartition(":")[2]
        with self._store.unhurried():  # the commit of its success makes it durable; without that it is sent again
            self._store.add_notification(token, topic, parameters.get("Subject"), text, self.id)


def in_words(error: Exception) -> str:
    """An error as a sentence: its own if it is meant for people, else its kind and what it says."""
    return str(error) if isinstance(error, LongshoreError) else f"{type(error).__name__}: {error}."


def override_problem(parameters: dict[str, Any]) -> str | None:
    """What is wrong with the overrides of a task, in a sentence; ECS would refuse them too."""
    overrides = parameters.get("Overrides", {})
    if not isinstance(overrides, dict):
        return "Overrides is not an object."
    containers = overrides.get("ContainerOverrides", [])
    if not isinstance(containers, list) or not all(isinstance(container, dict) for container in containers):
        return "Overrides.ContainerOverrides is not a list of objects."
    for container in containers:
        command, environment = container.get("Command", []), container.get("Environment", [])
        if not isinstance(command, list) or not all(isinstance(part, str) for part in command):
            return "Overrides.ContainerOverrides[].Command is not a list of texts."
        if not isinstance(environment, list) or not all(
            isinstance(item, dict) and isinstance(item.get("Name"), str) and isinstance(item.get("Value"), str)
            for item in environment
        ):
            return "Overrides.ContainerOverrides[].Environment is not a list of {Name, Value} with texts."
    return None


def outcome_of(record: RunRecord) -> Outcome:
    """What a stopped run means for the state that started it, as ``ecs:runTask.sync`` tells it."""
    task = described(record)
    if record.run.exit_code == 0:
        return TaskSucceeded(task)
    return TaskFailed("States.TaskFailed", json.dumps(task))


def described(record: RunRecord) -> dict[str, Any]:
    """A run as ECS describes a task (PascalCase, as Step Functions hands it on)."""
    run = record.run
    container: dict[str, Any] = {"Name": run.task, "LastStatus": _last_status(record)}
    if run.exit_code is not None:
        container["ExitCode"] = run.exit_code
    task: dict[str, Any] = {
        "ClusterArn": f"arn:aws:ecs:local:{ACCOUNT}:cluster/local",
        "TaskArn": f"arn:aws:ecs:local:{ACCOUNT}:task/local/{run.id}",
        "TaskDefinitionArn": f"arn:aws:ecs:local:{ACCOUNT}:task-definition/{run.task}:1",
        "LastStatus": _last_status(record),
        "Group": f"family:{run.task}",
        "StartedBy": run.started_by,
        "CreatedAt": _milliseconds(run.created_at),
        "StartedAt": _milliseconds(run.started_at),
        "StoppedAt": _milliseconds(run.stopped_at),
        "StopCode": run.stop_code,
        "StoppedReason": run.reason,
        "Containers": [container],
    }
    return {key: value for key, value in task.items() if value is not None}


def _last_status(record: RunRecord) -> str:
    return {"QUEUED": "PROVISIONING"}.get(record.run.status, record.run.status)


def _milliseconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def _number(text: Any) -> int | None:
    return int(text) if text is not None and str(text).isdigit() else None
