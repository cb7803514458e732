"""The check of the overlap policy in a deployed workflow, run by the interpreter with a simulated Step Functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from nightferry.catalog.declarations import Workflow
from nightferry.contract import format_replacement, was_replaced
from nightferry.states import ContextInfo, Result, StatesError, run, validate
from nightferry.terraform.overlap import LIST, STOP, apply_policy

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:example-test-nightly"
START = datetime(2026, 11, 29, 3, tzinfo=UTC)
WORK = {"StartAt": "work", "States": {"work": {"Type": "Pass", "Result": "done", "ResultPath": "$.work", "End": True}}}


class StepFunctions:
    """The executions of a machine: the time of each start, and whether it is running."""

    def __init__(self, **ages: int) -> None:
        self.running = {self.arn(name): START - timedelta(seconds=age) for name, age in ages.items()}
        self.stopped: list[str] = []
        self.ends_after = 2  # calls of ListExecutions until the others end on their own

    @staticmethod
    def arn(name: str) -> str:
        return f"{MACHINE.replace(':stateMachine:', ':execution:')}:{name}"

    def list(self, parameters: dict[str, Any]) -> dict[str, Any]:
        assert parameters == {"StateMachineArn": MACHINE, "StatusFilter": "RUNNING", "MaxResults": 1000}
        self.ends_after -= 1
        if self.ends_after < 0:
            self.running = {arn: start for arn, start in self.running.items() if arn == self.arn("own")}
        return {
            "Executions": [
                {"ExecutionArn": arn, "StartDate": start.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
                for arn, start in self.running.items()
            ]
        }

    def stop(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self.stopped.append(parameters["ExecutionArn"].rpartition(":")[2])
        assert parameters["Cause"] == format_replacement(self.arn("own"))
        assert was_replaced("ABORTED", parameters["Cause"])
        del self.running[parameters["ExecutionArn"]]
        return {}


def deploy(overlap: Any) -> dict[str, Any]:
    workflow = Workflow("nightly", "", WORK, (), overlap, "high", "here:1")
    definition = apply_policy(workflow)
    assert validate(definition) == []
    return definition


def execute(overlap: str, world: StepFunctions, own: str = "own") -> Result:
    info = ContextInfo(execution_id=world.arn(own), execution_name=own, state_machine_id=MACHINE, start_time=START)
    return run(deploy(overlap), {"day": 1}, tasks={LIST: world.list, STOP: world.stop}, context=info, start=START)


def test_a_workflow_that_may_overlap_is_deployed_as_it_is() -> None:
    assert deploy("allow") == WORK


@pytest.mark.parametrize("overlap", ["skip", "queue", "replace"])
@pytest.mark.parametrize("others", [{}, {"own": 0}, {"own": 0, "later": -60}])
def test_without_an_earlier_execution_the_work_starts_with_its_input(overlap: str, others: dict[str, int]) -> None:
    world = StepFunctions(**others)
    result = execute(overlap, world)
    assert (result.status, result.output) == ("SUCCEEDED", {"day": 1, "work": "done"})
    assert world.stopped == []


def test_skip_ends_at_once_and_names_the_running_execution() -> None:
    world = StepFunctions(own=0, earlier=3600)
    result = execute("skip", world)
    assert (result.status, result.output) == (
        "SUCCEEDED",
        {"skipped": "An earlier execution is running.", "running": [world.arn("earlier")]},
    )


def test_queue_waits_until_the_earlier_executions_have_ended() -> None:
    world = StepFunctions(own=0, earlier=60, earliest=3600)
    assert execute("queue", world).output == {"day": 1, "work": "done"}
    assert world.ends_after < 0


def test_replace_stops_the_earlier_executions_and_not_the_later_one() -> None:
    world = StepFunctions(own=0, earlier=60, earliest=3600, later=-1)
    world.ends_after = 100
    assert execute("replace", world).output == {"day": 1, "work": "done"}
    assert sorted(world.stopped) == ["earlier", "earliest"]


def test_of_simultaneous_starts_exactly_one_continues() -> None:
    """Three executions start in the same millisecond, and each sees all of them."""
    for names in permutations(["a", "b", "c"]):
        results = {name: execute("skip", StepFunctions(**dict.fromkeys(names, 0)), name) for name in names}
        assert [name for name, result in results.items() if "work" in result.output] == ["a"]


def test_an_execution_that_is_not_yet_listed_compares_its_own_start() -> None:
    """ListExecutions is eventually consistent."""
    assert "skipped" in execute("skip", StepFunctions(earlier=1)).output
    assert "work" in execute("skip", StepFunctions(later=-1)).output


def test_a_refused_list_fails_the_execution_instead_of_running_it_twice() -> None:
    def refuse(_: Any) -> Any:
        raise StatesError("Sfn.AccessDeniedException", "no")

    result = run(deploy("skip"), {}, tasks={LIST: refuse}, context=ContextInfo(state_machine_id=MACHINE))
    assert (result.status, result.error) == ("FAILED", "Sfn.AccessDeniedException")
