"""A redrive repeats only what failed or was stopped, at any depth of Parallel and Map states.

Source: the API reference of RedriveExecution and the developer guide, "Restarting state machine executions with
redrive" and "Redriving Map Runs in Step Functions executions".
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from nightferry.states import Execution
from nightferry.states.machine.commands import StartTask, TaskFailed, TaskSucceeded
from nightferry.testing.tiers import examples
from tests.states.replays import INFO, START, check_replay, redrive_both


def task(name: str, **more: Any) -> dict[str, Any]:
    """Return a branch with one task, whose parameters are its name and input."""
    parameters = {"name": name, "input.$": "$"}
    state = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters}
    return {"StartAt": name, "States": {name: {"End": True} | state | more}}


def parallel(name: str, *branches: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: {"Type": "Parallel", "Branches": list(branches), "End": True} | more}}


def each(name: str, processor: dict[str, Any], **more: Any) -> dict[str, Any]:
    state = {"Type": "Map", "ItemsPath": "$.items", "ItemProcessor": processor, "End": True}
    return {"StartAt": name, "States": {name: state | more}}


def distributed(name: str, processor: dict[str, Any], kind: str = "STANDARD", **more: Any) -> dict[str, Any]:
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": kind}}
    return each(name, config | processor, **more)


class World:
    """Runs an execution. The calls of ``fails`` fail; those of ``hangs`` never end; all others succeed in order."""

    def __init__(self, definition: dict[str, Any], input: Any = None) -> None:
        self.definition = definition
        self.execution = Execution.start(definition, input, context=INFO, now=START)
        self.calls: list[str] = []
        self.time = START
        self.tokens: set[str] = set()

    def run(self, fails: set[str] = frozenset(), hangs: set[str] = frozenset(), order: Random | None = None) -> str:
        """Run until the execution ends or hangs; return its status. A call is named ``TASK`` or ``TASK:ITEM``."""
        open_calls: list[tuple[str, str]] = []
        while True:
            step = self.execution.advance(self.time)
            check_replay(self.definition, self.execution)
            for command in step.commands:
                if isinstance(command, StartTask):
                    assert command.token not in self.tokens, "each call has a new token"
                    self.tokens.add(command.token)
                    item = command.parameters["input"]
                    name = command.parameters["name"] + ("" if isinstance(item, dict) else f":{item}")
                    self.calls.append(name)
                    open_calls.append((command.token, name))
            ready = [call for call in open_calls if call[1] not in hangs]
            if self.execution.ended:
                return self.execution.status
            if ready:
                # Failures come last, so that the calls before them have succeeded.
                ready.sort(key=lambda call: call[1] in fails)
                chosen = order.choice(ready) if order else ready[0]
                open_calls.remove(chosen)
                outcome = TaskFailed("Broken", "no") if chosen[1] in fails else TaskSucceeded(chosen[1])
                self.execution.deliver(chosen[0], outcome, self.time)
            elif (wakeup := self.execution.next_wakeup) is not None:
                self.time = max(self.time + timedelta(milliseconds=1), wakeup)
            else:
                return self.execution.status

    def redrive(self) -> None:
        self.calls.clear()
        redrive_both(self.definition, self.execution)
        self.time = self.execution.now


def test_only_the_branches_that_failed_or_were_stopped_run_again() -> None:
    world = World(parallel("all", task("good"), task("bad"), task("slow")))
    assert world.run(fails={"bad"}, hangs={"slow"}) == "FAILED"
    assert Counter(world.calls) == {"good": 1, "bad": 1, "slow": 1}
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert Counter(world.calls) == {"bad": 1, "slow": 1}
    assert world.execution.output == ["good", "bad", "slow"]


def test_a_stopped_branch_continues_at_its_step() -> None:
    two = {"StartAt": "first", "States": {**task("first", Next="second")["States"], **task("second")["States"]}}
    del two["States"]["first"]["End"]
    world = World(parallel("all", two, task("bad")))
    assert world.run(fails={"bad"}, hangs={"second:first"}) == "FAILED"
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert Counter(world.calls) == {"second:first": 1, "bad": 1}


@pytest.mark.parametrize("concurrency", [0, 1, 2])
def test_only_the_iterations_that_failed_or_were_stopped_run_again(concurrency: int) -> None:
    world = World(each("map", task("load"), MaxConcurrency=concurrency), {"items": [0, 1, 2, 3]})
    assert world.run(fails={"load:2"}) == "FAILED"
    before = Counter(world.calls)
    assert max(before.values()) == 1
    succeeded = {"load:0", "load:1"} | ({"load:3"} if concurrency != 1 else set())
    assert {f"load:{n}" for n in range(4)} - before.keys() == ({"load:3"} if concurrency == 1 else set())
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert Counter(world.calls) == {f"load:{n}": 1 for n in range(4) if f"load:{n}" not in succeeded}
    assert world.execution.output == [f"load:{n}" for n in range(4)]


def test_nested_states_repeat_only_what_failed() -> None:
    inner = each("map", parallel("both", task("a"), task("b")))
    world = World(parallel("all", task("good"), inner), {"items": [0, 1]})
    assert world.run(fails={"b:1"}) == "FAILED"
    assert len(world.calls) == 5
    for _ in range(2):  # it fails again, and is redriven again
        world.redrive()
        assert world.run(fails={"b:1"}) == "FAILED"
        assert world.calls == ["b:1"]
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert world.calls == ["b:1"]
    assert world.execution.output == ["good", [["a:0", "b:0"], ["a:1", "b:1"]]]


def test_a_retry_of_the_whole_state_repeats_everything_and_a_redrive_only_its_last_attempt() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1, "IntervalSeconds": 1}]
    world = World(parallel("all", task("good"), task("bad"), Retry=retry))
    assert world.run(fails={"bad"}) == "FAILED"
    assert Counter(world.calls) == {"good": 2, "bad": 2}
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert world.calls == ["bad"]


def test_a_caught_failure_is_not_repeated() -> None:
    definition = parallel("all", task("good"), task("bad"), Catch=[CATCH])
    definition["States"] |= task("after")["States"]
    world = World(definition, {})
    assert world.run(fails={"bad", "after"}) == "FAILED"
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert world.calls == ["after"]


def test_a_wait_for_a_retry_in_another_branch_is_not_lost() -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 5, "IntervalSeconds": 60}]
    world = World(parallel("all", task("flaky", Retry=retry), task("bad")))
    step = world.execution.advance(START)
    flaky, bad = (command for command in step.commands if isinstance(command, StartTask))
    world.execution.deliver(flaky.token, TaskFailed("Broken"), START)
    world.execution.advance(START)
    world.execution.deliver(bad.token, TaskFailed("Broken"), START)
    world.execution.advance(START)
    check_replay(world.definition, world.execution)
    assert world.execution.status == "FAILED"
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert Counter(world.calls) == {"flaky": 1, "bad": 1}


def list_types(world: World) -> list[str]:
    """Return the types of the events of the execution itself since its last redrive."""
    found = [event.type for event in world.execution.history if not event.child]
    return found[len(found) - found[::-1].index("ExecutionRedriven") :]


@pytest.mark.parametrize("concurrency", [0, 1, 2])
def test_only_the_child_executions_that_failed_were_stopped_or_did_not_start_run(concurrency: int) -> None:
    world = World(distributed("map", task("load"), MaxConcurrency=concurrency), {"items": [0, 1, 2, 3]})
    assert world.run(fails={"load:1"}, hangs={"load:2"} if concurrency != 1 else set()) == "FAILED"
    succeeded = {"load:0", "load:3"} if concurrency == 0 else {"load:0"}
    assert set(world.calls) == succeeded | {"load:1"} | (set() if concurrency == 1 else {"load:2"})
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert Counter(world.calls) == {f"load:{n}": 1 for n in range(4) if f"load:{n}" not in succeeded}
    assert world.execution.output == [f"load:{n}" for n in range(4)]
    assert list_types(world) == [
        "MapRunRedriven", "MapRunSucceeded", "MapStateSucceeded", "MapStateExited", "ExecutionSucceeded"
    ]  # fmt: skip


def two_steps() -> dict[str, Any]:
    first, second = task("first", Next="second"), task("second")
    del first["States"]["first"]["End"]
    return first | {"States": first["States"] | second["States"]}


def test_a_child_execution_continues_at_the_state_that_failed() -> None:
    world = World(distributed("map", two_steps()), {"items": [5, 6]})
    assert world.run(fails={"second:first:5"}, hangs={"second:first:6"}) == "FAILED"
    assert Counter(world.calls) == {"first:5": 1, "first:6": 1, "second:first:5": 1, "second:first:6": 1}
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert world.calls == ["second:first:5", "second:first:6"]
    redriven = [event for event in world.execution.history if event.type == "ExecutionRedriven" and event.child]
    assert [(event.details or {})["redriveCount"] for event in redriven] == [1, 1]


def test_an_express_child_execution_starts_again_with_its_input() -> None:
    world = World(distributed("map", two_steps(), "EXPRESS", MaxConcurrency=1), {"items": [5, 6]})
    assert world.run(fails={"second:first:5"}) == "FAILED"
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert world.calls == ["first:5", "second:first:5", "first:6", "second:first:6"]
    ids = [(event.child, event.id) for event in world.execution.history]
    assert len(set(ids)) == len(ids), "an event has an ID of its own"


def test_tolerated_failures_are_repeated_with_the_map_run() -> None:
    world = World(distributed("map", task("load"), ToleratedFailureCount=1), {"items": [0, 1, 2]})
    assert world.run(fails={"load:0", "load:1"}) == "FAILED"
    world.redrive()
    assert world.run(fails={"load:0"}) == "SUCCEEDED"
    assert sorted(world.calls) == ["load:0", "load:1"]
    assert world.execution.output == ["load:1", "load:2"]


def test_a_stopped_map_run_continues_with_its_failed_and_running_children() -> None:
    world = World(distributed("map", task("load"), ToleratedFailureCount=1), {"items": [0, 1, 2]})
    assert world.run(fails={"load:0"}, hangs={"load:2"}) == "RUNNING"
    world.execution.abort("Stopped", "by hand", world.time)
    check_replay(world.definition, world.execution)
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert sorted(world.calls) == ["load:0", "load:2"]


def test_a_state_whose_result_cannot_be_processed_starts_a_new_map_run() -> None:
    world = World(distributed("map", task("load"), OutputPath="$.missing"), {"items": [0, 1]})
    assert world.run() == "FAILED"
    world.redrive()
    assert world.run() == "FAILED"
    assert sorted(world.calls) == ["load:0", "load:1"]
    assert "MapRunStarted" in list_types(world)


def test_a_caught_or_retried_map_run_is_not_continued() -> None:
    handled = {"Retry": [{"ErrorEquals": ["States.ALL"], "MaxAttempts": 1}], "Catch": [CATCH]}
    definition = distributed("map", task("load"), **handled)
    definition["States"] |= task("after")["States"]
    world = World(definition, {"items": [0, 1]})
    assert world.run(fails={"load:1", "after"}) == "FAILED"
    assert Counter(world.calls) == {"load:0": 2, "load:1": 2, "after": 1}
    world.redrive()
    assert world.run() == "SUCCEEDED"
    assert world.calls == ["after"]


def test_a_child_execution_with_too_many_events_is_not_redriven(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(distributed("map", task("load")), {"items": [0]})
    assert world.run(fails={"load:0"}) == "FAILED"
    world.redrive()
    monkeypatch.setattr("nightferry.states.machine.distributed.HISTORY_LIMIT_EVENTS", 5)
    assert world.run() == "FAILED"
    assert world.calls == []


CATCH = {"ErrorEquals": ["States.ALL"], "ResultPath": None, "Next": "after"}
TREES = st.recursive(
    st.just("task"),
    lambda inner: st.tuples(
        st.sampled_from(["parallel", "map", "distributed"]), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=5,
)


def build(tree: Any, names: list[str]) -> dict[str, Any]:
    """Build a definition from a tree. A Map's processor runs its parts in parallel."""
    name = f"s{len(names)}"
    names.append(name)
    if tree == "task":
        return task(name)
    kind, parts = tree
    branches = [build(part, names) for part in parts]
    if kind == "parallel":
        return parallel(name, *branches)
    # Each item is the whole input again, so that a nested Map finds its items.
    make = each if kind == "map" else distributed
    return make(name, parallel(f"{name} parts", *branches), ItemsPath="$.maps", ItemSelector={"maps.$": "$.maps"})


@settings(max_examples=examples(20), deadline=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
@given(TREES, st.randoms(use_true_random=False), st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)))
def test_redrives_run_each_task_to_one_success(tree: Any, order: Random, fails: set[int], hangs: set[int]) -> None:
    """However often an execution fails, each call succeeds once, and the output is that without failures."""
    names: list[str] = []
    definition = build(tree, names)
    data = {"maps": [1, 2]}
    smooth = World(definition, data)
    assert smooth.run() == "SUCCEEDED"
    world = World(definition, data)
    remaining = {f"s{n}" for n in fails}
    while True:
        status = world.run(fails=remaining, hangs={f"s{n}" for n in hangs} if remaining else set(), order=order)
        if status == "RUNNING":
            world.execution.abort("Stopped", "by hand", world.time)
            check_replay(definition, world.execution)
        if status == "SUCCEEDED":
            break
        remaining = set(sorted(remaining)[1:])
        world.redrive()
    assert count_successes(world.execution) == count_successes(smooth.execution)
    assert world.execution.output == smooth.execution.output


def count_successes(execution: Execution) -> Counter[str]:
    return Counter((event.details or {})["output"] for event in execution.history if event.type == "TaskSucceeded")
