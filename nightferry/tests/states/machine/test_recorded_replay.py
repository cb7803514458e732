"""The recorded definitions once more: at every step, and from every prefix of the history, a replay is the live run."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from nightferry.states import ContextInfo, Execution, HistoryEvent
from tests.states.driver import drive, told
from tests.states.machine.test_recorded_cases import CASES
from tests.states.snapshot import snapshot

START = datetime(2026, 11, 24, tzinfo=UTC)
INFO = ContextInfo(execution_id="arn:aws:states:us-east-1:000000000000:execution:m:e", start_time=START)
TOLD = [case for case in CASES if "events" in case]
WITH_CHILDREN = [case for case in TOLD if {"Map", "Parallel"} & set(json.dumps(case["definition"]).split('"'))]


@pytest.mark.parametrize("case", TOLD, ids=lambda case: case["name"].split("/", 1)[1])
def test_at_every_step_and_from_every_prefix(case: dict[str, Any]) -> None:
    steps: list[int] = []

    def replayed_equals(live: Execution) -> None:
        steps.append(len(live.history))
        copy = Execution.replay(case["definition"], list(live.history), context=INFO)
        assert copy.advance(live.now).events == []
        assert snapshot(copy) == snapshot(live)

    live = drive(Execution.start(case["definition"], case["input"], context=INFO, now=START), replayed_equals)
    events = told(live.history)
    exact = case not in WITH_CHILDREN
    for length in range(1, len(events) + 1):
        written = [HistoryEvent.from_json(json.loads(json.dumps(event))) for event in events[:length]]
        resumed = drive(Execution.replay(case["definition"], written, context=INFO))
        assert (resumed.status, resumed.error) == (live.status, live.error)
        assert resumed.output == live.output
        if exact or length in steps:
            assert told(resumed.history) == events
