"""The forms that start a workflow, a backfill and missed times: what is shown first is what starts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from nightferry.contract import StopCode, format_scheduled_time
from nightferry.dashboard.site import Site
from nightferry.local.backend import LocalBackend
from tests.dashboard.dashboards import check_html, make_site, read_form, write_project

CATALOG = """
from nightferry import Catalog, Image
from nightferry.states.builder import Input, RunTask, Steps

catalog = Catalog("shop", image=Image("shop"))
load = catalog.task("load", command=["sh", "-c", 'echo "$KEY"'], env={"KEY": "none"}, accepts_args=True)
catalog.schedule("nightly", load, "cron(30 1 * * ? *)", timezone="America/New_York")
catalog.schedule("often", load, "cron(0/1 * * * ? *)")
flow = catalog.workflow("flow", Steps(RunTask(load, args=[Input("file"), Input("day")])), overlap="skip")
catalog.workflow("free", {"StartAt": "done", "States": {"done": {"Type": "Succeed"}}})
"""


class Ending(LocalBackend):
    """A backend without an engine, whose runs end at once."""

    def detach(self) -> None:
        for record in self.store.open_runs():
            self.store.mark_run_stopped(record.run.id, 0, StopCode.EXITED, "")


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return make_site(write_project(tmp_path / "a shop", CATALOG), backend=Ending)


@pytest.fixture
def backend(site: Site) -> Iterator[LocalBackend]:
    backend = Ending(site.project, site.environment)
    yield backend
    backend.store.close()


def check_and_act(client: httpx.Client, url: str, data: dict[str, Any]) -> httpx.Response:
    page = check_html(client.post(url, data={**data, "step": "check"}))
    return client.post(url, data={**read_form(page), "reason": "A test", "step": "act"})


def wait_for_batch(client: httpx.Client, response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 303, response.text
    url = response.headers["location"].partition("?")[0]
    while (found := client.get(f"{url}.json").json())["running"]:
        time.sleep(0.02)
    check_html(client.get(url))
    return dict(found)


# ── workflows ─────────────────────────────────────────────────────────────────────────────────────────────────────

FLOW = "/local/workflows/flow/start"


def test_a_workflow_starts_with_the_members_that_it_reads(client: httpx.Client, backend: LocalBackend) -> None:
    page = check_html(client.get(FLOW))
    assert {"member.file", "member.day", "input"} <= read_form(page).keys()
    early = client.post(FLOW, data={"member.file": "a.csv", "member.day": "7", "reason": "x y z", "step": "act"})
    assert early.status_code == 409
    assert backend.executions().entries == ()
    response = check_and_act(client, FLOW, {"member.file": "a.csv", "member.day": "7", "input": ""})
    (execution,) = backend.executions()
    assert f"/executions/{execution.id}" in response.headers["location"]
    assert backend.execution(execution.id).input == {"file": "a.csv", "day": 7}
    page = check_html(client.post(FLOW, data={"member.file": '"7"', "member.day": "[1, {}]", "step": "check"}))
    assert f"Execution {execution.id} of flow is open, and the overlap policy is skip" in page.text_content()
    again = check_and_act(client, FLOW, {"member.file": '"7"', "member.day": "[1, {}]"})
    assert f"/executions/{execution.id}" in again.headers["location"]
    assert len(backend.executions()) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "Workflow 'flow' reads day, file of its input"),
        ({"member.file": "a", "member.day": "1", "input": "{"}, "The input is not JSON"),
        ({"member.file": "a", "member.day": "1", "input": "[1]"}, "The input must be a JSON object"),
        ({"member.file": "a", "member.day": "1", "input": '{"dya": 1}'}, "does not read 'dya' of its input"),
        ({"member.file": "a", "member.day": "1", "input": "NaN"}, "The input is not JSON"),
        ({"member.file": "a", "member.day": "1", "input": "[" * 20_000}, "The input is not JSON"),
    ],
    ids=["missing", "cut", "list", "unknown", "nan", "deep"],
)
def test_an_input_that_the_workflow_does_not_accept_is_refused(
    client: httpx.Client, backend: LocalBackend, data: dict[str, str], message: str
) -> None:
    response = client.post(FLOW, data={**data, "reason": "A test", "step": "act"})
    assert response.status_code == 400
    assert message in check_html(response).text_content()
    assert backend.executions().entries == ()


def test_a_workflow_that_reads_anything_has_one_field(client: httpx.Client, backend: LocalBackend) -> None:
    url = "/local/workflows/free/start"
    assert [one["name"] for one in client.get(f"{url}.json").json()["fields"]] == ["input"]
    value = {"text": "</textarea><script>", "list": [1, None]}
    check_and_act(client, url, {"input": json.dumps(value)})
    (execution,) = backend.executions()
    assert backend.execution(execution.id).input == value
    assert client.get("/local/workflows/nothing/start").status_code == 404


# ── backfills ─────────────────────────────────────────────────────────────────────────────────────────────────────

BACKFILL = "/local/schedules/nightly/backfill"
NOVEMBER = ["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]  # the clocks go back on the 1st


def test_the_times_are_listed_first_and_each_starts_once(client: httpx.Client, backend: LocalBackend) -> None:
    schedule = backend._project.catalog.schedules["nightly"]
    known = backend.start_scheduled(schedule, datetime.fromisoformat(NOVEMBER[0]))
    data = {"from": "2026-10-31", "to": "2026-11-02", "at_once": "2"}
    early = client.post(BACKFILL, data={**data, "reason": "A test", "step": "act"})
    assert early.status_code == 409
    assert "have changed" in check_html(early).text_content()
    page = check_html(client.post(BACKFILL, data={**data, "step": "check"}))
    rows = [" ".join(row.text_content().split()) for row in page.xpath("//tbody/tr")]
    assert [one in rows[n] for n, one in enumerate(NOVEMBER)] == [True] * 3
    assert f"has a start {known}" in rows[0]
    assert "would start" in rows[1]
    assert "load starts for 2 times, 2 at once" in page.text_content()
    assert backend.count_runs().number == 1
    found = wait_for_batch(client, client.post(BACKFILL, data={**read_form(page), "reason": "A test", "step": "act"}))
    assert found["result"] == "Of 2 times, 2 succeeded."
    assert [one["name"] for one in found["starts"]] == NOVEMBER[1:]
    runs = sorted(backend.runs(), key=lambda run: run.env["SCHEDULED_AT"])
    assert [run.env["SCHEDULED_AT"] for run in runs] == NOVEMBER
    assert [run.started_by for run in runs] == ["backfill:nightly"] * 3
    done = check_html(client.post(BACKFILL, data={**data, "step": "check"}))
    assert "load starts for 0 times" in done.text_content()
    response = client.post(BACKFILL, data={**read_form(done), "reason": "A test", "step": "act"})
    assert response.status_code == 400
    (action, _) = backend.actions(limit=10)
    assert (action.action, action.target, action.author) == ("backfill", "nightly", "anna")


@pytest.mark.parametrize(
    ("begin", "end", "message"),
    [
        ("2026-11-02", "2026-11-01", "To 2026-11-01 is before From 2026-11-02"),
        ("2026-11-01", "2199-01-01", "is in the future"),
        ("soon", "2026-11-01", "From soon is not a time"),
        ("2026-11-01T10:00", "2026-11-01T11:00", "has no time from"),
        ("", "", "From  is not a time"),
        ("<b>", "\x00", "is not a time"),
        ("2000-01-01", "2026-01-01", "The range has more than 1,000 times"),
    ],
    ids=["swapped", "future", "word", "none", "empty", "hostile", "many"],
)
def test_a_range_that_makes_no_sense_is_refused(
    client: httpx.Client, backend: LocalBackend, begin: str, end: str, message: str
) -> None:
    response = client.post(BACKFILL, data={"from": begin, "to": end, "reason": "A test", "step": "act"})
    assert response.status_code == 400
    assert message in check_html(response).text_content()
    assert client.post(BACKFILL, data={"from": "2d", "to": "1d", "at_once": "99"}).status_code == 400
    assert backend.runs().entries == ()


def test_missed_times_are_chosen_and_started(client: httpx.Client, backend: LocalBackend) -> None:
    url = "/local/schedules/nightly/catch-up"
    page = check_html(client.get(url))
    times = read_form(page)["time"]
    assert 6 <= len(times) <= 8
    assert times == sorted(times)
    first = {**read_form(page), "time": times[:2]}
    found = wait_for_batch(client, client.post(url, data={**first, "reason": "The engine was off.", "step": "act"}))
    assert found["result"] == "Of 2 times, 2 succeeded."
    assert read_form(check_html(client.get(url)))["time"] == times[2:]
    forged = format_scheduled_time(datetime.now(UTC) + timedelta(days=1))
    again = {**read_form(check_html(client.get(url))), "time": [forged, times[0]], "reason": "A test", "step": "act"}
    response = client.post(url, data=again)  # of a time in the future, and of one that was started
    assert response.status_code == 400
    assert backend.count_runs().number == 2
    assert client.post(url, data={"from": "x", "to": "\x00", "reason": "A test", "step": "act"}).status_code == 400
    assert client.get("/local/schedules/often/catch-up").status_code == 409
    assert "Nothing was missed" in check_html(client.get(f"{url}?since=1m")).text_content()
    assert client.get("/local/schedules/nothing/catch-up").status_code == 404
