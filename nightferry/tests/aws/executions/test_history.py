"""The scopes derived from GetExecutionHistory equal those of the local engine's own history."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nightferry.aws.executions.history import ScopeReader
from nightferry.backend.states.causes import find_failed_step, state_history
from nightferry.backend.states.values import StateExecution
from nightferry.lambdas import failure_notice
from nightferry.states import Execution, Outcome, TaskFailed, TaskSucceeded
from nightferry.states.machine.commands import StartTask
from nightferry.states.machine.history import HistoryEvent
from nightferry.testing.tiers import examples
from tests.states.machines import FUNCTION
from tests.states.recorded import redrives
from tests.states.replays import INFO, START

Body = list[Any]
CATCH = [{"ErrorEquals": ["States.ALL"], "Next": "caught"}]
RETRY = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 1}]
handlers: st.SearchStrategy[dict[str, Any]] = st.sampled_from([{}, {"Catch": CATCH}, {"Retry": RETRY}])
leaves = st.sampled_from(["pass", "task", "fails", "caught", "retried"])
bodies = st.recursive(
    st.lists(leaves, min_size=1, max_size=3),
    lambda inner: st.lists(
        leaves
        | st.tuples(st.just("parallel"), st.lists(inner, min_size=1, max_size=3), handlers)
        | st.tuples(st.just("map"), st.integers(0, 3), st.integers(0, 2), inner, handlers),
        min_size=1,
        max_size=3,
    ),
    max_leaves=12,
)


def machine(body: Body, path: str = "s") -> dict[str, Any]:
    """Return a machine that passes through the states of a body. Caught errors lead to the state ``caught``."""
    states: dict[str, Any] = {}
    for number, kind in enumerate(body):
        name = f"{path}{number}"
        after = {"Next": f"{path}{number + 1}"} if number + 1 < len(body) else {"End": True}
        states[name] = {**state(kind, name), **after}
    if any("Catch" in one for one in states.values()):
        catching = f"{path} caught"
        states[catching] = {"Type": "Pass", "End": True}
        for one in states.values():
            if "Catch" in one:
                one["Catch"] = [{"ErrorEquals": ["States.ALL"], "Next": catching}]
    return {"StartAt": f"{path}0", "States": states}


def state(kind: Any, name: str) -> dict[str, Any]:
    match kind:
        case "pass":
            return {"Type": "Pass"}
        case "task":
            return {"Type": "Task", "Resource": f"{FUNCTION}-good"}
        case "fails":
            return {"Type": "Task", "Resource": f"{FUNCTION}-bad"}
        case "caught":
            return {"Type": "Task", "Resource": f"{FUNCTION}-bad", "Catch": CATCH}
        case "retried":
            retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 1, "MaxAttempts": 2}]
            return {"Type": "Task", "Resource": f"{FUNCTION}-bad", "Retry": retry, "Catch": CATCH}
        case ("parallel", branches, handled):
            made = [machine(branch, f"{name}p{n}-") for n, branch in enumerate(branches)]
            return {"Type": "Parallel", "Branches": made, **handled}
        case ("map", items, at_once, body, handled):
            return {
                "Type": "Map",
                "Items": list(range(items)),
                "QueryLanguage": "JSONata",
                "MaxConcurrency": at_once,
                "ItemProcessor": machine(body, f"{name}m-"),
                **handled,
            }
    raise AssertionError(kind)


def run(definition: dict[str, Any], redrives: int) -> Execution:
    """Run an execution to its end, and redrive it. All tasks succeed in the last redrive."""
    execution = Execution.start(definition, {}, context=INFO, now=START)
    time = START
    while True:
        step = execution.advance(time)
        for command in step.commands:
            if isinstance(command, StartTask):
                bad = command.resource.endswith("-bad") and (redrives or not execution.memory.redrives)
                outcome: Outcome = TaskFailed("Bad", "bad") if bad else TaskSucceeded(command.parameters)
                execution.deliver(command.token, outcome, time)
        if execution.ended and (execution.status == "SUCCEEDED" or not redrives):
            return execution
        if execution.ended:
            redrives -= 1
            execution.redrive(time)
        time = max(time, execution.next_wakeup or time)


def list_comparable(history: list[HistoryEvent]) -> list[StateExecution]:
    """Return the states without the errors of Map and Parallel states, which only the local engine records."""
    return [replace(one, error=None) if one.type in ("Map", "Parallel") else one for one in state_history(history)]


@given(body=bodies, redrives=st.integers(0, 2))
@example(body=[("map", 1, 0, ["fails"], {"Catch": CATCH})], redrives=0)
@settings(max_examples=examples(50), deadline=None)
def test_scopes_that_aws_does_not_return_are_derived(body: Body, redrives: int) -> None:
    execution = run(machine(body), redrives)
    history = execution.history
    derived = ScopeReader().add([event.to_aws() for event in history])
    assert list_comparable(derived) == list_comparable(history)
    if execution.status == "FAILED":
        newest_first = reversed([event.to_aws() for event in history])
        assert find_failed_step(derived) == find_failed_step(history) == failure_notice.find_failed_step(newest_first)


def test_the_recorded_histories_of_redrives_show_what_ran_again() -> None:
    """AWS leaves out a previous event of 0 in some responses, and records states that were stopped."""

    def show(recorded: str, **stopped: int) -> list[tuple[str, int, int, bool, bool]]:
        events = redrives.read_events(recorded)[: stopped.get("at")]
        found = state_history(ScopeReader().add(events))
        return [(one.name, one.depth, one.attempts, one.failed, one.exited_at is not None) for one in found[1:]]

    assert show(redrives.PARALLEL, at=21) == [
        ("Parallel", 0, 0, True, True),
        ("SucceededSibling", 1, 1, False, True),
        ("FailedSibling", 1, 1, True, True),
        ("AbortedSibling", 1, 1, True, True),
    ]
    assert show(redrives.PARALLEL, at=24) == [
        ("Parallel", 0, 0, False, False),
        ("SucceededSibling", 1, 1, False, True),
        ("FailedSibling", 1, 2, False, False),
        ("AbortedSibling", 1, 2, False, False),
    ]
    assert show(redrives.PARALLEL) == [
        ("Parallel", 0, 0, False, True),
        ("SucceededSibling", 1, 1, False, True),
        ("FailedSibling", 1, 2, False, True),
        ("AbortedSibling", 1, 2, False, True),
    ]
    assert show(redrives.INLINE_MAP) == [
        ("InlineMap", 0, 0, False, True),
        ("MapItem", 1, 1, False, True),
        ("MapItem", 1, 2, False, True),
        ("MapItem", 1, 1, False, True),
    ]
    assert show(redrives.DISTRIBUTED_MAP, at=14) == [("ProbeMap", 0, 0, True, True)]
    assert show(redrives.DISTRIBUTED_MAP) == [("ProbeMap", 0, 0, False, True), ("AfterMap", 0, 0, False, True)]
