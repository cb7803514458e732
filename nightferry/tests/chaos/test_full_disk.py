"""A disk that fills up while a task writes: the engine says so, waits, and goes on when there is room again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.engines import PATIENCE

LINES = 60_000
# In a mount namespace of its own, where the state directory is a file system of 16 MB.
SCRIPT = f'''
import asyncio, os, sys
from pathlib import Path
from nightferry.backend.interface import RunRequest
from nightferry.local.backend import LocalBackend
from nightferry.environments.project import Project
from tests.local.toy import make_project

root = Path(sys.argv[1])
os.environ["NIGHTFERRY_STATE"] = str(root / "small")
project = Project.find(make_project(root / "project"))
backend = LocalBackend(project, project.environment("local"))
filler = root / "small" / "filler"
filler.write_bytes(bytes(14_000_000))
id = backend.run_task(RunRequest("chatty", command=("seq", "1", "{LINES}")))

async def make_room():
    kept = -1
    while True:  # until a second goes by in which no line was kept
        now = len(backend.store.lines([id], 0, limit=10**9))
        if now and now == kept:
            break
        kept = now
        await asyncio.sleep(1)
    print("kept while full:", kept, "status", backend.run(id).status)
    assert kept < {LINES}
    assert backend.run(id).status == "RUNNING"
    filler.unlink()

async def both():
    await asyncio.gather(backend.work(lambda: backend.run(id).status == "STOPPED"), make_room())

asyncio.run(both())
assert backend.run(id).exit_code == 0, backend.run(id)
assert [line.text for line in backend.log([id])] == [str(n) for n in range(1, {LINES} + 1)]
print("all kept")
'''


def test_nothing_is_lost_when_the_disk_fills_up(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    mount = 'mount -t tmpfs -o size=16m small "$1/small"'
    if subprocess.run(["unshare", "-rm", "sh", "-c", mount, "sh", tmp_path], capture_output=True).returncode != 0:
        pytest.skip("this machine lets nobody mount a small file system")
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", f'{mount} && exec "$2" -c "$3" "$1"', "sh", tmp_path, sys.executable, SCRIPT],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all kept" in done.stdout
    assert "Free space on the disk" in done.stderr
