from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from nightferry.states import ContextInfo, StatesError, run, validate
from nightferry.states.builder import (
    PUBLISH,
    RUN_TASK,
    Body,
    Choose,
    ForEach,
    Item,
    Notify,
    Parallel,
    Retry,
    RunTask,
    Steps,
    Wait,
    When,
    render,
    runs,
)


@dataclass(frozen=True)
class Named:
    name: str


A, B, C = Named("a"), Named("b"), Named("c")
TOPIC = Named("failures")


class World:
    """A fake that runs tasks and receives notifications; ``fails`` is how often a task fails before it succeeds."""

    def __init__(self, *, error: str = "States.TaskFailed", **fails: int) -> None:
        self.error = error
        self.fails = fails
        self.ran: list[dict[str, Any]] = []
        self.published: list[dict[str, Any]] = []

    def run_task(self, parameters: dict[str, Any]) -> Any:
        (override,) = parameters["Overrides"]["ContainerOverrides"]
        assert parameters["TaskDefinition"] == f"${{task:{override['Name']}}}"
        self.ran.append(override)
        if self.fails.get(override["Name"], 0) > 0:
            self.fails[override["Name"]] -= 1
            raise StatesError(self.error, '{"StopCode":"EssentialContainerExited"}')
        return {"LastStatus": "STOPPED"}

    def execute(self, body: Body, data: Any = None, **options: Any) -> Any:
        definition = render(body, **options)
        assert validate(definition) == []
        assert json.loads(json.dumps(definition)) == definition
        return run(definition, data, tasks={RUN_TASK: self.run_task, PUBLISH: self.published.append})

    @property
    def names(self) -> list[str]:
        return [override["Name"] for override in self.ran]


def test_a_sequence_runs_its_steps_in_order_and_passes_on_the_input() -> None:
    world = World()

    result = world.execute(Steps(RunTask(A), Wait(timedelta(minutes=5)), RunTask(B, env={"X": True})), {"day": "d"})

    assert world.names == ["a", "b"]
    assert result.output == {"day": "d"}
    assert world.ran[1]["Environment"] == [
        {"Name": "SFN_EXECUTION_ID", "Value": ContextInfo().execution_id},
        {"Name": "SCHEDULED_AT", "Value": ""},
        {"Name": "X", "Value": "true"},
    ]


def test_for_each_passes_its_items() -> None:
    world = World()

    world.execute(Steps(ForEach([1, 2], RunTask(A, args=["--id", Item()]), concurrency=1), RunTask(B)))

    assert [override.get("Command") for override in world.ran] == [["--id", "1"], ["--id", "2"], None]


def test_parallel_branches_and_choices() -> None:
    world = World()
    choice = Choose(When({"Variable": "$.full", "BooleanEquals": True}, RunTask(C)), otherwise=RunTask(B))

    world.execute(Steps(Parallel(RunTask(A), Steps(RunTask(B), RunTask(C))), choice), {"full": True})

    assert sorted(world.names[:3]) == ["a", "b", "c"]
    assert world.names[3:] == ["c"]


def test_a_choice_can_be_the_last_step() -> None:
    world = World()

    result = world.execute(Choose(When({"Variable": "$.x", "IsPresent": True}, RunTask(A))), {})

    assert result.status == "SUCCEEDED"
    assert world.names == []


def test_names_are_unique() -> None:
    definition = render(Steps(RunTask(A), RunTask(A), RunTask(A, name="again")))

    assert list(definition["States"]) == ["scheduled time", "a", "a 2", "again"]


def test_each_task_receives_the_time_for_which_the_execution_was_scheduled() -> None:
    """The input need not be an object, and a task's own value takes precedence."""
    body = Steps(RunTask(A), Parallel(RunTask(B), ForEach([1], Steps(RunTask(C)))), RunTask(A, name="scheduled time"))
    for data, expected in (
        ({"scheduled_at": "2026-11-01T05:30:00Z"}, "2026-11-01T05:30:00Z"),
        ({"scheduled_at": 7}, "7"),
        ({}, ""),
        ([1], ""),
        ("2026", ""),
        (None, ""),
    ):
        world = World()
        assert world.execute(body, data).status == "SUCCEEDED"
        found = [item["Value"] for run in world.ran for item in run["Environment"] if item["Name"] == "SCHEDULED_AT"]
        assert found == [expected] * 4
    world = World()
    world.execute(RunTask(A, env={"SCHEDULED_AT": "x"}), {"scheduled_at": "y"})
    assert {item["Name"]: item["Value"] for item in world.ran[0]["Environment"]}["SCHEDULED_AT"] == "x"


