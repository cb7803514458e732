"""Test ``nightferry up`` as a process: its lock, status server, work for other commands, drain and kill."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from rich.console import Console

from nightferry.backend.queries import RunFilter
from nightferry.backend.runs import RunRequest
from nightferry.cli.run.up_screen import render
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.engine.engine import Engine
from nightferry.local.runs.starts import Starter
from nightferry.local.services.services import Services
from nightferry.local.store import Store
from nightferry.local.triggers.scheduler import Scheduler
from nightferry.local.up import RunningEngine
from nightferry.testing import forked
from tests.chaos.engines import until
from tests.cli.terminal import PROGRAM
from tests.local.toy import make_project

SERVICE = """
SERVER = ("python", "-m", "http.server", "--bind", "127.0.0.1", "${service:web.port}")
catalog.service(CommandService("web", SERVER, "/"))
"""
STOPS_CLEANLY = "trap 'echo cleanly; exit 143' TERM; sleep 60 & echo begun; wait"


@dataclass
class Running:
    """An engine in a separate process. Its journal is its log on stdout."""

    project: Project
    process: subprocess.Popen[bytes]
    output: Path

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The log entries so far."""
        lines = self.output.read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def find_events(self, event: str) -> list[dict[str, Any]]:
        """Return the log entries of one event."""
        return [line for line in self.journal if line.get("event") == event]

    def get(self, path: str) -> httpx.Response:
        """Send a request with the token for scripts to the engine's server."""
        token = (self.project.state / "dashboard.token").read_text()
        return httpx.get(self.url + path, headers={"Authorization": f"Bearer {token}"}, timeout=30)

    @property
    def url(self) -> str:
        """The address of the engine's server."""
        return str(self.find_events("up")[0]["url"])

    def signal(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal to the engine."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait until the engine ends, and return its exit code."""
        return self.process.wait(60)


Begin = Callable[..., Running]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Begin]:
    running: list[Running] = []

    def start(more: str = "", engine: str = "", *, root: Path | None = None) -> Running:
        folder = root or make_project(tmp_path / "project")
        if root is None:
            module = next(folder.glob("toy_*.py"))
            module.write_text(module.read_text() + more)
            with (folder / "environments" / "local.toml").open("a") as file:
                file.write(f"[engine]\n{engine}\n")
        output = tmp_path / f"out-{len(running)}"
        with output.open("wb") as sink:
            process = forked.Popen(
                [PROGRAM, "up", "--port", "0"],
                cwd=folder,
                stdout=sink,
                stderr=sink,
            )
        one = Running(Project.find(folder), process, output)
        running.append(one)
        until(lambda: bool(one.find_events("up")) or process.poll() is not None, "the engine is up")
        return one

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()


def backend(of: Running) -> LocalBackend:
    return LocalBackend(of.project, of.project.environment("local"))


def test_it_runs_tasks_of_other_commands_and_reports_its_status(begin: Begin) -> None:
    up = begin()
    client = backend(up)
    good, bad = client.run_task(RunRequest("hello")), client.run_task(RunRequest("three"))
    until(lambda: client.run(good).status == client.run(bad).status == "STOPPED", "both have ended")
    answer = up.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "healthy", "problems": {}})
    metrics = up.get("/metrics").text
    assert 'nightferry_runs_total{status="succeeded",task="hello"} 1.0' in metrics
    assert 'nightferry_runs_total{status="failed",task="three"} 1.0' in metrics
    assert 'nightferry_run_duration_seconds_count{status="succeeded",task="hello"} 1.0' in metrics
    assert 'nightferry_queued_runs{task="hello"} 0.0' in metrics
    check_the_port_serves_the_dashboard_behind_its_gate(up)
    check_only_the_loopback_interface_answers(up)
    check_a_second_engine_is_refused(begin, up)
    check_a_port_in_use_is_reported(up)
    up.signal()
    assert up.end() == 0
    assert up.find_events("down")


