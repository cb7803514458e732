"""All pages, in the order of the navigation. A path is below the environment; each page is in a module of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from nightferry.dashboard.pages import compare, engine, help_page, now, preferences, problems, search
from nightferry.dashboard.pages.actions import (
    activity,
    backfill,
    batch,
    redrive,
    run_task,
    start_workflow,
    stop,
    test_notice,
)
from nightferry.dashboard.pages.catalog import costs, task, tasks, workflow, workflows
from nightferry.dashboard.pages.executions import execution, executions, map_items, state
from nightferry.dashboard.pages.files import file, files
from nightferry.dashboard.pages.infrastructure import overview
from nightferry.dashboard.pages.runs import log, log_download, log_follow, run, runs
from nightferry.dashboard.pages.starts import schedule, schedules, trigger, triggers
from nightferry.dashboard.view import View


@dataclass(frozen=True)
class Page:
    """One route. ``name`` is its text in the navigation; without one, other pages link to it.

    ``show`` runs in a worker thread. A page with GET also exists as ``PATH.json``.
    """

    path: str
    show: Callable[[View], Response]
    name: str = ""
    method: Literal["GET", "POST"] = "GET"


PAGES = (
    Page("/", now.show, "Now"),
    Page("/problems", problems.show, "Problems"),
    Page("/runs", runs.show, "Runs"),
    Page("/runs/{id}", run.show),
    Page("/runs/{id}/log", log.show),
    Page("/runs/{id}/log.txt", log_download.show),
    Page("/runs/{id}/log/stream", log_follow.follow),
    Page("/executions", executions.show, "Executions"),
    Page("/executions/{id}", execution.show),
    Page("/executions/{id}/state/{path:path}", state.show),
    Page("/executions/{id}/map/{path:path}", map_items.show),
    Page("/tasks", tasks.show, "Tasks"),
    Page("/tasks/{task}", task.show),
    Page("/workflows", workflows.show, "Workflows"),
    Page("/workflows/{workflow}", workflow.show),
    Page("/schedules", schedules.show, "Schedules"),
    Page("/schedules/{name}", schedule.show),
    Page("/triggers", triggers.show, "Triggers"),
    Page("/triggers/{name}", trigger.show),
    Page("/infrastructure", overview.show, "Infrastructure"),
    Page("/engine", engine.show, "Engine"),
    Page("/infrastructure/check", overview.check, method="POST"),
    Page("/costs", costs.show, "Costs"),
    Page("/runs/{id}/stop", stop.show_run),
    Page("/runs/{id}/stop", stop.stop_run, method="POST"),
    Page("/executions/{id}/stop", stop.show_execution),
    Page("/executions/{id}/stop", stop.stop_execution, method="POST"),
    Page("/runs/{id}/redrive", redrive.show_run),
    Page("/runs/{id}/redrive", redrive.redrive_run, method="POST"),
    Page("/executions/{id}/redrive", redrive.show_execution),
    Page("/executions/{id}/redrive", redrive.redrive_execution, method="POST"),
    Page("/tasks/{task}/run", run_task.show),
    Page("/tasks/{task}/run", run_task.send, method="POST"),
    Page("/runs/{id}/again", run_task.show_again),
    Page("/runs/{id}/again", run_task.send_again, method="POST"),
    Page("/workflows/{workflow}/start", start_workflow.show),
    Page("/workflows/{workflow}/start", start_workflow.send, method="POST"),
    Page("/schedules/{name}/backfill", backfill.show_backfill),
    Page("/schedules/{name}/backfill", backfill.backfill, method="POST"),
    Page("/schedules/{name}/catch-up", backfill.show_catch_up),
    Page("/schedules/{name}/catch-up", backfill.catch_up, method="POST"),
    Page("/problems/{key}/retry", problems.show_retry),
    Page("/problems/{key}/retry", problems.retry, method="POST"),
    Page("/batches/{id}", batch.show),
    Page("/batches/{id}/stop", batch.stop, method="POST"),
    Page("/topics/{topic}/test", test_notice.show),
    Page("/topics/{topic}/test", test_notice.send, method="POST"),
    Page("/activity", activity.show, "Activity"),
    Page("/files", files.show, "Files"),
    Page("/files.csv", files.download),
    Page("/files/{id}/rejected.csv", file.download),
    Page("/files/{name:path}", file.show),
    Page("/compare", compare.show),
    Page("/search", search.show),
    Page("/help", help_page.show, "Help"),
    Page("/preferences", preferences.save, method="POST"),
)
