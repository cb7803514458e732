"""Pages of an environment on AWS have the time of their data, and the last known ones after the credentials expired."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.aws.shared_calls import SharedAws
from nightferry.backend.freshness import Freshness
from nightferry.dashboard.access import Access
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate
from tests.aws.project import make_aws_project
from tests.dashboard.dashboards import PORT, TOKEN, check_html, make_client


def read_note(client: httpx.Client, path: str, **headers: str) -> str:
    """Return the note on a page about its data."""
    response = client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    (note,) = check_html(response).xpath("//*[@id='reading']")
    return " ".join(note.text_content().split())


def test_pages_have_the_time_of_their_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project, clock, freshness = Project.find(make_aws_project(tmp_path / "a project")), FakeClock(), Freshness()
    environment = project.environment("test")
    assert environment.aws is not None
    with FakeFargate(project, "test", clock) as fargate:
        for name, value in fargate.variables.items():
            monkeypatch.setenv(name, value)
        aws = SharedAws(environment.aws.region, environment.aws.account, freshness, clock)
        backend = AwsBackend(project, environment, clock=clock, aws=aws)
        access = Access.on_loopback(TOKEN, PORT)
        site = Site(
            project, environment, access, lambda: backend, author="anna", freshness=freshness, clock=clock
        )  # fmt: skip
        client = make_client(site)
        first = read_note(client, "/test/runs")
        assert first.startswith("Read from AWS at")
        calls = len(fargate.calls)
        assert read_note(client, "/test/runs") == first
        assert len(fargate.calls) == calls
        clock.sleep(5)
        reload = {"Cache-Control": "max-age=0", "Sec-Fetch-Mode": "navigate"}
        assert read_note(client, "/test/runs", **reload) != first
        assert len(fargate.calls) > calls
        fargate.inject_errors("*", "ExpiredTokenException", times=50)
        clock.sleep(3600)
        old = read_note(client, "/test/runs")
        assert old.startswith("These are the last known data, read at")
        assert "The AWS credentials have expired" in old
        assert "EventBridge and Step Functions replace the engine" in client.get("/test/engine").text
        client.close()
