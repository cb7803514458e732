"""All pages on the data of a night: complete HTML, safe links, escaped and redacted texts, true numbers."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from lxml import html as lxml_html

from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.dashboard.assets import Asset
from nightferry.dashboard.batches.batch import Order
from nightferry.dashboard.batches.retry import RetryBatch
from nightferry.dashboard.routes import PAGES
from nightferry.dashboard.site import Site
from nightferry.presentation.problems.grouping import find_problems
from tests.dashboard.dashboards import check_html, make_client

Samples = dict[str, list[str]]


@pytest.fixture(scope="session")
def samples(night_site: Site) -> Samples:
    """Return URLs for the path of each page. A page without one fails the tests below."""
    return list_samples(night_site)


def list_samples(site: Site) -> Samples:
    """Return URLs below the environment for the path of each page."""
    backend = site.backend
    runs = backend.runs(limit=100)
    reports = backend.reports()
    failed = backend.executions(ExecutionFilter(outcome="failed"))[0]
    done = backend.executions(ExecutionFilter(workflow="marks"))[0]
    now = site.clock.now()
    problems = find_problems(backend, now - timedelta(days=1), now)
    order = Order("retry-group", "group", "Retry 0 failures", "/problems", "anna", "The disk was full.")
    batch = RetryBatch(order, [])
    site.batches.start(batch)
    return {
        "/": ["/"],
        "/runs": [
            "/runs",
            "/runs?outcome=failed",
            "/runs?q=nothing",
            "/runs?task=hello&since=24h",
            f"/runs?execution={done.id}",
        ],
        "/executions": ["/executions", "/executions?outcome=failed", "/executions?workflow=once"],
        "/executions/{id}": [
            *(f"/executions/{one.id}" for one in backend.executions(limit=100)),
            f"/executions/{done.id}?all=1",
            f"/executions/{done.id}?page=2",
        ],
        "/executions/{id}/state/{path:path}": [
            f"/executions/{one.id}/state/{quote(state.path)}?visit={state.visit}"
            for one in (failed, done)
            for state in backend.state_history(one.id)
        ],
        "/executions/{id}/map/{path:path}": [
            f"/executions/{done.id}/map/{quote('each mark')}{query}"
            for query in ("", "?status=succeeded", "?q=each", "?item=1", "?status=failed")
        ],
        "/schedules": ["/schedules", "/schedules?from=2026-03-06&days=31"],
        "/schedules/{name}": ["/schedules/nightly", "/schedules/often", "/schedules/nightly?outcome=missed"],
        "/triggers": ["/triggers"],
        "/triggers/{name}": ["/triggers/arrival"],
        "/compare": ["/compare", f"/compare?a={runs[0].id}", f"/compare?a={failed.id}&b={done.id}"],
        "/search": ["/search", "/search?q=disk", "/search?q=mark", f"/search?q={failed.id[:6]}"],
        "/tasks": ["/tasks"],
        "/tasks/{task}": ["/tasks/hello", "/tasks/three", "/tasks/late"],
        "/workflows": ["/workflows"],
        "/workflows/{workflow}": ["/workflows/marks", "/workflows/fails", "/workflows/once"],
        "/infrastructure": ["/infrastructure"],
        "/costs": ["/costs", "/costs?month=2027-03"],
        "/help": ["/help"],
        "/engine": ["/engine"],
        "/activity": ["/activity", "/activity?author=anna&action=stop", "/activity?id=hello&since=24h"],
        "/topics/{topic}/test": ["/topics/failures/test"],
        "/problems": ["/problems", "/problems?since=1h", "/problems?since=2h&until=1h"],
        "/problems/{key}/retry": [f"/problems/{one.key}/retry" for one in problems.problems],
        "/tasks/{task}/run": [f"/tasks/{task}/run" for task in site.catalog.tasks],
        "/runs/{id}/again": [f"/runs/{run.id}/again" for run in runs],
        "/workflows/{workflow}/start": [f"/workflows/{workflow}/start" for workflow in site.catalog.workflows],
        "/schedules/{name}/backfill": ["/schedules/nightly/backfill", "/schedules/nightly/backfill?from=3d&to=1h"],
        "/schedules/{name}/catch-up": ["/schedules/nightly/catch-up", "/schedules/nightly/catch-up?since=3d"],
        "/batches/{id}": [f"/batches/{batch.id}"],
        "/runs/{id}/stop": [f"/runs/{run.id}/stop" for run in runs[:3]],
        "/runs/{id}/redrive": [f"/runs/{run.id}/redrive" for run in runs],
        "/executions/{id}/stop": [f"/executions/{failed.id}/stop"],
        "/executions/{id}/redrive": [f"/executions/{failed.id}/redrive", f"/executions/{done.id}/redrive"],
        "/files": ["/files", "/files?kind=orders&q=csv", "/files?kind=none"],
        "/files.csv": ["/files.csv"],
        "/files/{id}/rejected.csv": [],
        "/files/{name:path}": [f"/files/{report.id}" for report in reports] + ["/files/orders.csv"],
        "/runs/{id}": [f"/runs/{run.id}" for run in runs],
        "/runs/{id}/log": [
            *(f"/runs/{run.id}/log" for run in runs),
            *(f"/runs/{runs[0].id}/log?{query}" for query in ("q=a", "level=ERROR", "at=start", "at=02:10", "at=L2")),
        ],
        "/runs/{id}/log.txt": [f"/runs/{runs[0].id}/log.txt", f"/runs/{runs[0].id}/log.txt?all=1"],
        "/runs/{id}/log/stream": [f"/runs/{runs[0].id}/log/stream?once=1"],
    }


def list_pages() -> list[str]:
    return [page.path for page in PAGES if page.method == "GET"]


@pytest.fixture(scope="session")
def fetch(night_client: httpx.Client) -> Callable[[str], httpx.Response]:
    """Return a function that returns the response to a URL. It requests each URL once."""
    return functools.cache(lambda url: night_client.get(url, follow_redirects=True))


@pytest.mark.parametrize("path", list_pages())
def test_each_page_is_complete_and_safe(fetch: Callable[[str], httpx.Response], samples: Samples, path: str) -> None:
    assert path in samples, f"add URLs of {path} to list_samples"
    for url in samples[path]:
        response = fetch(f"/local{url}")
        assert response.status_code == 200, url
        if not response.headers["content-type"].startswith("text/html"):
            continue
        check_html(response)
        assert "<script>alert" not in response.text, url
        assert "\x1b" not in response.text, url
        assert "\u202e" not in response.text, url
        assert not re.search(r"href=['\"]?javascript:", response.text), url
        assert len(response.content) < 300_000, url


@pytest.mark.parametrize("path", list_pages())
def test_each_link_of_a_page_leads_to_a_page(
    fetch: Callable[[str], httpx.Response], samples: Samples, path: str
) -> None:
    for url in samples[path][:2]:
        response = fetch(f"/local{url}")
        if not response.headers["content-type"].startswith("text/html"):
            continue
        links = {link for link in lxml_html.fromstring(response.text).xpath("//a/@href") if link.startswith("/")}
        for link in sorted(links)[:40]:
            if link.startswith(("/local/runs/", "/local/executions/", "/local/problems")):
                continue  # pages of their own
            assert fetch(link).status_code == 200, f"{url} → {link}"


def test_the_numbers_of_the_first_page_are_those_of_their_lists(night_client: httpx.Client) -> None:
    page = check_html(night_client.get("/local/"))
    links = page.xpath("//main//a[contains(@href, 'outcome=') or contains(@href, 'since=')]")
    checked = 0
    for link in links:
        number = re.match(r"\s*([0-9,]+)", link.text_content())
        if number is None:
            continue
        listed = check_html(night_client.get(link.get("href"))).xpath("//p[@class='count']/strong")[0].text_content()
        assert listed == number[1], link.get("href")
        checked += 1
    assert checked >= 4


def test_a_list_is_also_data(night_site: Site, night_client: httpx.Client) -> None:
    runs = night_client.get("/local/runs.json?outcome=failed").json()["runs"]
    expected = night_site.backend.runs(RunFilter(outcome="failed"), limit=50)
    assert [run["id"] for run in runs] == [run.id for run in expected]


def test_a_list_continues_after_its_last_entry(night_client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightferry.dashboard.pages.runs.runs._PER_PAGE", 3)
    everything = night_client.get("/local/runs.json").json()
    found, url = [], "/local/runs"
    while url:
        page = check_html(night_client.get(url))
        found += [urlsplit(link).path for link in page.xpath("//td/a[@class='row']/@href")]
        url = next(iter(page.xpath("//a[@rel='next']/@href")), "")
    assert len(found) == len(set(found)) > len(everything["runs"]) == 3


@pytest.mark.parametrize("q", ["123-45-6789", "password=hunter2secret"])
def test_personal_data_and_secrets_are_not_searched(strict_site: Site, q: str) -> None:
    client = make_client(strict_site)
    for path in ("/local/runs", "/local/executions", "/local/search"):
        response = client.get(path, params={"q": q})
        assert response.status_code == 400
        assert "cannot be searched" in response.text
        assert "6789" not in response.text
        assert "hunter2" not in response.text


def test_all_values_pass_through_redaction(strict_site: Site) -> None:
    from nightferry.local.backend import LocalBackend

    backend = strict_site.backend
    assert isinstance(backend, LocalBackend)
    number = "123-45-6789"
    backend.store.add_run("a" * 32, "hello", [number], {"COLOR": number}, started_by=f"by {number}")
    backend.store.mark_run_stopped("a" * 32, 1, None, f"failed for {number}")
    client = make_client(strict_site)
    counts = [{"outcome": f"lost {number}", "count": 1}]
    reasons = [{"reason": f"of {number}", "count": 1, "field": number, "record_kind": number}]
    fields = {"event": "report", "kind": "orders", "total": 1, "counts": counts, "reasons": reasons, "note": number}
    assert backend.store.add_report("a" * 32, {**fields, "subject": f"{number}.csv", "task": "hello"})
    file = f"/local/files/{backend.reports()[0].id}"
    assert "*********.csv" in client_of(strict_site, file)
    for url in ("/local/files", "/local/files.csv", file, f"{file}.json"):
        assert "6789" not in client_of(strict_site, url), url
    for url in ("/local/", "/local/runs", "/local/runs.json", "/local/search?q=aaaa", f"/local/runs/{'a' * 32}"):
        text = client.get(url, follow_redirects=True).text
        assert "6789" not in text, url


def client_of(site: Site, url: str) -> str:
    return make_client(site).get(url).text


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("outcome=lost", "must be one of"),
        ("since=yesterday", "is not a time"),
        ("until=0001-01-01", "out of range"),
        ("before=x", "not a place in a list"),
        ("before=2026-13-01T00:00:00.000000Z~a", "not a place in a list"),
    ],
)
def test_a_wrong_parameter_is_explained(night_client: httpx.Client, query: str, message: str) -> None:
    response = night_client.get(f"/local/runs?{query}")
    assert response.status_code == 400
    assert message in response.text
    check_html(response)


def test_an_unchanged_page_has_no_body(night_client: httpx.Client) -> None:
    etag = night_client.get("/local/runs").headers["etag"]
    response = night_client.get("/local/runs", headers={"If-None-Match": etag})
    assert (response.status_code, response.content) == (304, b"")


def test_times_are_shown_in_the_chosen_zone(night_client: httpx.Client) -> None:
    assert "UTC</span>" in night_client.get("/local/runs").text
    client = night_client
    back = client.post("/local/preferences", data={"zone": "Asia/Kolkata", "back": "/local/runs?q=a"})
    assert back.headers["location"] == "/local/runs?q=a"
    assert "IST</span>" in client.get("/local/runs").text
    assert client.post("/local/preferences", data={"zone": "../../etc/passwd"}).status_code == 400
    client.post("/local/preferences", data={"zone": "UTC"})


def test_no_template_switches_escaping_off() -> None:
    folder = Path(__file__).parents[2] / "src" / "nightferry" / "dashboard"
    for file in folder.rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        for forbidden in ("|safe", "| safe", "autoescape", "style=", "<style", " onclick", " onload", "<script>"):
            assert forbidden not in text, f"{file.name} has {forbidden}"


def test_redaction_leaves_the_addresses_of_assets(strict_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "/static/123456789012345a.css"
    monkeypatch.setattr("nightferry.dashboard.app.read_asset", lambda kind: Asset(name + kind, b"", "text/css"))
    assert f'href="{name}css"' in make_client(strict_site).get("/local/help").text


def test_the_scripts_stay_small() -> None:
    folder = Path(__file__).parents[2] / "src" / "nightferry" / "dashboard" / "static" / "js"
    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in folder.iterdir())
    assert lines <= 600


def test_an_unexpected_error_has_a_number_and_no_details(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("secret of 123-45-6789")

    monkeypatch.setattr(type(site.backend), "runs", fail)
    response = make_client(site).get("/local/runs")
    assert response.status_code == 500
    assert "6789" not in response.text
    number = re.search(r"incident ([0-9a-f]{8})", response.text)
    assert number is not None
    assert number[1] in caplog.text
