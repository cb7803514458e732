"""``ecs:runTask`` and ``ecs:runTask.sync``: a run with its own process."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from nightferry.contract import parse_arn_id
from nightferry.local.integrations.resource_call import ResourceCall
from nightferry.local.runs.arns import ACCOUNT
from nightferry.local.store import RunRecord, Store
from nightferry.local.store.retrying import retry_while_locked
from nightferry.states.machine.commands import Outcome, TaskFailed, TaskStarted, TaskSubmitted, TaskSucceeded


class EcsTasks:
    """Runs of tasks. ``launch`` is called with a recorded run, and ``stop`` with the ID of a run to stop."""

    def __init__(self, store: Store, launch: Callable[[RunRecord], None], stop: Callable[[str, str], None]) -> None:
        self._store = store
        self._launch = launch
        self._stop = stop

    async def begin(self, call: ResourceCall) -> None:
        """See :class:`nightferry.local.integrations.resource_call.ResourceHandler`."""
        record = self._store.run_by_token(call.token)
        if record is None:
            if problem := find_override_problem(call.parameters):
                call.refuse("States.Runtime", problem)
                return
            run = uuid.uuid4().hex
            await retry_while_locked(lambda: self._add_run(run, call))
            record = self._store.run(run)
            assert record is not None
            self._launch(record)
        response = {"Tasks": [describe_task(record)], "Failures": []}
        call.report(TaskStarted())
        if not call.command.resource.endswith(".sync"):
            call.report(TaskSucceeded(response))
            return
        call.report(TaskSubmitted(response))
        if record.run.status == "STOPPED":
            call.report(build_task_outcome(record))

    def cancel(self, token: str, reason: str) -> None:
        """See :class:`nightferry.local.integrations.resource_call.ResourceHandler`."""
        run = self._store.run_by_token(token)
        if run is not None:
            self._stop(run.run.id, reason)

    def _add_run(self, id: str, call: ResourceCall) -> None:
        task = parse_arn_id(str(call.parameters.get("TaskDefinition", ""))).partition(":")[0]
        overrides = call.parameters.get("Overrides", {})
        container: dict[str, Any] = next(iter(overrides.get("ContainerOverrides", [])), {})
        with self._store.relaxed_durability():  # A commit before the start of the process makes this write durable.
            self._store.add_run(
                id,
                task,
                container.get("Command", []),
                {item["Name"]: item["Value"] for item in container.get("Environment", [])},
                cpu=_parse_number(overrides.get("Cpu")),
                memory=_parse_number(overrides.get("Memory")),
                started_by="AWS Step Functions",
                execution=call.execution,
                token=call.token,
            )


def find_override_problem(parameters: dict[str, Any]) -> str | None:
    """Return why ECS would refuse the overrides of a task, or None."""
    overrides = parameters.get("Overrides", {})
    if not isinstance(overrides, dict):
        return "Overrides is not an object."
    containers = overrides.get("ContainerOverrides", [])
    if not isinstance(containers, list) or not all(isinstance(container, dict) for container in containers):
        return "Overrides.ContainerOverrides is not a list of objects."
    for container in containers:
        args, environment = container.get("Command", []), container.get("Environment", [])
        if not isinstance(args, list) or not all(isinstance(part, str) for part in args):
            return "Overrides.ContainerOverrides[].Command is not a list of strings."
        if not isinstance(environment, list) or not all(
            isinstance(item, dict) and isinstance(item.get("Name"), str) and isinstance(item.get("Value"), str)
            for item in environment
        ):
            return "Overrides.ContainerOverrides[].Environment is not a list of {Name, Value} objects with strings."
    return None


def build_task_outcome(record: RunRecord) -> Outcome:
    """Return the outcome of a stopped run for its state, as ``ecs:runTask.sync`` reports it."""
    task = describe_task(record)
    if record.run.exit_code == 0:
        return TaskSucceeded(task)
    return TaskFailed("States.TaskFailed", json.dumps(task))


def describe_task(record: RunRecord) -> dict[str, Any]:
    """Return a run in the format of an ECS task, in PascalCase as in Step Functions."""
    run = record.run
    container: dict[str, Any] = {"Name": run.task, "LastStatus": _get_last_status(record)}
    if run.exit_code is not None:
        container["ExitCode"] = run.exit_code
    task: dict[str, Any] = {
        "ClusterArn": f"arn:aws:ecs:local:{ACCOUNT}:cluster/local",
        "TaskArn": f"arn:aws:ecs:local:{ACCOUNT}:task/local/{run.id}",
        "TaskDefinitionArn": f"arn:aws:ecs:local:{ACCOUNT}:task-definition/{run.task}:1",
        "LastStatus": _get_last_status(record),
        "Group": f"family:{run.task}",
        "StartedBy": run.started_by,
        "CreatedAt": _to_milliseconds(run.created_at),
        "StartedAt": _to_milliseconds(run.started_at),
        "StoppedAt": _to_milliseconds(run.stopped_at),
        "StopCode": run.stop_code,
        "StoppedReason": run.reason,
        "Containers": [container],
    }
    return {key: value for key, value in task.items() if value is not None}


def _get_last_status(record: RunRecord) -> str:
    return {"QUEUED": "PROVISIONING"}.get(record.run.status, record.run.status)


def _to_milliseconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)


def _parse_number(text: Any) -> int | None:
    return int(str(text)) if re.fullmatch("[0-9]{1,9}", str(text)) else None
