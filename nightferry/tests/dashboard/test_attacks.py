"""Attacks on a server over real sockets and with hostile values: none gets data, a page that fails, or a long log."""

from __future__ import annotations

import csv
import io
import logging
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from nightferry.contract import Privacy
from nightferry.dashboard.actions.submissions import MOST_PER_MINUTE
from nightferry.dashboard.gate import MAX_BODY_BYTES
from nightferry.dashboard.site import Site
from nightferry.dashboard.streaming import download
from nightferry.local.backend import LocalBackend
from nightferry.local.monitoring.engine_log import write_engine_log, write_server_log
from tests.dashboard.dashboards import TOKEN, make_client
from tests.dashboard.executions import record, run_state

FORM = "Content-Type: application/x-www-form-urlencoded"


def send(address: str, head: str, body: bytes = b"") -> bytes:
    """Send a request to a server as it is, and return the response. ``HOST`` stands for the server's own."""
    host = urlsplit(address).netloc
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=10) as connection:
        text = head.replace("HOST", host).replace("\n", "\r\n") + "\r\nConnection: close\r\n\r\n"
        connection.sendall(text.encode("latin-1") + body)
        received = b""
        while part := connection.recv(65536):
            received += part
    return received


PATHS = [
    "//health",
    "/health/",
    "/HEALTH",
    "/health;x",
    "/health%2f",
    "/./health",
    "/local/../health",
    "/login/",
    "/login/x",
    "/login%2f..%2flocal%2f",
    "/login/../local/",
    "/health/../metrics",
    "//metrics",
    "/metrics",
    "/metrics%00",
    "/login%00",
    "/local/runs.json",
    "/local/runs/.json",
    "/LOCAL/",
    "/local",
    "/static/",
    "/static/%2e%2e/app.py",
    "*",
    "http://attacker.example/health",
    "http://attacker.example/local/",
    "/local/health",
    "/local/runs?x=/health",
]


def test_no_form_of_a_path_avoids_the_login(project_root: Path, serve: Callable[..., str]) -> None:
    address = serve(project_root)
    for path in PATHS:
        for method in ("GET", "HEAD"):
            assert send(address, f"{method} {path} HTTP/1.1\nHost: HOST").startswith(b"HTTP/1.1 401"), path
    for head in ("GET /local/ HTTP/1.0", "GET http://HOST/local/ HTTP/1.1\nHost: attacker.example"):
        assert send(address, head).startswith(b"HTTP/1.1 421"), head
    twice = send(address, "GET /local/ HTTP/1.1\nHost: attacker.example\nHost: HOST")
    assert twice.split()[1] in (b"400", b"421")


def test_requests_without_login_get_no_page_and_write_no_log(
    project_root: Path, serve: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    address = serve(project_root)
    post = "POST /login HTTP/1.1\nHost: HOST\nOrigin: http://HOST"
    chunks = b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    for head, body, status in (
        ("GET /health HTTP/1.1\nHost: HOST", b"", b"404"),  # which only a running engine has
        (f"{post}\n{FORM}\nContent-Length: 1200", b"a&" * 600, b"400"),
        (f"{post}\n{FORM}\nContent-Length: 8", b"code=%ff", b"400"),
        (f"{post}\nContent-Type: text/plain\nContent-Length: 6", b"code=a", b"400"),
        (f"{post}\n{FORM}\nTransfer-Encoding: chunked", chunks * 3 + b"0\r\n\r\n", b"413"),
    ):
        response = send(address, head, body)
        assert response.split()[1] == status, (head, response)
        assert b"toy" not in response, head
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_a_client_that_leaves_during_its_request_writes_no_log(
    project_root: Path, serve: Callable[..., str], caplog: pytest.LogCaptureFixture
) -> None:
    address = serve(project_root)
    host = urlsplit(address).netloc
    head = f"POST /login HTTP/1.1\r\nHost: {host}\r\nOrigin: {address}\r\n{FORM}\r\nContent-Length: 9\r\n\r\ncode"
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2]))) as connection:
        connection.sendall(head.encode())
    assert send(address, "GET /local/ HTTP/1.1\nHost: HOST").startswith(b"HTTP/1.1 401")
    assert not [one for one in caplog.records if one.levelno >= logging.ERROR]


@pytest.mark.parametrize("query", ["a&" * 600, "since=999999d", "since=99999d", "until=999999999s", "before=~"])
def test_no_query_fails_a_page(night_client: httpx.Client, query: str) -> None:
    response = night_client.get(f"/local/runs?{query}")
    assert response.status_code in (200, 400), response.text


SIGNS = ["=", "+", "-", "@", "|", "%", "\uff1d", "\t=", "\r=", "\n=", " =", "\u3000=", "\u00a0="]


@pytest.mark.parametrize("sign", SIGNS)
def test_no_cell_of_a_csv_file_is_a_formula(site: Site, sign: str) -> None:
    """Spreadsheets split lines at commas or, in some languages, at semicolons."""
    run, store = "a" * 32, LocalBackend(site.project, site.environment).store
    store.add_run(run, "hello", [], {})
    text = f"{sign}1+1;{sign}HYPERLINK(1);x"
    counts = [{"outcome": text, "count": 1}]
    fields = {"event": "report", "task": "hello", "kind": text, "total": 1, "counts": counts, "note": text}
    assert store.add_report(run, {**fields, "subject": text, "reasons": []})
    found = make_client(site).get("/local/files.csv").text
    assert found.count("HYPERLINK") == 4
    for delimiter in (",", ";"):
        cells = [cell for row in csv.reader(io.StringIO(found), delimiter=delimiter) for cell in row]
        assert not [cell for cell in cells if cell.strip()[:1] in ("=", "+", "-", "@", "|", "%", "\uff1d") and cell]


