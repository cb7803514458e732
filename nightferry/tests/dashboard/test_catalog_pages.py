"""The pages of tasks and workflows: every number equals the rows of the list to which it links."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from lxml import html as lxml_html

from nightferry.clock import get_clock
from nightferry.contract import LogEvent
from nightferry.dashboard.site import Site
from nightferry.local.store import Store
from nightferry.local.store.times import format_time
from tests.dashboard.dashboards import check_html, make_client, make_site

ENDS = {"succeeded": (0, "EssentialContainerExited"), "failed": (3, "EssentialContainerExited"),
        "stopped": (143, "UserInitiated")}  # fmt: skip

DECLARED = """
sh("login", "true", env={"PASSWORD": "hunter2-and-more"}, secrets={"COLOR": Secret("paint")})
"""


def open_store(site: Site) -> Store:
    return Store(site.project.state / "engine.sqlite")


def add_run(store: Store, id: str, task: str, outcome: str, at: datetime, seconds: float) -> None:
    store.add_run(id, task, [], {})
    code, stop_code = ENDS[outcome]
    store._db.execute(
        "UPDATE run SET status = 'STOPPED', exit_code = ?, stop_code = ?, created_at = ?, started_at = ?,"
        " stopped_at = ? WHERE id = ?",
        (code, stop_code, *map(format_time, (at, at, at + timedelta(seconds=seconds))), id),
    )


@pytest.fixture
def root(project_root: Path) -> Path:
    module = next(project_root.glob("toy_*.py"))
    module.write_text(module.read_text() + DECLARED)
    site, numbers = make_site(project_root), random.Random(5)
    now = get_clock().now()
    site.project.state.mkdir(parents=True, exist_ok=True)
    store = open_store(site)
    with store.transaction():
        for n in range(120):
            id, task = f"{numbers.getrandbits(64):016x}", numbers.choice(["hello", "three", "mark"])
            at = now - timedelta(days=numbers.uniform(0, 100))
            add_run(store, id, task, numbers.choice([*ENDS, "succeeded"]), at, numbers.uniform(1, 400))
            if n % 3 == 0:
                store.add_event(id, LogEvent.ENDED, {"peak_memory_bytes": (100 + n) << 20})
    store.close()
    return project_root


@pytest.fixture
def client(root: Path) -> Iterator[httpx.Client]:
    client = make_client(make_site(root))
    yield client
    client.close()


def assert_numbers_equal_their_lists(client: httpx.Client, page: lxml_html.HtmlElement) -> int:
    """Follow each link with a number of runs or executions, and compare the count of the list."""
    links = page.xpath("//a[contains(concat(' ', @class, ' '), ' count ')]")
    for link in links:
        listed = check_html(client.get(link.get("href")))
        shown = re.sub(r"\D", "", listed.xpath("string(//p[@class='count']/strong)"))
        assert re.match(r"[\d,]+", link.text_content().strip())[0].replace(",", "") == shown, link.get("href")  # type: ignore[index]
    return len(links)


def test_the_numbers_of_all_tasks_equal_their_lists(client: httpx.Client) -> None:
    page = check_html(client.get("/local/tasks"))
    assert assert_numbers_equal_their_lists(client, page) >= 8
    found = {task["name"]: task for task in client.get("/local/tasks.json").json()["tasks"]}
    assert found["late"]["outcomes"] == {"succeeded": 0, "failed": 0, "stopped": 0}
    assert found["hello"]["peak_memory"] > 100 << 20
    row = page.xpath("string(//tr[.//a[text()='hello']])")
    assert "1 vCPU, 2,048 MiB" in row
    assert "MiB (" in row


def test_a_task_shows_its_declaration_durations_and_the_sources_of_its_settings(client: httpx.Client) -> None:
    page = check_html(client.get("/local/tasks/hello"))
    assert assert_numbers_equal_their_lists(client, page) == 3
    text = " ".join(page.text_content().split())
    assert re.search(r"Declared in ?toy_\w+\.py:\d+", text)
    assert re.search(r"COLOR blue setting color, environments/local\.toml:3", text)
    assert "COUNT 1 default of the settings class" in text
    assert re.search(r"Fargate, x86 ?about \$0\.\d{4} per run", text)
    (chart,) = page.xpath("//figure/*[local-name()='svg']")
    found = client.get("/local/tasks/hello.json").json()
    assert chart.get("role") == "img"
    assert f"{found['outcomes']['failed']} failed" in chart.get("aria-label")
    cross, bars = (chart.xpath(f"./*[@class='{name}']/@d")[0] for name in ("cross", "bar"))
    assert cross.count("M") == found["outcomes"]["failed"]
    assert bars.count("M") == found["outcomes"]["succeeded"]
    labels = chart.xpath("./*[@class='label']/text()")
    assert [label.split()[0] for label in labels[:2]] == ["p95", "median"]


def test_a_password_is_not_shown(client: httpx.Client) -> None:
    page = check_html(client.get("/local/tasks/login"))
    text = " ".join(page.text_content().split())
    assert "hunter2" not in text + client.get("/local/tasks/login.json").text
    assert "COLOR not shown secret paint" in text
    assert "Secrets: paint" in text


def test_a_task_without_runs_and_an_unknown_one(client: httpx.Client) -> None:
    text = check_html(client.get("/local/tasks/late")).text_content()
    assert "No run has ended in this time." in text
    assert "2 attempts" in text
    unknown = client.get("/local/tasks/helo")
    assert unknown.status_code == 404
    assert "hello" in check_html(unknown).text_content()


def test_names_of_other_kinds_are_not_files(client: httpx.Client) -> None:
    for path in ("/local/tasks/..%2fhello", "/local/tasks/%3Cscript%3E", "/local/workflows/%00"):
        response = client.get(path)
        assert response.status_code == 404
        assert "<script>" not in response.text
        assert urlsplit(str(response.url)).path
