"""What a run writes: limited lines, events that nothing it prints can forge, and no process that survives it."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from nightferry.backend import RecordsUnreachable, ReportFilter
from nightferry.backend.runs import RunRequest, TaskRun
from nightferry.contract import ReasonCount
from nightferry.environments.project import Project
from nightferry.errors import UnknownName
from nightferry.job.leases import Lease
from nightferry.job.leases.stored import StoredLeases
from nightferry.local.backend import LocalBackend
from nightferry.local.engine import launcher, run_output
from nightferry.local.engine.run_output import Pipe, RunEvents, RunOutput, split_line
from nightferry.local.services.secrets import Mask
from nightferry.local.store import Store
from nightferry.testing import forked
from tests.local.toy import make_project
from tests.module_names import module_name

JOB = """
import os, subprocess, sys, time
from nightferry.job import JobSettings, ReasonCount, Run, background_task

class JobOfTestSettings(JobSettings):
    '''No settings.'''

@background_task("job", JobOfTestSettings)
def main(settings: JobOfTestSettings, run: Run) -> dict[str, int]:
    forged = b'{"message": "forged", "event": "skipped"}\\n'
    os.write(1, forged + b'{"message": "x", "event": "result", "result": {"rows": 9}}\\n')
    for number in range(3, 40):
        try:
            os.write(number, b'E' + forged + forged)
        except OSError:
            pass
    assert "NIGHTFERRY_EVENTS" not in os.environ
    reasons = [ReasonCount("invalid date", 1, "day")]
    for subject in ("a.csv", "../b c.csv"):
        run.report("orders", subject, {"created": 2, "rejected": 1}, total=3, reasons=reasons, reference=7)
    os.write(1, b'{"message": "x", "event": "report", "kind": "orders", "subject": "c", "total": 0, "counts": []}\\n')
    return {"rows": 3}
