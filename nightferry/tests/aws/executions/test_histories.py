"""Histories are read from AWS in pages, and once: a running execution's next view reads only its new events."""

from __future__ import annotations

from typing import Any

from nightferry.aws.backend import AwsBackend
from nightferry.aws.executions.histories import Histories
from nightferry.testing import FakeFargate

BEGIN = 1_767_225_600.0


def make_events(count: int) -> list[dict[str, Any]]:
    """Return the history of an execution that passes through states, two events each."""
    started = {"executionStartedEventDetails": {"input": "{}"}}
    events = [{"timestamp": BEGIN, "type": "ExecutionStarted", "id": 1, "previousEventId": 0, **started}]
    for n in range(2, count + 1):
        kind, details = ("PassStateEntered", "stateEntered") if n % 2 == 0 else ("PassStateExited", "stateExited")
        named = {f"{details}EventDetails": {"name": f"S{n // 2}", "input": "{}"}}
        events.append({"timestamp": BEGIN + n, "type": kind, "id": n, "previousEventId": n - 1, **named})
    return events


def test_a_running_history_is_never_read_again_from_its_start(backend: AwsBackend, fargate: FakeFargate) -> None:
    id = backend.start_workflow("fails", {})

    def view(count: int, status: str = "RUNNING") -> tuple[int, int]:
        """Return the number of states, and of calls for the history."""
        fargate.set_history(id, make_events(count), status=status)
        before = fargate.calls.count("GetExecutionHistory")
        states = backend.state_history(id)
        return len(states), fargate.calls.count("GetExecutionHistory") - before

    assert view(1201) == (600, 2)  # 1,000 events a page
    assert view(1201) == (600, 1)
    assert view(1203) == (601, 1)
    assert view(2301) == (1150, 2)
    assert view(2303, "SUCCEEDED") == (1151, 1)
    assert view(2303, "SUCCEEDED") == (1151, 0)
    assert [event.id for event in backend.history(id, after=2300)] == [2301, 2302, 2303]
    read = backend.state_data(id, "S4")
    assert (read.input, read.exited, [event.id for event in read.events]) == ({}, True, [8, 9])


def test_the_histories_of_other_executions_are_dropped(backend: AwsBackend, fargate: FakeFargate) -> None:
    histories = Histories(backend.aws, limit=10)
    ids = [backend.start_workflow("fails", {}) for _ in range(3)]
    for id in ids:
        fargate.set_history(id, make_events(6), status="SUCCEEDED")
        execution = backend.execution(id)
        assert len(histories.read(f"arn:{id}", execution)) == 6
    assert list(histories._known) == [f"arn:{ids[-1]}"]
