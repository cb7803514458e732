"""Convert ECS's descriptions of tasks to runs. DescribeTasks, events and execution histories have the same form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import quote

from nightferry.backend.runs import RunStatus, TaskRun
from nightferry.backend.usage import RunUsage
from nightferry.contract import (
    ATTEMPT_VARIABLE,
    EXECUTION_VARIABLE,
    EXITED_REASON,
    IDENTIFYING_VARIABLES,
    OUT_OF_MEMORY,
    ExitCode,
    Naming,
    StopCode,
    parse_arn_id,
)

_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}


def parse_run(task: Mapping[str, Any], naming: Naming, log_group: str) -> TaskRun | None:
    """Return the run of an ECS task; None if the task is not of this application and environment.

    A missing exit code is a failure, never 0: the container did not start, or its result is unknown. So is the end of a
    container by its memory or its host, whatever its exit code.
    """
    name = naming.task(parse_arn_id(str(task.get("taskDefinitionArn", ""))).partition(":")[0])
    if name is None:
        return None
    container = _find_container(task, name)
    overrides = _read_object(task, "overrides")
    override: Mapping[str, Any] = next(
        (o for o in _read_objects(overrides, "containerOverrides") if o.get("name") == name), {}
    )
    variables = {str(item.get("name")): item.get("value") for item in _read_objects(override, "environment")}
    args = override.get("command")
    execution = variables.get(EXECUTION_VARIABLE)
    stopped = task.get("lastStatus") == "STOPPED"
    arn = str(task["taskArn"])
    return TaskRun(
        id=parse_arn_id(arn),
        task=name,
        status=cast(RunStatus, str(task.get("lastStatus", "PROVISIONING"))),
        args=tuple(map(str, args)) if isinstance(args, list) else (),
        started_by=str(task.get("startedBy", "")),
        execution=None if execution is None else str(execution).rpartition(":")[2],
        created_at=parse_time(task.get("createdAt")) or parse_time(task.get("startedAt")) or datetime.now(UTC),
        started_at=parse_time(task.get("startedAt")),
        stopped_at=parse_time(task.get("stoppedAt")),
        exit_code=_read_exit_code(task, container) if stopped else None,
        reason=_read_reason(task, container) if stopped else None,
        stop_code=_read_stop_code(task) if stopped else None,
        links=_make_console_links(arn, naming.stream(name, parse_arn_id(arn)), log_group),
        env={key: str(value) for key, value in variables.items() if key not in IDENTIFYING_VARIABLES},
        cpu=_parse_size(overrides.get("cpu")),
        memory=_parse_size(overrides.get("memory")),
        attempt=_parse_size(variables.get(ATTEMPT_VARIABLE)) or 1,
        revision=parse_arn_id(str(task["taskDefinitionArn"])),
        image=_read_image(container),
    )


def measure_run(run: TaskRun, peak_memory: int | None = None) -> RunUsage | None:
    """Return what an ended run used; None for an open one."""
    if run.status != "STOPPED":
        return None
    ran = run.stopped_at - run.started_at if run.started_at and run.stopped_at else None
    return RunUsage(
        run=run.id,
        task=run.task,
        outcome=run.outcome,
        created_at=run.created_at,
        seconds=None if ran is None else max(ran.total_seconds(), 0),
        execution=run.execution,
        peak_memory=peak_memory,
    )


def _parse_size(value: object) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _read_object(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a member of a task, empty if it is not an object. A task in an event or a cause has no checked form."""
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}


def _read_objects(value: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = value.get(name)
    return [item for item in found if isinstance(item, Mapping)] if isinstance(found, list) else []


def _read_image(container: Mapping[str, Any]) -> str | None:
    """Return the image with the digest that ECS has resolved its tag to, if it has."""
    image, digest = container.get("image"), container.get("imageDigest")
    if not isinstance(image, str):
        return None
    return f"{image}@{digest}" if isinstance(digest, str) and "@" not in image else image


def _read_stop_code(task: Mapping[str, Any]) -> str | None:
    code = task.get("stopCode")
    return None if code is None else str(code)


def _find_container(task: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    # The order of containers is not promised, and GuardDuty adds one.
    return next((c for c in _read_objects(task, "containers") if c.get("name") == name), {})


def _read_exit_code(task: Mapping[str, Any], container: Mapping[str, Any]) -> int | None:
    """Return the exit code of the container; None if it did not start.

    If ECS reports success for a container that its host or its memory ended, return the code of the signal.
    """
    found = container.get("exitCode")
    code = found if isinstance(found, int) else None
    reasons = f"{task.get('stoppedReason')} {container.get('reason')}"
    if not code and OUT_OF_MEMORY.lower() in reasons.lower():
        return ExitCode.KILLED  # ECS may report 0 or nothing (aws/amazon-ecs-agent#2467).
    if code == 0 and task.get("stopCode") == StopCode.NOT_STARTED:
        return None  # The task did not start, so this is not the result of its job.
    if code == 0 and task.get("stopCode", StopCode.EXITED) not in (StopCode.EXITED, StopCode.BY_USER):
        return ExitCode.STOPPED  # The container ended because its host did, so its work may be incomplete.
    return code


def _read_reason(task: Mapping[str, Any], container: Mapping[str, Any]) -> str | None:
    """Return why the task stopped. The container's reason, if any, replaces the generic reason of the task."""
    reasons = [str(task.get("stoppedReason") or ""), str(container.get("reason") or "")]
    if reasons[1] and reasons[0] == EXITED_REASON:
        return reasons[1]
    return ". ".join(dict.fromkeys(reason.rstrip(". ") for reason in reasons if reason)) or None


def _make_console_links(arn: str, stream: str, log_group: str) -> dict[str, str]:
    _, partition, _, region, *rest = arn.split(":", 5) if arn.count(":") > 4 else ("", "", "", "")
    if not rest:
        return {}
    host = f"{region}.{_CONSOLES.get(partition, _CONSOLES['aws'])}"
    cluster = arn.split("/")[1] if arn.count("/") > 1 else "default"

    def quote_twice(text: str) -> str:  # the console decodes the URL's fragment twice, and writes % as $25
        return quote(quote(text, safe="", errors="replace"), safe="").replace("%", "$")

    return {
        "Task": f"https://{host}/ecs/v2/clusters/{cluster}/tasks/{parse_arn_id(arn)}?region={region}",
        "Log": f"https://{host}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{quote_twice(log_group)}"
        f"/log-events/{quote_twice(stream)}",
    }


def parse_time(value: object) -> datetime | None:
    """Return the time in UTC, from a datetime (boto3), ISO 8601 (events) or milliseconds (histories), or None."""
    try:
        match value:
            case datetime():
                return value.astimezone(UTC)
            case int() | float():
                return datetime.fromtimestamp(value / 1000, UTC)
            case str() if value:
                return datetime.fromisoformat(value).astimezone(UTC)
    except (ValueError, OverflowError, OSError):  # not a time, or out of range
        return None
    return None


def to_ecs_keys(value: Any) -> Any:
    """Return the value with the keys of the ECS API (``taskArn``) instead of those of a history (``TaskArn``)."""
    if isinstance(value, dict):
        return {f"{key[:1].lower()}{key[1:]}": to_ecs_keys(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_ecs_keys(item) for item in value]
    return value
