"""A page of a proxy instead of a response of AWS is an error of storage, credentials and the trigger's function."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nightferry import credentials, storage
from nightferry.lambdas import s3_trigger
from nightferry.storage.errors import StorageError
from tests.lambdas.test_s3_trigger import handle, record

PAGE = b"<html><body>Sign in to the network.</body></html>"
FOREIGN = r"The response of .* \(status {}\) is not from AWS"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None: ...

    def _respond(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        for name, value in {"Content-Type": "text/html", "ETag": '"1"', "Content-Length": str(len(PAGE))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(PAGE)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _respond


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture(params=[200, 403])
def status(request: pytest.FixtureRequest, server: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> int:
    server.status = request.param  # type: ignore[attr-defined]
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    return int(request.param)


STORAGE: dict[str, Callable[[storage.Storage], object]] = {
    "read": lambda s3: s3.open_read("s3://bucket/key").read(),
    "load": lambda s3: s3.load("s3://bucket/key"),
    "store": lambda s3: s3.store("s3://bucket/key", b"x", expected=None),
    "list": lambda s3: s3.list_objects("s3://bucket/folder"),
    "walk": lambda s3: list(s3.walk("s3://bucket/folder")),
    "describe": lambda s3: s3.describe("s3://bucket/key"),
    "exists": lambda s3: s3.exists("s3://bucket/key"),
    "move": lambda s3: s3.move("s3://bucket/key", "s3://bucket/other", version="v"),
    "delete": lambda s3: s3.delete("s3://bucket/key"),
}


def test_no_operation_of_the_storage_accepts_a_page(status: int) -> None:
    s3 = storage.session()
    for name, operation in STORAGE.items():
        with pytest.raises(StorageError, match=FOREIGN.format(status)) as caught:
            operation(s3)
        assert "Sign in" not in str(caught.value), name


def test_a_page_is_neither_a_parameter_nor_a_role(status: int) -> None:
    with pytest.raises(credentials.ParameterUnavailable, match=FOREIGN.format(status)):
        credentials.parameter(f"/page/{status}")
    vendor = storage.session(role_arn="arn:aws:iam::333333333333:role/vendor")
    with pytest.raises(credentials.CredentialsError, match=FOREIGN.format(status)):
        vendor.exists("s3://bucket/key")


def test_the_trigger_does_not_take_a_page_for_a_start(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CLUSTER", "TASK_DEFINITION", "CONTAINER", "SUBNETS", "SECURITY_GROUPS", "TRIGGER"):
        monkeypatch.setenv(name, "x")
    s3_trigger._get_client.cache_clear()
    with pytest.raises(s3_trigger.NotFromAws, match=f"status {status}"):
        handle(record("in/a.csv", "1"))
    s3_trigger._get_client.cache_clear()
