"""``longshore next``: when schedules fire next, in their zone and in UTC."""

from __future__ import annotations

from typing import Annotated

import typer

from longshore.cli.options import AsJson, Env, print_json


def next_fires(
    schedule: Annotated[str | None, typer.Argument(help="A declared schedule; all of them when left out.")] = None,
    env: Env = "local",
    count: Annotated[int, typer.Option(help="How many fires of each.", min=1)] = 3,
    at: Annotated[
        str | None, typer.Option(help="As seen from this time, ISO 8601; now when left out.", metavar="TIME")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show when schedules fire next, in their own time zone and in UTC."""
    from datetime import UTC, datetime
    from zoneinfo import ZoneInfo

    from longshore.errors import LongshoreError, UnknownName
    from longshore.project import Project
    from longshore.references import substitute
    from longshore.schedules import next_fire, parse

    project = Project.find()
    environment = project.environment(env)
    declared = project.catalog.schedules
    if schedule is not None and schedule not in declared:
        raise UnknownName("schedule", schedule, declared)
    try:
        start = datetime.now(UTC) if at is None else datetime.fromisoformat(at)
    except ValueError:
        raise LongshoreError(f"--at {at}: write a time as 2026-11-24T20:30:00 or with an offset, …+00:00.") from None
    start = start.astimezone(UTC)
    found = []
    for name in [schedule] if schedule else list(declared):
        one = declared[name]
        expression = substitute(one.expression, lambda reference: environment.settings[reference.name])
        enabled = substitute(one.enabled, lambda reference: environment.settings[reference.name]) == "true"
        zone, moment = ZoneInfo(one.timezone), start
        for _ in range(count):
            fire = next_fire(parse(expression), moment, zone, start)
            if fire is None:
                break
            found.append((name, expression, one.timezone, enabled, fire, fire.astimezone(zone)))
            moment = fire
    if as_json:
        keys = ("schedule", "expression", "timezone", "enabled", "utc", "local")
        print_json([dict(zip(keys, (*row[:4], row[4].isoformat(), row[5].isoformat()), strict=True)) for row in found])
        return
    if not found:
        typer.echo("No schedule fires any more." if declared else "None declared.")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("Schedule", "Local time", "Zone", "UTC", "", box=None, header_style="bold")
    for name, _, timezone, enabled, fire, local in found:
        note = "" if enabled else f"switched off in {env}"
        table.add_row(name, f"{local:%a %Y-%m-%d %H:%M %Z}", timezone, f"{fire:%a %Y-%m-%d %H:%M}", note)
    Console().print(table)
