"""What a start may change of its task, at each entry of the engine and of the fake Fargate."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field, SecretStr

from nightferry.aws.backend import AwsBackend
from nightferry.backend.request_checks import ImpossibleOverride
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Image, Secret, Task
from nightferry.contract import parse_arn_id
from nightferry.environments.project import Project
from nightferry.errors import DeclarationError
from nightferry.job import JobSettings
from nightferry.local.backend import LocalBackend
from nightferry.states.builder import RUN_TASK, RunTask, Steps
from nightferry.testing import FakeClock, FakeFargate
from tests.aws.project import make_aws_project
from tests.local.toy import make_project

REFUSED = (
    "ENVIRONMENT", "NIGHTFERRY_OVERLAP", "NIGHTFERRY_PRIVACY", "NIGHTFERRY_ATTEMPT", "NIGHTFERRY_NEW", "PATH", "HOME",
    "PYTHONPATH", "PYTHONSTARTUP", "LD_PRELOAD", "AWS_ENDPOINT_URL", "AWS_PROFILE", "DB_HOST", "DB_USERNAME", "PGHOST",
    "https_proxy", "PASSWORD_SSM_PATH", "BASH_ENV", "SFN_EXECUTION_ID", "color", "NEW_RELIC_EVENTS_URL",
)  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_project(tmp_path / "project")


@pytest.fixture
def backend(root: Path) -> LocalBackend:
    project = Project.find(root)
    return LocalBackend(project, project.environment("local"))


def work(backend: LocalBackend) -> TaskRun:
    asyncio.run(backend.work(lambda: not backend.store.has_open_work()))
    return backend.runs().entries[0]


@pytest.mark.sampled(4)
@pytest.mark.parametrize("name", REFUSED)
def test_a_person_cannot_set_it(backend: LocalBackend, name: str) -> None:
    with pytest.raises(ImpossibleOverride, match=f"^{name} "):
        backend.run_task(RunRequest("hello", env={name: "x"}))
    assert list(backend.runs().entries) == []


def test_a_redrive_does_not_repeat_it(backend: LocalBackend) -> None:
    backend.store.add_run("first", "three", [], {"ENVIRONMENT": "prod"})
    backend.store.mark_run_stopped("first", 3, "EssentialContainerExited", "")
    with pytest.raises(ImpossibleOverride, match=r"^Cannot repeat run first with the same inputs. ENVIRONMENT cannot"):
        backend.redrive_run("first")


@pytest.mark.parametrize(
    "container",
    [
        {"Environment": [{"Name": "LD_PRELOAD", "Value": "/tmp/x.so"}]},
        {"Environment": [{"Name": "ENVIRONMENT", "Value": "prod"}]},
    ],
)
def test_a_definition_cannot_set_it(backend: LocalBackend, container: dict[str, Any]) -> None:
    """A definition by hand can compute the variables, so that the run itself is refused as in a container on AWS."""
    override = {"TaskDefinition": "hello", "Overrides": {"ContainerOverrides": [{"Name": "hello", **container}]}}
    state = {"Type": "Task", "Resource": RUN_TASK, "Parameters": override, "End": True}
    backend.store.add_execution("e", "by-hand", {"StartAt": "A", "States": {"A": state}}, {})
    run = work(backend)
    assert (run.exit_code, backend.execution("e").error) == (2, "States.TaskFailed")
    (line,) = backend.log([run.id])
    assert line.text.startswith(f"{container['Environment'][0]['Name']} cannot be set for a run of task 'hello'")


def test_the_fake_fargate_refuses_it_as_the_container_does(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_aws_project(root)
    project, clock = Project.find(root), FakeClock()
    with FakeFargate(project, "test", clock) as fake:
        for name, value in fake.variables.items():
            monkeypatch.setenv(name, value)
        backend = AwsBackend(project, project.environment("test"), clock=clock)
        variable = {"name": "ENVIRONMENT", "value": "local"}
        overrides = {"containerOverrides": [{"name": "hello", "environment": [variable]}]}
        started = backend.aws.ecs.run_task(**backend.request(RunRequest("hello")), overrides=overrides)
        clock.sleep(60)
        run = backend.run(parse_arn_id(started["tasks"][0]["taskArn"]))
        assert run.exit_code == 2
        (line,) = backend.log([run.id])
        assert line.text.startswith("ENVIRONMENT cannot be set for a run of task 'hello'")


class Settings(JobSettings):
    """Settings of each kind."""

    region: str = Field(default="eu", description="Region")
    limit: int = Field(default=1, description="Limit")
    api_url: str = Field(default="", description="Address")
    password: SecretStr | None = Field(default=None, description="Password")
    db_host: str = Field(default="", description="Host")


def declare(**more: Any) -> tuple[Catalog, Task]:
    catalog = Catalog("app", image=Image("app"))
    env = {"LIMIT": 5, "API_URL": catalog.setting("api.url", default="https://a.example")}
    secrets = {"PASSWORD": Secret("password")}
    return catalog, catalog.task("load", command=["load"], config=Settings, env=env, secrets=secrets, **more)


def test_a_start_may_set_settings_that_no_environment_fixes() -> None:
    assert declare()[1].overridable == {"REGION", "LIMIT"}
    assert declare(overridable="API_URL")[1].overridable == {"REGION", "LIMIT", "API_URL"}
    free = Catalog("app", image=Image("app")).task("free", command=["sh"], env={"A": 1, "PATH": "/x"})
    assert (free.overridable, free.args) == ({"A"}, "none")
    assert [declare(accepts_args=accepts)[1].args for accepts in (None, False, True)] == ["options", "none", "any"]


@pytest.mark.parametrize("name", ["PASSWORD", "DB_HOST", "NIGHTFERRY_LEASE", "REGIO"])
def test_a_task_cannot_open_it(name: str) -> None:
    with pytest.raises(DeclarationError, match=f"overridable has {name}: "):
        declare(overridable=[name])


@pytest.mark.parametrize(
    ("env", "args", "message"),
    [
        ({"API_URL": "https://b.example"}, (), r"add overridable=\['API_URL'\]"),
        ({"DB_HOST": "b"}, (), "no start may change"),
        ({}, ["--api-url=https://b.example"], "--api-url is not an option"),
        ({}, ["--db-host", "b"], "--db-host is not an option"),
    ],
)
def test_declared_starts_follow_the_same_rules(env: dict[str, str], args: list[str], message: str) -> None:
    catalog, task = declare()
    with pytest.raises(DeclarationError, match=message):
        catalog.schedule("nightly", task, "rate(1 day)", env=env, args=args)
    with pytest.raises(DeclarationError, match=message):
        catalog.workflow("flow", Steps(RunTask(task, env=env, args=args)))
    catalog.workflow("flow", Steps(RunTask(task, env={"REGION": "us"}, args=["--limit", "3"])))
