"""Replays of the recorded definitions equal the live run after every step and from every prefix of the history."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightferry.states import Execution, HistoryEvent
from tests.states.driver import drive, to_json
from tests.states.machine.test_recorded_cases import CASES
from tests.states.replays import INFO, START, check_replay, redrive_both

WITH_EVENTS = [case for case in CASES if "events" in case]
WITH_CHILDREN = [case for case in WITH_EVENTS if {"Map", "Parallel"} & set(json.dumps(case["definition"]).split('"'))]


@pytest.mark.parametrize("case", WITH_EVENTS, ids=lambda case: case["name"].split("/", 1)[1])
def test_recorded_cases_replay_after_each_step_and_from_each_prefix(case: dict[str, Any]) -> None:
    steps: list[int] = []

    def replayed_equals(seen: Execution) -> None:
        steps.append(len(seen.history))
        check_replay(case["definition"], seen)

    live = drive(Execution.start(case["definition"], case["input"], context=INFO, now=START), replayed_equals)
    events = to_json(live.history)
    exact = case not in WITH_CHILDREN
    for length in range(1, len(events) + 1):
        written = [HistoryEvent.from_json(json.loads(json.dumps(event))) for event in events[:length]]
        resumed = drive(Execution.replay(case["definition"], written, context=INFO))
        assert (resumed.status, resumed.error) == (live.status, live.error)
        assert resumed.output == live.output
        if exact or length in steps:
            assert to_json(resumed.history) == events


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"].split("/", 1)[1])
def test_recorded_cases_replay_after_each_step_and_after_a_redrive(case: dict[str, Any]) -> None:
    live = Execution.start(case["definition"], case["input"], context=INFO, now=START)
    for _ in range(2):
        drive(live, lambda seen: check_replay(case["definition"], seen))
        if live.status == "SUCCEEDED":
            return
        redrive_both(case["definition"], live)


def test_an_execution_aborted_at_any_step_equals_its_redriven_replay() -> None:
    for case in WITH_CHILDREN:
        stop, ended = 0, False
        while not ended:
            stop += 1
            live = Execution.start(case["definition"], case["input"], context=INFO, now=START)
            ended = _abort_after(live, stop)
            check_replay(case["definition"], live)
            if live.status != "SUCCEEDED":
                redrive_both(case["definition"], live)


def _abort_after(live: Execution, steps: int) -> bool:
    """Abort an execution after ``steps`` steps; return True if it ended earlier."""
    left = steps

    def count(seen: Execution) -> None:
        nonlocal left
        left -= 1
        if left == 0 and not seen.ended:
            seen.abort("Stopped", "by hand", seen.now)

    drive(live, count)
    return left > 0 or live.status != "ABORTED"
