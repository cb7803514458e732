"""Simulation of each overlap policy, checked against a slow reference; and expected lengths of workflows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nightferry.catalog.declarations import Overlap
from nightferry.schedules.durations import Length, Span, measure_workflow
from nightferry.schedules.expressions import parse
from nightferry.schedules.simulation import Planned, Simulation, simulate
from nightferry.testing.tiers import examples

NEW_YORK = ZoneInfo("America/New_York")
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def make_length(minutes: int, task: str = "job") -> Length:
    return Length(minutes * MINUTE, (Span(task, timedelta(), minutes * MINUTE),))


def plan(expression: str, overlap: Overlap, minutes: int, name: str = "s", target: str = "job") -> Planned:
    return Planned(name, target, parse(expression), NEW_YORK, overlap, make_length(minutes, "job"))


def format_starts(simulation: Simulation) -> list[str]:
    def format_time(time: datetime) -> str:
        return f"{time.astimezone(NEW_YORK):%H:%M}"

    return [
        f"{format_time(one.fire)} {format_time(one.begin)}-{format_time(one.end)} {one.outcome}"
        for one in simulation.starts
    ]


@pytest.mark.parametrize(
    ("overlap", "expected"),
    [
        ("allow", ["10:00 10:00-10:45 runs", "10:30 10:30-11:15 runs", "12:00 12:00-12:45 runs"]),
        ("skip", ["10:00 10:00-10:45 runs", "10:30 10:30-10:30 skipped", "12:00 12:00-12:45 runs"]),
        ("queue", ["10:00 10:00-10:45 runs", "10:30 10:45-11:30 waits", "12:00 12:00-12:45 runs"]),
        ("replace", ["10:00 10:00-10:30 replaced", "10:30 10:30-11:15 runs", "12:00 12:00-12:45 runs"]),
    ],
)
def test_each_overlap_policy(overlap: Overlap, expected: list[str]) -> None:
    both = [plan("cron(0 10,12 1 1 ? *)", overlap, 45, "a"), plan("cron(30 10 1 1 ? *)", overlap, 45, "b")]
    simulation = simulate(both, {"job": overlap}, SINCE, SINCE + timedelta(days=2))
    assert format_starts(simulation) == expected
    assert [one.overlaps for one in simulation.summarize()] == [
        {"allow": 1, "skip": 0, "queue": 0, "replace": 1}[overlap],
        {"allow": 1, "skip": 1, "queue": 1, "replace": 0}[overlap],
    ]


def test_workflows_conflict_if_they_run_a_task_whose_policy_is_not_allow() -> None:
    early = Length(60 * MINUTE, (Span("quiet", 0 * MINUTE, 20 * MINUTE), Span("job", 20 * MINUTE, 60 * MINUTE)))
    plans = [
        Planned("early", "w1", parse("cron(0 10 1 1 ? *)"), NEW_YORK, "skip", early),
        plan("cron(30 10 1 1 ? *)", "skip", 10, "inside", "job"),
        plan("cron(0 11 1 1 ? *)", "skip", 10, "at-its-end", "job"),
        plan("cron(10 10 1 1 ? *)", "skip", 5, "beside", "job"),
    ]
    simulation = simulate(plans, {"job": "skip", "quiet": "allow"}, SINCE, SINCE + timedelta(days=2))
    assert {one.planned.name: one.meets for one in simulation.starts} == {
        "early": {"job"},
        "inside": {"w1"},
        "at-its-end": set(),
        "beside": set(),
    }
    allowed = simulate(plans, {"job": "allow", "quiet": "allow"}, SINCE, SINCE + timedelta(days=2))
    assert not any(one.meets for one in allowed.starts)


def test_a_year_with_its_clock_changes() -> None:
    nightly = plan("cron(30 2 * * ? *)", "skip", 60, "nightly")
    hourly = plan("cron(30 1 * * ? *)", "skip", 5, "autumn", "other")
    simulation = simulate([nightly, hourly], {}, SINCE, SINCE + timedelta(days=365))
    changes = {
        name: [(one.local_time, one.change) for one in found] for name, found in simulation.clock_changes.items()
    }
    assert changes == {
        "nightly": [(datetime(2026, 3, 8, 2, 30), "skipped")],
        "autumn": [(datetime(2026, 11, 1, 1, 30), "repeated")],
    }
    first, second = simulation.summarize()
    assert (first.starts, first.busy, first.overlaps) == (364, timedelta(hours=364), 0)
    assert second.starts == 365
    assert first.latest is not None
    assert first.latest.end - first.latest.fire == timedelta(hours=1)


def test_a_rate_is_counted_from_its_start_or_from_the_simulations_beginning() -> None:
    since = SINCE + timedelta(minutes=3)
    free = plan("rate(1 hour)", "allow", 5)
    bound = Planned(
        "b", "job", parse("rate(1 hour)"), UTC, "allow", make_length(5), start=SINCE, end=since + 90 * MINUTE
    )
    assert [one.fire for one in simulate([free], {}, since, since + timedelta(hours=3)).starts] == [
        since + timedelta(hours=1),
        since + timedelta(hours=2),
    ]
    assert [one.fire for one in simulate([bound], {}, SINCE, since + timedelta(hours=3)).starts] == [
        SINCE,
        SINCE + timedelta(hours=1),
    ]


plans = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 90), st.sampled_from(["a", "b"])), min_size=1, max_size=4
)  # fmt: skip


@settings(max_examples=examples(100), deadline=None)
@given(plans, st.sampled_from(["allow", "skip", "queue", "replace"]))
def test_the_policies_apply_to_random_schedules(drawn: list[tuple[int, int, str]], overlap: Overlap) -> None:
    """Compare the simulation with a minute-by-minute count of running targets under each policy."""
    length = {"a": 25, "b": 7}
    schedules = [
        Planned(f"s{n}", target, parse(f"rate({every} minute{'s' * (every > 1)})"), UTC, overlap,
                make_length(length[target], target), start=SINCE + first * MINUTE)
        for n, (every, first, target) in enumerate(drawn)
    ]  # fmt: skip
    hours = 5 * 60
    simulation = simulate(schedules, {}, SINCE, SINCE + hours * MINUTE)
    expected: list[tuple[int, int, int]] = []
    running: dict[str, list[list[int]]] = {"a": [], "b": []}
    for minute in range(hours):
        for every, first, target in drawn:
            if minute < first or (minute - first) % every:
                continue
            live = [one for one in running[target] if one[1] > minute]
            begin = minute
            if live and overlap == "skip":
                continue
            if live and overlap == "queue":
                begin = max(one[1] for one in live)
            if live and overlap == "replace":
                for one in live:
                    one[1] = minute
            running[target].append([begin, begin + length[target]])
    expected = sorted((ord(target), *one) for target, ones in running.items() for one in ones)
    found = [one for one in simulation.starts if one.outcome != "skipped"]
    assert expected == sorted(
        (ord(one.planned.target), (one.begin - SINCE) // MINUTE, (one.end - SINCE) // MINUTE) for one in found
    )


def run_state(task: str, **more: Any) -> dict[str, Any]:
    parameters = {"TaskDefinition": f"${{task:{task}}}"}
    return {"Type": "Task", "Resource": "arn:aws:states:::ecs:runTask.sync", "Parameters": parameters, **more}


def measure(definition: dict[str, Any], **tasks: int) -> tuple[float, list[tuple[str, float, float]]]:
    length = measure_workflow(definition, lambda task: tasks[task] * MINUTE)
    return length.total / MINUTE, [(span.task, span.begin / MINUTE, span.end / MINUTE) for span in length.spans]


def test_the_length_of_sequential_and_parallel_states() -> None:
    one = {"StartAt": "X", "States": {"X": run_state("x", End=True)}}
    two = {"StartAt": "Y", "States": {"Y": run_state("y", Next="Z"), "Z": run_state("x", End=True)}}
    states = {
        "A": run_state("a", Next="Both"),
        "Both": {"Type": "Parallel", "Branches": [one, two], "Next": "Wait"},
        "Wait": {"Type": "Wait", "Seconds": 120, "Next": "Z"},
        "Z": run_state("a", End=True),
    }
    total, spans = measure({"StartAt": "A", "States": states}, a=1, x=5, y=3)
    assert total == 1 + 8 + 2 + 1
    assert spans == [("a", 0, 1), ("x", 1, 6), ("y", 1, 4), ("x", 4, 9), ("a", 11, 12)]


def test_a_map_processes_its_items_in_waves() -> None:
    each = {"StartAt": "X", "States": {"X": run_state("x", End=True)}}
    items = {"Type": "Pass", "Result": [1, 2, 3, 4, 5], "ResultPath": "$.items", "Next": "Each"}
    map_state = {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 2, "ItemProcessor": each, "End": True}
    assert measure({"StartAt": "I", "States": {"I": items, "Each": map_state}}, x=5)[0] == 15
    assert measure({"StartAt": "I", "States": {"I": items, "Each": map_state | {"MaxConcurrency": 0}}}, x=5)[0] == 5


def test_a_choice_takes_its_longest_path_and_a_loop_runs_once() -> None:
    states = {
        "C": {"Type": "Choice", "Choices": [{"Next": "Short"}, {"Next": "Long"}], "Default": "End"},
        "Short": run_state("short", Next="C"),
        "Long": run_state("long", Next="End"),
        "End": {"Type": "Succeed"},
    }
    assert measure({"StartAt": "C", "States": states}, short=1, long=7)[0] == 7
    chain = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(5000)} | {
        "S5000": run_state("short", End=True)
    }
    assert measure({"StartAt": "S0", "States": chain}, short=1) == (1, [("short", 0, 1)])


def test_a_timeout_limits_the_length() -> None:
    definition = {
        "StartAt": "A",
        "TimeoutSeconds": 600,
        "States": {"A": run_state("a", Next="B"), "B": run_state("a", End=True)},
    }
    assert measure(definition, a=7) == (10, [("a", 0, 7), ("a", 7, 10)])
