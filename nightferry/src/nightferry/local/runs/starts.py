"""Starts by schedules and object triggers. Each start request starts its target once.

A start request has a token (``schedule:NAME:FIRE``, ``trigger:NAME:KEY:VERSION``). The new run or execution, the record
of the start, and the caller's other writes in the same transaction are atomic. So a crash at any moment neither loses
nor repeats a start.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Schedule, Workflow
from nightferry.contract import INPUT_VARIABLES, format_replacement, format_scheduled_time
from nightferry.local.runs.repeats import find_repeat
from nightferry.local.store import StartRecord, Store, now


@dataclass(frozen=True)
class StartRequest:
    """A request to start ``target``: a task (with ``args`` and ``env``) or a workflow (with ``input``).

    ``source`` names the declaration: ``schedule:NAME`` or ``trigger:NAME``. ``args`` and ``env`` may contain
    references.
    """

    token: str
    source: str
    kind: Literal["task", "workflow"]
    target: str
    due_at: datetime
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    input: Any = field(default_factory=dict)
    note: str | None = None


def make_scheduled_start(schedule: Schedule, time: datetime, *, note: str | None = None) -> StartRequest:
    """Return the request for the start of a schedule's target at one of its times, which the target receives."""
    scheduled = {"scheduled_at": format_scheduled_time(time), "schedule": schedule.name}
    return StartRequest(
        token=f"schedule:{schedule.name}:{format_scheduled_time(time)}",
        source=f"schedule:{schedule.name}",
        kind=schedule.kind,
        target=schedule.target,
        due_at=time,
        args=schedule.args,
        env={**schedule.env, **{INPUT_VARIABLES[name]: value for name, value in scheduled.items()}},
        input=scheduled,
        note=note,
    )


@dataclass(frozen=True)
class StartResult:
    """The execution that resulted from a start: a ``new`` one, or with overlap ``skip`` the open one."""

    id: str
    new: bool


class Starter:
    """A starter of tasks and workflows for schedules and triggers. ``resolve`` substitutes references."""

    def __init__(self, store: Store, catalog: Catalog, resolve: Callable[[Any], Any]) -> None:
        self._store = store
        self._catalog = catalog
        self._resolve = resolve
        self.on_start: Callable[[StartRecord], None] = lambda _: None
        """Called with the record of each decided start."""

    def start(self, request: StartRequest) -> StartRecord:
        """Start the target unless the request was decided before; return the record of the start in both cases.

        Call this in a transaction of the store to make other writes atomic with it.
        """
        resolved: dict[str, Any] = {}
        if request.kind == "task":
            resolved = self._resolve({"args": list(request.args), "env": dict(request.env)})
        else:
            resolved = self._resolve(dict(self._catalog.workflows[request.target].definition))
        with self._store.transaction():
            if (known := self._store.start(request.token)) is not None:
                return known
            if request.kind == "task":
                started = self._build_record(request, "started", self._add_run(request, resolved))
            else:
                started = self._begin_execution(request, resolved)
            self._save(started)
            return started

    def record_missed(self, request: StartRequest) -> StartRecord:
        """Record that the request's time was missed and nothing was started for it.

        The request's token stays unused: if its time comes again after a correction of the clock, it starts its target.
        """
        with self._store.transaction():
            missed = replace(self._build_record(request, "missed", None), token=f"{request.token}:missed")
            if (known := self._store.start(missed.token)) is not None:
                return known
            self._save(missed)
            return missed

    def _save(self, start: StartRecord) -> None:
        self._store.add_start(start)
        self.on_start(start)

    def _add_run(self, request: StartRequest, resolved: dict[str, Any]) -> str:
        id = uuid.uuid4().hex
        self._store.add_run(
            id, request.target, resolved["args"], resolved["env"],
            started_by=request.source, token=request.token,
        )  # fmt: skip
        return id

    def _begin_execution(self, request: StartRequest, definition: dict[str, Any]) -> StartRecord:
        declared = self._catalog.workflows[request.target]
        begun = begin_execution(
            self._store, declared, definition, request.input, started_by=request.source, token=request.token
        )
        if begun.new:
            return self._build_record(request, "started", begun.id)
        note = f"Execution {begun.id} was open and the overlap policy is skip."
        return self._build_record(request, "skipped", begun.id, note)

    def _build_record(
        self, request: StartRequest, outcome: Literal["started", "skipped", "missed"], id: str | None, note: str = ""
    ) -> StartRecord:
        return StartRecord(
            token=request.token,
            source=request.source,
            kind=request.kind,
            target=request.target,
            due_at=request.due_at,
            decided_at=now(),
            outcome=outcome,
            id=id,
            note=" ".join(part for part in (request.note, note) if part) or None,
        )


def start_scheduled(
    store: Store, catalog: Catalog, resolve: Callable[[Any], Any], schedule: Schedule, time: datetime
) -> str | None:
    """Start a schedule's target for one of its times as a backfill. Return the ID, or None while it must wait.

    The token is that of the schedule's own start, so that each time is started once, by the schedule or a backfill. A
    time at which the schedule started nothing, because of the overlap policy, is started now.
    """
    request = replace(
        make_scheduled_start(schedule, time, note="Started by a backfill."), source=f"backfill:{schedule.name}"
    )
    with store.transaction():
        known = store.start(request.token)
        if known is not None and known.outcome == "started":
            return known.id
        if _is_running(store, catalog, schedule):
            return None
        if known is not None:
            store.forget_start(request.token)
        return Starter(store, catalog, resolve).start(request).id


def _is_running(store: Store, catalog: Catalog, schedule: Schedule) -> bool:
    """Return True if the target of a schedule is running and must not run twice at once."""
    if schedule.kind == "workflow":
        return catalog.workflows[schedule.target].overlap != "allow" and bool(store.open_execution_ids(schedule.target))
    alone = catalog.tasks[schedule.target].overlap != "allow"
    return alone and store.has_open_run(schedule.target)


def find_scheduled(store: Store, schedule: Schedule, times: Sequence[datetime]) -> dict[datetime, str]:
    """Return the run, or its last repeat, or the execution that was started for each time that has one."""
    found = {}
    for time in times:
        start = store.start(make_scheduled_start(schedule, time).token)
        if start is not None and start.outcome == "started" and start.id is not None:
            found[time] = start.id
            while (repeat := find_repeat(store, found[time])) is not None:
                found[time] = repeat
    return found


def begin_execution(
    store: Store,
    workflow: Workflow,
    definition: dict[str, Any],
    input: Any,
    *,
    started_by: str = "",
    token: str | None = None,
) -> StartResult:
    """Record a new execution according to the workflow's overlap policy; with ``skip``, return the open one, if any."""
    with store.transaction():
        # With other policies, the query would read all open executions again for each of thousands of starts.
        open_ones = store.open_execution_ids(workflow.name) if workflow.overlap in ("skip", "replace") else []
        if open_ones and workflow.overlap == "skip":
            return StartResult(open_ones[0], new=False)
        id = f"{workflow.name}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
        store.add_execution(id, workflow.name, definition, input, started_by=started_by, token=token)
        if workflow.overlap == "replace":
            for open_one in open_ones:
                store.request_stop(open_one, format_replacement(id))
        return StartResult(id, new=True)
