"""Fixtures for an AWS server behind a proxy that checks access, and for running the tools as processes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from nightferry import storage
from nightferry.credentials import aws_session
from nightferry.testing import forked
from tests.exchange.aws_proxy import EXTERNAL_ID, ROLE, AccessRules, AwsProxy


@pytest.fixture(scope="module")
def moto(aws_server: str) -> tuple[str, int]:
    address = urlsplit(aws_server)
    assert address.hostname
    assert address.port
    return address.hostname, address.port


@pytest.fixture
def access(moto: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[AccessRules]:
    rules = AccessRules(moto)
    proxy = AwsProxy(rules)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    yield rules
    proxy.stop()


@pytest.fixture
def ours(access: AccessRules) -> str:
    """Create a bucket of ours."""
    return f"s3://{_create_bucket('ours')}"


@pytest.fixture
def vendors(access: AccessRules) -> str:
    """Create a bucket of the vendor's, to which only the role has access."""
    bucket = _create_bucket("vendors")
    access.vendors.add(bucket)
    return f"s3://{bucket}"


def _create_bucket(kind: str) -> str:
    name = f"{kind}-{uuid4().hex}"
    aws_session().client("s3").create_bucket(Bucket=name)
    return name


def vendor_settings(vendors: str) -> dict[str, str]:
    """Return the settings with which the tools assume the role for the vendor's bucket."""
    return {
        "FINEOS_AWS_IAM_ROLE_ARN": ROLE,
        "FINEOS_AWS_IAM_ROLE_EXTERNAL_ID": EXTERNAL_ID,
        "FINEOS_LOCATIONS": vendors,
    }


def open_vendor_storage() -> storage.Storage:
    return storage.session(role_arn=ROLE, external_id=EXTERNAL_ID)


@dataclass(frozen=True)
class ToolResult:
    """The exit code and the log lines of a tool's process."""

    code: int
    lines: list[dict[str, Any]]

    @property
    def text(self) -> str:
        return "\n".join(json.dumps(line) for line in self.lines)

    def event(self, name: str) -> dict[str, Any]:
        return next(line for line in self.lines if line.get("event") == name)

    @property
    def error(self) -> str:
        """The error message of a failed run."""
        return next(line["message"] for line in self.lines if line.get("event") in ("failed", "bad_settings"))


def build_command(module: str) -> list[str]:
    return [sys.executable, "-c", f"from {module} import main; main()"]


def build_environment(settings: dict[str, Any]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("AWS_")}
    return inherited | {name: str(value) for name, value in settings.items()}


def run(module: str, settings: dict[str, Any], *arguments: str) -> ToolResult:
    """Run the tool as a process and wait for its end."""
    process = forked.run(
        [*build_command(module), *arguments],
        env=build_environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.stderr == ""
    return ToolResult(process.returncode, [json.loads(line) for line in process.stdout.splitlines()])
