"""The starts by schedules and triggers, from the runs and executions that they started.

AWS records no decision. A run has the time of its schedule, or the key of its object, in its variables; an execution
has them in its input. ListExecutions has no inputs, so each execution that a schedule or trigger may have started is
described once, and kept: neither the input nor the output of an ended execution changes, except by a redrive, which
leads to another end. A page describes a limited number, and is then short although the list continues.

A fire for which nothing was started leaves no trace: starts that were missed are not known.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nightferry.aws.executions.executions import Executions
from nightferry.aws.executions.scheduled import was_skipped
from nightferry.aws.lru_cache import LruCache
from nightferry.backend.executions import WorkflowExecution
from nightferry.backend.queries import Count, Cursor, ExecutionFilter, Page, RunFilter, judge_execution
from nightferry.backend.runs import TaskRun
from nightferry.backend.starts import NotKnown, Start, StartFilter, make_source
from nightferry.catalog.declarations import ObjectTrigger, Schedule
from nightferry.contract import INPUT_VARIABLES, SCHEDULE_VARIABLE, parse_scheduled_time
from nightferry.environments.aws_resources import AwsResources

EXAMINED = 5_000
"""The number of runs and executions that a query reads before it returns the part that it has."""
DESCRIBED = 200
"""The number of executions that a query describes before it returns the part that it has."""

_KEPT_EXECUTIONS = 10_000
_PAGE = 100  # runs that are read at once
_OF_TRIGGER = re.compile(r"[0-9a-f]{64}")  # the execution names of nightferry.lambdas.s3_trigger
_OF_BACKFILL = re.compile(r"(.+)-\d{8}T\d{6}Z(-\d+)?")  # of nightferry.aws.executions.scheduled

_MISSED = NotKnown(
    "AWS keeps no record of a start that was not made. Compare the fires of the schedule with its starts, and list the "
    "failed ones: nightferry redrive schedules --env {env} --dry-run"
)

_SKIPPED = NotKnown(
    "On AWS, a task that is skipped because of its overlap policy starts, and ends at once as a success. Its run is "
    "among those that were started."
)

Declaration = Schedule | ObjectTrigger
FindRuns = Callable[[RunFilter, Cursor | None, int], Page[TaskRun]]


@dataclass(frozen=True)
class _Candidate:
    """A run or execution that a schedule or trigger may have started, with its place in the list."""

    place: Cursor
    run: TaskRun | None = None
    workflow: str = ""
    item: Any = None


class Starts:
    """The starts of one environment. ``find_runs`` returns a page of its runs."""

    def __init__(self, resources: AwsResources, executions: Executions, find_runs: FindRuns) -> None:
        self._resources = resources
        self._executions = executions
        self._find_runs = find_runs
        self._kept: LruCache[WorkflowExecution] = LruCache(_KEPT_EXECUTIONS)

    def find(self, wanted: StartFilter, before: Cursor | None, limit: int) -> Page[Start] | NotKnown:
        """Return the next ``limit`` starts after the cursor ``before``, the last one first."""
        if (unknown := self._find_unknown(wanted)) is not None:
            return unknown
        found: list[Start] = []
        last: Cursor | None = None
        for place, start in self._iterate(wanted, before):
            if start is None:
                return Page(tuple(found), place)
            if len(found) == limit:
                return Page(tuple(found), last)
            last = place
            if wanted.outcome in (None, start.outcome):
                found.append(start)
        return Page(tuple(found), None)

    def count(self, wanted: StartFilter, limit: int) -> Count | NotKnown:
        """Return the number of starts, counted up to ``limit``."""
        if (unknown := self._find_unknown(wanted)) is not None:
            return unknown
        number = 0
        for _, start in self._iterate(wanted, None):
            if start is None or number == limit:
                return Count(number, complete=False)
            number += wanted.outcome in (None, start.outcome)
        return Count(number, complete=True)

    def _find_unknown(self, wanted: StartFilter) -> NotKnown | None:
        if wanted.outcome == "missed":
            return NotKnown(_MISSED.reason.format(env=self._resources.environment.name))
        if wanted.source is None:
            return None
        declared = self._list_declarations(wanted.source)
        if not declared:
            kind, _, name = wanted.source.partition(":")
            return NotKnown(f"The {kind} '{name}' is not declared, so its target on AWS is unknown.")
        return _SKIPPED if wanted.outcome == "skipped" and declared[0].kind == "task" else None

    def _list_declarations(self, source: str | None) -> list[Declaration]:
        """Return the declaration with this source, or all of them."""
        catalog = self._resources.catalog
        declared: list[Declaration] = [*catalog.schedules.values(), *catalog.object_triggers.values()]
        return [one for one in declared if source in (None, _get_source(one))]

    def _iterate(self, wanted: StartFilter, before: Cursor | None) -> Iterator[tuple[Cursor, Start | None]]:
        """Yield the starts with their places, newest first, and None at the place at which a limit was reached."""
        declarations = self._list_declarations(wanted.source)
        described = 0
        previous = before
        for examined, candidate in enumerate(self._iterate_candidates(declarations, wanted, before)):
            described += candidate.run is None and not self._is_kept(candidate)
            if examined == EXAMINED or described > DESCRIBED:
                yield previous or candidate.place, None
                return
            previous = candidate.place
            start = self._read_run(candidate.run, declarations) if candidate.run else self._read_execution(candidate)
            if start is not None and wanted.source in (None, start.source):
                yield candidate.place, start

    def _iterate_candidates(
        self, declarations: list[Declaration], wanted: StartFilter, before: Cursor | None
    ) -> Iterator[_Candidate]:
        """Yield what the declarations may have started, newest first."""
        tasks = {one.target for one in declarations if one.kind == "task"}
        workflows = {one.target for one in declarations if one.kind == "workflow"}
        lists = [self._iterate_executions(workflow, wanted, before) for workflow in sorted(workflows)]
        if tasks:
            lists.append(self._iterate_runs(next(iter(tasks)) if len(tasks) == 1 else None, wanted, before))
        return heapq.merge(*lists, key=lambda candidate: candidate.place, reverse=True)

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _iterate_runs(self, task: str | None, wanted: StartFilter, before: Cursor | None) -> Iterator[_Candidate]:
        chosen = RunFilter(task=task, since=wanted.since, until=wanted.until)
        while True:
            page = self._find_runs(chosen, before, _PAGE)
            for run in page:
                yield _Candidate(Cursor(run.created_at, run.id), run)
            if page.next is None:
                return
            before = page.next

    @staticmethod
    def _read_run(run: TaskRun, declarations: list[Declaration]) -> Start | None:
        """Return the start that began a run; None for one by hand, of an execution, or of a repeat."""
        if run.execution is not None or run.repeats is not None:
            return None
        result = run.outcome
        schedule = run.env.get(SCHEDULE_VARIABLE)
        if schedule is not None and (due := run.scheduled_at) is not None:
            by_backfill = run.started_by.startswith("backfill/")
            source = make_source("schedule", schedule)
            return Start(
                source, "task", run.task, due, run.created_at, "started", run.id, by_backfill=by_backfill, result=result
            )
        for one in declarations:
            # ECS allows 36 characters for the starter.
            if isinstance(one, ObjectTrigger) and run.started_by == f"trigger/{one.name}"[:36]:
                key, source, created = run.env.get(INPUT_VARIABLES["key"]), _get_source(one), run.created_at
                return Start(source, "task", run.task, created, created, "started", run.id, object=key, result=result)
        return None

    # ── executions ────────────────────────────────────────────────────────────────────────────────────────────

    def _iterate_executions(self, workflow: str, wanted: StartFilter, before: Cursor | None) -> Iterator[_Candidate]:
        chosen = ExecutionFilter(workflow=workflow, since=wanted.since, until=wanted.until)
        for item in self._executions.iterate(chosen, before):
            place = Cursor(item["startDate"], item["name"])
            # ``nightferry start`` names its executions so; they need no description.
            if not item["name"].startswith(f"{workflow}-") or _OF_BACKFILL.fullmatch(item["name"]):
                yield _Candidate(place, workflow=workflow, item=item)

    def _is_kept(self, candidate: _Candidate) -> bool:
        return _make_key(candidate) in self._kept

    def _read_execution(self, candidate: _Candidate) -> Start | None:
        """Return the start that began an execution; None for one by hand."""
        key = _make_key(candidate)
        execution = self._kept.get(key)
        if execution is None:
            execution = self._executions.get(candidate.workflow, candidate.item["name"])
            if execution is None:  # Step Functions has removed it meanwhile
                return None
            self._kept.put(key, execution)
        values = execution.input if isinstance(execution.input, dict) else {}
        started = execution.started_at
        start: Start | None = None
        if (due := _read_due_time(values)) is not None:
            own = _OF_BACKFILL.fullmatch(execution.id)
            by_backfill = own is not None and own[1] == values["schedule"]
            source = make_source("schedule", values["schedule"])
            start = Start(
                source, "workflow", execution.workflow, due, started, "started", execution.id, by_backfill=by_backfill
            )
        elif (trigger := self._find_trigger(execution, values)) is not None:
            source, seen = _get_source(trigger), str(values["key"])
            start = Start(
                source, "workflow", execution.workflow, started, started, "started", execution.id, object=seen
            )
        if start is None or was_skipped(execution):
            return None if start is None else _mark_skipped(start, execution)
        return replace(start, result=judge_execution(candidate.item["status"]))

    def _find_trigger(self, execution: WorkflowExecution, values: dict[str, Any]) -> ObjectTrigger | None:
        """Return the trigger that matches the object of an execution's input."""
        if not _OF_TRIGGER.fullmatch(execution.id):
            return None
        bucket, key = str(values.get("bucket")), str(values.get("key"))
        for one in self._resources.catalog.object_triggers.values():
            ours = one.target == execution.workflow and self._resources.bucket(one.bucket).name == bucket
            if ours and key.startswith(one.prefix) and key.endswith(one.suffix):
                return one
        return None


def _get_source(declared: Declaration) -> str:
    return make_source("schedule" if isinstance(declared, Schedule) else "trigger", declared.name)


def _read_due_time(values: dict[str, Any]) -> datetime | None:
    """Return the time for which a schedule or its backfill started an execution with this input, or None."""
    schedule, due = values.get("schedule"), values.get("scheduled_at")
    try:
        return parse_scheduled_time(due) if isinstance(schedule, str) and isinstance(due, str) else None
    except ValueError:  # the input was written by hand
        return None


def _mark_skipped(start: Start, execution: WorkflowExecution) -> Start:
    """Return the start of an execution that ended at once, because an earlier one was open."""
    running = execution.output.get("running")
    earlier = str(running[0]).rpartition(":")[2] if isinstance(running, list) and running else None
    note = f"Execution {earlier or '(unknown)'} was open and the overlap policy is skip."
    return replace(start, outcome="skipped", id=earlier or execution.id, note=note)


def _make_key(candidate: _Candidate) -> tuple[str, str, Any]:
    return candidate.workflow, candidate.item["name"], candidate.item.get("stopDate")
