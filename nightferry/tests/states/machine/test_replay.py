"""A replayed machine equals the live one after every step, and continues equally from every prefix of its history."""

from __future__ import annotations

import json
import time
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nightferry.states import Execution, HistoryEvent, validate
from nightferry.testing.tiers import examples
from tests.states.definitions import definitions
from tests.states.driver import drive, to_json
from tests.states.machines import endless
from tests.states.replays import INFO, START, check_replay, redrive_both

INPUT = {"items": [1, {"x": 2}, "three"], "x": True}


@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(definitions(), st.none() | st.randoms(use_true_random=False))
def test_the_replay_equals_the_live_state_after_each_step(definition: dict[str, Any], order: Random | None) -> None:
    assert validate(definition) == []

    live = Execution.start(definition, INPUT, context=INFO, now=START)
    drive(live, lambda seen: check_replay(definition, seen), order=order)


@settings(max_examples=examples(30), deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(definitions(), st.randoms(use_true_random=False), st.integers(1, 20))
def test_a_redriven_execution_equals_its_redriven_replay(definition: dict[str, Any], order: Random, steps: int) -> None:
    live = Execution.start(definition, INPUT, context=INFO, now=START)
    for _ in range(3):
        left = steps

        def check(seen: Execution) -> None:
            nonlocal left
            check_replay(definition, seen)
            left -= 1
            if left == 0 and not seen.ended:
                seen.abort("Stopped", "by hand", seen.now)
                check_replay(definition, seen)

        drive(live, check, order=order)
        if live.status == "SUCCEEDED":
            return
        redrive_both(definition, live)


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(definitions())
def test_every_prefix_of_a_history_continues_to_the_same_end(definition: dict[str, Any]) -> None:
    steps: list[int] = []
    live = drive(
        Execution.start(definition, INPUT, context=INFO, now=START), lambda seen: steps.append(len(seen.history))
    )
    events = to_json(live.history)
    # With several branches, the order of outcomes is determined between steps, but not within one.
    sequential = not {"Map", "Parallel"} & set(json.dumps(definition).split('"'))
    for length in range(1, len(events) + 1, max(1, len(events) // 40)):
        written = [HistoryEvent.from_json(json.loads(json.dumps(event))) for event in events[:length]]
        resumed = drive(Execution.replay(definition, written, context=INFO))
        assert resumed.ended
        assert to_json(resumed.history[:length]) == events[:length]
        if sequential or length in steps:
            assert to_json(resumed.history) == events


def test_the_longest_history_is_replayed_in_under_a_second() -> None:
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
