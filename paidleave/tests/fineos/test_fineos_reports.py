"""FINEOS's jobs report the outcome of each row of a file, and of each employer of a feed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from nightferry import BackgroundTask, ReasonCount
from nightferry.backend import Report
from nightferry.backend.reports import parse_report
from nightferry.testing import run_job
from paidleave.catalog import catalog
from paidleave.fineos.eligibility_feed.command import main as export_feed
from paidleave.fineos.employee_updates.command import main as import_updates
from tests.fineos.eligibility_feed.feed_world import World
from tests.fineos.employee_updates import employee_updates_world as updates
from tests.task_process import database_env


def run_reports(job: BackgroundTask[Any], environment: dict[str, Any], code: int = 0) -> list[Report]:
    ended = run_job(job, environment)
    assert ended.exit_code == code, ended.errors
    now = datetime.now(UTC)
    found = [parse_report(line, str(number), line["run_id"], now) for number, line in enumerate(ended.lines)]
    reports = [report for report in found if report is not None]
    for report in reports:
        assert set(report.counts) <= set(catalog.reports[report.kind].counts)
    return reports


def test_employee_updates_are_reported_by_row(database: str, tmp_path: Path) -> None:
    good = {"EMPLOYEEIDENTIFIER": str(updates.employee_id(1)), "EMPLOYEENATIONALID": "123-45-6788"}
    rows = [
        {**good, "EMPLOYEEFIRSTNAME": "Ada", "EMPLOYEELASTNAME": "Byron", "ORG_CUSTOMERNO": "7"},
        {**good, "EMPLOYEEIDENTIFIER": "not an ID"},
        {"EMPLOYEEIDENTIFIER": str(updates.employee_id(2))},
        {"EMPLOYEEIDENTIFIER": str(updates.employee_id(3))},
    ]
    updates.write(tmp_path / "in", rows)
    environment = {**database_env(database), "FINEOS_FOLDER_PATH": str(tmp_path / "in"), "QUIET_SECONDS": 0}
    limit = "EMPLOYEE_UPDATES_ERRORED_SHARE_LIMIT"
    (failed,) = run_reports(import_updates, {**environment, limit: 0.1}, code=1)
    assert (failed.subject, failed.failed, failed.limit) == (updates.NAME, True, 0.1)
    assert failed.counts["rejected"] + failed.counts["not_imported"] == failed.total == 4
    (report,) = run_reports(import_updates, {**environment, limit: 1})
    assert report.kind == "fineos-employee-updates"
    assert report.counts == {"created": 1, "updated": 0, "unmodified": 0, "duplicate": 0, "rejected": 3}
    assert report.reasons == (
        ReasonCount("unknown employee without an SSN", 2, "EMPLOYEENATIONALID"),
        ReasonCount("not a UUID", 1, "EMPLOYEEIDENTIFIER"),
    )
    declared = catalog.reports[report.kind].records
    assert declared is not None
    with psycopg.connect(database) as connection:
        query = connection.execute(declared.query.encode(), {"reference": report.reference, "after": 0, "limit": 100})
        assert [row[0] for row in query.fetchall()] == [3, 4, 5], "the partly imported row is not among them"


def test_a_feed_is_reported_by_employer(database: str, tmp_path: Path) -> None:
    world = World(database)
    world.employee(world.employer(7), world.employer(8))
    world.close()
    (report,) = run_reports(export_feed, world.environment(tmp_path / "out", "full"))
    assert (report.kind, report.subject) == ("fineos-eligibility-feed", "eligibility feed (full)")
    assert report.counts == {"written": 2, "skipped": 0, "failed": 0, "waiting": 0}
    assert report.total == 2
