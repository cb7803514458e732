"""A project on which a night has run: successes, failures with a notice, a stop, a Map, and long or hostile texts."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.backend.runs import RunRequest
from nightferry.contract import LogEvent
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.store import FileFingerprint, Filter, KnownObject, ScheduleRecord, StartRecord
from tests.local import toy

HOSTILE = (
    '<script>alert(1)</script> "quoted" \x1b[31mred\x1b[0m javascript:alert(2) \u202e https://example.org/a?b=1&c=2'
)


STARTED = """
catalog.schedule("nightly", catalog.workflows["fails"], "cron(30 2 * * ? *)", timezone="America/New_York")
catalog.schedule("often", hello, "cron(0/20 8-18 ? * MON-FRI *)", env={"COLOR": "red"})
catalog.schedule("asleep", hello, "rate(2 hours)", enabled=catalog.setting("awake", default=False))
catalog.object_trigger("arrival", hello, bucket=inbox, prefix="in/")
"""


def make_night(root: Path) -> Path:
    """Run tasks and workflows of the toy project in ``root`` until they have ended, and return ``root``."""
    toy.make_project(root, out=root / "out")
    module = next(root.glob("toy_*.py"))
    module.write_text(module.read_text() + STARTED)
    project = Project.find(root)
    backend = LocalBackend(project, project.environment("local"))
    for workflow in ("fails", "marks", "retried"):
        backend.start_workflow(workflow, {})
    for request in (
        RunRequest("hello", env={"COLOR": "green"}, started_by="anna"),
        RunRequest("three", started_by="anna"),
        RunRequest("hello", ["printf", "%s\\n", HOSTILE], started_by=f"bob {HOSTILE}"),
        RunRequest("hello", ["sh", "-c", 'echo \'{"level": "ERROR", "message": "The disk is full"}\'; exit 1']),
        RunRequest("missing"),
    ):
        backend.run_task(request)
    stopped = backend.run_task(RunRequest("slow", started_by="anna"))
    backend.stop(stopped, "not needed tonight")
    backend.drive(lambda: bool(backend.store.open_runs() or backend.store.open_executions()), lambda _: None)
    _add_starts(backend)
    _add_reports(backend)
    backend.store.close()
    return root


def _add_starts(backend: LocalBackend) -> None:
    """Record starts by schedules and a trigger, as an engine with a clock of that night would have."""
    store, failed = backend.store, backend.executions(ExecutionFilter(workflow="fails"))[0]
    run = backend.runs(RunFilter(task="hello"))[-1]
    due = failed.started_at.replace(microsecond=0)
    key = f"in/{HOSTILE}.csv"
    for number, (source, kind, target, outcome, id, note) in enumerate(
        (
            ("schedule:nightly", "workflow", "fails", "started", failed.id, None),
            ("schedule:nightly", "workflow", "fails", "skipped", failed.id, f"{failed.id} was open. {HOSTILE}"),
            ("schedule:nightly", "workflow", "fails", "missed", None, "3 missed since 2026-11-01 07:30:00 UTC."),
            ("backfill:nightly", "workflow", "fails", "started", failed.id, "Started by a backfill."),
            ("trigger:arrival", "task", "hello", "started", run.id, None),
        )
    ):
        time = due - timedelta(hours=number)
        token = f"trigger:arrival:{key}:v1" if id == run.id else f"{source}:{number}"
        store.add_start(StartRecord(token, source, kind, target, time, due, outcome, id, note))  # type: ignore[arg-type]
    store.save_object_trigger("arrival", Filter("inbox", "in/", ""))
    for name, version in ((key, "v1"), ("in/old.csv", None)):
        store.save_objects("arrival", [(name, KnownObject(FileFingerprint(10**18, 7, 0, 0), version))])
    progress = ScheduleRecord("nightly", "", True, due - timedelta(days=9), due - timedelta(days=2))
    store.save_schedule(progress)


def _add_reports(backend: LocalBackend) -> None:
    """Report two files, one of them with a hostile name, as a job does."""
    run = backend.runs(limit=1)[0]
    for subject, rejected in (("orders.csv", 0), (f"../{HOSTILE}.csv", 3)):
        counts = [{"outcome": "created", "count": 97}, {"outcome": "rejected", "count": rejected}]
        reasons = [{"reason": HOSTILE, "count": rejected, "field": "day", "record_kind": "order"}] if rejected else []
        fields = {"kind": "orders", "subject": subject, "total": 97 + rejected, "counts": counts, "reasons": reasons}
        assert backend.store.add_report(run.id, {"event": LogEvent.REPORT, "task": run.task, "note": HOSTILE, **fields})


def copy_night(night: Path, root: Path) -> Path:
    """Return a copy of a night's project, for a test that changes it."""
    shutil.copytree(night, root, symlinks=True)
    return root
