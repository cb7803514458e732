"""The page of the engine: its health, its queue, its log; on AWS, what replaces it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from nightferry.backend.runs import RunRequest
from nightferry.backend.starts import NotKnown
from nightferry.dashboard.site import Site
from nightferry.local.backend import LocalBackend
from nightferry.local.engine.engine_lock import lock, write_address
from nightferry.local.engine_status import read_engine_status
from nightferry.local.store import Store
from tests.dashboard.dashboards import check_html, make_client, make_site


def test_without_an_engine_the_page_says_what_waits(site: Site, client: httpx.Client) -> None:
    page = check_html(client.get("/local/engine"))
    assert "No engine is running, and nothing is waiting for one" in page.text_content()
    backend = LocalBackend(site.project, site.environment)
    for _ in range(3):
        backend.run_task(RunRequest("hello"))
    text = " ".join(check_html(client.get("/local/engine")).text_content().split())
    assert "No engine is running, so nothing of the open work continues. Start it: nightferry up" in text
    found = client.get("/local/engine.json").json()
    assert [(one["task"], one["number"]) for one in found["queue"]] == [("hello", 3)]
    assert len(client.get("/local/runs.json?task=hello&outcome=open").json()["runs"]) == 3


def test_an_engine_of_a_command_has_no_health(site: Site, client: httpx.Client) -> None:
    with lock(site.project.state) as ours:
        assert ours
        assert "A command runs the engine" in check_html(client.get("/local/engine")).text_content()
        write_address(site.project.state, "http://127.0.0.1:9")  # nothing listens there
        assert "The engine does not respond within 5 seconds." in client.get("/local/engine").text


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_the_last_problems_of_the_log_are_shown_and_masked(site: Site, client: httpx.Client, level: str) -> None:
    message = "<script>alert(1)</script> \x1b[31m password=hunter2hunter2"
    lines = [
        {"time": "2026-11-30T01:00:00+00:00", "level": "INFO", "message": "Engine started."},
        {"time": "2026-11-30T02:00:00+00:00", "level": level, "message": message},
    ]
    site.project.state.mkdir(0o700, exist_ok=True)
    (site.project.state / "engine.log").write_text(
        "".join(json.dumps(line) + "\n" for line in lines) + "  frames of an error\n[]\n{\n"
    )
    text = client.get("/local/engine").text
    assert "&lt;script&gt;" in text
    assert "\\u001b[31m" in text
    assert "hunter2" not in text
    assert "Engine started." not in text


def test_reading_the_state_creates_nothing(project_root: Path) -> None:
    site = make_site(project_root)
    backend = LocalBackend(site.project, site.environment, read_only=True)
    status = read_engine_status(site.project, site.environment, backend.store)
    assert (status.pid, status.store_bytes, status.queue) == (None, 0, ())
    assert not site.project.state.exists()


def test_the_queue_is_read_by_an_index(tmp_path: Path) -> None:
    store = Store(tmp_path / "engine.sqlite")
    statements: list[str] = []
    store._db.set_trace_callback(statements.append)
    store.queued_tasks()
    store.count_begun()
    store._db.set_trace_callback(None)
    plans = [row["detail"] for one in statements for row in store._db.execute(f"EXPLAIN QUERY PLAN {one}")]
    assert not [plan for plan in plans if plan.startswith("SCAN") and "USING" not in plan], plans


def test_an_environment_on_aws_says_what_replaces_the_engine(site: Site) -> None:
    class OnAws(LocalBackend):
        def engine_status(self) -> NotKnown:  # type: ignore[override]
            return NotKnown("EventBridge and Step Functions replace the engine here.")

    site._open_backend = lambda: OnAws(site.project, site.environment)
    client = make_client(site)
    page = check_html(client.get("/local/engine"))
    client.close()
    assert "EventBridge and Step Functions replace the engine here." in page.text_content()
