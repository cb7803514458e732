"""Repeats of failed runs: the same task starts again with the same inputs.

The token of the new run names the run that it repeats, so that each run is repeated only once, whoever requests it.
"""

from __future__ import annotations

import uuid
from dataclasses import replace

from nightferry.backend import request_checks
from nightferry.backend.interface import TaskRun
from nightferry.catalog.catalog import Catalog
from nightferry.contract import format_rerun
from nightferry.errors import UnknownName
from nightferry.local.store import Store

_PREFIX = "repeat:"  # of the token; the ID of the repeated run follows


def redrive_run(store: Store, catalog: Catalog, id: str, *, dry_run: bool = False) -> str:
    """Record a run that repeats the failed run ``id``, and return its ID; with ``dry_run``, only check it.

    Raises UnknownName and CannotRedrive.
    """
    with store.transaction():
        record = store.run(id)
        if record is None:
            raise UnknownName("run", id, [run.id for run in store.runs(None, None, 5)])
        request_checks.check_redrivable(catalog, record.run, find_repeat(store, id))
        if dry_run:
            return id
        repeat = uuid.uuid4().hex
        store.add_run(
            repeat,
            record.run.task,
            record.run.command,
            dict(record.run.env),
            cpu=record.cpu,
            memory=record.memory,
            started_by=format_rerun(id),
            token=f"{_PREFIX}{id}",
        )
        return repeat


def find_repeat(store: Store, id: str) -> str | None:
    """Return the ID of the run that repeats a run, or None."""
    found = store.run_by_token(f"{_PREFIX}{id}")
    return None if found is None else found.run.id


def add_scheduled_time(store: Store, run: TaskRun) -> TaskRun:
    """Return the run with the time for which a schedule started it, or the first of the runs that it repeats."""
    id = run.id
    while (record := store.run(id)) is not None and record.token is not None and record.token.startswith(_PREFIX):
        id = record.token.removeprefix(_PREFIX)
    return replace(run, scheduled_at=store.find_scheduled_time(id))
