"""Fixtures that run jobs as processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nightferry.testing import forked

HEAD = """
import os, sys, threading, time
from pydantic import Field, SecretStr
from nightferry.job import *
log = get_logger(__name__)

class Settings(JobSettings):
    folder_path: str = Field(default="/received", description="Folder to read")
    decrypt: bool = Field(default=False, description="Whether the files are encrypted")
    process_id: int = Field(default=1, ge=1, description="Number of this process")
    db_password: SecretStr | None = Field(default=None, description="Password of the database's user")

@background_task("a-job", Settings)
def main(settings: Settings, run: Run) -> None:
    '''Run the body that the test gives.'''
"""


@dataclass(frozen=True)
class JobResult:
    """The exit code and the output of a job's process."""

    code: int
    stdout: str
    stderr: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    def events(self, name: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line.get("event") == name]


@dataclass(frozen=True)
class Job:
    """A job's program and the environment of its process."""

    program: Path
    environment: dict[str, str]

    def start(self, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        return forked.Popen(
            [sys.executable, str(self.program), *arguments],
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, **environment: str) -> JobResult:
        with self.start(*arguments, **environment) as process:
            stdout, stderr = process.communicate(timeout=60)
        return JobResult(process.returncode, stdout, stderr)


@pytest.fixture
def job(tmp_path: Path) -> Callable[[str], Job]:
    """Return a function that makes a job from its body."""

    def make(body: str, head: str = HEAD) -> Job:
        program = tmp_path / "a_job.py"
        indented = "".join(f"    {line}\n" for line in body.strip("\n").splitlines())
        program.write_text(f"{head}{indented}\nmain()\n", encoding="utf-8")
        environment = {"PATH": os.environ["PATH"], "ENVIRONMENT": "test", "NIGHTFERRY_RUN_ID": "run-1"}
        return Job(program, environment)

    return make
