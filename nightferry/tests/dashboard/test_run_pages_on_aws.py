"""The pages of a run and its log on AWS: what CloudWatch does not know is said, and each page takes few calls."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nightferry.aws import log_windows
from nightferry.aws.backend import AwsBackend
from nightferry.aws.session import Aws
from nightferry.backend.runs import RunRequest
from nightferry.contract import Privacy
from nightferry.dashboard.access import Access
from nightferry.dashboard.pages.runs import log_follow
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript
from tests.aws.project import make_aws_project
from tests.dashboard.dashboards import PORT, TOKEN, check_html, make_client


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.find(make_aws_project(tmp_path / "a project"))


@pytest.fixture
def fargate(project: Project, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFargate]:
    with FakeFargate(project, "test", clock) as fake:
        for name, value in fake.variables.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def site(project: Project, fargate: FakeFargate, clock: FakeClock) -> Site:
    assert fargate.url
    environment = project.environment("test")
    assert environment.aws is not None
    aws = Aws(environment.aws.region, environment.aws.account, attempts=1)
    backend = AwsBackend(project, environment, clock=clock, aws=aws)  # which all threads share
    return Site(
        project,
        environment,
        Access.on_loopback(TOKEN, PORT),
        lambda: backend,
        author="anna",
        clock=clock,
    )


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    client = make_client(site)
    yield client
    client.close()


@pytest.fixture
def run(site: Site, fargate: FakeFargate, clock: FakeClock) -> str:
    """Return the ID of a failed run with 1,100 lines, of which the last but one is an error."""
    texts = [json.dumps({"level": "INFO", "message": f"line {n}"}) for n in range(1098)]
    texts += [json.dumps({"level": "ERROR", "message": "the disk is full"}), "after the error"]
    lines = [ScriptedLine(1 + n / 50, text) for n, text in enumerate(texts)]
    fargate.script("three", TaskScript(lines=lines, stopped=60, exit_code=3))
    id = site.backend.run_task(RunRequest("three", started_by="anna"))
    clock.sleep(120)
    return id


def test_a_run_on_aws_shows_its_last_error_and_its_place_in_the_console(
    client: httpx.Client, run: str, fargate: FakeFargate
) -> None:
    fargate.calls.clear()
    page = check_html(client.get(f"/test/runs/{run}"))
    assert len(fargate.calls) <= 30, fargate.calls
    fargate.calls.clear()
    assert client.get(f"/test/runs/{run}").status_code == 200
    assert len(fargate.calls) <= 20, fargate.calls  # periods that have ended are read once
    assert page.xpath("//li[@aria-current]/b")[0].text_content() == "ERROR"
    assert "the disk is full" in page.xpath("//ol[@class='log']")[0].text_content()
    assert [link for link in page.xpath("//a/@href") if link.startswith("https://") and "console.aws" in link]


def test_the_log_on_aws_has_places_instead_of_numbers(client: httpx.Client, run: str, fargate: FakeFargate) -> None:
    page = check_html(client.get(f"/test/runs/{run}/log"))
    assert len(page.xpath("//ol/li[a]")) == 22
    [at] = page.xpath("//li[@aria-current]")
    assert at.get("id").startswith("p")
    assert "not known here" in page.xpath("//p[@class='counts']")[0].text_content()
    fargate.calls.clear()
    end = check_html(client.get(f"/test/runs/{run}/log?at=end"))
    assert fargate.calls.count("FilterLogEvents") == 1
    texts = [row.text_content().split(" ", 2)[2] for row in end.xpath("//ol/li[a]")]
    while earlier := end.xpath("//a[@rel='prev']/@href"):
        end = check_html(client.get(earlier[0]))
        texts[:0] = [row.text_content().split(" ", 2)[2] for row in end.xpath("//ol/li[a]")]
    assert texts == [*(f"line {n}" for n in range(1098)), "ERROR the disk is full", "after the error"]
    found = check_html(client.get(f"/test/runs/{run}/log?q=line+617"))
    [row] = found.xpath("//ol/li[a]")
    around = check_html(client.get(f"/test/runs/{run}/log{row.xpath('a/@href')[0]}"))
    assert "line 617" in around.xpath("//li[@aria-current]")[0].text_content()


def test_places_on_aws_stay_links_where_personal_data_is_hidden(
    client: httpx.Client, site: Site, run: str, fargate: FakeFargate
) -> None:
    site.redactor.privacy = Privacy.STRICT
    page = check_html(client.get(f"/test/runs/{run}/log?at=start"))
    later = client.get(page.xpath("//a[@rel='next']/@href")[0])
    assert "line 1001" in later.text
    [this_view] = [link for link in check_html(later).xpath("//a/@href") if "/log.txt?" in link and "all=" not in link]
    assert "line 1001" in client.get(this_view).text
    assert "987654321" not in client.get(f"/test/runs/{run}/log?at=987654321").text


def test_a_refused_log_is_said_on_the_page_of_the_run(
    client: httpx.Client, site: Site, run: str, fargate: FakeFargate, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = site.backend
    assert isinstance(backend, AwsBackend)
    read = backend.aws.logs.filter_log_events
    group = backend.naming.log_group

    def refuse(**parameters: Any) -> Any:
        if parameters["logGroupName"] == group:
            fargate.inject_errors("FilterLogEvents", "AccessDeniedException", times=1)
        return read(**parameters)

    monkeypatch.setattr(backend.aws.logs, "filter_log_events", refuse)
    page = check_html(client.get(f"/test/runs/{run}"))
    assert "The log is not known. Cannot read the log" in page.xpath("//main")[0].text_content()
    response = client.get(f"/test/runs/{run}/log")
    assert response.status_code == 502
    assert "AccessDenied" in response.text


def test_lines_that_appear_late_are_followed(
    client: httpx.Client, site: Site, fargate: FakeFargate, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let a line become visible 20 seconds after later lines."""
    monkeypatch.setattr(log_follow, "_SHORTEST_WAIT", 0.01)
    monkeypatch.setattr(AwsBackend, "interval", (0.01, 0.01))
    lines = [ScriptedLine(n, f"line {n}", seen=25 if n == 3 else None) for n in range(1, 30)]
    fargate.script("three", TaskScript(lines=lines, stopped=40))
    id = site.backend.run_task(RunRequest("three"))
    clock.sleep(2)
    now = clock.now

    def advance() -> object:
        clock.sleep(0.5)
        return now()

    monkeypatch.setattr(clock, "now", advance)
    text = client.get(f"/test/runs/{id}/log/stream").text
    for n in range(1, 30):
        assert text.count(f" line {n}\n") + text.count(f" line {n}<") == 1, n


def test_a_search_that_takes_long_continues_by_a_link(
    client: httpx.Client, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_windows, "MAX_CALLS", 2)
    monkeypatch.setattr(log_windows, "_MAX_EVENTS", 300)
    link, pages, found = f"/test/runs/{run}/log?q=after+%22absent", 0, 0
    while link:
        page = check_html(client.get(link))
        found += len(page.xpath("//ol/li[a]"))
        pages += 1
        link = next(iter(page.xpath("//a[text()='Continue the search']/@href")), "")
        assert ("these are the lines so far" in page.xpath("//main")[0].text_content()) == bool(link)
    assert (pages, found) == (2, 0)
