"""Test tasks with very much output, or one very long line: all of it is stored with constant memory."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from nightferry.backend.runs import RunRequest
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.engine.run_output import LAST_LINES, MAX_LINE_BYTES, MAX_LINES
from nightferry.testing.tiers import LONG
from tests.chaos.engines import start_engine
from tests.local.toy import make_project

BYTES = 30_000_000
LINES = 150_000  # of 100 bytes each, which need 23 MB as strings
FLOOD = 500_000 if not LONG else 10_000_000


def engine_memory(project: Project) -> int:
    """Run an engine until nothing is open, and return its peak memory in bytes."""
    engine = start_engine(project)
    _, status, usage = os.wait4(engine.pid, 0)
    engine.returncode = os.waitstatus_to_exitcode(status)
    assert engine.returncode == 0
    return usage.ru_maxrss * 1024


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> int:
    """Return the peak memory of an engine that runs a task with little output."""
    project = Project.find(make_project(tmp_path_factory.mktemp("baseline") / "project"))
    LocalBackend(project, project.environment("local")).run_task(RunRequest("hello"))
    return engine_memory(project)


@pytest.mark.parametrize(
    ("command", "pieces"),
    [
        pytest.param(f"yes {'x' * 99} | head -n {LINES}", LINES, id="many lines", marks=pytest.mark.long),
        pytest.param(f"head -c {BYTES} /dev/zero | tr '\\0' x", -(-BYTES // MAX_LINE_BYTES), id="one line"),
    ],
)
def test_much_output_is_stored_with_constant_memory(tmp_path: Path, baseline: int, command: str, pieces: int) -> None:
    project = Project.find(make_project(tmp_path / "project"))
    backend = LocalBackend(project, project.environment("local"))
    id = backend.run_task(RunRequest("hello", args=("sh", "-c", command)))
    started = time.monotonic()
    memory = engine_memory(project)
    seconds = time.monotonic() - started
    assert backend.run(id).exit_code == 0
    lengths = [len(line.text) for line in backend.log([id])]
    assert len(lengths) == pieces
    expected = LINES * 99 if pieces == LINES else BYTES
    print(f"{expected / seconds / 1e6:.0f} MB/s, {(memory - baseline) / 1e6:.0f} MB more")
    assert sum(lengths) == expected
    assert max(lengths) <= MAX_LINE_BYTES
    assert memory - baseline < 20_000_000


@pytest.mark.long
def test_a_flood_of_lines_does_not_fill_the_store(tmp_path: Path) -> None:
    project = Project.find(make_project(tmp_path / "project"))
    backend = LocalBackend(project, project.environment("local"))
    id = backend.run_task(RunRequest("hello", args=("sh", "-c", f"yes | head -n {FLOOD}; echo last")))
    engine_memory(project)
    texts = [line.text for line in backend.log([id])]
    assert len(texts) == MAX_LINES + 1 + LAST_LINES
    assert texts[MAX_LINES].startswith(f"{FLOOD + 1 - MAX_LINES - LAST_LINES:,} lines are left out")
    assert texts[-1] == "last"
    assert sum(file.stat().st_size for file in project.state.glob("engine.sqlite*")) < 60_000_000
