"""The fake of ECS treats client tokens as ECS documents it (ECS API, "Ensuring idempotency")."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from nightferry.testing import FakeClock, FakeFargate, TaskScript
from nightferry.testing.fargate.client_tokens import ClientTokens

CAPACITY = "Capacity is unavailable at this time."
NETWORK = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
HOUR = 3600


@pytest.fixture
def run_task(fargate: FakeFargate, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that calls RunTask for the task ``hello`` with a token."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    client: Any = boto3.client("ecs")

    def run_task(token: str, **more: Any) -> Any:
        return client.run_task(
            cluster="toy-test",
            taskDefinition="toy-test-hello",
            launchType="FARGATE",
            networkConfiguration=NETWORK,
            clientToken=token,
            **more,
        )

    return run_task


def test_a_token_returns_the_original_failures_although_capacity_has_returned(
    run_task: Any, fargate: FakeFargate, clock: FakeClock
) -> None:
    fargate.script("hello", TaskScript(refused=CAPACITY), TaskScript())
    for _ in range(2):
        response = run_task("a")
        assert response["tasks"] == []
        assert [failure["reason"] for failure in response["failures"]] == [CAPACITY]
        clock.sleep(60)
    assert len(run_task("b")["tasks"]) == 1
    assert len(fargate.run_ids("hello")) == 1


def test_a_token_returns_the_original_task(run_task: Any, fargate: FakeFargate, clock: FakeClock) -> None:
    first = run_task("a")["tasks"]
    clock.sleep(100)
    assert run_task("a")["tasks"] == first


@pytest.mark.parametrize("refused", [None, CAPACITY])
def test_other_parameters_are_a_conflict_with_the_tasks_of_the_token(
    run_task: Any, fargate: FakeFargate, refused: str | None
) -> None:
    fargate.script("hello", TaskScript(refused=refused), TaskScript())
    tasks = [task["taskArn"] for task in run_task("a")["tasks"]]
    with pytest.raises(ClientError) as caught:
        run_task("a", startedBy="another")
    assert caught.value.response["Error"]["Code"] == "ConflictException"
    response: Any = caught.value.response
    assert response["resourceIds"] == tasks


@pytest.mark.parametrize(
    ("runs", "remembered", "forgotten"),
    [
        (60, HOUR, HOUR + 70),  # the task's lifetime plus one hour
        (30 * HOUR, 23 * HOUR, 25 * HOUR),  # 24 hours
    ],
)
def test_a_token_lives_for_the_lesser_of_a_day_and_the_tasks_lifetime_plus_an_hour(
    run_task: Any, fargate: FakeFargate, clock: FakeClock, runs: int, remembered: int, forgotten: int
) -> None:
    fargate.script("hello", TaskScript(stopped=runs))
    first = run_task("a")["tasks"]
    clock.sleep(runs if runs < remembered else remembered)
    run_task("another")  # the simulation advances with each request
    if runs < remembered:
        clock.sleep(remembered - runs)
    assert run_task("a")["tasks"] == first
    clock.sleep(forgotten - remembered)
    assert run_task("a")["tasks"] != first


def test_tokens_are_scoped_to_the_cluster() -> None:
    tokens = ClientTokens(FakeClock(), lambda _: None)
    response = {"tasks": [{"taskArn": "t"}]}
    tokens.remember({"cluster": "arn:aws:ecs:us-east-1:1:cluster/one", "clientToken": "a"}, response)
    assert tokens.find({"cluster": "arn:aws:ecs:us-east-1:1:cluster/one", "clientToken": "a"}) == response
    assert tokens.find({"cluster": "two", "clientToken": "a"}) is None
    assert tokens.find({"cluster": "one"}) is None