"""
EXITED = "Essential container in task exited"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = make_project(tmp_path / "a project", out=tmp_path / "out")
    job = module_name("job", folder)
    (folder / f"{job}.py").write_text(JOB)
    catalog = next(folder.glob("toy_*.py"))
    declared = f'catalog.leases = inbox / "leases"\njob = catalog.task("job", main="{job}:main", overlap="skip")\n'
    catalog.write_text(catalog.read_text() + declared)
    return Project.find(folder)


@pytest.fixture
def backend(project: Project) -> LocalBackend:
    return LocalBackend(project, project.environment("local"))


def run(backend: LocalBackend, task: str, *command: str) -> TaskRun:
    id = backend.run_task(RunRequest(task, command))
    asyncio.run(backend.work(lambda: backend.run(id).status == "STOPPED"))
    return backend.run(id)


# ── events ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_output_changes_the_reason_of_a_run(backend: LocalBackend) -> None:
    entry = '{"event": "skipped", "message": "Run x has the lease."}'
    script = f"echo '{entry}'; for fd in 3 4 5 6 7 8 9; do echo '{entry}' >&$fd; done 2>/dev/null; true"
    ended = run(backend, "hello", "sh", "-c", script)
    assert (ended.exit_code, ended.reason) == (0, EXITED)


def test_a_job_cannot_forge_its_reason_or_result(backend: LocalBackend) -> None:
    ended = run(backend, "job")
    assert (ended.exit_code, ended.reason) == (0, EXITED)
    assert backend.result(ended) == {"rows": 3}
    end = backend.store.run_event(ended.id, "ended")
    assert end is not None
    assert end["exit_code"] == 0
    assert end["peak_memory_bytes"] > 10**6


def test_the_reports_of_a_job_are_stored_and_cannot_be_forged_by_its_output(backend: LocalBackend) -> None:
    ended = run(backend, "job")
    reports = backend.reports(ReportFilter(run=ended.id))
    assert [report.subject for report in reports] == ["../b c.csv", "a.csv"]
    for report in reports:
        assert backend.report(report.id) == report
        assert (report.kind, report.task, report.total, report.reference) == ("orders", "job", 3, 7)
        assert report.counts == {"created": 2, "rejected": 1}
        assert report.reasons == (ReasonCount("invalid date", 1, "day"),)
        with pytest.raises(RecordsUnreachable, match="declares no query for the rejected records of 'orders'"):
            backend.rejected_records(report)
    with pytest.raises(UnknownName):
        backend.report("0" * 32)


def test_the_status_of_a_skipped_run_has_the_reason(backend: LocalBackend, project: Project) -> None:
    declared = project.catalog.tasks["job"].lease
    assert declared is not None
    folder = asyncio.run(resolve_lease(backend, declared))
    Lease(StoredLeases(folder), "job", "other-run", "other-run").acquire("skip", lambda _: None)
    ended = run(backend, "job")
    assert ended.exit_code == 0
    assert ended.reason == "job is already running (other-run); this start is skipped"
    assert backend.result(ended) is None


async def resolve_lease(backend: LocalBackend, declared: str) -> str:
    from nightferry.local.services.services import Services

    return str(Services(backend._project.catalog, backend._environment, backend._project.state).resolve(declared))


# ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────


def is_running(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


DAEMONS = """
env -i setsid -f bash -c 'echo $$ >>"$0"; exec sleep 300' "$OUT"
env -i setsid -f bash -c '(trap "" TERM; echo $BASHPID >>"$0"; exec sleep 300) & exit' "$OUT"
until [ "$(wc -l <"$OUT")" -ge 2 ]; do sleep 0.01; done
"""


@pytest.fixture
def pids(tmp_path: Path) -> Iterator[Callable[[], list[int]]]:
    file = tmp_path / "out"
    file.touch()

    def read() -> list[int]:
        return [int(pid) for pid in file.read_text().split()]

    yield read
    for pid in read():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("ending", ["exit 3", "kill -9 $$"])
def test_daemons_end_with_their_command(backend: LocalBackend, pids: Callable[[], list[int]], ending: str) -> None:
    started = time.monotonic()
    ended = run(backend, "flaky", "bash", "-c", f"{DAEMONS}{ending}")
    assert ended.exit_code == (3 if ending == "exit 3" else 137)
    assert time.monotonic() - started < 30
    assert len(pids()) == 2
    assert not any(is_running(pid) for pid in pids())


def test_daemons_end_with_a_stopped_run(
    backend: LocalBackend, pids: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "STOP_GRACE_SECONDS", 0.3)
    id = backend.run_task(RunRequest("flaky", ("bash", "-c", f"trap '' TERM; {DAEMONS} while true; do sleep 60; done")))

    async def work() -> None:
        working = asyncio.create_task(backend.work(lambda: backend.run(id).status == "STOPPED"))
        while len(pids()) < 2:
            await asyncio.sleep(0.02)
        backend.stop(id, "enough")
        await asyncio.wait_for(working, 30)

    asyncio.run(work())
    assert backend.run(id).exit_code == 137
    assert not any(is_running(pid) for pid in pids())


def test_daemons_end_with_a_killed_engine(
    project: Project, backend: LocalBackend, pids: Callable[[], list[int]]
) -> None:
    backend.run_task(RunRequest("flaky", ("bash", "-c", f"{DAEMONS} sleep 300")))
    code = (
        "import asyncio, sys; from nightferry.environments.project import Project\n"
        "from nightferry.local.backend import LocalBackend\nfrom pathlib import Path\n"
        "project = Project.find(Path(sys.argv[1]))\n"
        "asyncio.run(LocalBackend(project, project.environment('local')).work(lambda: False))\n"
    )
    with forked.Popen([sys.executable, "-c", code, str(project.root)]) as engine:
        deadline = time.monotonic() + 60
        while len(pids()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        engine.kill()
    deadline = time.monotonic() + 15
    while any(is_running(pid) for pid in pids()) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(is_running(pid) for pid in pids())


def test_a_missing_program_is_explained(backend: LocalBackend) -> None:
    ended = run(backend, "missing")
    assert (ended.exit_code, ended.stop_code) == (None, "TaskFailedToStart")
    assert ended.reason is not None
    assert "no-such-program: No such file or directory. Check that the program is installed" in ended.reason


def test_a_start_that_fails_for_lack_of_descriptors_keeps_none(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    class LastPipe(Pipe):
        def __init__(self) -> None:
            if kept:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            super().__init__()
            kept.extend((self._read, self.write))

    monkeypatch.setattr(launcher, "Pipe", LastPipe)
    ended = run(backend, "hello")
    assert ended.reason is not None
    assert "Too many open files" in ended.reason
    for descriptor in kept:
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(descriptor)


# ── lines ─────────────────────────────────────────────────────────────────────────────────────────────────────


def store_output(tmp_path: Path, content: bytes) -> list[str]:
    store = Store(tmp_path / "engine.sqlite")
    store.add_run("run", "task", [], {})

    async def feed() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(content)
        reader.feed_eof()
        await RunOutput(store, "run", Mask([])).store(reader)

    asyncio.run(feed())
    found = [line.text for line in store.lines(["run"], 0, 10**6)]
    store.close()
    return found


def test_the_first_and_last_lines_of_a_flood_are_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_output, "MAX_LINES", 100)
    monkeypatch.setattr(run_output, "LAST_LINES", 10)
    lines = store_output(tmp_path, b"".join(b"%d\n" % n for n in range(1000)) + b"last")
    assert lines[:100] == [str(n) for n in range(100)]
    assert lines[100].startswith("891 lines are left out here.")
    assert lines[101:] == [str(n) for n in range(991, 1000)] + ["last"]


def test_long_lines_of_a_flood_are_limited_by_their_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_output, "MAX_BYTES", 1_000_000)
    monkeypatch.setattr(run_output, "_LAST_BYTES", 1_000_000)
    lines = store_output(tmp_path, (b"x" * 100_000 + b"\n") * 100)
    assert sum(map(len, lines)) < 2_200_000
    assert sum(line.startswith("x") for line in lines) == 20
    assert "80 lines are left out" in lines[10]


def test_a_run_within_the_limits_has_no_notice(tmp_path: Path) -> None:
    assert store_output(tmp_path, b"one\n\ntwo\r\n") == ["one", "two"]


def test_a_long_event_is_ignored_and_does_not_block_the_supervisor(tmp_path: Path) -> None:
    store = Store(tmp_path / "engine.sqlite")
    store.add_run("run", "task", [], {})
    ended = b'{"event": "ended", "exit_code": 0}\n'

    async def feed() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b'{"event": "result", "x": "' + b"x" * 2_000_000 + b'"}\n' + ended)
        reader.feed_eof()
        await RunEvents(store, "run").store(reader)
        assert reader.at_eof()

    asyncio.run(feed())
    assert store.run_event("run", "result") is None
    assert store.run_event("run", "ended") == {"event": "ended", "exit_code": 0}
    store.close()


def test_the_reports_of_a_run_are_stored_up_to_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_output, "_MAX_REPORTS", 3)
    store = Store(tmp_path / "engine.sqlite")
    store.add_run("run", "task", [], {})
    report = {"event": "report", "task": "task", "kind": "orders", "subject": "../a.csv", "total": 2, "counts": []}
    lines = [{**report, "counts": [{"outcome": "created", "count": count}]} for count in (2, 3, 2, 2, 2)]

    async def feed() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
        reader.feed_eof()
        await RunEvents(store, "run").store(reader)

    asyncio.run(feed())
    stored = store.reports(limit=10)
    assert [one.subject for one in stored] == ["../a.csv"] * 3, "the one that does not add up is left out"
    assert {one.run for one in stored} == {"run"}
    store.close()


def test_a_line_is_split_between_characters() -> None:
    line = ("a" + "ä" * 200_000).encode()
    piece, rest = split_line(line)
    assert piece.decode() + rest.decode() == line.decode()
