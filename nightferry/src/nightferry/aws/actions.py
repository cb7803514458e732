"""The actions of people on AWS: those in the journal of this machine, and those that ECS and Step Functions keep.

AWS keeps the author of a run, the reason of a stop, in which Nightferry writes its author, and the name of an
execution, which ends with its author if Nightferry started it. It keeps no author of a redrive. CloudTrail has all of
them, and is not read here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from nightferry.audit.journal import ActionJournal
from nightferry.audit.people import get_user
from nightferry.aws.session import Aws
from nightferry.backend.actions import Action, ActionFilter, ActionName, ActionResult, parse_stop_author
from nightferry.backend.errors import CredentialsExpired, Refused, Unreachable
from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.interface import Backend
from nightferry.backend.queries import Cursor, ExecutionFilter, Page, RunFilter
from nightferry.backend.runs import TaskRun
from nightferry.errors import NightferryError, UnknownName

_STARTERS = re.compile(r"(schedule|trigger|backfill|retry|events-rule|chronon-schedule)/.*|AWS Step Functions|unknown|")
_RECORDED = 10_000  # actions of the journal that are compared with those of AWS


def read_author(aws: Aws) -> str:
    """Return the name of the caller: the user, or the session of the role, without the domain of an e-mail address.

    In a network from which STS is not reachable, it is the user of this machine, because the action may be urgent.
    """
    try:
        caller = aws.caller
    except CredentialsExpired:
        raise
    except (Unreachable, Refused):
        return get_user()
    return caller.rpartition("/")[2].partition("@")[0] or "unknown"


def find_actions(
    backend: Backend, journal: ActionJournal, wanted: ActionFilter, before: Cursor | None, limit: int
) -> Page[Action]:
    """Return a page of actions, newest first. One page of runs and one of executions are read for it.

    A page may be short although the list continues, because most runs were not started by a person. The end of a run
    is on the page of its start.
    """
    recorded = journal.actions(limit=_RECORDED).entries
    known = {(one.action == "stop", subject) for one in recorded for subject in one.subjects}
    found = [*journal.actions(wanted, before=before, limit=limit + 1)]
    ends: list[Cursor] = [] if len(found) <= limit else [_get_place(found[limit - 1])]
    kept: list[tuple[Cursor, Action]] = [(_get_place(one), one) for one in found]
    for source in _read_kept(backend, wanted, before, limit):
        kept += [
            (place, one)
            for place, one in source.actions
            if not any((one.action == "stop", id) in known for id in (one.result.ids if one.result else ()))
        ]
        ends += [source.end] if source.end is not None else []
    end = max(ends, default=None)  # the place up to which each source was read
    shown = [one for place, one in kept if (end is None or place >= end) and wanted.matches(one)]
    shown.sort(key=_get_place, reverse=True)
    return Page(tuple(shown), end)


@dataclass(frozen=True)
class _Kept:
    """Actions that AWS keeps, with the places of their runs, and the place up to which the list was read."""

    actions: list[tuple[Cursor, Action]]
    end: Cursor | None


def _read_kept(backend: Backend, wanted: ActionFilter, before: Cursor | None, limit: int) -> Iterator[_Kept]:
    if wanted.id is not None:
        if before is None:
            yield _Kept([*_read_one(backend, wanted.id)], None)
        return
    runs = backend.runs(RunFilter(since=wanted.since, until=wanted.until), before=before, limit=limit)
    yield _Kept([(Cursor(run.created_at, run.id), action) for run in runs for action in _describe_run(run)], runs.next)
    executions = backend.executions(ExecutionFilter(since=wanted.since, until=wanted.until), before=before, limit=limit)
    places = [(Cursor(one.started_at, one.id), one) for one in executions]
    yield _Kept([(place, action) for place, one in places for action in _describe_execution(one)], executions.next)


def _read_one(backend: Backend, id: str) -> Iterator[tuple[Cursor, Action]]:
    found: Iterable[Action] = ()
    try:
        found = _describe_run(backend.run(id))
    except UnknownName:
        try:
            found = _describe_execution(backend.execution(id))
        except NightferryError:
            found = ()
    for action in found:
        yield _get_place(action), action


def _get_place(action: Action) -> Cursor:
    return Cursor(action.time, action.id)


def _describe_run(run: TaskRun) -> Iterator[Action]:
    repeated = run.repeats if run.started_by.startswith("rerun/") else None
    if repeated is not None:
        yield _make("redrive-run", run.created_at, "", repeated, run.id)
    elif run.execution is None and not _STARTERS.fullmatch(run.started_by):
        yield _make("run", run.created_at, run.started_by, run.task, run.id)
    if run.stopped_by_user and run.stopped_at is not None and run.execution is None:
        yield _make("stop", run.stopped_at, parse_stop_author(run.reason), run.id, run.id, run.reason or "")


def _describe_execution(one: ExecutionSummary) -> Iterator[Action]:
    if one.started_by and ":" not in one.started_by:
        yield _make("start", one.started_at, one.started_by, one.workflow, one.id)
    if one.status == "ABORTED" and one.stopped_at is not None:
        yield _make("stop", one.stopped_at, parse_stop_author(one.cause), one.id, one.id, one.cause or "")


def _make(name: ActionName, time: datetime, author: str, target: str, id: str, reason: str = "") -> Action:
    key = f"aws:{name}:{id}"
    return Action(key, time, author, name, target, reason, "aws", ActionResult(key, time, False, "", (id,)))