def check_the_port_serves_the_dashboard_behind_its_gate(up: Running) -> None:
    login = forked.run([PROGRAM, "dashboard"], cwd=up.project.root, capture_output=True, text=True, check=True)
    with httpx.Client(base_url=up.url, follow_redirects=True) as browser:
        for path, status in (
            ("/health", 200),
            ("/metrics", 401),
            ("/local/", 401),
            ("/healthz", 401),
            ("/x/health", 401),
        ):
            assert browser.get(path).status_code == status, path
            for host in ("attacker.example", "127.0.0.1", "127.0.0.1:1"):
                assert browser.get(path, headers={"Host": host}).status_code == 421, (path, host)
        assert browser.get(login.stdout.split()[-1]).status_code == 200
        assert "hello" in browser.get("/local/runs").text
    assert (up.project.state / "dashboard.token").stat().st_mode & 0o777 == 0o600
    assert "code=" not in up.output.read_text(), "a login code is not for a log"


def check_only_the_loopback_interface_answers(up: Running) -> None:
    port = int(up.find_events("up")[0]["url"].rpartition(":")[2])
    others = [a.address for of in psutil.net_if_addrs().values() for a in of if a.family == socket.AF_INET]
    for address in others:
        if not address.startswith("127."):
            with socket.socket() as probe:
                assert probe.connect_ex((address, port)) != 0


def check_a_second_engine_is_refused(begin: Begin, first: Running) -> None:
    second = begin(root=first.project.root)
    assert second.end() == 2
    assert f"Process {first.process.pid} is already running the engine for" in second.output.read_text()
    assert "Traceback" not in second.output.read_text()


TRIGGER = """
from pydantic import Field
class ObjectSettings(Settings):
    s3_bucket: str = ""
    s3_key: str = ""
    s3_version: str = ""
taken = catalog.task("taken", config=ObjectSettings, command=["sh", "-c", "echo $S3_KEY"])
catalog.object_trigger("arrival", taken, bucket=inbox, prefix="in/")
"""


FAILING = (
    """
sh("full", """
    + '"""echo \'{"level": "ERROR", "message": "The disk is full"}\'; exit 3"""'
    + """)
catalog.workflow("nightly", Steps(RunTask(catalog.tasks["full"])))
"""
)


def test_each_run_and_workflow_that_failed_is_printed_with_its_cause(begin: Begin) -> None:
    up = begin(FAILING)
    for task in ("full", "hello"):
        backend(up).run_task(RunRequest(task))
    execution = backend(up).start_workflow("nightly", {})
    until(lambda: bool(up.find_events("execution_failed")), "the workflow failed")
    until(lambda: len(up.find_events("run_failed")) == 2, "both runs failed")
    for line in up.find_events("run_failed"):
        run = backend(up).run(line["id"])
        assert line["message"] == (
            f"Task 'full' ended with exit code 3: The disk is full. See: nightferry logs {run.id[:12]}"
        )
    (failed,) = up.find_events("execution_failed")
    assert failed["message"] == (
        f"Workflow 'nightly' failed at step 'full': States.TaskFailed. See: nightferry status {execution}"
    )


def test_a_changed_catalog_is_reported_and_a_broken_one_too(begin: Begin) -> None:
    up = begin()
    module = next(up.project.root.glob("toy_*.py"))
    text = module.read_text()
    module.write_text(f"# A comment\n{text}")  # no declaration changes
    module.write_text(f'{text}\nsh("added", "true")\n')
    until(lambda: bool(up.find_events("catalog_changed")), "the change is reported")
    assert "Restart the engine to use it" in up.find_events("catalog_changed")[0]["message"]
    backend(up).store.add_run("new", "added", [], {})  # as a command does that has read the new catalog
    until(lambda: backend(up).run("new").status == "STOPPED", "the run has ended")
    assert "If it was added since, restart the engine" in (backend(up).run("new").reason or "")
    module.write_text(f"{text}\nnonsense\n")
    until(lambda: bool(up.find_events("catalog_invalid")), "the mistake is reported")
    message = up.find_events("catalog_invalid")[0]["message"]
    assert f"{module}:{len(text.splitlines()) + 2}: NameError: name 'nonsense' is not defined. This" in message
    assert len(up.find_events("catalog_changed")) == 1


