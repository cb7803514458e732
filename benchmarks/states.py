"""The interpreter in memory against moto's Step Functions interpreter: states a second, medians of three.

The same definitions and inputs for both, in one process, one after the other: a chain of 1,000 Pass states, a Map of
1,000 items with one Pass state each, and a Choice loop of 1,000 rounds (100 for moto,
which takes seconds for more; the figure is per state).
moto is reached by its API without a network; creating the state machine is not counted, and parsing it is for neither.
Floor: ten times moto.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from typing import Any

from longshore.states import Execution, parse, run

RUNS = 3
FLOOR = 10

_ROLE = "arn:aws:iam::123456789012:role/states"


def chain(length: int) -> dict[str, Any]:
    """Pass states one after the other."""
    states: dict[str, Any] = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(length - 1)}
    return {"StartAt": "S0", "States": {**states, f"S{length - 1}": {"Type": "Pass", "End": True}}}


def each_item() -> dict[str, Any]:
    """A Map with one Pass state."""
    processor = {
        "ProcessorConfig": {"Mode": "INLINE"},
        "StartAt": "P",
        "States": {"P": {"Type": "Pass", "End": True}},
    }
    return {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True}}}


def loop(rounds: int) -> dict[str, Any]:
    """A Choice and a Pass state that counts, round and round."""
    return {
        "StartAt": "Enough",
        "States": {
            "Enough": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "NumericLessThan": rounds, "Next": "Count"}],
                "Default": "Done",
            },
            "Count": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "Enough"},
            "Done": {"Type": "Succeed"},
        },
    }


def main() -> None:
    """Print the table; exit 1 below the floor."""
    cases: list[tuple[str, dict[str, Any], Any, int, dict[str, Any], int]] = [
        ("1,000 Pass states", chain(1000), {}, 1000, chain(1000), 1000),
        ("Map of 1,000 items", each_item(), list(range(1000)), 1001, each_item(), 1001),
        ("Choice loop", loop(1000), {"n": 0}, 2002, loop(100), 202),
    ]
    rates = [states / statistics.median(_ours(d, data) for _ in range(RUNS)) for _, d, data, states, _, _ in cases]
    moto = _Moto()
    worst = float("inf")
    for (name, _, data, _, for_moto, moto_states), ours in zip(cases, rates, strict=True):
        theirs = moto_states / statistics.median(moto.seconds(for_moto, data) for _ in range(RUNS))
        worst = min(worst, ours / theirs)
        print(f"{name:20} {ours:10,.0f} states/s   moto {theirs:8,.0f} states/s   {ours / theirs:6,.0f} times")
    moto.close()
    execution = run(loop(6_240), {"n": 0})
    events = execution.events
    parsed = parse(loop(6_240))
    started = time.perf_counter()
    Execution.replay(parsed, events)
    print(f"replay of {len(events):,} events: {time.perf_counter() - started:.3f} s")
    if worst < FLOOR:
        raise SystemExit(f"Below the floor of {FLOOR} times moto.")


def _ours(definition: dict[str, Any], data: Any) -> float:
    parsed = parse(definition)
    started = time.perf_counter()
    result = run(parsed, data)
    seconds = time.perf_counter() - started
    assert result.status == "SUCCEEDED", (result.error, result.cause)
    return seconds


class _Moto:
    """moto's interpreter, behind the API client that it stands in for."""

    def __init__(self) -> None:
        # moto needs credentials that are not real, and no other.
        os.environ |= {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }
        import boto3
        from moto import mock_aws

        self._mock = mock_aws(config={"stepfunctions": {"execute_state_machine": True}})
        self._mock.start()
        self._client = boto3.client("stepfunctions")
        self._machines = 0

    def seconds(self, definition: dict[str, Any], data: Any) -> float:
        """The time of one execution."""
        self._machines += 1
        machine = self._client.create_state_machine(
            name=f"machine-{self._machines}", definition=json.dumps(definition), roleArn=_ROLE
        )
        started = time.perf_counter()
        execution = self._client.start_execution(stateMachineArn=machine["stateMachineArn"], input=json.dumps(data))[
            "executionArn"
        ]
        while (status := self._client.describe_execution(executionArn=execution)["status"]) == "RUNNING":
            time.sleep(0.005)
        assert status == "SUCCEEDED", status
        return time.perf_counter() - started

    def close(self) -> None:
        self._mock.stop()


if __name__ == "__main__":
    main()
