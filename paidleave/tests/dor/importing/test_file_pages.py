"""The dashboard shows a real import: its report in the store, and the rejected lines through the declared query."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from lxml import html

from nightferry.dashboard.access import Access, make_code
from nightferry.dashboard.app import create_app
from nightferry.dashboard.site import Site
from nightferry.environments import Project
from nightferry.local.backend import LocalBackend
from nightferry.testing import run_job
from paidleave.catalog import catalog
from paidleave.dor.generate import Population, WriteOptions
from tests.dor.importing.test_importer_report import put
from tests.dor.imports import DAILY, WAGE_FILE, DorWorld
from tests.operations.conftest import no_users, users  # noqa: F401  # fixtures

ROOT = Path(__file__).parents[3]
TOKEN = "a-token-for-tests-with-many-characters"
HOST = "127.0.0.1:8471"


class Services:
    """The addresses of a database that a test has started."""

    def __init__(self, conninfo: str) -> None:
        self._options = psycopg.conninfo.conninfo_to_dict(conninfo)

    def peek_address(self, name: str, attribute: str) -> str:
        assert name == "database"
        return str(self._options[{"database": "dbname"}.get(attribute, attribute)])


@pytest.fixture
def world(users: str, tmp_path: Path) -> DorWorld:  # noqa: F811
    return DorWorld(users, tmp_path / "dor")


@pytest.fixture
def site(world: DorWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Return the dashboard of Paid Leave with an import of two files in its store."""
    monkeypatch.setenv("NIGHTFERRY_STATE", str(tmp_path / "a state"))
    project = Project.find(ROOT)
    environment = project.environment("local")
    put(world, Population(100), WriteOptions(bad_share=0.03, duplicate_share=0.05))
    ended = run_job(DAILY, world.environment())
    assert ended.exit_code == 0
    services = Services(world.conninfo)
    opened: list[LocalBackend] = []

    def open_backend() -> LocalBackend:
        opened.append(LocalBackend(project, environment, services=services))  # type: ignore[arg-type]
        return opened[-1]

    store = open_backend().store
    store.add_run("r" * 32, "dor-import", [], {})
    for line in ended.events("report"):
        assert store.add_report("r" * 32, line)
    yield Site(project, environment, Access.on_loopback(TOKEN, 8471), open_backend, author="anna")
    store.close()


def get(site: Site, path: str) -> httpx.Response:
    """Return the response to a request with the token."""

    async def call() -> httpx.Response:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        transport = httpx.ASGITransport(create_app(site))
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{HOST}", headers=headers) as client:
            return await client.get(path)

    assert make_code(TOKEN, 8471)
    response = asyncio.run(call())
    assert response.status_code == 200, response.text
    return response


def test_the_pages_explain_the_rejected_lines_of_an_import(site: Site, world: DorWorld) -> None:
    """The parts of this test share the import, which takes longer than all of them."""
    check_the_account(site, world)
    check_that_no_value_is_shown(site, world)
    check_the_page_without_the_lines(site, world)


def check_the_account(site: Site, world: DorWorld) -> None:
    listed = get(site, "/local/files.json?kind=dor-wage-file").json()["files"]
    assert [one["file"] for one in listed] == [WAGE_FILE[:-1] + "0"]
    (file,) = listed
    (stored,) = world.query("SELECT count(*) FROM dor_rejected_line WHERE file_name = %s", file["file"])[0]
    assert file["rejected_count"] == stored > 200
    assert sum(one["count"] for one in file["counts"]) == file["total"]
    page = html.fromstring(get(site, f"/local/files/{file['id']}").text)
    text = page.text_content()
    declared = catalog.reports["dor-wage-file"]
    for group in page.xpath("//section[@class='file-reason']/h3"):
        reason = declared.find_reason(group.text.partition("× ")[2])
        assert reason is not None
        assert reason.meaning in text
        assert reason.request in page.xpath("//textarea")[0].text
    assert f"1 to 100 of {stored:,}" in " ".join(text.split())
    assert f"gpg --decrypt dor/rejected/{file['file']}.rej" in text
    rows = list(csv.DictReader(io.StringIO(get(site, f"/local/files/{file['id']}/rejected.csv").text)))
    expected = world.query(
        "SELECT line_number, record_kind, field, reason FROM dor_rejected_line WHERE file_name = %s ORDER BY 1",
        file["file"],
    )
    assert [(int(row["line"]), row["record"], row["field"], row["reason"]) for row in rows] == [
        (line, kind or "", field or "", reason) for line, kind, field, reason in expected
    ]


def check_that_no_value_is_shown(site: Site, world: DorWorld) -> None:
    people = world.query("SELECT first_name, last_name, tax_identifier FROM employee JOIN tax_identifier"
                         " USING (tax_identifier_id) LIMIT 200")  # fmt: skip
    names = world.query("SELECT employer_name, employer_fein FROM employer WHERE length(employer_name) > 8")
    assert people
    assert names
    for file in get(site, "/local/files.json").json()["files"]:
        for suffix in ("", ".json", "/rejected.csv"):
            text = get(site, f"/local/files/{file['id']}{suffix}").text
            for value in {str(value) for row in (*people, *names) for value in row}:
                assert len(value) < 5 or value not in text, suffix
    assert json.dumps(get(site, "/local/files.json").json())


def check_the_page_without_the_lines(site: Site, world: DorWorld) -> None:
    file = get(site, "/local/files.json?kind=dor-wage-file").json()["files"][0]
    with psycopg.connect(world.conninfo, autocommit=True) as connection:
        connection.execute("REVOKE SELECT ON ALL TABLES IN SCHEMA public FROM pfml_impersonal")
        connection.execute("REVOKE SELECT (line_number) ON dor_rejected_line FROM pfml_impersonal")
    text = get(site, f"/local/files/{file['id']}").text
    assert "The query of the rejected records failed" in text
    assert "nightferry run execute-sql --env local --confirm local" in text
    assert "Why records were rejected" in text
