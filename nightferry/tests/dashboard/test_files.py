"""The pages about files: the list, the account of one file, its rejected records and the downloads."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from lxml import html as lxml_html

from nightferry import PostgresService, Reason, RejectedRecords
from nightferry.backend import RecordsUnreachable, RejectedRecord, Report, ReportFilter
from nightferry.contract import LogEvent
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.store import Store
from tests.dashboard.dashboards import check_html, make_client, make_site

HOSTILE = [
    "../../etc/passwd",
    "a/b/../c.csv",
    "<script>alert(1)</script>.csv",
    "'\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "ü-中文-\u202e.csv",
    "a\nb\x1b[31m.csv",
    "=HYPERLINK(1)",
    "..",
    "x" * 400,
    "a?b=c&d#e%2e%2f",
    " ",
]
RECORDS = [RejectedRecord(n * 3, "order", "day", f"invalid date {n}", is_settled=n == 2) for n in range(1, 451)]


class Backend(LocalBackend):
    """The local backend, whose database has the rejected records of every report."""

    problem = ""

    def rejected_records(self, report: Report, *, after: int = 0, limit: int = 1000) -> list[RejectedRecord]:
        if self.problem:
            raise RecordsUnreachable(self.problem, "show --env prod 17")
        number = report.counts.get("rejected", 0)
        return [one for one in RECORDS[:number] if one.line_number > after][:limit]


@pytest.fixture
def backend(project_root: Path) -> Backend:
    project = Project.find(project_root)
    return Backend(project, project.environment("local"))


@pytest.fixture
def site(project_root: Path) -> Site:
    """Return a site whose catalog explains the reports of the kind "orders"."""
    site = make_site(project_root)
    site._open_backend = lambda: Backend(site.project, site.environment)  # type: ignore[method-assign]
    declare(site)
    return site


def declare(site: Site) -> None:
    site.catalog.service(PostgresService("database", "toy"))
    site.catalog.report(
        "orders",
        title="Order file",
        counts={"created": "good", "unmodified": "neutral", "rejected": "bad"},
        reasons=[Reason("invalid date", "The <day> does not exist.", "Please correct the dates.", "February <31>.")],
        records=RejectedRecords(
            "SELECT %(reference)s, %(after)s, %(limit)s", "database", "show --env {environment} {reference}"
        ),
        raw="cat rejected/{subject}.rej",
        sender="the warehouse",
    )


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    client = make_client(site)
    yield client
    client.close()


def add(store: Store, subject: str, kind: str = "orders", **changes: Any) -> Report:
    """Store a report, and return it."""
    counts = changes.pop("counts", {"created": 90, "unmodified": 7, "rejected": 3})
    rejected = counts.get("rejected", 0)
    reasons = [{"reason": "invalid date", "count": rejected, "field": "day", "record_kind": "order"}]
    if store.run("r1") is None:
        store.add_run("r1", "hello", [], {})
    fields = {
        "event": LogEvent.REPORT,
        "task": "hello",
        "kind": kind,
        "subject": subject,
        "total": sum(counts.values()),
        "counts": [{"outcome": outcome, "count": count} for outcome, count in counts.items()],
        "reasons": reasons if rejected else [],
        "limit": 0.05,
        "report_reference": 17,
        **changes,
    }
    assert store.add_report("r1", fields)
    return store.reports(ReportFilter(subject=subject), limit=1)[0]


def read(response: httpx.Response) -> lxml_html.HtmlElement:
    assert response.status_code == 200, response.text
    return check_html(response)


def read_number(text: str) -> int:
    return int(text.split()[0].replace(",", ""))


def test_without_reports_the_page_says_where_they_come_from(client: httpx.Client) -> None:
    assert "run.report" in read(client.get("/local/files")).text_content()


def test_each_row_has_outcomes_that_add_up_and_links_to_as_many_records(client: httpx.Client, backend: Backend) -> None:
    numbers = random.Random(5)
    for n in range(9):
        counts = {name: numbers.choice([0, 1, 7, 100_000]) for name in ("created", "unmodified", "odd")}
        add(backend.store, f"{n}.csv", counts={**counts, "rejected": numbers.choice([0, 1, 5, 300])})
    page = read(client.get("/local/files"))
    rows = page.xpath("//table[contains(@class, 'files')]/tbody/tr")
    assert len(rows) == 9
    for row in rows:
        total = read_number(row.xpath(".//div[@class='file-account']/strong")[0].text)
        assert sum(read_number(item.text) for item in row.xpath(".//ul[@class='file-outcomes']/li")) == total
        widths = [float(width) for width in row.xpath(".//*[name()='svg']/*[name()='rect']/@width")]
        assert len(widths) == len(row.xpath(".//ul[@class='file-outcomes']/li"))
        assert not widths or abs(sum(widths) - 240) < 0.5
        assert all(width >= 2 for width in widths)
        links = row.xpath(".//td[@data-label='Rejected']/a")
        for link in links:
            account = client.get(link.get("href").partition("#")[0] + "").text
            lines = follow_lines(client, link.get("href"))
            assert len(lines) == read_number(link.text) == len(set(lines))
            assert "Message for the warehouse" in account
            assert "Example: February &lt;31&gt;." in account
        assert bool(links) == bool(row.xpath(".//li[@class='bad']"))


def follow_lines(client: httpx.Client, link: str) -> list[str]:
    """Return the numbers of the rejected records, of all pages."""
    found: list[str] = []
    while link:
        page = read(client.get(link.partition("#")[0]))
        found += page.xpath("//table[@class='file-lines']/tbody/tr/td[1]/text()")
        link = next(iter(page.xpath("//nav[@aria-label='Rejected records']/a[@rel='next']/@href")), "")
    return found


def test_the_account_of_a_file_explains_its_reasons(client: httpx.Client, backend: Backend) -> None:
    report = add(backend.store, "orders 1.csv", counts={"created": 997, "rejected": 450})
    page = read(client.get(f"/local/files/{report.id}"))
    text = page.text_content()
    assert "The <day> does not exist." in text
    message = page.xpath("//textarea")[0].text
    assert "Of the 1,447 records of orders 1.csv, 450 were rejected (31 %)." in message
    assert "Please correct the dates." in message
    for table in page.xpath("//table[@class='file-sums'][tfoot]"):
        column = [read_number(cell.text) for cell in table.xpath("./tbody/tr/td[contains(@class, 'number')][1]")]
        assert sum(column) == read_number(table.xpath("./tfoot//td[@class='number']")[0].text)
    assert "cat rejected/'orders 1.csv'.rej" in text
    assert "1 to 100 of 450" in text
    assert len(follow_lines(client, f"/local/files/{report.id}")) == 450
    assert page.xpath("//td[.='processed again']")


def test_the_download_has_every_rejected_record(client: httpx.Client, backend: Backend) -> None:
    report = add(backend.store, "orders.csv", counts={"created": 1, "rejected": 450})
    response = client.get(f"/local/files/{report.id}/rejected.csv")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"].startswith("attachment; ")
    assert "sandbox" in response.headers["content-security-policy"]
    header, *rows = csv.reader(io.StringIO(response.text))
    assert header == ["line", "record", "field", "reason", "correction"]
    assert [int(row[0]) for row in rows] == [one.line_number for one in RECORDS]
    assert rows[0][1:] == ["order", "day", "invalid date 1", "Please correct the dates."]


def test_a_long_download_is_made_in_parts(
    client: httpx.Client, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    for size in (7, 450, 150):
        monkeypatch.setattr("nightferry.dashboard.pages.files.file._LINES_AT_ONCE", size)
        report = add(backend.store, "orders.csv", counts={"created": 1, "rejected": 450})
        rows = list(csv.reader(io.StringIO(client.get(f"/local/files/{report.id}/rejected.csv").text)))
        assert [int(row[0]) for row in rows[1:]] == [one.line_number for one in RECORDS]


def test_a_hostile_name_is_text_and_never_a_path(client: httpx.Client, backend: Backend) -> None:
    for name in HOSTILE:
        report = add(backend.store, name, note=f"cause of {name}")
        assert report.subject == name
        response = client.get(f"/local/files/{report.id}")
        check_hostile_page(response)
        found = client.get("/local/files.json", params={"subject": name}).json()["files"]
        assert [one["id"] for one in found] == [report.id], name
    check_hostile_page(client.get("/local/files"))
    listed = list(csv.reader(io.StringIO(client.get("/local/files.csv").text)))
    assert len(listed) == 1 + len(HOSTILE)
    assert not any(row[2].startswith("=") for row in listed)


def check_hostile_page(response: httpx.Response) -> None:
    page = read(response)
    assert not page.xpath("//img|//script[not(@src)]")
    assert "<script>alert" not in response.text
    assert "\x1b" not in response.text
    assert "\u202e" not in response.text


def test_a_name_in_the_address_leads_to_its_newest_report(client: httpx.Client, backend: Backend) -> None:
    add(backend.store, "in/a b.csv")
    newest = add(backend.store, "in/a b.csv")
    response = client.get("/local/files/in/a%20b.csv")
    assert (response.status_code, response.headers["location"]) == (303, f"/local/files/{newest.id}")
    page = read(client.get(f"/local/files/{newest.id}"))
    assert "Other reports about this file" in page.text_content()
    for name in ("other.csv", "..%2f..%2fetc%2fpasswd", "0" * 32, newest.id[:-1], "%00", "x" * 900):
        response = client.get(f"/local/files/{name}")
        assert response.status_code == 404, name
        check_html(response)
    assert client.get(f"/local/files/{'0' * 32}/rejected.csv").status_code == 404


def test_filters_and_pages_of_the_list(client: httpx.Client, backend: Backend) -> None:
    for n in range(60):
        add(backend.store, f"{n}.csv", kind="orders" if n % 3 else "customers")
    pages = [client.get("/local/files.json").json()]
    pages.append(client.get("/local/files.json", params={"before": pages[0]["next"]}).json())
    names = [one["file"] for page in pages for one in page["files"]]
    assert names == [f"{n}.csv" for n in reversed(range(60))]
    assert pages[1]["next"] is None
    for query, number in (
        ({"kind": "customers"}, 20),
        ({"kind": "unknown"}, 0),
        ({"q": "7.CSV"}, 6),
        ({"subject": "7.csv"}, 1),
        ({"run": "r1"}, 50),
        ({"until": "2020-01-01"}, 0),
        ({"since": "1h", "kind": "orders"}, 40),
    ):
        assert len(client.get("/local/files.json", params=query).json()["files"]) == number, query
        rows = list(csv.DictReader(io.StringIO(client.get("/local/files.csv", params=query).text)))
        assert len(rows) == max(number, 60 if "run" in query else 0)
        assert all(
            int(row["records"]) == sum(int(row[name]) for name in ("created", "unmodified", "rejected")) for row in rows
        )
    for query in ({"since": "never"}, {"before": "x"}, {"q": "123-45-6789 password=hunter2"}):
        response = client.get("/local/files", params=query)
        assert response.status_code == 400, query
        check_html(response)


def test_a_search_finds_a_file_by_a_part_of_its_name(client: httpx.Client, backend: Backend) -> None:
    report = add(backend.store, "in/Orders 7.csv")
    page = read(client.get("/local/search", params={"q": "orders 7"}))
    assert page.xpath("//table[contains(@class, 'files')]//a[@class='row']/@href") == [f"/local/files/{report.id}"]
    assert "Nothing found" in read(client.get("/local/search", params={"q": "orders 8"})).text_content()


def test_a_failed_file_and_an_unknown_kind_are_shown(client: httpx.Client, backend: Backend) -> None:
    add(backend.store, "a.csv", counts={}, failed=True, note="a.csv is empty. Send it again.")
    add(backend.store, "b.csv", kind="unknown", counts={"lost": 3})
    add(backend.store, "c.csv", counts={"unmodified": 4})
    page = read(client.get("/local/files"))
    statuses = Counter(" ".join(cell.text_content().split()) for cell in page.xpath("//tbody/tr/td[1]"))
    assert statuses == {"✕ not processed": 1, "↷ nothing new": 2}
    assert "a.csv is empty. Send it again." in page.text_content()
    for report in backend.reports():
        text = read(client.get(f"/local/files/{report.id}")).text_content()
        assert "Message for" not in text


def test_the_share_is_compared_with_the_limit_and_the_usual_one(client: httpx.Client, backend: Backend) -> None:
    for _ in range(5):
        add(backend.store, "usual.csv", counts={"created": 999, "rejected": 1})
    report = add(backend.store, "bad.csv", counts={"created": 96, "rejected": 4})
    text = " ".join(read(client.get(f"/local/files/{report.id}")).text_content().split())
    assert "4 % ▲ more than usuallimit 5 %, usually 0.1 %" in text
    assert "more than usual" not in read(client.get(f"/local/files/{backend.reports(limit=9)[3].id}")).text_content()


def test_records_out_of_reach_have_the_command(client: httpx.Client, backend: Backend, site: Site) -> None:
    Backend.problem = "Only tasks reach the database."
    try:
        report = add(backend.store, "a.csv")
        page = read(client.get(f"/local/files/{report.id}"))
        assert "Only tasks reach the database." in page.text_content()
        assert page.xpath("//pre")[0].text == "show --env prod 17"
        assert "Please correct the dates." in page.text_content(), "the reasons are those of the report"
        response = client.get(f"/local/files/{report.id}/rejected.csv")
        assert response.status_code == 409
        assert "Only tasks reach the database. Run: show --env prod 17" in response.text
    finally:
        Backend.problem = ""


def test_fewer_stored_records_than_rejected_ones_are_said(client: httpx.Client, backend: Backend) -> None:
    report = add(backend.store, "a.csv", counts={"rejected": 500})
    last = client.get(f"/local/files/{report.id}", params={"after": 1200, "shown": 400})
    text = " ".join(read(last).text_content().split())
    assert "401 to 450 of 500" in text
    assert "50 of the 500 rejected records are not stored" in text


def test_the_trend_has_the_numbers_of_the_reports(client: httpx.Client, backend: Backend) -> None:
    reasons = [{"reason": f"reason {n}", "count": n, "field": "", "record_kind": ""} for n in range(1, 8)]
    report = add(backend.store, "a.csv", counts={"rejected": 28}, reasons=reasons)
    add(backend.store, "b.csv", kind="other", counts={"rejected": 5})
    page = read(client.get(f"/local/files/{report.id}"))
    (table,) = page.xpath("//details//table")
    assert [int(cell.text) for cell in table.xpath(".//td")] == [7, 6, 5, 4, 6]
    title = page.xpath("//*[name()='svg'][@class='reason-trend']//*[name()='g']/*[name()='title']")[0].text
    assert title.endswith("7 reason 7, 6 reason 6, 5 reason 5, 4 reason 4, 6 other reasons")
