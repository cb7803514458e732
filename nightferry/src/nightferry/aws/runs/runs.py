"""A task as ECS describes it, as a run. The same shape comes from DescribeTasks, from events and from histories."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from nightferry.backend.interface import RunStatus, TaskRun
from nightferry.contract import EXECUTION_VARIABLE, EXITED_REASON, Naming, parse_arn_id

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}


def run_of(task: Mapping[str, Any], naming: Naming, log_group: str) -> TaskRun | None:
    """The run that a task is; None if it is not one of this application and environment.

    A missing exit code is a failure, never 0: the container did not start, or nobody knows how it ended.
    """
    name = naming.task(parse_arn_id(str(task.get("taskDefinitionArn", ""))).partition(":")[0])
    if name is None:
        return None
    container = _container(task, name)
    override: Mapping[str, Any] = next(
        (o for o in task.get("overrides", {}).get("containerOverrides", []) if o.get("name") == name), {}
    )
    variables = {item.get("name"): item.get("value") for item in override.get("environment", [])}
    execution = variables.get(EXECUTION_VARIABLE)
    stopped = task.get("lastStatus") == "STOPPED"
    arn = str(task["taskArn"])
    return TaskRun(
        id=parse_arn_id(arn),
        task=name,
        status=cast(RunStatus, task.get("lastStatus", "PROVISIONING")),
        command=tuple(override.get("command", ())),
        started_by=str(task.get("startedBy", "")),
        execution=None if execution is None else str(execution).rpartition(":")[2],
        created_at=time_of(task.get("createdAt")) or time_of(task.get("startedAt")) or datetime.now(UTC),
        started_at=time_of(task.get("startedAt")),
        stopped_at=time_of(task.get("stoppedAt")),
        exit_code=container.get("exitCode") if stopped else None,
        reason=_reason(task, container) if stopped else None,
        stop_code=task.get("stopCode") if stopped else None,
        links=_links(arn, naming.stream(name, parse_arn_id(arn)), log_group),
    )


def _container(task: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    containers = task.get("containers", [])
    return next((c for c in containers if c.get("name") == name), next(iter(containers), {}))


def _reason(task: Mapping[str, Any], container: Mapping[str, Any]) -> str | None:
    """Why it stopped: the container's own reason says more than the task's, where there is one."""
    reasons = [str(task.get("stoppedReason") or ""), str(container.get("reason") or "")]
    if reasons[1] and reasons[0] == EXITED_REASON:
        return reasons[1]
    return ". ".join(dict.fromkeys(reason.rstrip(". ") for reason in reasons if reason)) or None


def _links(arn: str, stream: str, log_group: str) -> dict[str, str]:
    _, partition, _, region, _, _ = arn.split(":", 5)
    host = f"{region}.{_CONSOLES.get(partition, _CONSOLES['aws'])}"
    cluster = arn.split("/")[1] if arn.count("/") > 1 else "default"

    def twice(text: str) -> str:  # the console's router decodes what stands behind # twice, % written as $25
        return quote(quote(text, safe=""), safe="").replace("%", "$")

    return {
        "Task": f"https://{host}/ecs/v2/clusters/{cluster}/tasks/{parse_arn_id(arn)}?region={region}",
        "Log": f"https://{host}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{twice(log_group)}"
        f"/log-events/{twice(stream)}",
    }


def time_of(value: object) -> datetime | None:
    """A time as boto3 gives it (datetime), as an event has it (ISO 8601) or as a history has it (milliseconds)."""
    match value:
        case datetime():
            return value.astimezone(UTC)
        case int() | float():
            return datetime.fromtimestamp(value / 1000, UTC)
        case str() if value:
            return datetime.fromisoformat(value).astimezone(UTC)
    return None


def camel(value: Any) -> Any:
    """Keys as the ECS API has them (``taskArn``) from those of a history (``TaskArn``)."""
    if isinstance(value, dict):
        return {f"{key[:1].lower()}{key[1:]}": camel(item) for key, item in value.items()}
    if isinstance(value, list):
        return [camel(item) for item in value]
    return value