def test_the_screen_shows_running_queued_and_upcoming_work(tmp_path: Path) -> None:
    project = Project.find(make_project(tmp_path / "project"))
    environment = project.environment("local")
    project.catalog.schedule("nightly", project.catalog.tasks["hello"], "cron(30 20 * * ? *)")
    services = Services(project.catalog, environment, project.state)
    engine = Engine(project.catalog, environment, project.state, services)
    starter = Starter(engine.store, project.catalog, services.resolve)
    time = datetime(2026, 11, 24, 18, 30, 30, tzinfo=UTC)
    scheduler = Scheduler(engine.store, starter, project.catalog, environment, lambda: time)
    scheduler.tick()
    for id, task in (("aaaa", "slow"), ("bbbb", "hello")):
        engine.store.add_run(id, task, [], {}, started_by="schedule:x")
    engine.store.mark_run_pending("aaaa")
    up = RunningEngine(project, environment, "http://127.0.0.1:1", engine, scheduler, services, starter)
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(render(up, time))
    text = console.export_text()
    assert "nightferry running · local · http://127.0.0.1:1/health · 1 running · 1 waiting · 0 open executions" in text
    assert re.search(r"^aaaa +slow +\S.* schedule:x *$", text, re.MULTILINE)
    assert re.search(r"^nightly +\w{3} 2026-11-2\d \d\d:30:00 +1:59 h *$", text, re.MULTILINE)
    up.draining = True
    console.print(render(up, time))
    assert "Press Ctrl-C again to kill" in console.export_text()
    engine.launcher.close()
    engine.store.close()


def test_a_schedule_fires_in_its_second_and_an_object_starts_its_task(begin: Begin) -> None:
    # There are several because the start may take long on a busy machine. The first that fires is checked.
    now = datetime.now(UTC).replace(microsecond=0)
    soon = {f"in-{seconds}": now + timedelta(seconds=seconds) for seconds in (6, 13, 20, 40)}
    schedules = [f'catalog.schedule("{name}", hello, "at({at:%Y-%m-%dT%H:%M:%S})")' for name, at in soon.items()]
    up = begin("\n".join([TRIGGER, *schedules, ""]))
    arrival = up.project.state / "buckets" / "inbox" / "in" / "a.csv"
    arrival.parent.mkdir()
    arrival.write_text("a")
    client = backend(up)
    until(
        lambda: (
            bool(client.runs(RunFilter(task="taken"))) and client.runs(RunFilter(task="taken"))[0].status == "STOPPED"
        ),
        "its task has ended",
    )
    assert [line.text for line in client.log([client.runs(RunFilter(task="taken"))[0].id])] == ["in/a.csv"]
    until(lambda: bool(up.find_events("schedule_started")), "a schedule fires")
    name = up.find_events("schedule_started")[0]["schedule"]
    [line] = [line for line in up.find_events("schedule_started") if line["schedule"] == name]
    due = soon[name]
    assert line["due_at"] == due.isoformat()
    [run] = [run for run in client.runs(RunFilter(task="hello")) if run.started_by == f"schedule:{name}"]
    assert run.task == "hello"
    assert run.created_at >= due


def test_it_drains_running_tasks_and_leaves_queued_ones(begin: Begin) -> None:
    up = begin(engine="concurrency = 1")
    client = backend(up)
    first = client.run_task(RunRequest("hello", ("sh", "-c", "echo begun; sleep 2")))
    second = client.run_task(RunRequest("hello"))
    execution = client.start_workflow("queued", {})
    until(lambda: [line.text for line in client.log([first])] == ["begun"], "the first is running")
    up.signal(signal.SIGTERM)
    until(lambda: bool(up.find_events("draining")), "the engine drains")
    answer = up.get("/health")
    assert answer.status_code == 503
    assert "no new tasks start" in answer.json()["problems"]["engine"]
    assert up.end() == 0
    assert client.run(first).exit_code == 0
    assert client.run(second).status == "QUEUED"
    assert client.execution(execution).interrupted
    again = begin(root=up.project.root)
    until(lambda: client.run(second).exit_code == 0, "the next engine runs it")
    until(lambda: client.execution(execution).status == "SUCCEEDED", "the next engine finishes the execution")
    again.signal()
    assert again.end() == 0


