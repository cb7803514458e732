"""The toy project, deployed on the fake Fargate."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.aws.session import Aws
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate
from tests.aws.project import make_aws_project
from tests.aws.wire import Wire


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_aws_project(tmp_path / "toy")


@pytest.fixture
def project(root: Path) -> Project:
    return Project.find(root)


@pytest.fixture
def aws(root: Path, project: Project) -> Iterator[FakeFargate]:
    """Return a fake in real time, for whole commands; they wait less than usual for late lines."""
    make_aws_project(root, log_quiet_seconds=1.5)
    with FakeFargate(project, "test") as fake:
        yield fake


@pytest.fixture
def wire(aws: FakeFargate) -> Iterator[Wire]:
    """Return a proxy between a process and AWS."""
    proxy = Wire(aws.url)
    yield proxy
    proxy.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fargate(project: Project, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFargate]:
    """Return a fake in the time of ``clock``, for this process."""
    with FakeFargate(project, "test", clock) as fake:
        for name, value in fake.variables.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def backend(project: Project, fargate: FakeFargate, clock: FakeClock) -> AwsBackend:
    """Return a backend with two attempts per call, because a throttled call waits in real time between attempts."""
    environment = project.environment("test")
    assert environment.aws is not None
    aws = Aws(environment.aws.region, environment.aws.account, attempts=2)
    return AwsBackend(project, environment, clock=clock, aws=aws)
