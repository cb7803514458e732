"""A start from a page really runs, also without an engine, and from a dashboard whose pages only read the store."""

from __future__ import annotations

import json
import time
from pathlib import Path

from nightferry.backend.runs import TaskRun
from nightferry.contract import EXITED_REASON, StopCode
from nightferry.dashboard.access import Access
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.engine import background
from tests.dashboard.dashboards import PORT, TOKEN, check_html, make_client, read_form
from tests.local import toy

REASON = {"reason": "A test", "step": "act"}


def wait_for_end(backend: LocalBackend, id: str) -> TaskRun:
    deadline = time.monotonic() + 50
    while (run := backend.run(id)).status != "STOPPED":
        assert time.monotonic() < deadline, run
        time.sleep(0.05)
    return run


def test_runs_that_pages_start_are_continued_by_an_engine_in_the_background(tmp_path: Path) -> None:
    project = Project.find(toy.make_project(tmp_path / "a toy"))
    environment = project.environment("local")
    acting = LocalBackend(project, environment)
    site = Site(
        project,
        environment,
        Access.on_loopback(TOKEN, PORT),
        lambda: LocalBackend(project, environment, read_only=True),
        author="anna",
        open_for_actions=lambda: LocalBackend(project, environment),
    )
    client = make_client(site)
    url = "/local/tasks/hello/run"
    page = check_html(client.post(url, data={"set.COLOR": "green & gold", "step": "check"}))
    response = client.post(url, data={**read_form(page), **REASON})
    run = wait_for_end(acting, response.headers["location"].rpartition("/")[2].partition("?")[0])
    assert run.succeeded
    assert "hello green & gold from hello" in [line.text for line in acting.log([run.id])]

    acting.store.add_run("f" * 32, "hello", [], {})
    acting.store.add_lines([("f" * 32, json.dumps({"message": "Disk full", "level": "ERROR"}))])
    acting.store.mark_run_stopped("f" * 32, 1, StopCode.EXITED, EXITED_REASON)
    link = check_html(client.get("/local/problems")).xpath("string(//a[@class='button']/@href)")
    form = check_html(client.get(link))
    assert "For 1 failure, 1 run starts again" in form.text_content()
    response = client.post(link.partition("?")[0], data={**read_form(form), **REASON})
    assert response.status_code == 303
    batch = response.headers["location"].partition("?")[0]
    while (found := client.get(f"{batch}.json").json())["running"]:
        time.sleep(0.05)
    (started,) = found["starts"]
    assert wait_for_end(acting, started["path"].rpartition("/")[2]).succeeded
    client.close()
    acting.store.close()
    for engine in background._started:  # each ends when nothing is open
        engine.wait(60)
