"""The environment variables that a backend sets for a task process, apart from the job's settings."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self, cast, get_args

from nightferry.contract import (
    ENVIRONMENT_VARIABLE,
    EXECUTION_VARIABLE,
    LEASE_VARIABLE,
    OVERLAP_VARIABLE,
    PRIVACY_VARIABLE,
    RESULTS_VARIABLE,
    RUN_VARIABLE,
    SCHEDULED_AT_VARIABLE,
    SECRETS_VARIABLE,
    TASK_VARIABLE,
    TIME_LIMIT_VARIABLE,
    Overlap,
    Privacy,
    parse_arn_id,
    parse_scheduled_time,
)

_METADATA_ATTEMPTS = 3  # the address is the container's agent, which may be busy
_METADATA_TIMEOUT_SECONDS = 2.0  # short, because the address is link-local


@dataclass(frozen=True)
class Runtime:
    """A process's task, run, execution, scheduled time, time limit, policies, and places of lease and results.

    ``secrets`` are the names of variables.
    """

    task: str
    run_id: str
    execution: str | None
    environment: str
    time_limit: float | None
    overlap: Overlap
    lease: str | None
    results: str | None = None
    problems: tuple[str, ...] = ()
    scheduled_at: datetime | None = None
    privacy: Privacy = Privacy.SECRETS_ONLY
    secrets: frozenset[str] = frozenset()

    @classmethod
    def read(cls, name: str, environ: Mapping[str, str] = os.environ) -> Self:
        """Return the runtime that ``environ`` describes; ``name`` is the default of the task's name.

        Invalid values are reported in ``problems`` and replaced with their defaults.
        """
        problems = []
        limit_text = environ.get(TIME_LIMIT_VARIABLE) or ""
        limit: float | None = None
        try:
            limit = float(limit_text) if limit_text else None
        except ValueError:
            problems.append(f"{TIME_LIMIT_VARIABLE} is not a number of seconds")
        if limit is not None and not 0 < limit < 10**9:
            problems.append(f"{TIME_LIMIT_VARIABLE} must be a positive number of seconds")
            limit = None
        overlap = environ.get(OVERLAP_VARIABLE) or "allow"
        if overlap not in get_args(Overlap):
            problems.append(f"{OVERLAP_VARIABLE} must be allow, skip, queue or replace")
            overlap = "allow"
        privacy = Privacy.SECRETS_ONLY
        try:
            privacy = Privacy(environ.get(PRIVACY_VARIABLE) or privacy)
        except ValueError:
            problems.append(f"{PRIVACY_VARIABLE} must be {' or '.join(Privacy)}")
            privacy = Privacy.STRICT  # the safe choice
        scheduled_at = None
        try:
            scheduled_at = parse_scheduled_time(environ.get(SCHEDULED_AT_VARIABLE))
        except ValueError:
            problems.append(f"{SCHEDULED_AT_VARIABLE} is not a time with an offset, such as 2026-11-01T05:30:00Z")
        run_id = environ.get(RUN_VARIABLE) or _read_ecs_task_id(environ)
        if run_id is None and environ.get(RESULTS_VARIABLE):
            problems.append(
                f"{RESULTS_VARIABLE} is set, but the run has no ID by which its result can be found, because ECS's "
                "metadata could not be read"
            )
        return cls(
            task=environ.get(TASK_VARIABLE) or name,
            run_id=run_id or str(uuid.uuid4()),
            execution=environ.get(EXECUTION_VARIABLE) or None,
            environment=environ.get(ENVIRONMENT_VARIABLE) or "",
            time_limit=limit,
            overlap=cast(Overlap, overlap),
            lease=environ.get(LEASE_VARIABLE) or None,
            results=environ.get(RESULTS_VARIABLE) or None,
            problems=tuple(problems),
            scheduled_at=scheduled_at,
            privacy=privacy,
            secrets=frozenset(filter(None, (environ.get(SECRETS_VARIABLE) or "").split(","))),
        )


def read_ecs_metadata(path: str = "", environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return ECS's metadata of the container (``path`` empty) or its task (``/task``); empty outside ECS.

    Source: Amazon ECS task metadata endpoint version 4.
    """
    address = environ.get("ECS_CONTAINER_METADATA_URI_V4", "")
    if not address.startswith("http://"):
        return {}
    import urllib.request  # slow to import and only needed on ECS

    try:
        with urllib.request.urlopen(address + path, timeout=_METADATA_TIMEOUT_SECONDS) as response:  # noqa: S310  # http:// only
            found = json.load(response)
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _read_ecs_task_id(environ: Mapping[str, str]) -> str | None:
    for _ in range(_METADATA_ATTEMPTS if "ECS_CONTAINER_METADATA_URI_V4" in environ else 0):
        if isinstance(arn := read_ecs_metadata("/task", environ).get("TaskARN"), str):
            return parse_arn_id(arn)
    return None
