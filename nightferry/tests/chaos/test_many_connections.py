"""An engine outlives more idle connections than it may open files, and any other lack of file descriptors."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nightferry.backend.runs import RunRequest
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.engine.engine_lock import read_address
from tests.chaos.engines import until
from tests.cli.terminal import PROGRAM
from tests.local.toy import make_project

FILES = 100  # that the engine may open


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project.find(make_project(tmp_path / "a project"))


@pytest.fixture
def engine(project: Project) -> Iterator[subprocess.Popen[bytes]]:
    output = project.root / "engine.out"
    command = ["sh", "-c", f'ulimit -n {FILES}; exec "$0" up --port 0', PROGRAM]
    with output.open("wb") as sink:
        process = subprocess.Popen(command, cwd=project.root, stdout=sink, stderr=sink)
    until(lambda: read_address(project.state) is not None or process.poll() is not None, "the engine is up")
    yield process
    process.kill()
    process.wait()


def get_health(project: Project) -> Any:
    address = read_address(project.state)
    try:
        with urllib.request.urlopen(f"{address}/health", timeout=30) as response:
            return json.loads(response.read())["problems"]
    except urllib.error.HTTPError as error:
        return json.loads(error.read())["problems"]
    except OSError:
        return None


def test_idle_connections_do_not_end_the_engine(project: Project, engine: subprocess.Popen[bytes]) -> None:
    address = read_address(project.state)
    assert address is not None
    port = int(address.rpartition(":")[2])
    idle = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(5 * FILES)]
    assert get_health(project) == {}
    backend = LocalBackend(project, project.environment("local"))
    run = backend.run_task(RunRequest("hello"))
    until(lambda: backend.run(run).status == "STOPPED", "a task runs")
    assert backend.run(run).exit_code == 0
    assert engine.poll() is None
    lines = (project.root / "engine.out").read_text().splitlines()
    assert len(lines) < 20, "nothing is logged for each connection"
    assert all(line.startswith("{") for line in lines)
    for connection in idle:
        connection.close()


@pytest.mark.long
def test_without_file_descriptors_the_engine_reports_and_recovers(
    project: Project, engine: subprocess.Popen[bytes]
) -> None:
    resource.prlimit(engine.pid, resource.RLIMIT_NOFILE, (3, FILES))  # no file can be opened any longer
    (project.root / "environments" / "local.toml").touch()  # The watch of changes would start a process.
    backend = LocalBackend(project, project.environment("local"))
    run = backend.run_task(RunRequest("hello"))
    log = project.state / "engine.log"
    until(lambda: "The change watch failed: Too many open files" in log.read_text(), "the problem is logged")
    assert engine.poll() is None
    resource.prlimit(engine.pid, resource.RLIMIT_NOFILE, (FILES, FILES))
    until(lambda: backend.run(run).status == "STOPPED", "the run has an end")
    until(lambda: get_health(project) == {}, "the engine is healthy again")
    again = backend.run_task(RunRequest("hello"))
    until(lambda: backend.run(again).exit_code == 0, "tasks run again")
    assert len(log.read_text().splitlines()) < 30, "the same problem is not logged each time"
