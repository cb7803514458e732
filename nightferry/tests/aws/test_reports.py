"""Reports of jobs on AWS: pages from the log, with a limited number of calls."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from nightferry import PostgresService, RejectedRecords
from nightferry.aws import reports
from nightferry.aws.backend import AwsBackend
from nightferry.backend import RecordsUnreachable
from nightferry.backend.queries import Cursor, Page
from nightferry.backend.reports import Report, ReportFilter
from nightferry.backend.runs import RunRequest
from nightferry.errors import UnknownName
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript


def write_report(kind: str, subject: str, number: int) -> str:
    counts = [{"outcome": "created", "count": number}]
    fields = {"event": "report", "kind": kind, "subject": subject, "total": number, "counts": counts, "reasons": []}
    fields["report_reference"] = 17
    return json.dumps({"message": "report", "task": "hello", **fields})


@pytest.fixture
def runs(backend: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> list[str]:
    """Return five runs over ten weeks, each with three reports among other lines; oldest first."""
    ids = []
    for number, hours in enumerate((0, 1500, 200, 30, 1)):
        clock.sleep(hours * 3600)
        lines = [
            ScriptedLine(1, "text"),
            ScriptedLine(2, write_report("orders", f"{number}.csv", 1)),
            ScriptedLine(2, write_report("orders", "../../ü'\"*.csv", 2)),
            ScriptedLine(3, write_report("customers", f"{number}.csv", 3)),
            ScriptedLine(3, write_report("orders", "forged.csv", 3).replace('"total": 3', '"total": 4')),
            ScriptedLine(4, json.dumps({"message": "nested", "data": json.loads(write_report("orders", "x", 1))})),
        ]
        fargate.script("hello", TaskScript(lines=lines, stopped=10))
        ids.append(backend.run_task(RunRequest("hello")))
        clock.sleep(60)
        backend.run(ids[-1])  # the fake writes the lines at the next call
    return ids


def read_all(backend: AwsBackend, wanted: ReportFilter, limit: int) -> list[Page[Report]]:
    pages: list[Page[Report]] = []
    before = None
    while True:
        pages.append(backend.reports(wanted, before=before, limit=limit))
        following = pages[-1].next
        if following is None:
            return pages
        before = Cursor.parse(str(following))
        assert len(pages) < 100, "the pages must end"


def test_pages_have_every_report_of_a_filter_once_and_in_order(
    backend: AwsBackend, clock: FakeClock, runs: list[str]
) -> None:
    everything = [one for page in read_all(backend, ReportFilter(), 4) for one in page]
    assert len(everything) == 15
    assert [(one.time, one.id) for one in everything] == sorted(
        ((one.time, one.id) for one in everything), reverse=True
    )
    assert {one.run for one in everything} == set(runs)
    assert {one.task for one in everything} == {"hello"}
    since = clock.now() - timedelta(days=12)
    for wanted, number in (
        (ReportFilter("customers"), 5),
        (ReportFilter(subject="../../ü'\"*.csv"), 5),
        (ReportFilter(run=runs[0]), 3),
        (ReportFilter(since=since), 12),
        (ReportFilter(until=since), 3),
        (ReportFilter("orders", text="3.CSV"), 1),
        (ReportFilter(text="*"), 5),
        (ReportFilter("unknown"), 0),
    ):
        assert sum(map(len, read_all(backend, wanted, 4))) == number, wanted


def test_a_query_makes_few_calls_and_a_repeated_one_reads_only_what_is_new(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, runs: list[str]
) -> None:
    fargate.calls.clear()
    assert len(backend.reports(limit=100)) == 15
    assert fargate.calls.count("FilterLogEvents") <= 10
    fargate.calls.clear()
    clock.sleep(60)
    assert len(backend.reports(limit=100)) == 15
    assert fargate.calls.count("FilterLogEvents") <= 2  # today, and yesterday while its lines may come late
    assert fargate.calls.count("DescribeTasks") == 0
    # Queries soon after each other make equal calls, so that these can be shared.
    made: list[object] = []
    name = "provide-client-params.cloudwatch-logs.FilterLogEvents"
    backend.aws.logs.meta.events.register(name, lambda params, **_: made.append(sorted(params.items())))
    clock.sleep(900 - clock.now().timestamp() % 900)
    for _ in range(5):
        clock.sleep(60)
        backend.reports(limit=100)
    assert len(made) >= 5
    assert len({repr(parameters) for parameters in made}) <= 4, "two of each period that may have late lines"


def test_a_report_is_found_by_its_id_with_few_calls(
    backend: AwsBackend, fargate: FakeFargate, clock: FakeClock, runs: list[str]
) -> None:
    everything = list(backend.reports(limit=100))
    for report in everything:
        assert backend.report(report.id) == report
    other = reports.ReportQueries(backend.aws, backend.naming.log_group, clock)
    fargate.calls.clear()
    assert other.get(everything[-1].id) == everything[-1]
    assert fargate.calls.count("FilterLogEvents") <= 2
    for id in ("", "..", "x" * 32, "0" * 32, "f" * 32, everything[0].id[:-1], everything[0].id[:-1] + "g"):
        with pytest.raises(UnknownName):
            backend.report(id)


def test_a_large_log_is_read_over_several_pages(
    backend: AwsBackend, fargate: FakeFargate, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_CALLS", 2)
    expected = [one.id for page in read_all(backend, ReportFilter(), 100) for one in page]
    assert len(expected) == len(set(expected)) == 15
    fargate.calls.clear()
    backend.reports(limit=100)
    assert fargate.calls.count("FilterLogEvents") <= 2


def test_the_rejected_records_are_out_of_reach(backend: AwsBackend, runs: list[str]) -> None:
    report = backend.reports(ReportFilter("orders"), limit=1)[0]
    with pytest.raises(RecordsUnreachable, match="declares no query"):
        backend.rejected_records(report)
    backend._catalog.service(PostgresService("database", "toy"))
    query = "SELECT %(reference)s, %(after)s, %(limit)s"
    records = RejectedRecords(query, service="database", command="show --env {environment} {reference}")
    backend._catalog.report("orders", title="Orders", counts={"created": "good", "lost": "bad"}, records=records)
    with pytest.raises(RecordsUnreachable, match=r"which only its tasks reach\. Run: show --env test 17") as raised:
        backend.rejected_records(report)
    assert raised.value.command == "show --env test 17"
    with pytest.raises(RecordsUnreachable, match="reported no reference"):
        backend.rejected_records(replace(report, reference=None))
