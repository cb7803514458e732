"""Actions from pages on AWS: the author, what AWS keeps of other people, and refusals, which are shown and recorded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.aws.session import AccessDenied, Aws
from nightferry.backend.runs import RunRequest
from nightferry.dashboard.access import Access
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, TaskScript
from tests.aws.project import make_aws_project
from tests.dashboard.dashboards import PORT, TOKEN, check_html, make_client

REASON = {"reason": "It hangs."}


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fargate(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFargate]:
    project = Project.find(make_aws_project(tmp_path / "a project"))
    with FakeFargate(project, "test", clock) as fake:
        for name, value in fake.variables.items():
            monkeypatch.setenv(name, value)
        fake.script("slow", TaskScript(stopped=3000))
        yield fake


@pytest.fixture
def site(tmp_path: Path, fargate: FakeFargate, clock: FakeClock) -> Site:
    assert fargate.url
    return make_site(tmp_path, clock, production=False, actions=True)


def make_site(tmp_path: Path, clock: FakeClock, *, production: bool, actions: bool) -> Site:
    project = Project.find(tmp_path / "a project")
    environment = replace(project.environment("test"), production=production)
    assert environment.aws is not None
    aws = Aws(environment.aws.region, environment.aws.account, attempts=1)
    access = Access.on_loopback(TOKEN, PORT)
    return Site(
        project, environment, access, lambda: AwsBackend(project, environment, clock=clock, aws=aws), author="",
        actions=actions, clock=clock,
    )  # fmt: skip


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    client = make_client(site)
    yield client
    client.close()


def test_a_stop_has_the_name_of_the_aws_caller(site: Site, client: httpx.Client, clock: FakeClock) -> None:
    run = site.backend.run_task(RunRequest("slow", started_by="bob"))
    clock.sleep(60)
    person = site.backend.author()
    form = check_html(client.get(f"/test/runs/{run}/stop"))
    assert person in form.xpath("string(//form[contains(@class, 'action')])")
    assert client.post(f"/test/runs/{run}/stop", data=REASON).status_code == 303
    clock.sleep(120)
    stopped = site.backend.run(run)
    assert (stopped.stopped_by_user, stopped.reason) == (True, f"It hangs. (by {person})")
    page = client.get("/test/activity")
    check_html(page)
    assert "AWS CloudTrail has all calls" in page.text
    assert "data-live-seconds" not in page.text, "a refresh would read the lists of AWS"
    found = [(one["action"], one["author"], one["via"]) for one in client.get("/test/activity.json").json()["actions"]]
    assert found == [("stop", person, "dashboard"), ("run", "bob", "aws")]


def test_the_header_shows_production_and_its_dashboard_only_reads(site: Site, tmp_path: Path, clock: FakeClock) -> None:
    run = site.backend.run_task(RunRequest("slow", started_by="bob"))
    clock.sleep(60)
    production = make_site(tmp_path, clock, production=True, actions=False)
    page = check_html(make_client(production).get(f"/test/runs/{run}/stop"))
    assert page.xpath("//header//*[@class='environment production']/text()") == ["test"]
    assert make_client(production).post(f"/test/runs/{run}/stop", data=REASON).status_code == 403
    assert site.backend.run(run).status == "RUNNING"
    acting = make_site(tmp_path, clock, production=True, actions=True)
    assert "Production: this affects the public." in make_client(acting).get(f"/test/runs/{run}/stop").text
    assert make_client(acting).post(f"/test/runs/{run}/stop", data=REASON).status_code == 303


def test_a_refusal_of_aws_is_shown_and_recorded(
    site: Site, client: httpx.Client, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = site.backend.run_task(RunRequest("slow", started_by="bob"))
    clock.sleep(60)
    monkeypatch.setattr("nightferry.aws.runs.tasks.Tasks.stop", _refuse)
    response = client.post(f"/test/runs/{run}/stop", data=REASON)
    assert response.status_code == 502
    assert "is not authorized to perform: ecs:StopTask" in response.text
    [action, _] = site.backend.actions()
    assert action.result is not None
    assert action.result.failed
    assert "ecs:StopTask" in action.result.text


def _refuse(*_: object) -> None:
    raise AccessDenied(
        "Cannot stop the task: AWS returned AccessDenied: jane is not authorized to perform: ecs:StopTask"
    )
