"""Repeats of failed runs: the same task starts again with the same inputs.

The token of the new run names the run that it repeats, so that each run is repeated only once, also for two requests.
"""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from nightferry.backend import request_checks
from nightferry.catalog.catalog import Catalog
from nightferry.contract import ATTEMPT_VARIABLE, RepeatedBy, format_repeat, is_worth_retrying
from nightferry.errors import UnknownName
from nightferry.local.store import RunRecord, Store, now

_PREFIX = "repeat:"  # of the token; the ID of the repeated run follows


def redrive_run(store: Store, catalog: Catalog, id: str, *, dry_run: bool = False) -> str:
    """Record a run that repeats the failed run ``id``, and return its ID; with ``dry_run``, only check it.

    If the next attempt of the run is planned, it starts now instead.

    Raises UnknownName and CannotRedrive.
    """
    with store.transaction():
        record = store.run(id)
        if record is None:
            raise UnknownName("run", id, [run.id for run in store.runs(limit=5)])
        repeat = store.run_by_token(f"{_PREFIX}{id}")
        planned = repeat is not None and repeat.run.status == "QUEUED" and repeat.run.not_before is not None
        known = None if repeat is None or planned else repeat.run.id
        request_checks.check_redrivable(catalog, record.run, known)
        if dry_run:
            return id
        if repeat is not None:
            store.start_now(repeat.run.id)
            return repeat.run.id
        return _add_repeat(store, record, "rerun")


def end_run(
    store: Store, catalog: Catalog, id: str, exit_code: int | None, stop_code: str, reason: str
) -> RunRecord | None:
    """Record the end of a run, and in the same transaction its next attempt if its task has ``retry`` and it failed.

    Return the record of the next attempt, or None. A step of a workflow has only the retries of its state.
    """
    with store.transaction():
        if not store.mark_run_stopped(id, exit_code, stop_code, reason):
            return None
        record = store.run(id)
        assert record is not None
        task = catalog.tasks.get(record.run.task)
        if task is None or task.retry is None or record.run.execution is not None:
            return None
        if record.run.attempt > task.retry.attempts or not is_worth_retrying(exit_code, stop_code):
            return None
        delay = timedelta(seconds=task.retry.interval * task.retry.backoff ** (record.run.attempt - 1))
        return store.run(_add_repeat(store, record, "retry", record.run.attempt + 1, now() + delay))


def _add_repeat(
    store: Store, record: RunRecord, by: RepeatedBy, attempt: int = 1, not_before: datetime | None = None
) -> str:
    id = uuid.uuid4().hex
    store.add_run(
        id,
        record.run.task,
        record.run.args,
        {**record.run.env, **({ATTEMPT_VARIABLE: str(attempt)} if attempt > 1 else {})},
        cpu=record.cpu,
        memory=record.memory,
        started_by=format_repeat(by, record.run.id),
        token=f"{_PREFIX}{record.run.id}",
        not_before=not_before,
    )
    return id


def find_repeat(store: Store, id: str) -> str | None:
    """Return the ID of the run that repeats a run, or None."""
    found = store.run_by_token(f"{_PREFIX}{id}")
    return None if found is None else found.run.id
