"""``nightferry verify --after-deploy`` on a fake Fargate: the starts of tasks, schedules, triggers and workflows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.aws.session import Aws
from nightferry.aws.verify.probe import Probe
from nightferry.aws.verify.starts import StartChecks
from nightferry.backend.runs import RunRequest
from nightferry.backend.verify.findings import Finding
from nightferry.backend.verify.verify_actions import AFTER_DEPLOY_ACTIONS
from nightferry.environments.aws_resources import AwsResources
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, TaskScript
from tests.aws.project import ON_AWS, make_aws_project

pytestmark = pytest.mark.sampled(8)

STARTERS = """
catalog.schedule("nightly", hello, "cron(0 2 * * ? *)", timezone="UTC")
catalog.schedule("hourly", mark, "rate(1 hour)", timezone="UTC")
catalog.schedule("off", slow, "cron(0 2 * * ? *)", timezone="UTC", enabled=False)
catalog.schedule("batch", catalog.workflows["marks"], "cron(0 3 * * ? *)", timezone="UTC")
catalog.object_trigger("file", three, bucket=inbox, prefix="in/", suffix=".csv")
"""
SHARED = '[aws.buckets.inbox]\nname = "example-inbox"\nnotifications = "ours"\n'
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOON)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = make_aws_project(tmp_path / "toy")
    (module,) = root.glob("toy_*.py")
    module.write_text(module.read_text() + STARTERS)
    (root / "environments" / "test.toml").write_text(f'{ON_AWS}{SHARED}[settings]\ncolor = "blue"\n')
    return Project.find(root)


class World:
    """The project on the fake, and its checks."""

    def __init__(self, project: Project, fargate: FakeFargate, clock: FakeClock) -> None:
        self.fargate, self.clock = fargate, clock
        environment = project.environment("test")
        assert environment.aws is not None
        self.aws = Aws(environment.aws.region, environment.aws.account, attempts=2)
        self.resources = AwsResources(project.catalog, environment)
        self.backend = AwsBackend(project, environment, clock=clock, aws=self.aws)

    def check(self, deployed: datetime) -> dict[str, Finding]:
        checks = StartChecks(self.resources, self.backend, Probe(self.aws), self.clock, deployed)
        return {finding.name: finding for finding in checks.check()}

    def start(self, task: str, started_by: str) -> str:
        """Start a task as a service does."""
        ecs: Any = boto3.client("ecs", endpoint_url=self.fargate.url, region_name="us-east-1")
        network = {"awsvpcConfiguration": {"subnets": ["subnet-0a1b2c3d4e5f60a01"]}}
        request = {"cluster": "toy-test", "taskDefinition": f"toy-test-{task}", "launchType": "FARGATE"}
        return str(ecs.run_task(**request, networkConfiguration=network, startedBy=started_by)["tasks"][0]["taskArn"])


@pytest.fixture
def world(project: Project, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with FakeFargate(project, "test", clock) as fargate:
        for name, value in fargate.variables.items():
            monkeypatch.setenv(name, value)
        yield World(project, fargate, clock)


def test_without_starts_the_findings_have_the_commands_that_start(world: World) -> None:
    found = world.check(NOON - timedelta(minutes=30))
    assert {finding.verdict for finding in found.values()} == {"not checked"}
    assert "start by schedule off" not in found
    for name, text in (
        ("a successful run", "Run a task: nightferry run TASK --env test"),
        ("start by schedule nightly", "Not due since the deployment. It is due next at 2026-03-03 02:00 UTC."),
        ("start by trigger file", "Put one: aws s3 cp FILE s3://example-inbox/in/NAME.csv"),
        ("execution of workflow marks", "Start it: nightferry start marks --env test"),
    ):
        assert text in found[name].detail


def test_a_schedule_that_was_due_and_started_nothing_is_wrong(world: World) -> None:
    found = world.check(NOON - timedelta(days=3))
    for name, due in (("nightly", "2026-03-02 02:00"), ("batch", "2026-03-02 03:00"), ("hourly", "2026-03-02 10:00")):
        assert found[f"start by schedule {name}"].verdict == "wrong"
        assert f"It was due at {due} UTC, but" in found[f"start by schedule {name}"].detail


@pytest.mark.long
def test_a_start_that_many_others_have_followed_is_not_reported_as_missing(world: World) -> None:
    world.clock.sleep(14 * 3600 + 60)  # to 02:01
    world.start("hello", "chronos-schedule/toy-test-nightly")
    for _ in range(20):
        world.clock.sleep(60)
        world.start("hello", "ada")
        world.start("three", "ada")
    found = world.check(NOON)
    assert found["start by schedule nightly"].verdict == "not checked"
    assert "hello has started more than 20 times since then" in found["start by schedule nightly"].detail
    assert "None of the newest 20 starts of three was by this trigger" in found["start by trigger file"].detail


def test_starts_of_schedules_and_triggers_are_found(world: World) -> None:
    world.fargate.script("hello", TaskScript(exit_code=0))
    world.clock.sleep(14 * 3600 + 60)  # to 02:01
    world.start("hello", "chronos-schedule/toy-test-nightly")
    world.start("three", "trigger/toy-test-file")
    world.start("mark", "ada")  # by hand: not the schedule
    world.clock.sleep(7200)
    found = world.check(NOON)
    for name, target in (("schedule nightly", "hello"), ("trigger file", "three")):
        assert found[f"start by {name}"].verdict == "ok"
        assert found[f"start by {name}"].detail == f"{target} started at 2026-03-03 02:01 UTC"
    assert found["start by schedule hourly"].verdict == "wrong"
    assert found["a successful run"].verdict == "ok"


def test_a_run_that_did_not_start_is_wrong(world: World) -> None:
    reason = "CannotPullContainerError: no such image"
    world.fargate.script("hello", TaskScript(fails=reason))
    world.backend.run_task(RunRequest("hello"))
    world.clock.sleep(60)
    found = world.check(NOON - timedelta(minutes=1))["a successful run"]
    assert found.verdict == "wrong"
    assert "hello did not start: CannotPullContainerError" in found.detail


def test_a_failed_execution_is_a_warning(world: World) -> None:
    id = world.backend.start_workflow("fails", {})
    world.fargate.set_history(id, [], status="FAILED")
    found = world.check(NOON)["execution of workflow fails"]
    assert found.verdict == "warning"
    assert f"nightferry status {id} --env test" in found.detail


def test_denied_reads_are_not_checked(world: World) -> None:
    world.fargate.inject_errors("*", "AccessDeniedException", times=1000)
    found = world.check(NOON - timedelta(days=3))
    assert {finding.verdict for finding in found.values()} == {"not checked"}
    assert "This check requires ecs:ListTasks" in found["start by schedule nightly"].detail
    assert "This check requires states:ListExecutions" in found["execution of workflow marks"].detail


def test_the_actions_of_the_checks_are_those_of_the_calls(world: World) -> None:
    called: set[str] = set()
    world.aws.session.events.register(
        "before-call", lambda model, **_: called.add(f"{model.service_model.signing_name}:{model.name}")
    )
    world.start("hello", "ada")
    failed = world.backend.start_workflow("fails", {})
    world.fargate.set_history(failed, [], status="FAILED")
    called.clear()
    world.check(NOON)
    expected = {*AFTER_DEPLOY_ACTIONS["runs"], *AFTER_DEPLOY_ACTIONS["starts"]}
    assert called == expected, json.dumps(sorted(called ^ expected))