def test_a_script_does_not_act_more_often_with_invented_sessions(site: Site) -> None:
    client = make_client(site, logged_in=False)
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    statuses = []
    for number in range(MOST_PER_MINUTE + 1):
        headers = {"Cookie": f"{site.access.cookie}=invented-{number}"}
        statuses.append(client.post("/local/topics/failures/test", data={"reason": ""}, headers=headers).status_code)
    assert statuses == [400] * MOST_PER_MINUTE + [429]


@pytest.mark.parametrize("sender", ["cross-site", "same-site"])
def test_other_sites_and_ports_embed_no_page_and_open_no_stream(client: httpx.Client, sender: str) -> None:
    headers = {"Sec-Fetch-Site": sender, "Sec-Fetch-Mode": "no-cors"}
    for path in ("/local/runs", "/local/runs.json", f"/local/runs/{'a' * 32}/log/stream", "/health", "/login"):
        assert client.get(path, headers=headers).status_code == 403, path
    assert client.get("/local/runs", headers=headers | {"Sec-Fetch-Mode": "navigate"}).status_code == 200


@pytest.mark.sampled(3)
@pytest.mark.parametrize("id", ["x", "", "-1", "9" * 18, "9" * 30, "\u0661", "\0", "1e9"])
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"])
def test_no_cursor_fails_a_list(night_client: httpx.Client, time: str, id: str) -> None:
    for page in ("runs", "executions", "activity", "files", "files.csv", "schedules/often", "triggers/arrival"):
        for name in ("before", "objects_before"):
            response = night_client.get(f"/local/{page}", params={name: f"{time}~{id}"})
            assert response.status_code == 200, (page, response.text)


def test_deeply_nested_data_are_shown_and_are_data(site: Site) -> None:
    nested: object = "the innermost"
    for number in range(900):
        nested = [nested] if number % 2 else {"a": nested}
    definition = {"StartAt": "A", "States": {"A": run_state(End=True)}}
    execution = record(site, definition, input={"items": nested}, id="fails-20261124T030000-0e0e0e0e")
    assert execution.status == "SUCCEEDED"
    client = make_client(site)
    for page in ("", ".json", "/state/A", "/state/A.json"):
        response = client.get(f"/local/executions/fails-20261124T030000-0e0e0e0e{page}")
        assert response.status_code == 200, page


@pytest.mark.parametrize("month", ["9999-12", "0001-01", "2200-01", "1969-12"])
def test_no_month_fails_the_costs(client: httpx.Client, month: str) -> None:
    response = client.get("/local/costs", params={"month": month})
    assert response.status_code == 400
    assert "out of range" in response.text


def test_a_body_above_the_limit_is_refused_once(client: httpx.Client) -> None:
    parts = iter([b"a" * MAX_BODY_BYTES, b"a"])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert client.post("/local/preferences", content=parts, headers=headers).status_code == 413


def test_a_name_does_not_leave_the_header_of_a_download() -> None:
    with ThreadPoolExecutor(1) as threads:
        response = download('a"; filename=b.html\r\nSet-Cookie: c\u202e', lambda: b"", threads)
    assert response.headers["content-disposition"] == 'attachment; filename="a___filename_b.html__Set-Cookie__c_"'


def test_a_reason_is_redacted_before_it_is_kept(strict_site: Site) -> None:
    backend = strict_site.backend
    assert isinstance(backend, LocalBackend)
    backend.store.add_run("a" * 32, "hello", [], {})
    client = make_client(strict_site)
    sent = client.post(f"/local/runs/{'a' * 32}/stop", data={"reason": "asked for 123-45-6789", "token": "t"})
    assert sent.status_code == 303
    assert "asked for" in str(backend.store.run("a" * 32))
    assert not [
        file for file in strict_site.project.state.rglob("*") if file.is_file() and b"6789" in file.read_bytes()
    ]


def test_the_log_of_a_server_has_no_personal_data(
    strict_site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("the record of 123-45-6789")

    monkeypatch.setattr(type(strict_site.backend), "runs", fail)
    client = make_client(strict_site)
    with write_server_log(Privacy.STRICT):
        for _ in range(3):
            assert client.get("/local/runs", params={"task": "987-65-4321"}).status_code == 500
            logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    logged = capsys.readouterr().err
    assert "page_failed" in logged
    assert logged.count("Invalid HTTP request") == 1
    assert "6789" not in logged
    assert "4321" not in logged


@pytest.mark.parametrize("write_log", [write_server_log, write_engine_log])
def test_the_log_of_a_server_does_not_change_what_its_pages_hide(
    strict_site: Site, tmp_path: Path, write_log: Callable[..., AbstractContextManager[None]]
) -> None:
    with write_log(*([tmp_path] if write_log is write_engine_log else []), privacy=Privacy.STRICT):
        assert "6789" not in str(strict_site.redactor.redact_value({"id": "123-45-6789", "at": "123456789"}))