@pytest.mark.long
def test_a_task_that_exceeds_the_drain_time_is_stopped_cleanly(begin: Begin) -> None:
    up = begin(engine="drain_seconds = 1")
    client = backend(up)
    run = client.run_task(RunRequest("hello", ("sh", "-c", STOPS_CLEANLY)))
    until(lambda: [line.text for line in client.log([run])] == ["begun"], "the run is running")
    up.signal()
    assert up.end() == 0
    assert (client.run(run).exit_code, client.run(run).reason) == (143, "The engine was stopped.")
    assert [line.text for line in client.log([run])] == ["begun", "cleanly"]


def test_a_second_signal_kills_running_tasks(begin: Begin) -> None:
    up = begin()
    client = backend(up)
    run = client.run_task(RunRequest("slow"))
    until(lambda: client.run(run).status == "RUNNING", "the run is running")
    up.signal()
    until(lambda: bool(up.find_events("draining")), "the engine drains")
    up.signal()
    assert up.end() == 137
    assert up.find_events("killed")
    until(lambda: not find_processes_in(up.project.state), "no process is left")


def find_processes_in(state: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(state) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


@pytest.mark.long
def test_a_killed_service_is_restarted_and_health_recovers(begin: Begin) -> None:
    up = begin(SERVICE)
    web = next(process for process in psutil.process_iter() if "http.server" in cmdline(process)
               and process.ppid() == up.process.pid)  # fmt: skip
    assert up.get("/health").status_code == 200
    web.kill()
    until(lambda: bool(up.find_events("service_revived")), "the service is restarted")
    until(lambda: up.get("/health").status_code == 200, "the engine is healthy again")
    up.signal()
    assert up.end() == 0
    assert not [process for process in psutil.process_iter() if str(up.project.state) in cmdline(process)]


def cmdline(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def test_it_waits_while_another_process_locks_the_store_and_reports_it(begin: Begin) -> None:
    up = begin()
    store = Store(up.project.state / "engine.sqlite")
    run = backend(up).run_task(RunRequest("hello"))
    until(lambda: backend(up).run(run).status == "STOPPED", "the run has ended")
    late = backend(up).run_task(RunRequest("hello", ("sh", "-c", "echo begun; sleep 0.5; seq 1 100")))
    until(lambda: bool(list(backend(up).log([late]))), "the second is running")
    with store.transaction():
        store._db.execute("UPDATE run SET started_by = started_by")
        until(lambda: bool(up.find_events("store_waits")), "the engine reports that it is waiting")
        answer = up.get("/health")
        assert answer.status_code == 503
        assert "Another process has locked the store" in answer.json()["problems"]["store"]
        time.sleep(0.5)  # Meanwhile, more lines to write accumulate.
    until(lambda: backend(up).run(late).status == "STOPPED", "the second has ended")
    assert [line.text for line in backend(up).log([late])] == ["begun", *map(str, range(1, 101))]
    until(lambda: up.get("/health").status_code == 200, "the engine is healthy again")


def check_a_port_in_use_is_reported(up: Running) -> None:
    port = up.find_events("up")[0]["url"].rpartition(":")[2]
    done = forked.run(
        [PROGRAM, "up", "--port", port],
        cwd=up.project.root,
        env=os.environ | {"NIGHTFERRY_STATE": str(up.output) + ".state"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"Cannot listen on port {port} of 127.0.0.1 (Address already in use)" in done.stderr
