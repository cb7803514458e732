"""Test an engine whose disk fills up while a task writes: it reports this, waits, and resumes when there is space."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.engines import TIMEOUT_SECONDS

LINES = 60_000
# Runs in a mount namespace in which the state directory is a file system of 16 MB.
SCRIPT = f'''
import asyncio, os, sys
from pathlib import Path
from nightferry.backend.runs import RunRequest
from nightferry.local.backend import LocalBackend
from nightferry.environments.project import Project
from tests.local.toy import make_project

root = Path(sys.argv[1])
os.environ["NIGHTFERRY_STATE"] = str(root / "small")
project = Project.find(make_project(root / "project"))
backend = LocalBackend(project, project.environment("local"))
filler = root / "small" / "filler"
filler.write_bytes(bytes(14_000_000))
id = backend.run_task(RunRequest("chatty", args=("seq", "1", "{LINES}")))

async def free_space():
    stored = -1
    while True:  # until no line was stored for a second
        now = len(backend.store.lines([id], 0, limit=10**9))
        if now and now == stored:
            break
        stored = now
        await asyncio.sleep(1)
    print("lines while full:", stored, "status", backend.run(id).status)
    assert stored < {LINES}
    assert backend.run(id).status == "RUNNING"
    filler.unlink()

async def both():
    await asyncio.gather(backend.work(lambda: backend.run(id).status == "STOPPED"), free_space())

asyncio.run(both())
assert backend.run(id).exit_code == 0, backend.run(id)
assert [line.text for line in backend.log([id])] == [str(n) for n in range(1, {LINES} + 1)]
print("all stored")
'''


def test_no_line_is_lost_when_the_disk_fills_up(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    mount = 'mount -t tmpfs -o size=16m,mode=0700 small "$1/small"'
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount, "sh", tmp_path], capture_output=True).returncode != 0:
        pytest.skip("this machine does not allow mounting a file system")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$2" -c "$3" "$1"', "sh", tmp_path, sys.executable, SCRIPT],
        capture_output=True,
        text=True,
        timeout=2 * TIMEOUT_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all stored" in done.stdout
    assert "Free space on the disk" in done.stderr
