"""The tasks of the fake Fargate: their states, lines, events and ends at the time of a clock.

moto stores the tasks. The simulation changes them as ECS does, and writes the lines and events of the log groups.
"""

from __future__ import annotations

import json
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from nightferry.clock import Clock
from nightferry.contract import EXITED_REASON, RESULTS_VARIABLE, ExitCode, Naming, StopCode, parse_arn_id
from nightferry.testing.fargate.objects import Objects
from nightferry.testing.fargate.task_output import to_task_output
from nightferry.testing.fargate.task_script import TaskScript

_STOPPED_TASK_RETENTION = timedelta(hours=1)


@dataclass
class SimulatedTask:
    """A task: moto's object, its script, and its state."""

    model: Any
    name: str
    script: TaskScript
    requested_at: datetime
    status: str = "PROVISIONING"
    lines: deque[tuple[float, float, str]] = field(default_factory=deque)
    stop: tuple[float, str] | None = None
    stopped: datetime | None = None
    version: int = 1


class Simulation:
    """The tasks of a cluster by ID, oldest first. ``backend`` returns moto's backend of a service."""

    def __init__(
        self, clock: Clock, naming: Naming, cluster: str, backend: Callable[[str], Any], objects: Objects
    ) -> None:
        self._clock = clock
        self._naming = naming
        self._cluster = cluster
        self._backend = backend
        self._objects = objects
        self.tasks: dict[str, SimulatedTask] = {}

    def read_stop(self, arn: str) -> datetime | None:
        """Return when a task stopped, or None if it has not."""
        return self.tasks[parse_arn_id(arn)].stopped

    def begin(self, name: str, script: TaskScript, response: dict[str, Any]) -> dict[str, Any]:
        """Add moto's task to the simulation, and return RunTask's response in the form of ECS."""
        [description] = response["tasks"]
        tasks = self._backend("ecs").tasks[self._cluster]
        model = tasks.pop(description["taskArn"])
        model.id = uuid.uuid4().hex  # ECS IDs have no dashes; moto's do
        tasks[model.task_arn] = model
        model.last_status = "PROVISIONING"
        model.created_at = self._clock.now()
        for container in model.containers:
            container.exitCode = None
        task = SimulatedTask(model, name, script, self._clock.now())
        task.lines.extend((line.at, line.at if line.seen is None else line.seen, line.text) for line in script.lines)
        self.tasks[model.id] = task
        self._write_event(task)
        created = task.requested_at.timestamp()
        description |= {
            "taskArn": model.task_arn,
            "lastStatus": "PROVISIONING",
            "createdAt": created,
        }
        description["containers"] = [{"name": name, "lastStatus": "PENDING"}]
        return response

    def find_end(self, arn: str) -> dict[str, Any] | None:
        """Return the description of a stopped task with the members of runTask.sync's output; else None."""
        task = self.tasks[parse_arn_id(arn)]
        if task.stopped is None:
            return None
        return to_task_output(task.model, task.name, task.status, task.script.container_reason)

    def write_line(self, id: str, text: str) -> None:
        """Let a task write a line now."""
        now = self._get_seconds(self.tasks[id])
        self.tasks[id].lines.append((now, now, text))

    def finish(self, id: str, exit_code: int) -> None:
        """Let a task exit now."""
        task = self.tasks[id]
        task.script = replace(task.script, stopped=self._get_seconds(task), exit_code=exit_code)

    def request_stop(self, arn: str, reason: str) -> None:
        """Request the stop of a task, which its script may delay."""
        task = self.tasks[parse_arn_id(arn)]
        if task.stop is None:
            task.stop = (self._get_seconds(task), reason)
            task.model.desired_status = "STOPPED"

    def _get_seconds(self, task: SimulatedTask) -> float:
        return (self._clock.now() - task.requested_at).total_seconds()

    def advance(self) -> None:
        """Advance every task to the current time."""
        for task in self.tasks.values():
            self._publish_lines(task)
            if task.status != "STOPPED":
                self._change(task)
            elif task.stopped is not None and self._clock.now() - task.stopped > _STOPPED_TASK_RETENTION:
                self._backend("ecs").tasks[self._cluster].pop(task.model.task_arn, None)

    def _change(self, task: SimulatedTask) -> None:
        script, now = task.script, self._get_seconds(task)
        if task.stop is not None and now >= task.stop[0] + script.stopping:
            began = task.model.__dict__.get("started_at") is not None
            self._end(task, ExitCode.STOPPED if began else None, StopCode.BY_USER, task.stop[1])
        elif task.stop is not None:
            self._set_status(task, "DEACTIVATING")
        elif script.fails is not None and now >= script.running:
            self._end(task, None, StopCode.NOT_STARTED, script.fails)
        elif script.stopped is not None and now >= script.stopped:
            task.model.started_at = task.model.__dict__.get("started_at") or self._clock.now()
            reason = EXITED_REASON if script.stop_code == StopCode.EXITED else "ECS is performing maintenance."
            self._end(task, script.exit_code, script.stop_code, reason)
        elif now >= script.running:
            task.model.started_at = task.model.__dict__.get("started_at") or self._clock.now()
            self._set_status(task, "RUNNING")
        elif now >= script.pending:
            self._set_status(task, "PENDING")

    def _set_status(self, task: SimulatedTask, status: str) -> None:
        if task.status != status:
            task.status = task.model.last_status = status
            task.version += 1
            self._write_event(task)

    def _end(self, task: SimulatedTask, exit_code: int | None, code: str, reason: str) -> None:
        model = task.model
        stale = task.version
        task.stopped = model.stopped_at = self._clock.now()
        model.desired_status, model.stop_code, model.stopped_reason = "STOPPED", code, reason
        for container in model.containers:
            container.exitCode, container.last_status = exit_code, "STOPPED"
            container.reason = task.script.container_reason
        if exit_code == ExitCode.SUCCESS and task.script.result is not None:
            self._store_result(task, task.script.result)
        self._set_status(task, "STOPPED")
        # AWS repeats some events, and delivers some of them out of order.
        self._write_event(task)
        self._write_event(task, status="RUNNING", version=stale)

    def _store_result(self, task: SimulatedTask, result: Mapping[str, Any]) -> None:
        """Store the result of a task for later steps of its workflow, as the job would."""
        for override in task.model.overrides.get("containerOverrides", []):
            for variable in override.get("environment", []):
                if variable["name"] == RESULTS_VARIABLE:
                    bucket, _, folder = variable["value"].removeprefix("s3://").partition("/")
                    self._objects.write(bucket, f"{folder}/{task.model.id}.json", json.dumps(result).encode())

    def _publish_lines(self, task: SimulatedTask) -> None:
        group = self._backend("logs").groups[self._naming.log_group]
        name = self._naming.stream(task.name, task.model.id)
        now = self._get_seconds(task)
        shown = [line for line in task.lines if line[1] <= now]
        if not shown:
            return
        if name not in group.streams:
            group.create_log_stream(name)
        begin = task.requested_at.timestamp()
        group.streams[name].put_log_events(
            [{"timestamp": int((begin + at) * 1000), "message": text} for at, _, text in shown]
        )
        task.lines = deque(line for line in task.lines if line[1] > now)

    def _write_event(self, task: SimulatedTask, status: str | None = None, version: int | None = None) -> None:
        """Write the event of a state change to the log group, in the form of EventBridge."""
        model = task.model
        container: dict[str, Any] = {"name": task.name, "lastStatus": task.status}
        if model.containers[0].exitCode is not None:
            container["exitCode"] = model.containers[0].exitCode
        if task.stopped is not None and task.script.container_reason:
            container["reason"] = task.script.container_reason
        times = {
            "createdAt": task.requested_at,
            "startedAt": model.__dict__.get("started_at"),
            "stoppedAt": task.stopped,
        }
        detail = {
            "clusterArn": model.cluster_arn,
            "taskArn": model.task_arn,
            "taskDefinitionArn": model.task_definition_arn,
            "group": model.group,
            "startedBy": model.started_by,
            "lastStatus": status or task.status,
            "overrides": model.overrides,
            "containers": [container],
            "version": version or task.version,
            **{name: time.isoformat() for name, time in times.items() if time is not None},
            **({"stopCode": model.stop_code, "stoppedReason": model.stopped_reason} if task.stopped else {}),
        }
        event = {"source": "aws.ecs", "detail-type": "ECS Task State Change", "detail": detail}
        stream = self._backend("logs").groups[self._naming.event_group].streams["events"]
        stream.put_log_events([{"timestamp": int(self._clock.now().timestamp() * 1000), "message": json.dumps(event)}])
