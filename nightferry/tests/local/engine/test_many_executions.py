"""Many open executions leave the event loop free for scheduled starts and responses."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path

from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.store import Store
from tests.local.toy import make_project

EXECUTIONS = 40
DEFINITION = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


def test_one_step_is_stored_in_each_iteration_of_the_event_loop(tmp_path: Path) -> None:
    project = Project.find(make_project(tmp_path / "a project"))
    backend = LocalBackend(project, project.environment("local"))
    for n in range(EXECUTIONS):
        backend.store.add_execution(f"e{n}", "by-hand", DEFINITION, {})
    open_counts = asyncio.run(_count_open_in_each_iteration(backend))
    ended = [before - after for before, after in pairwise(open_counts)]
    assert sum(ended) == EXECUTIONS
    assert max(ended) <= 2, "the counting task may run before and after the store is written"


async def _count_open_in_each_iteration(backend: LocalBackend) -> list[int]:
    """Run all executions, and return the number of open ones after each iteration of the event loop."""
    reader = Store(backend.store.file)
    counts = [EXECUTIONS]
    working = asyncio.create_task(backend.work(lambda: not reader.open_counts()))
    while not working.done():
        await asyncio.sleep(0)
        counts.append(sum(reader.open_counts().values()))
    await working
    return counts
