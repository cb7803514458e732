"""The parameters of RunTask, checked before the call. Source of the limits: ECS API, RunTask."""

from __future__ import annotations

import json
import re
from typing import Any

from nightferry.aws.runs.journal import TOKEN_LENGTH
from nightferry.aws.runs.placement import Placement
from nightferry.backend import request_checks
from nightferry.backend.runs import RunRequest
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret, Task
from nightferry.contract import START_VARIABLE, Naming
from nightferry.errors import NightferryError

MAX_OVERRIDES_LENGTH = 8192  # characters of all overrides, as JSON
_MAX_STARTED_BY_LENGTH = 36  # ECS accepts 128 characters, but older clients and console pages only 36


class OverridesTooLong(NightferryError):
    """The overrides exceed ECS's limit of 8192 characters. Pass the data in an object of a bucket instead."""


def check(catalog: Catalog, request: RunRequest) -> Task:
    """Return the requested task; raises OverridesTooLong and the errors of ``request_checks.check``."""
    task = request_checks.check(catalog, request, _make_secret_hint)
    length = len(json.dumps(add_start(build_overrides(task, request), task.name, "0" * TOKEN_LENGTH)))
    if length > MAX_OVERRIDES_LENGTH:
        longest = max((*(request.args), *request.env.values()), key=len)
        raise OverridesTooLong(
            f"The arguments and variables of task '{task.name}' need {length:,} characters of overrides; ECS allows "
            f"{MAX_OVERRIDES_LENGTH:,}. The longest value has {len(longest):,} characters. Store it in an object of a "
            "bucket that the task can read, and pass the object's address."
        )
    return task


def _make_secret_hint(secret: Secret) -> str:
    return (
        "ECS would show its value to everyone who can describe the task. Store it in the Parameter Store as "
        f"{secret.name}."
    )


def add_start(overrides: dict[str, Any], container: str, token: str) -> dict[str, Any]:
    """Return the overrides with the client token as a variable, by which the events of the task are found later."""
    first = (overrides.get("containerOverrides") or [{"name": container}])[0]
    environment = [*first.get("environment", []), {"name": START_VARIABLE, "value": token}]
    return {**overrides, "containerOverrides": [{**first, "environment": environment}]}


def build_overrides(task: Task, request: RunRequest) -> dict[str, Any]:
    """Return the changes of a run to its task definition."""
    container: dict[str, Any] = {"name": task.name}
    if request.args:
        container["command"] = list(request.args)  # after the words of the entry point
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


def build_parameters(naming: Naming, task: Task, request: RunRequest, placement: Placement) -> dict[str, Any]:
    """Return the parameters of RunTask, except the client token."""
    overrides = build_overrides(task, request)
    return {
        "cluster": placement.cluster,
        "taskDefinition": naming.family(task.name),
        "launchType": "FARGATE",
        "platformVersion": "1.4.0",
        "propagateTags": "TASK_DEFINITION",
        "enableECSManagedTags": True,
        "startedBy": format_started_by(request.started_by),
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": list(placement.subnets),
                "securityGroups": list(placement.security_groups),
                "assignPublicIp": "DISABLED",
            }
        },
        **({"overrides": overrides} if overrides else {}),
    }


def format_started_by(author: str) -> str:
    """Return an author in the form that ECS accepts: letters, digits, dashes, slashes and underscores."""
    return re.sub(r"[^A-Za-z0-9/_-]+", "-", author).strip("-")[:_MAX_STARTED_BY_LENGTH] or "unknown"
