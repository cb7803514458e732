"""What the environment consists of: is all of it there, does it fit, who may do what, and what does it cost?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from nightferry.catalog.secret_users import find_secrets
from nightferry.dashboard.pages.catalog.grants import describe_grants
from nightferry.dashboard.pages.catalog.tasks import DAYS, MAX_RUNS
from nightferry.dashboard.pages.infrastructure.checks import Checks
from nightferry.dashboard.pages.infrastructure.declared import ConsoleLinks, find_declared
from nightferry.dashboard.view import View
from nightferry.environments.aws_resources import AwsResources

_MARKS = {"ok": "ok", "warning": "warning", "not checked": "unknown"}
"""The status by verdict; all others are failures."""


def show(view: View) -> Response:
    """Show the environment. The checks run only on request."""
    run = view.site.get_shared(Checks).run
    tasks = _list_tasks(view)
    secrets = [
        {"name": name, "users": list(use.users), "optional": use.optional}
        for name, use in find_secrets(view.catalog, services=view.environment.aws is None).items()
    ]
    checks = None if run is None else asdict(run)
    deployed = _describe_deployment(view) if view.environment.aws is not None else None
    return view.page(
        "infrastructure.html",
        title="Infrastructure",
        live=run is not None and run.ended_at is None,
        json={"checks": checks, "tasks": tasks, "secrets": secrets, "deployed": deployed},
        run=run,
        counts=Counter(finding.verdict for finding in run.findings) if run is not None else Counter(),
        marks=_MARKS,
        tasks=tasks,
        secrets=secrets,
        deployed=deployed,
    )


def check(view: View) -> Response:
    """Begin the checks, which change nothing, and return to the page."""
    view.site.get_shared(Checks).begin()
    return view.redirect(view.link("/infrastructure"))


def _list_tasks(view: View) -> list[dict[str, Any]]:
    since = view.site.clock.now() - timedelta(days=DAYS)
    peaks: dict[str, int] = {}
    for run in view.backend.usage(since, limit=MAX_RUNS):
        if run.peak_memory is not None:
            peaks[run.task] = max(run.peak_memory, peaks.get(run.task, 0))
    console = ConsoleLinks(view.site) if view.environment.aws is not None else None
    return [
        {
            "name": task.name,
            "cpu": task.size.cpu,
            "memory": task.size.memory,
            "scratch": task.scratch,
            "peak_memory": peaks.get(task.name),
            "memory_used": peaks[task.name] / (task.size.memory << 20) if task.name in peaks else None,
            "grants": list(describe_grants(task)),
            "secrets": sorted({secret.name for secret in task.secrets.values()}),
            "alarm": task.severity,
            "link": console.task_definition(task.name) if console is not None else None,
        }
        for task in view.catalog.tasks.values()
    ]


def _describe_deployment(view: View) -> dict[str, Any]:
    """Return the declared resources on AWS with links to the console."""
    resources = AwsResources(view.catalog, view.environment)
    declared, console, aws = view.site.get_shared(find_declared), ConsoleLinks(view.site), resources.aws
    names: Mapping[str, Any] = declared.names
    return {
        "account": aws.account,
        "region": aws.region,
        "cluster": aws.cluster,
        "cluster_link": console.cluster(),
        "log_retention_days": aws.log_retention_days,
        "log_groups": [
            {"name": name, "link": console.log_group(name)} for name in names.get("aws_cloudwatch_log_group", ())
        ],
        "alarms": sorted(names.get("aws_cloudwatch_metric_alarm", ())),
        "alarms_link": console.alarms(),
        "roles": len(names.get("aws_iam_role", ())),
        "state_machines": [
            {"name": workflow, "link": console.state_machine(workflow)} for workflow in view.catalog.workflows
        ],
        "operators": {group: one.model_dump() for group, one in aws.operators.items()},
        "resources": {kind.removeprefix("aws_"): len(found) for kind, found in sorted(names.items())},
    }
