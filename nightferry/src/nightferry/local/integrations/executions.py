"""``states:startExecution``, ``.sync`` and ``.sync:2``: an execution of another workflow in the same store.

The execution and its token are recorded in one transaction, so it starts once, even if the engine dies. A child that
its parent waits for ends with the parent. A child that is only started is independent.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from nightferry.backend.executions import WorkflowExecution
from nightferry.catalog.catalog import Catalog
from nightferry.local.integrations.resource_call import Background, ResourceCall
from nightferry.local.runs import arns
from nightferry.local.runs.starts import begin_execution
from nightferry.local.store import Store
from nightferry.local.store.retrying import retry_while_locked
from nightferry.states.machine.commands import Outcome, TaskFailed, TaskStarted, TaskSubmitted, TaskSucceeded

POLL_SECONDS = 0.1  # between two checks whether a child has ended


class StartExecution:
    """Starts of executions of the catalog's workflows. ``resolve`` substitutes references."""

    def __init__(self, store: Store, catalog: Catalog, resolve: Callable[[Any], Any]) -> None:
        self._store = store
        self._catalog = catalog
        self._resolve = resolve
        self.watching = Background()

    async def begin(self, call: ResourceCall) -> None:
        """See :class:`nightferry.local.integrations.resource_call.ResourceHandler`."""
        child = self._store.execution_by_token(call.token)
        waits = ".sync" in call.command.resource
        if child is None:
            child = await self._start(call, waits=waits)
            if child is None:
                return
        response = {
            "ExecutionArn": arns.make_execution_arn(child.workflow, child.id),
            "StartDate": _to_milliseconds(child.started_at),
        }
        call.report(TaskStarted())
        if not waits:
            call.report(TaskSucceeded(response))
            return
        call.report(TaskSubmitted(response))
        self.watching.begin(call, self._watch(call, child.id))

    def cancel(self, token: str, reason: str) -> None:
        """See :class:`nightferry.local.integrations.resource_call.ResourceHandler`."""
        self.watching.cancel(token)
        child = self._store.execution_by_token(token)
        if child is not None:
            self._store.request_stop(child.id, reason)

    async def _start(self, call: ResourceCall, *, waits: bool) -> WorkflowExecution | None:
        name = str(call.parameters.get("StateMachineArn", "")).rpartition(":")[2]
        workflow = self._catalog.workflows.get(name)
        if workflow is None:
            known = ", ".join(sorted(self._catalog.workflows)) or "none"
            call.refuse(
                "StepFunctions.StateMachineDoesNotExistException",
                f"Workflow '{name}' not found in the catalog. Available: {known}.",
            )
            return None
        try:
            input = _parse_input(call.parameters.get("Input"))
        except ValueError:
            call.refuse("StepFunctions.InvalidExecutionInputException", "Input is a string but not JSON.")
            return None
        definition = self._resolve(dict(workflow.definition))
        started_by = f"child:{call.execution}" if waits else f"execution:{call.execution}"
        begun = await retry_while_locked(
            lambda: begin_execution(self._store, workflow, definition, input, started_by=started_by, token=call.token)
        )
        if not begun.new:
            call.refuse("States.TaskFailed", f"Execution {begun.id} is open, and the overlap policy of {name} is skip.")
            return None
        return self._store.execution(begun.id)

    async def _watch(self, call: ResourceCall, child: str) -> None:
        while True:
            execution = self._store.execution(child)
            if execution is None:
                call.report(TaskFailed("States.TaskFailed", f"Execution {child} is no longer in the store."))
                return
            if execution.status != "RUNNING":
                call.report(build_execution_outcome(execution, parsed=call.command.resource.endswith(":2")))
                return
            await asyncio.sleep(POLL_SECONDS)


def build_execution_outcome(execution: WorkflowExecution, *, parsed: bool) -> Outcome:
    """Return the outcome of an ended execution for its parent's state. With ``parsed``, input and output are values."""
    description = describe_execution(execution, parsed=parsed)
    if execution.status == "SUCCEEDED":
        return TaskSucceeded(description)
    return TaskFailed("States.TaskFailed", json.dumps(description))


def describe_execution(execution: WorkflowExecution, *, parsed: bool = False) -> dict[str, Any]:
    """Return an execution in the format of DescribeExecution, in PascalCase as in Step Functions."""

    def payload(value: Any) -> Any:
        return value if parsed else json.dumps(value)

    description = {
        "ExecutionArn": arns.make_execution_arn(execution.workflow, execution.id),
        "Input": payload(execution.input),
        "InputDetails": {"Included": True},
        "Name": execution.id,
        "StartDate": _to_milliseconds(execution.started_at),
        "StateMachineArn": arns.make_state_machine_arn(execution.workflow),
        "Status": execution.status,
        "StopDate": _to_milliseconds(execution.stopped_at),
        "Error": execution.error,
        "Cause": execution.cause,
    }
    description = {name: value for name, value in description.items() if value is not None}
    if execution.status == "SUCCEEDED":
        description |= {"Output": payload(execution.output), "OutputDetails": {"Included": True}}
    return description


def _parse_input(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _to_milliseconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
