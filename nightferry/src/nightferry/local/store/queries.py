"""Queries of the store: pages and counts of runs, executions and reports."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from nightferry.backend.executions import ExecutionSummary
from nightferry.backend.queries import ALL_EXECUTIONS, ALL_RUNS, Count, Cursor, ExecutionFilter, Page, RunFilter
from nightferry.backend.reports import ALL_REPORTS, Report, ReportFilter, parse_report
from nightferry.backend.runs import RunSummary, TaskRun
from nightferry.backend.usage import RunUsage
from nightferry.contract import LogEvent
from nightferry.local.store.conditions import Value, build_condition
from nightferry.local.store.executions import parse_summary
from nightferry.local.store.file import StoreFile
from nightferry.local.store.runs import parse_run
from nightferry.local.store.times import format_time, parse_optional_time, parse_time

EXAMINED = 100_000
"""The number of entries that a search for text examines before it returns the part that it has."""

_BATCH = 1000  # rows that are read at once

_RUN_TEXTS = ("id", "command", "environment", "started_by", "reason")
_RUN_COLUMNS = "id, task, status, created_at, started_at, stopped_at, exit_code, stop_code"
_EXECUTION_COLUMNS = "id, workflow, status, started_at, stopped_at, error, cause, started_by"

_Entry = TypeVar("_Entry")


@dataclass(frozen=True)
class _Query:
    """The parts of a statement. ``time`` is the column that orders the table; ``matches`` is the search for text."""

    table: str
    columns: str
    time: str
    where: str
    values: tuple[Value, ...]
    matches: str
    texts: tuple[str, ...]


class Queries(StoreFile):
    """Pages and counts of runs, executions and reports."""

    def runs(self, wanted: RunFilter = ALL_RUNS, *, before: Cursor | None = None, limit: int = 20) -> Page[TaskRun]:
        """Return the next ``limit`` runs after the cursor ``before``, newest first."""
        return self._find(_query_runs(wanted, before), limit, lambda row: parse_run(row).run)

    def run_summaries(
        self, wanted: RunFilter = ALL_RUNS, *, before: Cursor | None = None, limit: int = 500
    ) -> Page[RunSummary]:
        """Return the next ``limit`` runs after the cursor ``before``, newest first, without their payload."""
        return self._find(_query_runs(wanted, before, _RUN_COLUMNS), limit, _parse_run_summary)

    def count_runs(self, wanted: RunFilter = ALL_RUNS, *, limit: int = 10_000) -> Count:
        """Return the number of runs, counted up to ``limit``."""
        return self._count(_query_runs(wanted, None), limit)

    def usage(self, since: datetime, *, task: str | None = None, limit: int = 1000) -> list[RunUsage]:
        """Return what the last ended runs used, newest first."""
        equal = "" if task is None else "task = ? AND "
        rows = self._db.execute(
            "SELECT run.id, task, outcome, created_at, started_at, stopped_at, execution, log_bytes,"
            " json_extract(data, '$.peak_memory_bytes') AS peak_memory"
            " FROM run LEFT JOIN run_event ON run_event.run = run.id AND run_event.event = ?"
            f" WHERE {equal}created_at >= ? AND outcome <> 'open' ORDER BY created_at DESC, id DESC LIMIT ?",
            (str(LogEvent.ENDED), *([] if task is None else [task]), format_time(since), limit),
        )
        return [_parse_usage(row) for row in rows]

    def executions(
        self, wanted: ExecutionFilter = ALL_EXECUTIONS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[ExecutionSummary]:
        """Return the next ``limit`` executions after the cursor ``before``, newest first."""
        return self._find(_query_executions(wanted, before), limit, parse_summary)

    def count_executions(self, wanted: ExecutionFilter = ALL_EXECUTIONS, *, limit: int = 10_000) -> Count:
        """Return the number of executions, counted up to ``limit``."""
        return self._count(_query_executions(wanted, None), limit)

    def report(self, id: str) -> Report | None:
        """Return a report by its ID, or None."""
        row = self._db.execute("SELECT * FROM report WHERE id = ?", (id,)).fetchone()
        return None if row is None else _parse_report_row(row)

    def reports(
        self, wanted: ReportFilter = ALL_REPORTS, *, before: Cursor | None = None, limit: int = 20
    ) -> Page[Report]:
        """Return the next ``limit`` reports after the cursor ``before``, newest first."""
        return self._find(_query_reports(wanted, before), limit, _parse_report_row)

    def _find(self, query: _Query, limit: int, parse: Callable[[sqlite3.Row], _Entry]) -> Page[_Entry]:
        examined = EXAMINED if query.texts else limit
        rows = self._db.execute(
            f"SELECT {query.columns}, {query.matches} AS matches FROM {query.table} WHERE {query.where}"
            f" ORDER BY {query.time} DESC, id DESC LIMIT ?",
            (*query.texts, *query.values, examined + 1),
        )
        entries: list[_Entry] = []
        last: sqlite3.Row | None = None
        number = 0
        while batch := rows.fetchmany(_BATCH):
            for row in batch:
                if last is not None and (number == examined or len(entries) == limit):  # the list continues
                    return Page(tuple(entries), Cursor(parse_time(last[query.time]), last["id"]))
                number, last = number + 1, row
                if row["matches"]:
                    entries.append(parse(row))
        return Page(tuple(entries), None)

    def _count(self, query: _Query, limit: int) -> Count:
        examined = EXAMINED if query.texts else limit
        rows = (
            f"SELECT {query.matches} AS matches FROM {query.table} WHERE {query.where}"
            f" ORDER BY {query.time} DESC, id DESC LIMIT ?"
        )
        number, seen = self._db.execute(
            f"SELECT coalesce(sum(matches), 0), count(*) FROM ({rows})", (*query.texts, *query.values, examined + 1)
        ).fetchone()
        return Count(min(number, limit), seen <= examined and number <= limit)


def _parse_usage(row: sqlite3.Row) -> RunUsage:
    started, stopped = parse_optional_time(row["started_at"]), parse_optional_time(row["stopped_at"])
    peak = row["peak_memory"]
    return RunUsage(
        run=row["id"],
        task=row["task"],
        outcome=row["outcome"],
        created_at=parse_time(row["created_at"]),
        seconds=max((stopped - started).total_seconds(), 0) if started and stopped else None,
        execution=row["execution"],
        peak_memory=peak if isinstance(peak, int) else None,
        log_bytes=row["log_bytes"],
    )


def _parse_run_summary(row: sqlite3.Row) -> RunSummary:
    return RunSummary(
        row["id"],
        row["task"],
        row["status"],
        parse_time(row["created_at"]),
        parse_optional_time(row["started_at"]),
        parse_optional_time(row["stopped_at"]),
        row["exit_code"],
        row["stop_code"],
    )


def _query_runs(wanted: RunFilter, before: Cursor | None, columns: str = "*") -> _Query:
    equal = {"task": wanted.task, "execution": wanted.execution, "outcome": wanted.outcome}
    return _build_query("run", columns, "created_at", _RUN_TEXTS, equal, wanted, before)


def _query_executions(wanted: ExecutionFilter, before: Cursor | None) -> _Query:
    equal = {"workflow": wanted.workflow, "outcome": wanted.outcome}
    return _build_query("execution", _EXECUTION_COLUMNS, "started_at", ("id",), equal, wanted, before)


def _query_reports(wanted: ReportFilter, before: Cursor | None) -> _Query:
    equal = {"kind": wanted.kind, "subject": wanted.subject, "run": wanted.run}
    return _build_query("report", "*", "time", ("subject",), equal, wanted, before)


def _parse_report_row(row: sqlite3.Row) -> Report:
    report = parse_report(json.loads(row["data"]), row["id"], row["run"], parse_time(row["time"]))
    assert report is not None, "only reports are stored"
    return report


def _build_query(
    table: str,
    columns: str,
    time: str,
    texts: tuple[str, ...],
    equal: dict[str, str | None],
    wanted: RunFilter | ExecutionFilter | ReportFilter,
    before: Cursor | None,
) -> _Query:
    where, values = build_condition(equal, (time, "id"), wanted, before)
    found = " OR ".join(f"instr(lower(coalesce({column}, '')), lower(?)) > 0" for column in texts)
    return _Query(
        table,
        columns,
        time,
        where,
        tuple(values),
        f"({found})" if wanted.text else "1",
        (wanted.text,) * len(texts) if wanted.text else (),
    )
