"""The exit code of a run, from ECS's description of its task."""

from __future__ import annotations

from typing import Any

import pytest

from nightferry.aws.runs.reasons import troubleshooting
from nightferry.aws.runs.runs import parse_run
from nightferry.contract import Naming

pytestmark = pytest.mark.sampled(8)

NAMING = Naming("example", "test")
SIDECAR = {"name": "aws-guardduty-agent-mfjGLB", "lastStatus": "STOPPED"}  # a name from aws/aws-cdk#32877
OUT_OF_MEMORY = "OutOfMemoryError: Container killed due to memory usage"


def exit_code(*containers: dict[str, Any], **task: Any) -> int | None:
    described = {
        "taskArn": "arn:aws:ecs:us-east-1:123456789012:task/example-test/0123456789abcdef0123456789abcdef",
        "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/example-test-load:3",
        "lastStatus": "STOPPED",
        "stopCode": "EssentialContainerExited",
        "stoppedReason": "Essential container in task exited",
        "containers": list(containers),
    }
    run = parse_run(described | task, NAMING, "group")
    assert run is not None
    assert run.succeeded == (run.exit_code == 0)
    return run.exit_code


@pytest.mark.parametrize("own_code", [0, 1, 143])
@pytest.mark.parametrize("sidecar", [{}, {"exitCode": 0}, {"exitCode": 137}])
@pytest.mark.parametrize("first", [True, False])
def test_the_code_is_that_of_the_tasks_own_container(own_code: int, sidecar: dict[str, int], first: bool) -> None:
    own = {"name": "load", "exitCode": own_code}
    other = SIDECAR | sidecar
    assert exit_code(*([own, other] if first else [other, own])) == own_code


def test_the_code_of_another_container_is_not_the_tasks() -> None:
    assert exit_code(SIDECAR | {"exitCode": 0}) is None


@pytest.mark.parametrize("code", [{}, {"exitCode": 0}, {"exitCode": 137}])
@pytest.mark.parametrize("where", ["container", "task"])
def test_a_container_without_memory_failed_whatever_its_code(code: dict[str, int], where: str) -> None:
    own = {"name": "load"} | code
    if where == "container":
        assert exit_code(own | {"reason": OUT_OF_MEMORY}) == 137
    else:
        assert exit_code(own, stoppedReason=OUT_OF_MEMORY) == 137


@pytest.mark.parametrize("stop_code", ["TerminationNotice", "SpotInterruption", "InfrastructureHealth", "SomethingNew"])
def test_a_container_that_its_host_ended_failed_even_with_code_0(stop_code: str) -> None:
    own = {"name": "load", "exitCode": 0}
    assert exit_code(own, stopCode=stop_code, stoppedReason="Your task was stopped.") == 143


def test_a_person_may_stop_a_task_that_ends_successfully() -> None:
    assert exit_code({"name": "load", "exitCode": 0}, stopCode="UserInitiated", stoppedReason="by hand") == 0


@pytest.mark.parametrize("others", [[], [SIDECAR | {"exitCode": 0}]])
def test_a_task_that_failed_to_start_has_no_code_0(others: list[dict[str, Any]]) -> None:
    task = {"stopCode": "TaskFailedToStart", "stoppedReason": "Task failed to start"}
    assert exit_code(*others, {"name": "load", "exitCode": 0}, **task) is None
    assert exit_code(*others, {"name": "load"}, **task) is None
    assert exit_code(*others, {"name": "load", "exitCode": 2}, **task) == 2


@pytest.mark.parametrize("stop_code", ["TaskFailedToStart", "EssentialContainerExited", "TerminationNotice"])
@pytest.mark.parametrize("name", ["load-2", "Load", "log_router", ""])
def test_no_other_name_is_the_tasks_container(stop_code: str, name: str) -> None:
    assert exit_code({"name": name, "exitCode": 0}, stopCode=stop_code) is None


@pytest.mark.parametrize("started", [True, False])
@pytest.mark.parametrize(
    "reason",
    [
        "DockerTimeoutError: Could not transition to started; timed out after waiting 3m0s",
        "ContainerRuntimeTimeoutError: Could not transition to running; timed out after waiting 1m0s",
        "Could not transition to stopped; timed out after waiting 2m0s",
    ],
)
def test_a_container_that_the_host_could_not_start_in_time(reason: str, started: bool) -> None:
    run = parse_run(
        {
            "taskArn": "arn:aws:ecs:us-east-1:123456789012:task/example-test/0123456789abcdef0123456789abcdef",
            "taskDefinitionArn": "arn:aws:ecs:us-east-1:123456789012:task-definition/example-test-load:3",
            "lastStatus": "STOPPED",
            "stopCode": "EssentialContainerExited" if started else "TaskFailedToStart",
            "stoppedReason": "Essential container in task exited" if started else "Task failed to start",
            "containers": [{"name": "load", "reason": reason}],
            **({"startedAt": "2026-11-29T00:00:00Z"} if started else {}),
        },
        NAMING,
        "group",
    )
    assert run is not None
    assert troubleshooting(run)[0] == "The host did not start or stop the container in time."
