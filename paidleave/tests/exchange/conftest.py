"""AWS behind a guard, and tools run as their command line runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from nightferry import storage
from nightferry.credentials import aws_session
from tests.exchange.gate import EXTERNAL_ID, ROLE, Gate, Server


@pytest.fixture(scope="module")
def moto(aws_server: str) -> tuple[str, int]:
    address = urlsplit(aws_server)
    assert address.hostname
    assert address.port
    return address.hostname, address.port


@pytest.fixture
def gate(moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    gate = Gate(moto)
    server = Server(gate)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    yield gate
    server.stop()


@pytest.fixture
def ours(gate: Gate) -> str:
    """A new bucket of ours."""
    return f"s3://{_bucket('ours')}"


@pytest.fixture
def vendors(gate: Gate) -> str:
    """A new bucket of the vendor's, which only the role may use."""
    bucket = _bucket("vendors")
    gate.vendors.add(bucket)
    return f"s3://{bucket}"


def _bucket(kind: str) -> str:
    name = f"{kind}-{uuid4().hex}"
    aws_session().client("s3").create_bucket(Bucket=name)
    return name


def as_vendor(vendors: str) -> dict[str, str]:
    """The settings that make the tools assume the role for the vendor's bucket."""
    return {
        "FINEOS_AWS_IAM_ROLE_ARN": ROLE,
        "FINEOS_AWS_IAM_ROLE_EXTERNAL_ID": EXTERNAL_ID,
        "FINEOS_LOCATIONS": vendors,
    }


def vendor_storage() -> storage.Storage:
    return storage.session(role_arn=ROLE, external_id=EXTERNAL_ID)


@dataclass(frozen=True)
class Ended:
    """What a tool's process said, line by line, and its exit code."""

    code: int
    lines: list[dict[str, Any]]

    @property
    def text(self) -> str:
        return "\n".join(json.dumps(line) for line in self.lines)

    def event(self, name: str) -> dict[str, Any]:
        return next(line for line in self.lines if line.get("event") == name)

    @property
    def error(self) -> str:
        """The message of the failure."""
        return next(line["message"] for line in self.lines if line.get("event") in ("failed", "bad_settings"))


def command(module: str) -> list[str]:
    return [sys.executable, "-c", f"from {module} import main; main()"]


def environment(settings: dict[str, Any]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("AWS_")}
    return kept | {name: str(value) for name, value in settings.items()}


def run(module: str, settings: dict[str, Any], *arguments: str) -> Ended:
    """The tool's process, to its end."""
    process = subprocess.run(
        [*command(module), *arguments], env=environment(settings), capture_output=True, text=True, check=False
    )
    assert process.stderr == ""
    return Ended(process.returncode, [json.loads(line) for line in process.stdout.splitlines()])
