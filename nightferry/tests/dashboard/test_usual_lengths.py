"""The usual lengths of tasks: one query of a task's runs for all pages."""

from __future__ import annotations

from datetime import timedelta

from nightferry.dashboard.estimates.usual_lengths import UsualLengths
from nightferry.dashboard.site import Site
from nightferry.local.backend import LocalBackend
from nightferry.local.store.times import format_time


def test_a_task_has_a_usual_length_with_its_wait_and_an_expected_one_without(site: Site) -> None:
    backend, now = site.backend, site.clock.now()
    assert isinstance(backend, LocalBackend)
    for number, (seconds, code, days) in enumerate([(10, 0, 1), (20, 0, 2), (30, 0, 3), (999, 3, 1), (999, 0, 40)]):
        created = now - timedelta(days=days)
        started, stopped = created + timedelta(seconds=60), created + timedelta(seconds=60 + seconds)
        backend.store.add_run(f"{number:032x}", "hello", [], {})
        backend.store._db.execute(
            "UPDATE run SET status = 'STOPPED', exit_code = ?, created_at = ?, started_at = ?, stopped_at = ?"
            " WHERE id = ?",
            (code, *map(format_time, (created, started, stopped)), f"{number:032x}"),
        )
    statements: list[str] = []
    backend.store._db.set_trace_callback(statements.append)
    lengths = UsualLengths(site)
    durations = lengths.expect()
    assert durations("hello") == timedelta(seconds=20)
    assert durations.known["hello"][1] == "median of 3 runs"
    assert lengths.find_task("hello") == 80
    assert len(statements) == 1
    assert lengths.find_task("three") is None
