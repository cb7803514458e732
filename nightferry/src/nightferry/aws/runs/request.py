"""The request that starts a task, checked before AWS is asked. Source of the limits: ECS API, RunTask."""

from __future__ import annotations

import json
import re
from typing import Any

from nightferry.aws.runs.placement import Placement
from nightferry.backend import request_checks
from nightferry.backend.interface import RunRequest
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret, Task
from nightferry.contract import Naming
from nightferry.errors import NightferryError

OVERRIDES_LIMIT = 8192  # characters of all overrides together, as JSON
_STARTED_BY_LIMIT = 36  # ECS takes 128 today; older clients and pages know 36


class OverridesTooLong(NightferryError):
    """ECS takes no more than 8192 characters of overrides. Give the task a file in a bucket instead of an argument."""


def check(catalog: Catalog, request: RunRequest) -> Task:
    """Return the requested task; raises what ``request_checks.check`` does, and OverridesTooLong. AWS is not called."""
    task = request_checks.check(catalog, request, _secret_hint)
    length = len(json.dumps(overrides(task, request)))
    if length > OVERRIDES_LIMIT:
        longest = max((*(request.command or ()), *request.env.values()), key=len)
        raise OverridesTooLong(
            f"Command and variables for task '{task.name}' make {length:,} characters of overrides; ECS takes "
            f"{OVERRIDES_LIMIT:,}. The longest value has {len(longest):,}: put it into an object of a bucket that the "
            "task may read, and give its address."
        )
    return task


def _secret_hint(secret: Secret) -> str:
    return (
        "ECS would show its value to everyone who can describe the task. Put it into the parameter store as "
        f"{secret.name}."
    )


def overrides(task: Task, request: RunRequest) -> dict[str, Any]:
    """What a run changes of its task's definition."""
    container: dict[str, Any] = {"name": task.name}
    if request.command:
        container["command"] = list(request.command)
    if request.env:
        container["environment"] = [{"name": name, "value": value} for name, value in request.env.items()]
    sizes = {
        "cpu": str(request.cpu or task.size.cpu),
        "memory": str(request.memory or task.size.memory),
    }
    return {
        **({"containerOverrides": [container]} if len(container) > 1 else {}),
        **(sizes if request.cpu or request.memory else {}),
    }


def run_task(naming: Naming, task: Task, request: RunRequest, place: Placement) -> dict[str, Any]:
    """The parameters of RunTask, apart from the client token."""
    changed = overrides(task, request)
    return {
        "cluster": place.cluster,
        "taskDefinition": naming.family(task.name),
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "startedBy": started_by(request.started_by),
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": list(place.subnets),
                "securityGroups": list(place.security_groups),
                "assignPublicIp": "DISABLED",
            }
        },
        **({"overrides": changed} if changed else {}),
    }


def started_by(author: str) -> str:
    """An author as ECS takes it: letters, digits, dashes, slashes and underscores."""
    return re.sub(r"[^A-Za-z0-9/_-]+", "-", author).strip("-")[:_STARTED_BY_LIMIT] or "unknown"
