"""``nightferry starts``: list what schedules and triggers have started, skipped and missed, and what is late."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from nightferry.backend.starts import NotKnown, Start, StartFilter, StartOutcome, make_source
from nightferry.catalog.catalog import Catalog
from nightferry.cli.terminal.completion import complete_schedule
from nightferry.cli.terminal.options import AsJson, Env, open_backend, print_json, print_status
from nightferry.cli.terminal.output import print_table
from nightferry.clock import get_clock
from nightferry.environments.project import Project
from nightferry.errors import UnknownName
from nightferry.presentation.schedules.late_fires import LateFires, find_late_fires
from nightferry.presentation.schedules.schedules import read_schedules
from nightferry.presentation.times import TIME_FORMATS, parse_time


def starts(
    name: Annotated[
        str | None,
        typer.Argument(help="A schedule or trigger. Default: all.", metavar="NAME", autocompletion=complete_schedule),
    ] = None,
    outcome: Annotated[
        StartOutcome | None, typer.Option(help="Only the starts with this decision.", show_default=False)
    ] = None,
    since: Annotated[
        str | None, typer.Option(help=f"Only decisions since this time: {TIME_FORMATS}.", metavar="TIME")
    ] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of starts.", min=1)] = 20,
    env: Env = "local",
    as_json: AsJson = False,
) -> None:
    """List what schedules and triggers have started, skipped or missed, and which fires are late."""
    project = Project.find()
    environment, backend, now = project.environment(env), open_backend(project, env), get_clock().now()
    source = None if name is None else _find_source(project.catalog, name)
    wanted = StartFilter(source, outcome, None if since is None else parse_time("--since", since))
    found = backend.starts(wanted, limit=limit)
    names = None if name is None else [one for one in project.catalog.schedules if one == name]
    late = find_late_fires(backend, read_schedules(project.catalog, environment, backend, now, names), now)
    if as_json:
        listed = {"not_known": found.reason} if isinstance(found, NotKnown) else [asdict(start) for start in found]
        print_json({"starts": listed, "late": [{"schedule": one.schedule.name, "fires": one.fires} for one in late]})
        return
    for one in late:
        print_status(_describe_late(one))
    if isinstance(found, NotKnown):
        print_status(f"Not known: {found.reason}")
        return
    columns = ("Due", "By", "Decision", "Started", "Note")
    print_table(columns, [_make_row(start) for start in found], empty="No starts found.")


def _find_source(catalog: Catalog, name: str) -> str:
    """Return the source of a declaration's starts. A schedule and a trigger may have the same name."""
    if name in catalog.schedules:
        return make_source("schedule", name)
    if name in catalog.object_triggers:
        return make_source("trigger", name)
    raise UnknownName("schedule or trigger", name, [*catalog.schedules, *catalog.object_triggers])


def _describe_late(late: LateFires) -> str:
    number = "1 fire is" if len(late.fires) == 1 else f"{len(late.fires)} fires are"
    return f"{late.schedule.name}: {number} late since {_format_time(late.fires[0])}. {late.reason}"


def _make_row(start: Start) -> tuple[str, str, str, str, str]:
    decision = f"{start.outcome}, {start.result}" if start.result else start.outcome
    by = f"{start.source} (backfill)" if start.by_backfill else start.source
    note = "; ".join(filter(None, (start.object, start.note)))
    return _format_time(start.due_at), by, decision, start.id or "-", note


def _format_time(time: datetime) -> str:
    return f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z}"
