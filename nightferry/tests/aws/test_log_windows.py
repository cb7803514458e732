"""Test windows of a log stream against a slow reference, and their numbers of calls."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from nightferry.aws import log_windows
from nightferry.aws.backend import AwsBackend
from nightferry.aws.log_windows import build_pattern
from nightferry.backend.log_lines import judge_level
from nightferry.backend.log_windows import LEVELS, LineFilter, LineNumber, LogLine, LogWindow
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript
from nightferry.testing.tiers import LONG

FILTERS = [
    LineFilter(),
    LineFilter("INFO"),
    LineFilter("ERROR"),
    LineFilter(text="moved"),
    LineFilter(text='said "no"'),
    LineFilter(text="Moved"),
    LineFilter("WARNING", "moved"),
]


def write_lines(count: int) -> list[ScriptedLine]:
    """Return lines with bursts in one millisecond and equal texts."""
    numbers = random.Random(5)
    lines = []
    at = 1.0
    for _ in range(count):
        at += numbers.choice([0, 0, 0, 0.001, 2])
        text = numbers.choice(["moved", "lost", 'said "no"'])
        level = numbers.choice(LEVELS)
        lines.append(ScriptedLine(at, text if level == "DEBUG" else json.dumps({"level": level, "message": text})))
    return lines


@pytest.fixture
def run(backend: AwsBackend, fargate: FakeFargate, clock: FakeClock) -> TaskRun:
    """Return a stopped run with 60 lines."""
    fargate.script("chatty", TaskScript(lines=write_lines(60), stopped=500))
    id = backend.run_task(RunRequest("chatty"))
    clock.sleep(600)
    return backend.run(id)


def find_slowly(
    lines: Sequence[LogLine], wanted: LineFilter, first: int, last: int, limit: int, *, newest: bool
) -> tuple[tuple[LogLine, ...], bool]:
    """Return the lines of a filter with these indexes, cut to ``limit``, and whether there are more."""
    found = [line for line in lines[first:last] if wanted.matches(judge_level(line.text), line.text)]
    cut = found[-limit:] if newest else found[:limit]
    return tuple(cut), len(found) > limit


def test_windows_are_those_of_a_list(backend: AwsBackend, run: TaskRun) -> None:
    for wanted in FILTERS:
        check_windows(backend, run, wanted)


def check_windows(backend: AwsBackend, run: TaskRun, wanted: LineFilter) -> None:
    lines = backend.lines(run, after=0).lines
    assert lines == tuple(backend.log([run.id]))
    assert len({line.position for line in lines}) == 60
    for limit in (3, 1000) if LONG else (4,):
        assert backend.lines(run, wanted, limit=limit) == LogWindow(
            *find_slowly(lines, wanted, 0, 60, limit, newest=True), has_later=False
        )
        for n in (0, 1, 17, 18, 19, 58, 59) if LONG else (0, 18, 19, 59):
            position = lines[n].position
            if not wanted.matches(judge_level(lines[n].text), lines[n].text):
                continue  # a place that is not a line of the filter is exact to the millisecond
            found = backend.lines(run, wanted, before=position, limit=limit)
            assert found == LogWindow(*find_slowly(lines, wanted, 0, n, limit, newest=True), has_later=True)
            found = backend.lines(run, wanted, after=position, limit=limit)
            later, more = find_slowly(lines, wanted, n + 1, 60, limit, newest=False)
            assert found == LogWindow(later, has_earlier=True, has_later=more)
            found = backend.lines(run, wanted, around=position, limit=limit)
            earlier, has_earlier = find_slowly(lines, wanted, 0, n, limit // 2, newest=True)
            later, has_later = find_slowly(lines, wanted, n, 60, limit - limit // 2, newest=False)
            assert found == LogWindow((*earlier, *later), has_earlier, has_later)


def test_a_window_around_a_time_begins_at_its_millisecond(backend: AwsBackend, run: TaskRun) -> None:
    lines = backend.lines(run, after=0).lines
    times = sorted({line.time for line in lines})
    for time in (times[0] - timedelta(days=1), *times[::4], times[3] + timedelta(microseconds=1), times[-1]):
        middle = sum(line.time < time for line in lines)
        window = backend.lines(run, around=time, limit=8)
        assert window.lines == lines[max(middle - 4, 0) : middle + 4]
        assert (window.has_earlier, window.has_later) == (middle > 4, middle + 4 < 60)
    assert backend.lines(run, around=LineNumber(30), limit=8).lines == lines[:4], "CloudWatch has no line numbers"


def test_a_run_without_a_stream_has_an_empty_window(backend: AwsBackend, fargate: FakeFargate) -> None:
    run = backend.run(backend.run_task(RunRequest("chatty")))
    assert backend.lines(run) == LogWindow((), has_earlier=False, has_later=False)
    assert backend.count_lines(run) is None


def test_the_last_lines_take_one_call(backend: AwsBackend, run: TaskRun, fargate: FakeFargate) -> None:
    fargate.calls.clear()
    backend.lines(run, limit=20)
    assert fargate.calls == ["FilterLogEvents"]
    backend.lines(run, around=run.created_at, limit=20)
    assert fargate.calls == ["FilterLogEvents"] * 3


@pytest.mark.parametrize("forwards", [True, False])
def test_a_search_that_ends_at_its_limits_continues(
    backend: AwsBackend, run: TaskRun, monkeypatch: pytest.MonkeyPatch, fargate: FakeFargate, forwards: bool
) -> None:
    """Let a page of CloudWatch have one event, and a search two calls."""
    wanted = LineFilter("CRITICAL", "moved")
    expected = list(backend.lines(run, wanted).lines)
    assert len(expected) > 2
    monkeypatch.setattr(log_windows, "MAX_CALLS", 2)
    monkeypatch.setattr(log_windows, "_MAX_EVENTS", 1)
    found: list[LogLine] = []
    resume, windows = None, 0
    place = {"after": 0} if forwards else {}
    fargate.calls.clear()
    while windows == 0 or resume is not None:
        window = backend.lines(run, wanted, **place, resume=resume)  # type: ignore[arg-type]
        resume, windows = window.resume, windows + 1
        assert (window.has_later if forwards else window.has_earlier) == (resume is not None)
        found = [*found, *window.lines] if forwards else [*window.lines, *found]
    assert found == expected
    assert windows > 8
    assert len(fargate.calls) <= 2 * windows


def test_a_search_ends_after_its_time(
    backend: AwsBackend, run: TaskRun, monkeypatch: pytest.MonkeyPatch, clock: FakeClock, fargate: FakeFargate
) -> None:
    monkeypatch.setattr(log_windows, "_MAX_EVENTS", 1)
    monkeypatch.setattr(clock, "now", slow_clock(clock))
    fargate.calls.clear()
    window = backend.lines(run, LineFilter(text='"absent'), after=0)
    assert (window.lines, window.has_later) == ((), True)
    assert window.resume
    assert 2 <= len(fargate.calls) <= 6


def slow_clock(clock: FakeClock):  # type: ignore[no-untyped-def]
    now = clock.now

    def step() -> datetime:
        clock.sleep(0.6)
        return now()

    return step


@pytest.mark.parametrize(
    ("wanted", "pattern"),
    [
        (LineFilter(), None),
        (LineFilter("INFO"), None),
        (LineFilter("ERROR"), '{ ($.level = "ERROR") || ($.level = "CRITICAL") }'),
        (LineFilter("ERROR", "a b"), '"a b"'),
        (LineFilter(text='"x"'), r'?"\"x\"" ?"\\\"x\\\""'),
        (LineFilter(text="x" * 1100), None),
    ],
)
def test_patterns_of_filters(wanted: LineFilter, pattern: str | None) -> None:
    assert build_pattern(wanted) == pattern
