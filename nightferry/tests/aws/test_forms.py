"""The forms of the dashboard on AWS: the request of ECS is shown first, and a run starts with it."""

from __future__ import annotations

from lxml import html

from nightferry.aws.backend import AwsBackend
from nightferry.backend.runs import RunRequest
from nightferry.dashboard.access import Access
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, TaskScript
from tests.dashboard.dashboards import PORT, TOKEN, make_client


def read_form(text: str) -> dict[str, str]:
    (form,) = html.fromstring(text).xpath("//form[starts-with(@class, 'action')]")
    return {name: value.removeprefix("\n") for name, value in form.form_values()}


def test_a_run_starts_with_the_request_that_was_shown(
    backend: AwsBackend, project: Project, fargate: FakeFargate, clock: FakeClock
) -> None:
    fargate.script("hello", TaskScript(stopped=5))
    site = Site(
        project,
        project.environment("test"),
        Access.on_loopback(TOKEN, PORT),
        lambda: backend,
        author="anna",
        clock=clock,
    )
    client = make_client(site)
    url = "/test/tasks/hello/run"
    fargate.calls.clear()
    shown = client.post(url, data={"set.COLOR": "green", "cpu": "512", "memory": "1024", "step": "check"})
    assert "containerOverrides" in shown.text
    assert "green" in shown.text
    assert "RunTask" not in fargate.calls
    too_long = client.post(url, data={"set.COLOR": "x" * 9000, "step": "check"})
    assert "ECS allows 8,192" in html.fromstring(too_long.text).text_content()
    started = client.post(url, data={**read_form(shown.text), "reason": "A test", "step": "act"})
    assert started.status_code == 303, started.text
    run = backend.run(started.headers["location"].rpartition("/")[2].partition("?")[0])
    assert (run.env["COLOR"], run.cpu, run.memory, run.started_by) == ("green", 512, 1024, "anna")

    old = backend.run_task(RunRequest("hello", env={"COLOR": "red"}, started_by="ben"))
    url = f"/test/runs/{old}/again"
    form = read_form(client.get(url).text)
    assert form["set.COLOR"] == "red"
    shown = client.post(url, data={**form, "set.COLOR": "blue", "step": "check"})
    started = client.post(url, data={**read_form(shown.text), "reason": "A test", "step": "act"})
    new = backend.run(started.headers["location"].rpartition("/")[2].partition("?")[0])
    assert (new.env["COLOR"], new.repeats) == ("blue", old[:28])
    assert len(new.started_by) <= 36
    client.close()
