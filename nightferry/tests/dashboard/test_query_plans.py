"""No page reads a whole table of the store, whatever its parameters are."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from nightferry.backend.runs import RunRequest
from nightferry.dashboard.routes import PAGES
from nightferry.dashboard.site import Site
from nightferry.environments.environment import Environment
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.store import Store
from tests.dashboard.dashboards import make_client, make_site

SMALL = {"schedule", "object_trigger"}  # they have a row for each declaration
QUERIES = ("", "?task=hello&workflow=fails&outcome=failed&since=90d&q=text", "?since=2h&author=anna&action=stop")


@pytest.fixture
def statements(site: Site) -> set[str]:
    """Return the statements of all pages. They are collected while pages are read."""
    found: set[str] = set()

    def open_backend() -> LocalBackend:
        backend = LocalBackend(site.project, site.environment, read_only=True)
        backend.store._db.set_trace_callback(found.add)
        return backend

    site._open_backend = open_backend
    return found


def test_no_page_reads_a_whole_table(site: Site, statements: set[str]) -> None:
    backend = LocalBackend(site.project, site.environment)
    run = backend.run_task(RunRequest("three", started_by="anna"))
    execution = backend.start_workflow("fails", {})
    asyncio.run(backend.work(lambda: not backend.store.has_open_work()))
    parts = {"{task}": "three", "{workflow}": "fails", "{name}": "none", "{name:path}": "none", "{path:path}": "three"}
    client = make_client(site)
    for page in PAGES:
        if page.method == "GET" and not page.path.endswith("/stream"):
            path = page.path.replace("{id}", execution if "execution" in page.path else run)
            for name, value in parts.items():
                path = path.replace(name, value)
            for query in QUERIES if "{" not in page.path else ("",):
                client.get(f"/local{path}{query}")
    client.get(f"/local/compare?a={run}&b={run}")
    client.get(f"/local/runs/{run}/log?q=text&level=WARNING&at=1")
    client.close()
    assert len(statements) > 50
    scans = find_scans(backend.store.file, statements)
    assert not scans, "\n".join(sorted(scans))


def test_the_first_page_takes_few_statements(night: Path) -> None:
    statements: list[str] = []

    def open_backend(project: Project, environment: Environment) -> LocalBackend:
        backend = LocalBackend(project, environment, read_only=True)
        backend.store._db.set_trace_callback(statements.append)
        return backend

    client = make_client(make_site(night, backend=open_backend))
    runs = client.get("/local/now.json").json()["failed_runs"]["number"]
    errors = [statement for statement in statements if "log_line" in statement]
    assert 0 < len(errors) <= min(runs, 3), "the last errors of the newest failures"
    assert len(statements) - len(errors) <= 7, "\n".join(statements)
    whole = [statement for statement in statements if statement.startswith("SELECT *") and "FROM run " in statement]
    assert max(int(statement.rpartition("LIMIT ")[2]) for statement in whole) <= 51, "\n".join(whole)
    client.close()


def find_scans(file: Path, statements: set[str]) -> set[str]:
    """Return the plan and the statement of each scan of a table without an index."""
    store, found = Store.open_read_only(file), set()
    for statement in statements:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            for row in store._db.execute(f"EXPLAIN QUERY PLAN {statement}"):
                words = row["detail"].split()
                if words[0] == "SCAN" and "INDEX" not in words and words[1] not in SMALL and words[1].isidentifier():
                    found.add(f"{row['detail']}: {statement}")
    return found
