"""Limits of JSONata expressions: no expression blocks or kills the process that needs its value."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from nightferry.states import run
from nightferry.states.data import jsonata, jsonata_pool
from nightferry.states.data.jsonata_pool import OutOfMemory, OutOfTime, WorkerFailed, WorkerPool
from tests.states.machines import one

NESTED_QUANTIFIER = "$match('" + "a" * 40 + "!', /^(a+)+$/)"
HOG = f"$count($zip({', '.join(['[1..800000]'] * 24)}))"
SLOW_LIBRARY_FUNCTION = "$count($distinct([1..200000]))"  # it does not check the time


@pytest.fixture
def make_pool() -> Iterator[Callable[[float], WorkerPool]]:
    jsonata_pool.POOL.close()
    pools: list[WorkerPool] = []

    def make(seconds: float) -> WorkerPool:
        pools.append(WorkerPool(1, seconds))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()


@pytest.fixture
def pool(make_pool: Callable[[float], WorkerPool]) -> WorkerPool:
    return make_pool(0.3)


def request(source: str, **bindings: Any) -> dict[str, Any]:
    return {"source": source, "bindings": bindings, "now": 0, "seed": 0}


def find_worker() -> psutil.Process:
    """Return the only worker process that this process has."""
    children = [child for child in psutil.Process().children() if child.status() != psutil.STATUS_ZOMBIE]
    [worker] = [child for child in children if "jsonata_worker.py" in " ".join(child.cmdline())]
    return worker


def test_an_endless_expression_ends_at_the_time_limit(pool: WorkerPool) -> None:
    for source in (NESTED_QUANTIFIER, "($f := function($x) { $f($x + 1) }; $f(1))"):
        code, _ = json.loads(pool.evaluate(request(source))[1:])
        assert code == "D1012"
    assert pool.evaluate(request("1 + 1")) == "V2"


def test_a_worker_that_does_not_respond_is_ended(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonata_pool, "_GRACE_SECONDS", 0.1)

    with pytest.raises(OutOfTime):
        pool.evaluate(request(SLOW_LIBRARY_FUNCTION))

    assert pool.evaluate(request("1 + 1")) == "V2"


def test_an_expression_that_needs_too_much_memory_ends_its_worker(make_pool: Callable[[float], WorkerPool]) -> None:
    pool = make_pool(20)
    with pytest.raises(OutOfMemory):
        pool.evaluate(request(HOG))

    assert pool.evaluate(request("1 + 1")) == "V2"
    assert find_worker().memory_info().rss < 100 * 2**20


def test_a_worker_that_used_much_memory_is_replaced(make_pool: Callable[[float], WorkerPool]) -> None:
    pool = make_pool(20)
    pool.evaluate(request("1"))
    first = find_worker().pid

    assert pool.evaluate(request(HOG.replace(", [1..800000]" * 20, ""))) == "V800000"

    assert pool.evaluate(request("1 + 1")) == "V2"
    assert find_worker().pid != first


def test_an_evaluation_is_repeated_if_somebody_kills_the_worker(pool: WorkerPool) -> None:
    pool.evaluate(request("1"))
    find_worker().kill()
    assert pool.evaluate(request("1 + 1")) == "V2"

    killer = threading.Timer(0.1, find_worker().kill)
    killer.start()
    code, _ = json.loads(pool.evaluate(request(NESTED_QUANTIFIER))[1:])
    assert code == "D1012"


def test_the_workers_end_with_a_killed_process() -> None:
    program = (
        "import threading, psutil; from nightferry.states.data.jsonata_pool import WorkerPool\n"
        "request = {'bindings': {}, 'now': 0, 'seed': 0}; pool = WorkerPool(1, seconds=300)\n"
        "pool.evaluate({**request, 'source': '1'}); [worker] = psutil.Process().children()\n"
        "threading.Timer(0.1, lambda: print(worker.pid, flush=True)).start()\n"
        "pool.evaluate({**request, 'source': '$count($distinct([1..800000]))'})"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = psutil.Process(int(process.stdout.readline()))

    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    assert psutil.wait_procs([worker], timeout=20)[1] == []


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    ("expression", "suffix"),
    [
        ("[1..900000] ~> $count()", ": Expression evaluation memory limit exceeded: Check for excessive memory usage"),
        ("$sum([1..873783])", ": Expression evaluation memory limit exceeded: Check for excessive memory usage"),
        (HOG, ": Expression evaluation memory limit exceeded: Check for excessive memory usage"),
        ("$pad('', 1000000000)", ": Expression evaluation memory limit exceeded: Check for excessive memory usage"),
        ("+".join(["1"] * 101),
         ": Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive"),
        ("$parse($pad('', 100000, '['))",
         ": Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive"),
    ],
)  # fmt: skip
def test_a_limit_is_an_error_that_can_be_caught(expression: str, suffix: str) -> None:
    branch = {"Type": "Pass", "Output": f"{{% {expression} %}}", "End": True}
    state = {
        "Type": "Parallel",
        "Branches": [{"StartAt": "B", "States": {"B": branch}}],
        "Catch": [
            {"ErrorEquals": ["States.QueryEvaluationError"], "Next": "E", "Output": "{% $states.errorOutput.Cause %}"}
        ],
        "Next": "E",
    }

    result = run({"QueryLanguage": "JSONata", **one(state, E={"Type": "Succeed"})})

    assert result.status == "SUCCEEDED"
    assert result.output.endswith(f"threw an error during evaluation{suffix}")


def test_the_time_limit_is_an_error_with_the_cause_of_aws(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonata, "POOL", pool)

    result = run({"QueryLanguage": "JSONata", **one({"Type": "Pass", "Output": f"{{% {NESTED_QUANTIFIER} %}}"})})

    assert result.error == "States.QueryEvaluationError"
    assert str(result.cause).endswith("during evaluation: Expression evaluation timeout: Check for infinite loop")


@pytest.mark.parametrize(
    ("accepted", "refused"),
    [
        ("+".join(["1"] * 100), "+".join(["1"] * 101)),
        ("(" * 99 + "1" + ")" * 99, "(" * 100 + "1" + ")" * 100),
        ("[" * 99 + "1" + "]" * 99, "[" * 100 + "1" + "]" * 100),
        ("1" + "~>$string" * 99, "1" + "~>$string" * 100),
        ("$f(31)", "$f(32)"),
        ("$count([1..873782])", "$count([1..873783])"),
        ("$length($double('x', 22))", "$length($double('x', 23))"),
    ],
)
def test_the_limits_are_those_of_aws(accepted: str, refused: str) -> None:
    """AWS's limits, as measured in public issue reports."""
    functions = {
        "$f": "($f := function($n) { $n = 0 ? 0 : 1 + $f($n - 1) }; ",
        "$length": "($double := function($s, $n) { $n = 0 ? $s : $double($s & $s, $n - 1) }; ",
    }

    def get_status(expression: str) -> str:
        prefix = functions.get(expression.partition("(")[0])
        source = f"{prefix}{expression})" if prefix else expression
        machine = {"QueryLanguage": "JSONata", **one({"Type": "Pass", "Output": f"{{% {source} %}}"})}
        return run(machine).status

    assert [get_status(accepted), get_status(refused)] == ["SUCCEEDED", "FAILED"]


def test_a_worker_that_cannot_start_is_an_error_with_its_command(
    make_pool: Callable[[float], WorkerPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(WorkerFailed, match=r"exit code 1: /bin/false .*jsonata_worker\.py"):
        make_pool(1).evaluate(request("1"))
