"""A replayed machine is the live one: at every step its state, at every event of every history what it leads to."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings

from nightferry.states import ContextInfo, Execution, HistoryEvent, validate
from tests.states.definitions import definitions
from tests.states.driver import START, drive, told
from tests.states.machines import endless
from tests.states.snapshot import snapshot

INPUT = {"items": [1, {"x": 2}, "three"], "x": True}
INFO = ContextInfo(execution_id="arn:aws:states:us-east-1:000000000000:execution:m:e", start_time=START)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(definitions())
def test_at_every_step_the_replayed_state_is_the_live_one(definition: dict[str, Any]) -> None:
    assert validate(definition) == []

    def replayed_equals(live: Execution) -> None:
        copy = Execution.replay(definition, list(live.history), context=INFO)
        step = copy.advance(live.now)
        assert step.events == []
        assert snapshot(copy) == snapshot(live)

    drive(Execution.start(definition, INPUT, context=INFO, now=START), replayed_equals)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(definitions())
def test_from_every_prefix_the_execution_goes_on_as_it_did(definition: dict[str, Any]) -> None:
    steps: list[int] = []
    live = drive(
        Execution.start(definition, INPUT, context=INFO, now=START), lambda seen: steps.append(len(seen.history))
    )
    events = told(live.history)
    # Within a step of several branches the order of what the outside tells is not determined; between steps it is.
    sequential = not {"Map", "Parallel"} & set(json.dumps(definition).split('"'))
    for length in range(1, len(events) + 1, max(1, len(events) // 40)):
        written = [HistoryEvent.from_json(json.loads(json.dumps(event))) for event in events[:length]]
        resumed = drive(Execution.replay(definition, written, context=INFO))
        assert resumed.ended
        assert told(resumed.history[:length]) == events[:length]
        if sequential or length in steps:
            assert told(resumed.history) == events


def test_the_longest_history_is_read_back_in_well_under_a_second() -> None:
    definition = endless()
    execution = Execution.start(definition, {"some": ["data"]}, context=INFO, now=START)
    execution.advance(START)
    written = [json.dumps(event.to_json()) for event in execution.history]
    assert len(written) == 25_000
    events = [HistoryEvent.from_json(json.loads(line)) for line in written]

    started = time.perf_counter()
    copy = Execution.replay(definition, events, context=INFO)

    assert time.perf_counter() - started < 1
    assert (copy.status, copy.cause) == (execution.status, execution.cause)
