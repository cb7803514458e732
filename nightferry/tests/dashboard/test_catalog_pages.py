"""The pages of tasks and workflows: every number equals the rows of the list to which it links."""

from __future__ import annotations

import json
import random
import re
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from lxml import html as lxml_html

from nightferry.clock import get_clock
from nightferry.contract import LogEvent
from nightferry.dashboard.estimates.month_costs import MonthCosts
from nightferry.dashboard.pages.catalog.state_lengths import StatePass, compare, find_slowest
from nightferry.dashboard.site import Site
from nightferry.local.store import Store
from nightferry.local.store.times import format_time
from nightferry.states.machine.history import HistoryEvent
from tests.cli.terminal import nightferry
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


# ── workflows ─────────────────────────────────────────────────────────────────────────────────────────────────────


def add_execution(store: Store, workflow: str, at: datetime, states: list[tuple[str, float]], status: str) -> str:
    """Add an ended execution that passed through Task states of these lengths, and failed in the last one."""
    id = uuid.uuid4().hex
    definition = json.dumps({"StartAt": "x", "States": {"x": {"Type": "Pass", "End": True}}})
    end = at + timedelta(seconds=sum(length for _, length in states))
    store._db.execute(
        "INSERT INTO execution (id, workflow, definition, input, status, started_at, stopped_at)"
        " VALUES (?, ?, ?, '{}', ?, ?, ?)",
        (id, workflow, definition, status, format_time(at), format_time(end)),
    )
    events = [HistoryEvent(1, 0, "ExecutionStarted", at, {"input": "{}"})]
    for number, (name, length) in enumerate(states):
        events.append(HistoryEvent(len(events) + 1, len(events), "TaskStateEntered", at, {"name": name}))
        at += timedelta(seconds=length)
        kind = "ExecutionFailed" if status == "FAILED" and number == len(states) - 1 else "TaskStateExited"
        events.append(HistoryEvent(len(events) + 1, len(events), kind, at, {"name": name}))
    store.add_events(id, 0, events)
    return id


@pytest.fixture
def nights(root: Path) -> Path:
    """Add 35 nights: "load" takes 20 minutes, "send" 5 minutes at first and 40 in the last three nights."""
    store = open_store(make_site(root))
    begin = get_clock().now() - timedelta(days=40)
    with store.transaction():
        for night in range(35):
            at = begin + timedelta(days=night)
            load, send = ("load", 1200.0 + night), ("send", 300.0 if night < 32 else 2400.0)
            if night % 10 == 9:
                add_execution(store, "marks", at, [load, ("send", 30)], "FAILED")
            else:
                add_execution(store, "marks", at, [load, send], "SUCCEEDED")
    store.close()
    return root


def test_the_slowest_state_of_the_last_30_nights_is_at_the_top(nights: Path) -> None:
    client = make_client(make_site(nights))
    page = check_html(client.get("/local/workflows/marks"))
    verdict = " ".join(page.xpath("string(//p[contains(@class, 'verdict')])").split())
    assert re.match(r"Slowest state: load, usually 20 min \d+ s of 25 min \d+ s \(80 %\)\. ", verdict)
    assert verdict.endswith("longer than usual: send took 40 min 0 s in the newest execution, usually 5 min 0 s.")
    found = client.get("/local/workflows/marks.json").json()
    assert [state["name"] for state in found["states"]] == ["load", "send"]
    assert len(found["executions"]) == len(found["states"][0]["lengths"]) == 30
    assert found["states"][1]["lengths"][-1] == 2400
    assert found["states"][1]["median"] == 300
    assert sum(found["states"][1]["failed"]) == found["outcomes"]["failed"] == 3
    assert assert_numbers_equal_their_lists(client, page) == 2
    charts = page.xpath("//*[local-name()='svg']/@aria-label")
    assert charts[0] == "Durations of the last 30 executions of marks, the newest on the right; 3 failed"
    assert "Durations of state send in 30 executions, the newest on the right; 3 failed" in charts
    rows = page.xpath("//tr[@class='slowest']")
    assert "slowest" in rows[0].text_content()
    client.close()


def test_all_workflows_and_one_without_executions(nights: Path) -> None:
    client = make_client(make_site(nights))
    page = check_html(client.get("/local/workflows"))
    assert assert_numbers_equal_their_lists(client, page) == 2
    assert "no execution" in page.xpath("string(//tr[.//a[text()='fails']])")
    text = check_html(client.get("/local/workflows/fails")).text_content()
    assert "No execution has ended here." in text
    assert "Expected length, from the declarations of its tasks: at most" in text
    assert client.get("/local/workflows/none").status_code == 404
    client.close()


def test_states_of_different_executions_are_in_one_order() -> None:
    one = {name: StatePass("Task", 1, False) for name in ("a", "c", "d")}
    other = {name: StatePass("Task", 2, name == "b") for name in ("a", "b", "d")}
    states = compare([one, other])
    assert [state.name for state in states] == ["a", "b", "c", "d"]
    assert states[1].lengths == (None, 2)
    assert states[1].median == 2, "a state that always failed"
    assert find_slowest([]) is None


def test_the_page_and_the_command_have_the_same_costs(nights: Path) -> None:
    client = make_client(make_site(nights))
    text = " ".join(check_html(client.get("/local/costs?month=2027-02")).text_content().split())
    found = client.get("/local/costs.json?month=2027-02").json()
    printed = json.loads(nightferry(nights, "costs", "--month", "2027-02", "--json").stdout)
    for key in ("total", "month", "prices", "unknown"):
        assert found[key] == (pytest.approx(printed[key], rel=0.01) if key == "total" else printed[key])
    total = found["total"]
    assert f"about ${total['x86']:,.2f} with x86, ${total['arm']:,.2f} with Arm for 2027-02 on AWS" in text
    assert "Not included" in text
    for task in found["tasks"]:
        assert (task["task"] in text) or not task["runs"]
    client.close()


def test_a_page_does_not_wait_for_another_estimate(root: Path) -> None:
    site = make_site(root)
    client, observing = make_client(site), site.get_shared(MonthCosts).observing
    with observing:
        waiting = check_html(client.get("/local/costs"))
    assert "are being read for another page" in waiting.text_content()
    assert "about $" in check_html(client.get("/local/costs")).text_content()
    with observing:
        assert "about $" in check_html(client.get("/local/costs")).text_content()


def test_a_month_that_is_none_is_refused(client: httpx.Client) -> None:
    refused = client.get("/local/costs?month=2027-13")
    assert refused.status_code == 400
    assert "is not a month" in check_html(refused).text_content()