def test_a_steps_retry_overrides_the_workflows() -> None:
    world = World(a=2, b=1)

    result = world.execute(Steps(RunTask(A), RunTask(B, retry=Retry(attempts=1))), retry=Retry(attempts=2))

    assert result.status == "SUCCEEDED"
    assert world.names == ["a", "a", "a", "b", "b"]


@pytest.mark.parametrize("retry", [None, Retry(attempts=1, errors=("States.Timeout",))])
@pytest.mark.parametrize(
    "error", ["AmazonECS.Unknown", "ECS.AmazonECSException", "ECS.InvalidParameterException", "ECS.ClientException"]
)
def test_a_start_that_ecs_refused_is_retried_with_any_retry_of_failures(error: str, retry: Retry | None) -> None:
    """Step Functions gives these errors for failures, missing capacity, throttling, and a role that is not ready."""
    world = World(error=error, a=5)
    assert world.execute(RunTask(A), retry=retry).status == "SUCCEEDED"
    assert len(world.ran) == 6
    assert World(error=error, a=6).execute(RunTask(A), retry=retry).error == error


@pytest.mark.parametrize("error", ["States.TaskFailed", "States.Timeout", "ECS.AccessDeniedException"])
def test_a_failure_of_the_job_is_retried_only_on_request(error: str) -> None:
    world = World(error=error, a=1)
    assert world.execute(RunTask(A)).error == error
    assert len(world.ran) == 1


@pytest.mark.parametrize(
    ("body", "last"),
    [
        (RunTask(A), "a"),
        (Steps(RunTask(B), RunTask(A), RunTask(C)), "a"),
        (ForEach(["x", "y"], RunTask(A, args=[Item()])), "each a"),
        (Parallel(RunTask(A), RunTask(B)), "parallel"),
    ],
)
def test_the_step_that_fails_is_the_last_one_and_fails_the_workflow(body: Body, last: str) -> None:
    """AWS continues a redrive at the state that failed. A failure that a Catch handled would not be one."""
    result = World(a=9).execute(body, {"day": 1})

    assert (result.status, result.error) == ("FAILED", "States.TaskFailed")
    assert result.cause == '{"StopCode":"EssentialContainerExited"}'
    entered = [event for event in result.events if event.type.endswith("StateEntered")]
    (top,) = [event.details["name"] for event in entered if event.details["name"] in render(body)["States"]][-1:]
    assert top == last


def test_a_notification_can_be_a_step() -> None:
    world = World()

    world.execute(Steps(RunTask(A), Notify(TOPIC, subject="done", message="All done")))

    assert world.published == [{"TopicArn": "${topic:failures}", "Message": "All done", "Subject": "done"}]


def test_a_workflow_has_a_time_limit_and_a_comment() -> None:
    definition = render(RunTask(A, timeout=timedelta(hours=1)), comment="Nightly", timeout=timedelta(hours=8))

    assert (definition["Comment"], definition["TimeoutSeconds"]) == ("Nightly", 28_800)
    assert definition["States"]["a"]["TimeoutSeconds"] == 3_600


def test_runs_returns_every_task_of_a_workflow() -> None:
    body = Steps(RunTask(A), ForEach([1], RunTask(B)), Choose(When({}, RunTask(C)), otherwise=Parallel(RunTask(A))))

    assert [step.task.name for step in runs(body)] == ["a", "b", "c", "a"]


@pytest.mark.parametrize("subject", ["DOR → FINEOS failed", "two\nlines", "x" * 101])
def test_a_subject_that_sns_rejects_is_an_error(subject: str) -> None:
    with pytest.raises(ValueError, match="at most 100 printable ASCII characters"):
        Notify(TOPIC, subject=subject)
