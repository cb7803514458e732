"""The forms in which Step Functions passes tasks: PascalCase, with times in milliseconds.

Source: recorded histories of executions (docs of Step Functions show only examples).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any


def lower_names(value: Any) -> Any:
    """Return the parameters of a state in the spelling of ECS's API."""
    return _rename(value, str.lower)


def upper_names(value: Any) -> Any:
    """Return a response of ECS's API in the spelling of a state's output."""
    return _rename(value, str.upper)


def _rename(value: Any, change: Any) -> Any:
    if isinstance(value, dict):
        return {change(name[:1]) + name[1:]: _rename(item, change) for name, item in value.items()}
    if isinstance(value, list):
        return [_rename(item, change) for item in value]
    return value


def to_task_output(model: Any, name: str, status: str, container_reason: str | None) -> dict[str, Any]:
    """Return the output of ``ecs:runTask.sync`` for moto's object of a task that has stopped."""
    container = {
        "Name": name,
        "LastStatus": status,
        "ExitCode": model.containers[0].exitCode,
        "Reason": container_reason,
    }
    task = {
        "ClusterArn": model.cluster_arn,
        "TaskArn": model.task_arn,
        "TaskDefinitionArn": model.task_definition_arn,
        "LastStatus": status,
        "DesiredStatus": "STOPPED",
        "Group": model.group,
        "StartedBy": model.started_by,
        "StopCode": model.stop_code,
        "StoppedReason": model.stopped_reason,
        "CreatedAt": _to_milliseconds(model.created_at),
        "StartedAt": _to_milliseconds(model.__dict__.get("started_at")),
        "StoppedAt": _to_milliseconds(model.stopped_at),
        "Containers": [{key: value for key, value in container.items() if value is not None}],
    }
    return {key: value for key, value in task.items() if value is not None}


def _to_milliseconds(time: datetime | None) -> int | None:
    return None if time is None else int(time.timestamp() * 1000)
