"""The engine: is it well, what waits, and what has it reported?"""

from __future__ import annotations

from dataclasses import asdict

from starlette.responses import Response

from nightferry.backend.engine_status import EngineStatus
from nightferry.backend.starts import NotKnown
from nightferry.dashboard.view import View
from nightferry.presentation.schedules.late_fires import find_late_fires
from nightferry.presentation.schedules.schedules import read_schedules


def show(view: View) -> Response:
    """Show the state of the engine; on AWS, what replaces it."""
    engine = view.backend.engine_status()
    if isinstance(engine, NotKnown):
        return view.page(
            "engine.html", title="Engine", json={"reason": engine.reason}, engine=None, reason=engine.reason
        )
    now = view.site.clock.now()
    schedules = read_schedules(view.catalog, view.environment, view.backend, now)
    return view.page(
        "engine.html",
        title="Engine",
        json=asdict(engine),
        live=True,
        engine=engine,
        problems=_find_problems(engine),
        late=find_late_fires(view.backend, schedules, now) if engine.pid is not None else [],
        now=now,
    )


def _find_problems(engine: EngineStatus) -> list[str]:
    """Return the problems as sentences."""
    found = [] if engine.problems is None else list(engine.problems.values())
    if engine.pid is None and (engine.queue or engine.open_executions):
        found.append("No engine is running, so nothing of the open work continues. Start it: nightferry up")
    if engine.problems is None and engine.free_bytes < engine.required_free_bytes:
        free, required = engine.free_bytes / 1e6, engine.required_free_bytes / 1e6
        found.append(f"The disk has {free:,.0f} MB of free space; {required:,.0f} MB are required.")
    return found
