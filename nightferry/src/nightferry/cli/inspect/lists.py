"""``nightferry tasks``, ``workflows``, ``schedules`` and ``triggers``: list the declarations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta

from nightferry.catalog.references import substitute
from nightferry.cli.inspect.last_runs import OptionalEnv, find_last_executions, find_last_runs, format_last
from nightferry.cli.terminal.options import AsJson, Env, print_json
from nightferry.cli.terminal.output import print_table
from nightferry.environments.project import Project
from nightferry.presentation.durations import format_duration
from nightferry.presentation.schedules.words import describe_schedule


def tasks(env: OptionalEnv = None, as_json: AsJson = False) -> None:
    """List the declared tasks; with --env, also the result of each task's last run."""
    project = Project.find()
    declared = project.catalog.tasks.values()
    last = find_last_runs(project, env)
    if as_json:
        print_json(
            [
                {
                    "name": task.name,
                    "description": task.description,
                    "command": list(task.command),
                    "cpu": task.size.cpu,
                    "memory": task.size.memory,
                    "time_limit": task.time_limit.total_seconds(),
                    "overlap": task.overlap,
                    "by_hand": task.by_hand,
                    "env": dict(task.env),
                    "secrets": {variable: secret.name for variable, secret in task.secrets.items()},
                    "declared_in": task.declared_in,
                    **({"last_run": last.get(task.name)} if env else {}),
                }
                for task in declared
            ]
        )
        return
    rows = [
        (
            task.name,
            task.description,
            f"{task.size.cpu}/{task.size.memory}",
            _format_limit(task.time_limit),
            task.overlap,
            *((format_last(last.get(task.name)),) if env else ()),
        )
        for task in declared
    ]
    print_table(("Task", "Description", "CPU/MiB", "Limit", "Overlap", *(("Last run",) if env else ())), rows)


def workflows(env: OptionalEnv = None, as_json: AsJson = False) -> None:
    """List the declared workflows; with --env, also the result of each workflow's last execution."""
    project = Project.find()
    declared = project.catalog.workflows.values()
    last = find_last_executions(project, env)
    if as_json:
        print_json(
            [
                {
                    "name": workflow.name,
                    "description": workflow.description,
                    "tasks": list(workflow.tasks),
                    "overlap": workflow.overlap,
                    "input": list(workflow.required),
                    "definition": dict(workflow.definition),
                    "declared_in": workflow.declared_in,
                    **({"last_execution": last.get(workflow.name)} if env else {}),
                }
                for workflow in declared
            ]
        )
        return
    rows = [
        (w.name, w.description, " → ".join(w.tasks), w.overlap, *((format_last(last.get(w.name)),) if env else ()))
        for w in declared
    ]
    print_table(("Workflow", "Description", "Tasks", "Overlap", *(("Last execution",) if env else ())), rows)


def schedules(env: Env = "local", as_json: AsJson = False) -> None:
    """List the declared schedules with the settings of an environment."""
    project = Project.find()
    resolve = _make_resolver(project, env)
    declared = [
        replace(one, expression=resolve(one.expression), enabled=resolve(one.enabled))
        for one in project.catalog.schedules.values()
    ]
    if as_json:
        print_json([asdict(one) | {"words": describe_schedule(one.expression, one.timezone)} for one in declared])
        return
    rows = [
        (
            one.name,
            f"{one.kind} {one.target}",
            one.expression,
            one.timezone,
            one.enabled,
            describe_schedule(one.expression, one.timezone),
        )
        for one in declared
    ]
    print_table(("Schedule", "Starts", "When", "Zone", "Enabled", "In words"), rows)


def triggers(env: Env = "local", as_json: AsJson = False) -> None:
    """List the declared object triggers with the settings of an environment."""
    project = Project.find()
    resolve = _make_resolver(project, env)
    declared = [replace(one, enabled=resolve(one.enabled)) for one in project.catalog.object_triggers.values()]
    if as_json:
        print_json([asdict(trigger) for trigger in declared])
        return
    rows = [(t.name, f"{t.kind} {t.target}", t.bucket, f"{t.prefix}*{t.suffix}", t.via, t.enabled) for t in declared]
    print_table(("Trigger", "Starts", "Bucket", "Objects", "Via", "Enabled"), rows)


def _make_resolver(project: Project, env: str) -> Callable[[str], str]:
    """Return a function that replaces references to settings with the values of an environment."""
    settings = project.environment(env).settings
    return lambda text: substitute(text, lambda reference: settings[reference.name])


def _format_limit(limit: timedelta) -> str:
    return format_duration(limit.total_seconds()).removesuffix(" 0 s").removesuffix(" 0 min")
