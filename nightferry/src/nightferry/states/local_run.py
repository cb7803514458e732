"""Run a definition in this process in virtual time, so that waits and timeouts take no time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from nightferry.states.data.errors import Problem, StatesError, UnknownResource
from nightferry.states.data.payload import Json, dumps, loads
from nightferry.states.language import resources, rules
from nightferry.states.language.model import Definition, WorkflowType
from nightferry.states.language.parser import parse
from nightferry.states.machine.commands import (
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
from nightferry.states.machine.context import ContextInfo
from nightferry.states.machine.history import HistoryEvent
from nightferry.states.machine.interpreter import Execution
from nightferry.states.machine.items import ListedObject, ObjectStore, execute_command
from nightferry.states.task_results import TaskResults

TaskFunction = Callable[[Json], Json]


@dataclass(frozen=True)
class Result:
    """The result of an execution: ``output`` if it succeeded, else ``error`` and ``cause``.

    ``history`` contains the execution's events in the format of GetExecutionHistory; ``events`` contains all events,
    including those of child executions of distributed Maps.
    """

    status: str
    output: Json = None
    error: str | None = None
    cause: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    events: list[HistoryEvent] = field(default_factory=list)


def run(
    definition: Definition | Mapping[str, Any] | str,
    input: Json = None,
    tasks: Mapping[str, TaskFunction] | None = None,
    *,
    context: ContextInfo | None = None,
    objects: ObjectStore | None = None,
    start: datetime | None = None,
    workflow_type: WorkflowType = "STANDARD",
    results: Any = None,
) -> Result:
    """Run a definition to its end.

    ``tasks`` maps each resource of the definition to a callable that accepts the task's parameters and returns its
    output. It may raise :class:`StatesError`, with the error and cause that Retry and Catch see, or another exception,
    whose class name is then the error. ``objects`` is the store from which distributed Maps read items and to which
    they write results. Time is virtual and begins at ``start``. ``workflow_type`` is STANDARD or EXPRESS.

    Raises InvalidDefinition, or UnknownResource if ``tasks`` lacks a resource.
    """
    parsed = definition if isinstance(definition, Definition) else parse(definition, workflow_type)
    replies = None if results is None else TaskResults(results, parsed)
    known = dict(tasks or {})
    missing = replies is None and [
        (path, name) for path, name in rules.find_resources(parsed.program) if name not in known
    ]
    if objects is None and replies is None and (unserved := parsed.object_resources()):
        raise UnknownResource(
            [Problem("$", f"A Map uses the resource '{name}'. Pass objects to run().") for name in sorted(unserved)]
        )
    if missing:
        available = ", ".join(sorted(known)) or "none"
        raise UnknownResource(
            [
                Problem(path, f"Resource '{name}' has no callable. Callables exist for: {available}.")
                for path, name in missing
            ]
        )
    now = start or datetime.now(UTC)
    execution = Execution.start(parsed, input, context=context or ContextInfo(start_time=now), now=now)
    while not execution.ended:
        step = execution.advance(now)
        for command in step.commands:
            if replies is None:
                _execute(execution, command, known, objects, now)
            else:
                _reply(execution, command, replies, now)
        if step.commands or execution.ended:
            continue
        wakeup = execution.next_wakeup
        if wakeup is None:
            raise AssertionError("the execution is neither ended nor waiting")
        now = max(now, wakeup)
    execution.advance(now)
    history = [event.to_aws() for event in execution.history if not event.child]
    return Result(execution.status, execution.output, execution.error, execution.cause, history, execution.history)


def _execute(
    execution: Execution,
    command: Command,
    tasks: Mapping[str, TaskFunction],
    objects: ObjectStore | None,
    now: datetime,
) -> None:
    match command:
        case StartTask():
            if not execution.deliver(command.token, TaskStarted(), now):
                return
            _deliver(execution, command, _call(tasks[command.resource], command.parameters), now)
        case ReadItems() | WriteResults():
            assert objects is not None
            execution.deliver(command.token, execute_command(command, objects), now)
        case _:
            return  # a call has already ended, so there is nothing to cancel


def _deliver(execution: Execution, command: StartTask, outcome: Outcome, now: datetime) -> None:
    resource = resources.parse(command.resource)
    if resource.kind == "integration" and resource.waits and isinstance(outcome, TaskSucceeded):
        execution.deliver(command.token, TaskSubmitted(outcome.output), now)
    execution.deliver(command.token, outcome, now)


def _reply(execution: Execution, command: Command, results: TaskResults, now: datetime) -> None:
    """Deliver the next result of the command's state."""
    match command:
        case StartTask():
            if execution.deliver(command.token, TaskStarted(), now):
                _deliver(execution, command, results.take(command.state_name), now)
        case ReadItems():
            execution.deliver(command.token, results.take_items(command.state_name), now)
        case WriteResults():
            execution.deliver(command.token, execute_command(command, _NoObjects()), now)


class _NoObjects:
    """A store that accepts and forgets every object."""

    def read(self, bucket: str, key: str) -> bytes:
        raise LookupError(f"Object {key} not found in bucket {bucket}.")

    def list(self, bucket: str, prefix: str) -> Iterable[ListedObject]:  # noqa: ARG002
        return ()

    def write(self, bucket: str, key: str, content: bytes) -> None: ...


def _call(function: TaskFunction, argument: Json) -> Outcome:
    try:
        # The argument is copied, because the machine shares its data. The result is converted to plain JSON.
        return TaskSucceeded(loads(dumps(function(loads(dumps(argument))))))
    except StatesError as error:
        return TaskFailed(error.error, error.cause)
    except Exception as error:
        return TaskFailed(type(error).__name__, str(error))
