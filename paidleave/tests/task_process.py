"""Run tasks as processes, with only their own environment variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from nightferry.testing import forked


@dataclass(frozen=True)
class TaskResult:
    """The exit code and the log lines of a process."""

    code: int
    lines: list[dict[str, Any]]
    text: str

    @property
    def errors(self) -> list[str]:
        return [line["message"] for line in self.lines if line["level"] == "ERROR"]

    def event(self, name: str) -> dict[str, Any]:
        """Return the only line with this event."""
        (found,) = [line for line in self.lines if line.get("event") == name]
        return found


def database_env(database: str, user: str | None = None) -> dict[str, str]:
    """Return the environment variables for a database, given as a connection string."""
    parts = conninfo_to_dict(database)
    return {
        "ENVIRONMENT": "local",
        "DB_HOST": str(parts["host"]),
        "DB_PORT": str(parts["port"]),
        "DB_NAME": str(parts["dbname"]),
        "DB_USERNAME": user or str(parts["user"]),
    }


def start(task: str, arguments: tuple[str, ...], environment: dict[str, str]) -> subprocess.Popen[str]:
    """Start a task, given as its module in ``paidleave``, or as ``module:function`` if the function is not ``main``."""
    module, _, function = task.partition(":")
    code = f"from paidleave.{module} import {function or 'main'} as task; task()"
    return forked.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={"PATH": os.environ["PATH"], "ENVIRONMENT": "local", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(process: subprocess.Popen[str]) -> TaskResult:
    """Wait until a process ends and return its result."""
    out, err = process.communicate()
    assert err == ""
    return TaskResult(process.returncode, [json.loads(line) for line in out.splitlines()], out)


def run(task: str, *arguments: str, **environment: str) -> TaskResult:
    """Start a task and wait until it ends."""
    return wait_for(start(task, arguments, environment))
