"""The interpreter against moto's Step Functions interpreter: states per second, medians of three runs.

Both run the same definitions and inputs in the same process, one after the other: a chain of 1,000 Pass states, a Map
of 1,000 items with one Pass state each, and a Choice loop of 1,000 iterations (100 for moto, which needs seconds for
more; the figure is per state). moto is called through its API without a network. The creation of the state machine and
the parsing of its definition are not included.

In memory, the minimum is ten times moto's speed. For the durable executor with its store on disk, the minimum is moto's
speed in memory. It applies to the same definitions, whose steps have no external effect, so that all events are one
commit. It also applies to a chain of notifications, each of which is committed before it is sent, against moto's chain
of Pass states.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.judge import Limit, Ratio, judge
from nightferry import Catalog, Image
from nightferry.local.engine.executor import Executor
from nightferry.local.integrations import Integrations
from nightferry.local.store import Store
from nightferry.states import Execution, parse, run
from nightferry.states.language.resources import PUBLISH

RUNS = 3
MINIMUM_RATIO = 10
DURABLE_MINIMUM_RATIO = 1
REPLAY_LIMIT_SECONDS = 0.5

_ROLE = "arn:aws:iam::123456789012:role/states"


def chain(length: int) -> dict[str, Any]:
    """Return a chain of Pass states."""
    states: dict[str, Any] = {f"S{n}": {"Type": "Pass", "Next": f"S{n + 1}"} for n in range(length - 1)}
    return {"StartAt": "S0", "States": {**states, f"S{length - 1}": {"Type": "Pass", "End": True}}}


def each_item() -> dict[str, Any]:
    """Return a Map with one Pass state."""
    processor = {
        "ProcessorConfig": {"Mode": "INLINE"},
        "StartAt": "P",
        "States": {"P": {"Type": "Pass", "End": True}},
    }
    return {"StartAt": "M", "States": {"M": {"Type": "Map", "ItemProcessor": processor, "End": True}}}


def loop(iterations: int) -> dict[str, Any]:
    """Return a loop of a Choice and a Pass state that counts."""
    return {
        "StartAt": "Enough",
        "States": {
            "Enough": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.n", "NumericLessThan": iterations, "Next": "Count"}],
                "Default": "Done",
            },
            "Count": {"Type": "Pass", "Parameters": {"n.$": "States.MathAdd($.n, 1)"}, "Next": "Enough"},
            "Done": {"Type": "Succeed"},
        },
    }


def notifications(length: int) -> dict[str, Any]:
    """Return a chain of Task states, each of which publishes a notification."""
    parameters = {"TopicArn": "arn:aws:sns:local:0:topic", "Message": "m"}
    definition = chain(length)
    for state in definition["States"].values():
        state |= {"Type": "Task", "Resource": PUBLISH, "Parameters": parameters}
    return definition


def main() -> None:
    """Print the table. Exit with 1 if a figure misses its limit."""
    cases: list[tuple[str, dict[str, Any], Any, int, dict[str, Any], int]] = [
        ("1,000 Pass states", chain(1000), {}, 1000, chain(1000), 1000),
        ("Map of 1,000 items", each_item(), list(range(1000)), 1001, each_item(), 1001),
        ("Choice loop", loop(1000), {"n": 0}, 2002, loop(100), 202),
    ]
    in_memory = [states / _median(_measure_memory, d, data) for _, d, data, states, _, _ in cases]
    durable = [states / _median(_measure_durable, d, data) for _, d, data, states, _, _ in cases]
    committed = 200 / _median(_measure_durable, notifications(200), {})
    moto = _Moto()
    in_moto = [states / _median(moto.seconds, d, data) for _, _, data, _, d, states in cases]
    moto.close()
    figures: list[Ratio | Limit] = []
    for (name, *_), memory, disk, other in zip(cases, in_memory, durable, in_moto, strict=True):
        print(f"{name:20} {memory:10,.0f} states/s   durable {disk:10,.0f}   moto {other:8,.0f}")
        figures.append(Ratio(f"{name}, in memory, times moto", memory / other, MINIMUM_RATIO))
        figures.append(Ratio(f"{name}, durable, times moto in memory", disk / other, DURABLE_MINIMUM_RATIO))
    print(f"{'200 notifications':20} durable {committed:10,.0f} states/s, one commit each")
    ratio = committed / in_moto[0]
    figures.append(Ratio("Notifications, one commit each, times moto's Pass states in memory", ratio, 1))
    events, seconds = _measure_replay()
    figures.append(Limit(f"{events:,} events replayed", seconds, REPLAY_LIMIT_SECONDS, "s"))
    judge(*figures)


def _median(measure: Callable[[dict[str, Any], Any], float], definition: dict[str, Any], data: Any) -> float:
    return statistics.median(measure(definition, data) for _ in range(RUNS))


def _measure_replay() -> tuple[int, float]:
    """Return the number of events of a long history, and the seconds to replay them."""
    definition = loop(6_240)
    events = run(definition, {"n": 0}).events
    parsed = parse(definition)
    started = time.perf_counter()
    Execution.replay(parsed, events)
    return len(events), time.perf_counter() - started


def _measure_durable(definition: dict[str, Any], data: Any) -> float:
    """Return the seconds of an execution in the engine's executor, with its store on disk."""
    with tempfile.TemporaryDirectory(prefix="nightferry-bench-") as folder:
        store = Store(Path(folder) / "engine.sqlite")
        catalog = Catalog("bench", image=Image("bench"))
        resources = Integrations(store, catalog, Path(folder), resolve=dict, launch=_do_nothing, stop=_do_nothing)
        store.add_execution("e", "bench", definition, data)
        record = store.execution("e")
        assert record is not None
        started = time.perf_counter()
        with ThreadPoolExecutor(1) as threads:
            asyncio.run(Executor(store, record, resources, threads, catalog.privacy, asyncio.Lock()).run())
        seconds = time.perf_counter() - started
        ended = store.execution("e")
        assert ended is not None
        assert ended.status == "SUCCEEDED", ended
        store.close()
    return seconds


def _do_nothing(*_: object) -> None:
    """Do nothing: this benchmark runs no task."""


def _measure_memory(definition: dict[str, Any], data: Any) -> float:
    parsed = parse(definition)
    started = time.perf_counter()
    result = run(parsed, data)
    seconds = time.perf_counter() - started
    assert result.status == "SUCCEEDED", (result.error, result.cause)
    return seconds


class _Moto:
    """moto's interpreter, called through a boto3 client."""

    def __init__(self) -> None:
        # moto needs fake credentials; real ones must not be used.
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
        """Return the seconds of an execution."""
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
