"""The environment variables of a task on this machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Task
from nightferry.contract import build_container_environment

Resolve = Callable[[Any], Any]


def build_declared_variables(catalog: Catalog, task: Task, resolve: Resolve) -> dict[str, str]:
    """Return the variables that the catalog and the task declare, with their references resolved."""
    declared: dict[str, str] = resolve({**catalog.env, **task.env})
    return declared


def build_supplied_variables(
    catalog: Catalog, environment: str, task: Task, resolve: Resolve, run: str | None = None
) -> dict[str, str]:
    """Return the variables that the engine supplies to a run of a task."""
    return build_container_environment(
        environment=environment,
        task=task.name,
        time_limit=int(task.time_limit.total_seconds()),
        overlap=task.overlap,
        lease=resolve(task.lease) if task.lease else None,
        privacy=catalog.privacy,
        secrets={*catalog.secrets, *task.secrets},
        run=run,
    )
