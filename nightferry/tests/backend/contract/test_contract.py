"""The same checks on both backends. A new method of the interface gets its check here.

A check that changes something belongs to the tests of the actions: all checks share the runs and executions of a place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.backend.engine_status import EngineStatus
from nightferry.backend.errors import CannotRedrive
from nightferry.backend.interface import Backend
from nightferry.backend.log_windows import LineFilter
from nightferry.backend.queries import OUTCOMES, ExecutionFilter, Page, RunFilter, judge_execution, judge_run
from nightferry.backend.runs import RunRequest, RunSummary
from nightferry.backend.starts import NotKnown
from nightferry.errors import NightferryError, UnknownName
from nightferry.local.backend import LocalBackend
from tests.backend.contract.places import FAILED_CODE, LINES, Place

METHODS = [name for name, member in vars(Backend).items() if callable(member) and not name.startswith("_")]


@pytest.mark.parametrize("kind", [LocalBackend, AwsBackend])
@pytest.mark.parametrize("name", METHODS)
def test_each_method_takes_the_arguments_of_the_interface(kind: type, name: str) -> None:
    wanted = inspect.signature(getattr(Backend, name)).parameters
    found = dict(inspect.signature(getattr(kind, name)).parameters)
    assert {one: (found[one].kind, found[one].default) for one in wanted if one in found} == {
        one: (wanted[one].kind, wanted[one].default) for one in wanted
    }
    more = [one for one in found.values() if one.name not in wanted]
    assert all(one.default is not inspect.Parameter.empty for one in more), "further ones are optional"


def read_all(find: Callable[..., Page[Any]], wanted: Any, limit: int) -> list[Any]:
    """Return the entries of all pages."""
    pages = [find(wanted, limit=limit)]
    while (following := pages[-1].next) is not None:
        pages.append(find(wanted, before=following, limit=limit))
    return [entry for page in pages for entry in page]


# ── runs ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_runs_have_what_was_requested_and_how_they_ended(place: Place) -> None:
    good, bad = place.backend.run(place.succeeded), place.backend.run(place.failed[0])
    assert (good.task, good.status, good.exit_code, good.started_by) == ("hello", "STOPPED", 0, "anna")
    assert (bad.task, bad.status, bad.exit_code, bad.succeeded) == ("three", "STOPPED", FAILED_CODE, False)
    assert good.created_at <= (good.started_at or good.created_at) <= (good.stopped_at or good.created_at)
    still_open = place.backend.run(place.open)
    assert (still_open.status != "STOPPED", still_open.exit_code, still_open.stopped_at) == (True, None, None)
    assert all(run.created_at.tzinfo for run in (good, bad, still_open))


def test_a_run_is_found_by_a_prefix_and_an_unknown_one_is_named(place: Place) -> None:
    assert place.backend.run(place.succeeded[:12]).id == place.succeeded
    with pytest.raises(UnknownName) as unknown:
        place.backend.run("0" * 32)
    assert "0" * 32 in str(unknown.value)


FILTERS = [
    RunFilter(),
    *(RunFilter(outcome=outcome) for outcome in OUTCOMES),
    RunFilter(task="three"),
    RunFilter(task="hello", outcome="failed"),
    RunFilter(text="USER 1"),
    RunFilter(text="no such text"),
]


@pytest.mark.sampled(5)
@pytest.mark.parametrize("number", range(len(FILTERS)))
def test_pages_of_runs_have_each_run_of_a_filter_once_newest_first(backend: Backend, number: int) -> None:
    wanted = FILTERS[number]
    everything = read_all(backend.runs, RunFilter(), 100)
    assert [run.id for run in everything] == [
        run.id for run in sorted(everything, key=lambda run: (run.created_at, run.id), reverse=True)
    ]
    expected = [
        run.id
        for run in everything
        if wanted.task in (None, run.task)
        and wanted.outcome in (None, judge_run(run.status, run.exit_code, run.stop_code))
        and wanted.text.lower() in run.started_by.lower() + (run.id if not wanted.text else "")
    ]
    assert [run.id for run in read_all(backend.runs, wanted, 2)] == expected
    count = backend.count_runs(wanted)
    assert (count.number, count.complete) == (len(expected), True)
    names = [field.name for field in fields(RunSummary)]
    assert [[getattr(one, name) for name in names] for one in read_all(backend.run_summaries, wanted, 2)] == [
        [getattr(run, name) for name in names] for run in everything if run.id in expected
    ]


def test_a_period_includes_its_begin_and_not_its_end(place: Place) -> None:
    run = place.backend.run(place.succeeded)
    here = RunFilter(since=run.created_at, until=run.created_at + timedelta(milliseconds=1))
    assert [one.id for one in place.backend.runs(here)] == [run.id]
    assert run.id not in [one.id for one in place.backend.runs(RunFilter(until=run.created_at))]


def test_a_count_stops_at_its_limit(backend: Backend) -> None:
    count = backend.count_runs(RunFilter(), limit=2)
    assert (count.number, count.complete, str(count)) == (2, False, "2+")


# ── executions ────────────────────────────────────────────────────────────────────────────────────────────────


def test_executions_have_their_data_and_their_end(place: Place) -> None:
    bad, good = place.backend.execution(place.failed_execution), place.backend.execution(place.succeeded_execution)
    assert (bad.workflow, bad.status, bad.input) == ("fails", "FAILED", {"key": "a"})
    assert (good.workflow, good.status, good.input) == ("queued", "SUCCEEDED", {"key": "b"})
    assert bad.error
    assert bad.stopped_at is not None
    assert bad.stopped_at >= bad.started_at
    with pytest.raises(UnknownName):
        place.backend.execution("fails-00000000T000000-00000000")


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(ExecutionFilter(), id="all"),
        pytest.param(ExecutionFilter(outcome="failed"), id="failed"),
        pytest.param(ExecutionFilter(workflow="queued"), id="workflow"),
        pytest.param(ExecutionFilter(outcome="open"), id="open"),
        pytest.param(ExecutionFilter(text="FAILS-"), id="text"),
    ],
)
def test_pages_of_executions_have_each_one_once(place: Place, wanted: ExecutionFilter) -> None:
    expected = [
        id
        for id, outcome in ((place.succeeded_execution, "succeeded"), (place.failed_execution, "failed"))
        if wanted.outcome in (None, outcome)
        and wanted.workflow in (None, id.rpartition("-")[0].split("-")[0])
        and wanted.text.lower() in id.lower()
    ]
    for limit in (1, 10):
        found = read_all(place.backend.executions, wanted, limit)
        assert [one.id for one in found] == expected
        assert all(wanted.outcome in (None, judge_execution(one.status)) for one in found)
    assert place.backend.count_executions(wanted).number == len(expected)


def test_the_runs_of_an_execution_are_found(place: Place) -> None:
    (run,) = place.backend.runs(RunFilter(execution=place.failed_execution))
    assert (run.task, run.execution, run.exit_code) == ("three", place.failed_execution, FAILED_CODE)


def test_the_states_of_an_execution_are_in_order_and_have_their_runs(place: Place) -> None:
    states = place.backend.state_history(place.failed_execution)
    (run,) = place.backend.runs(RunFilter(execution=place.failed_execution))
    failed = [state for state in states if state.failed]
    assert failed
    assert failed[0].runs == (run.id,)
    assert [state.entered_at for state in states] == sorted(state.entered_at for state in states)
    data = place.backend.state_data(place.failed_execution, failed[0].path)
    assert data.cause
    with pytest.raises(UnknownName):
        place.backend.state_data(place.failed_execution, "no such state")


def test_a_history_continues_after_any_event(place: Place) -> None:
    everything = place.backend.history(place.failed_execution)
    assert [event.id for event in everything] == list(range(1, len(everything) + 1))
    for after in (1, len(everything) - 1, len(everything)):
        assert [one.id for one in place.backend.history(place.failed_execution, after=after)] == [
            one.id for one in everything[after:]
        ]
    assert place.backend.map_summaries(place.failed_execution) == []
    assert place.backend.definition(place.failed_execution)["StartAt"]


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_lines_of_a_run_are_complete_and_in_order(place: Place) -> None:
    lines = list(place.backend.log([place.succeeded]))
    assert [line.text for line in lines] == LINES
    assert {line.run for line in lines} == {place.succeeded}
    assert [line.position for line in lines] == sorted({line.position for line in lines})


def test_windows_of_lines_cover_the_log(place: Place) -> None:
    backend = place.backend
    run = backend.run(place.succeeded)
    last = backend.lines(run, limit=15)
    assert texts(last.lines) == LINES[-15:]
    before = backend.lines(run, before=last.lines[0].position, limit=15)
    assert texts(before.lines) == LINES[-30:-15]
    assert texts(backend.lines(run, after=before.lines[-1].position, limit=100).lines) == LINES[-15:]
    found = backend.lines(run, LineFilter(text="line 7"), limit=10)
    assert texts(found.lines) == ["line 7"]


def texts(lines: Sequence[Any]) -> list[str]:
    return [line.text for line in lines]


# ── what only some places have ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "read",
    [
        pytest.param(lambda backend: backend.starts(), id="starts"),
        pytest.param(lambda backend: backend.schedule_progress(), id="progress"),
        pytest.param(lambda backend: backend.dead_letters(), id="dead letters"),
        pytest.param(lambda backend: backend.engine_status(), id="engine"),
    ],
)
def test_what_a_place_does_not_have_is_said_in_a_sentence(backend: Backend, read: Callable[[Backend], object]) -> None:
    found = read(backend)
    if isinstance(found, NotKnown):
        assert found.reason[0].isupper()
        assert found.reason.endswith(".")
    assert isinstance(found, EngineStatus | NotKnown | Page | dict)


def test_only_the_backend_with_an_engine_knows_all_actions(backend: Backend) -> None:
    assert backend.knows_all_actions == isinstance(backend.engine_status(), EngineStatus)
    least, most = backend.interval
    assert 0 <= least <= most


def test_errors_of_runs_are_read_for_many_at_once(place: Place) -> None:
    runs = [place.backend.run(id) for id in (place.succeeded, *place.failed, place.open)]
    assert place.backend.last_errors(runs).keys() <= {run.id for run in runs}
    assert place.backend.result(runs[0]) is None
    assert isinstance(place.backend.troubleshooting(runs[1]), list)
    assert isinstance(place.backend.stored_notices(place.failed_execution), list)
    assert {one.task for one in place.backend.usage(runs[0].created_at)} <= {"hello", "three", "mark"}


# ── requests that are only checked ────────────────────────────────────────────────────────────────────────────


def test_a_redrive_is_checked_without_a_change(place: Place) -> None:
    backend = place.backend
    before = backend.count_runs(RunFilter()).number
    assert backend.redrive(place.failed_execution, dry_run=True) == place.failed_execution
    assert backend.redrive_run(place.failed[0], dry_run=True) == place.failed[0]
    with pytest.raises(CannotRedrive):
        backend.redrive(place.succeeded_execution, dry_run=True)
    with pytest.raises(NightferryError):
        backend.redrive_run(place.succeeded, dry_run=True)
    assert backend.count_runs(RunFilter()).number == before
    assert backend.find_repeat(place.failed[0]) is None
    assert backend.find_planned_retry(place.failed[0]) is None


def test_a_request_is_checked_without_a_start(place: Place) -> None:
    assert place.backend.request(RunRequest("hello", started_by="anna"))
    for wrong in (RunRequest("no-such-task"), RunRequest("hello", env={"AWS_SECRET_ACCESS_KEY": "x"})):
        with pytest.raises(NightferryError):
            place.backend.request(wrong)
    with pytest.raises(UnknownName):
        place.backend.start_workflow("no-such-workflow", {})
