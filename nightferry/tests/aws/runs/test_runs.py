"""The exit code of a run, from ECS's description of its task."""

from __future__ import annotations

from typing import Any

import pytest

from nightferry.aws.runs.runs import parse_run
from nightferry.contract import Naming

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
