"""Failures by cause on pages, and the retry of 500 of them by one form."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nightferry.backend.queries import RunFilter
from nightferry.contract import EXITED_REASON, StopCode
from nightferry.dashboard.batches import batch as batches
from nightferry.dashboard.site import Site
from nightferry.local.backend import LocalBackend
from tests.dashboard.dashboards import Queueing, check_html, make_site, read_form
from tests.local import toy

FAILURES = 500


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = make_site(toy.make_project(tmp_path / "a toy"), backend=Queueing)
    site.project.state.mkdir(exist_ok=True)
    return site


@pytest.fixture
def backend(site: Site) -> Iterator[LocalBackend]:
    """Return the backend of a night with 500 failures of three causes."""
    backend = Queueing(site.project, site.environment)
    with backend.store.transaction():
        for n in range(FAILURES):
            task, error = (
                ("hello", f"Row {n} of 'in/{n}.csv' is invalid") if n % 5 < 3
                else ("three", f"HTTP 503 <script>alert({n})</script>") if n % 5 == 3
                else ("three", f"SSN 123-45-{n:04} is a duplicate")
            )  # fmt: skip
            fail(backend, f"{n:032x}", task, error)
    yield backend
    backend.store.close()


def fail(backend: LocalBackend, id: str, task: str, error: str) -> None:
    backend.store.add_run(id, task, [], {})
    backend.store.add_lines([(id, json.dumps({"message": error, "level": "ERROR"}))])
    backend.store.mark_run_stopped(id, 1, StopCode.EXITED, EXITED_REASON)


def test_each_number_is_the_count_of_the_list_that_it_links_to(client: httpx.Client, backend: LocalBackend) -> None:
    page = check_html(client.get("/local/problems"))
    assert len(page.xpath("//script")) == 1
    headings = [" ".join(one.text_content().split()) for one in page.xpath("//div[@class='cause']/h2")]
    assert headings == ["300 × hello: exit code 1", "100 × three: exit code 1", "100 × three: exit code 1"]
    for link in page.xpath("//div[@class='cause']/h2/a"):
        group = check_html(client.get(link.get("href")))
        shown = int(link.text_content().split()[0])
        assert group.xpath("string(//p[@class='count']/strong)") == str(shown)
        found, url = 0, link.get("href")
        while url:
            listed = check_html(client.get(url))
            found += len(listed.xpath("//tbody/tr"))
            url = next(iter(listed.xpath("//a[@rel='next']/@href")), None)
        assert found == shown
    (link,) = page.xpath("//p[@class='count']/a[contains(@href, '/runs')]")
    assert link.text_content() == "500 failed runs"
    assert check_html(client.get(link.get("href"))).xpath("string(//p[@class='count']/strong)") == "500"
    found_json = client.get("/local/problems.json").json()
    assert sum(one["count"] for one in found_json["problems"]) == found_json["runs"] == FAILURES
    assert found_json["complete"]


def test_a_group_is_retried_at_once_and_each_result_is_shown(client: httpx.Client, backend: LocalBackend) -> None:
    url = check_html(client.get("/local/problems")).xpath("string(//a[@class='button']/@href)")
    backend.redrive_run(f"{0:032x}")  # one of the group was retried by somebody else
    page = check_html(client.get(url))
    text = " ".join(page.text_content().split())
    assert "For 300 failures, 300 runs start again, one after the other" in text
    assert "1 of the 300 cannot be retried" in text
    assert "Retry 300 failures in local" in text
    assert backend.count_runs().number == FAILURES + 1  # the dry run started nothing
    path, data = url.partition("?")[0], {**read_form(page), "reason": "The disk was full.", "step": "act"}
    response = client.post(path, data=data)
    assert response.status_code == 303
    assert client.post(path, data=data).status_code == 303  # the same form again
    batch = response.headers["location"].partition("?")[0]
    while (found := client.get(f"{batch}.json").json())["running"]:
        time.sleep(0.02)
    assert found["result"] == "299 of 300 started, 1 refused."
    states = [one["state"] for one in found["starts"]]
    assert (states.count("started"), states[0]) == (299, "failed")
    assert "was already started again" in found["starts"][0]["text"]
    assert backend.count_runs().number == FAILURES + 300
    assert backend.count_runs(RunFilter("hello", outcome="open")).number == 300
    assert "299 of 300 started, 1 refused." in check_html(client.get(batch)).text_content()
    actions = list(backend.actions(limit=10))
    assert {(one.action, one.author) for one in actions} == {("retry-group", "anna")}


def test_a_group_that_has_changed_is_shown_again(client: httpx.Client, backend: LocalBackend) -> None:
    url = check_html(client.get("/local/problems")).xpath("string(//a[@class='button']/@href)")
    data = {**read_form(check_html(client.get(url))), "reason": "The disk was full.", "step": "act"}
    page = client.post(url.partition("?")[0], data={**data, "count": "299"})
    assert page.status_code == 409
    assert "The group has changed: it now has 300 failures" in check_html(page).text_content()
    bad = client.post(url.partition("?")[0], data={**data, "since": "yesterday"})
    unknown = client.post("/local/problems/abcdefgh/retry", data=data)
    assert (bad.status_code, unknown.status_code) == (400, 404)
    assert backend.count_runs().number == FAILURES


def test_a_period_without_failures_is_empty_and_a_wrong_one_refused(client: httpx.Client) -> None:
    assert "Nothing failed in this period" in check_html(client.get("/local/problems?since=2h")).text_content()
    assert client.get("/local/problems?since=2h&until=3h").status_code == 400
    assert client.get("/local/problems?group=abc").status_code == 404


def test_a_batch_that_nobody_knows_is_explained(client: httpx.Client) -> None:
    response = client.get("/local/batches/abcdefgh")
    assert response.status_code == 404
    assert "A group ends with the server" in response.text


def test_stopping_a_batch_leaves_the_rest(client: httpx.Client, backend: LocalBackend, site: Site) -> None:
    class Slow(batches.Batch):
        def work(self, _: object) -> None:
            self.rows[0].state = "started"
            self.stopping.wait(10)

        def describe(self) -> str:
            return f"{self.count('started')} of {len(self.rows)} started."

    order = batches.Order("retry-group", "x", "Retry", "/problems", "anna", "test")
    slow = [Slow(order, [batches.Row("one"), batches.Row("two")]) for _ in range(batches.MOST_RUNNING)]
    for one in slow:
        site.batches.start(one)
    with pytest.raises(batches.TooManyBatches):
        site.batches.start(Slow(order, []))
    assert "in progress" in check_html(client.get(f"/local/batches/{slow[0].id}")).text_content()
    for one in slow:
        assert client.post(f"/local/batches/{one.id}/stop").status_code == 303
        assert site.backend.actions(limit=1)[0].action == "stop"
        assert one.wait(10)
    assert "ended" in check_html(client.get(f"/local/batches/{slow[0].id}")).text_content()
