"""The dashboard of an engine with a large store, over real HTTP: the goals that depend on the clock.

A project with 100,000 runs, 10,000 executions and 1,000,000 lines is served by ``nightferry up``. One client requests
each page many times, one request after the other. The page of the keys reads no data, so its time is what the server,
the gate and the templates need at least. Then the schedules' lateness and the memory are read from ``/metrics``.

Limits of times are for a machine that does nothing else. They are multiplied by its slowdown during the measurement:
the time of a computation divided by its processor time.

``QUICK=1`` makes a tenth of the requests.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.dashboard_store import EXECUTION, EXECUTIONS, LINES, LONG_LOG, LONG_RUN, RECENT_RUN, RUNS, make_project
from benchmarks.judge import QUICK, Limit, judge
from benchmarks.processes import exit_on_sigterm
from nightferry.dashboard.access import read_token
from nightferry.dashboard.assets import read_asset
from nightferry.dashboard.server import make_engine_login
from nightferry.environments.project import Project

SCALE = 0.1 if os.environ.get(QUICK) else 1.0
SAMPLES = int(200 * SCALE)  # of each page
MEMORY_REQUESTS = int(5_000 * SCALE)
MEMORY_EXECUTIONS = 1000
LOAD_PER_SECOND = 20
LOAD_SECONDS_AROUND_START = 5.0
"""The shortest duration of the load before and after the minute in which schedules fire."""
PAGE_SECONDS = 0.1
EMPTY_PAGE = "/local/help"
PAGES = {
    "/": "/local/",
    "/runs": "/local/runs",
    "/runs, failed runs of a task": "/local/runs?task=task-3&outcome=failed",
    "/runs/ID": f"/local/runs/{RECENT_RUN}",
    "/executions": "/local/executions",
    "/executions/ID": f"/local/executions/{EXECUTION}",
    "/engine": "/local/engine",
}


def main() -> None:
    """Print the table of goals. Exit with 1 if one is missed."""
    exit_on_sigterm()
    with tempfile.TemporaryDirectory(prefix="nightferry-bench-") as name:
        started = time.monotonic()
        project = make_project(Path(name) / "a project")
        size = (project.state / "engine.sqlite").stat().st_size / 1e6
        print(
            f"Store with {RUNS:,} runs, {EXECUTIONS:,} executions and {LINES:,} lines: {size:,.0f} MB, written in "
            f"{time.monotonic() - started:.0f} s"
        )
        with _serve(project) as engine:
            goals = [*_measure_pages(engine), *_measure_logs(engine), *_weigh(engine), *_disturb(engine)]
            goals += _measure_memory(engine)
    judge(*goals)


@dataclass
class _Engine:
    """The running engine: a client that is logged in, and the token for its metrics."""

    client: httpx.Client
    token: str
    process: psutil.Process

    def read_processor_seconds(self) -> float:
        """Return the processor time that the engine has used."""
        times = self.process.cpu_times()
        return times.user + times.system

    def read_metric(self, name: str) -> float:
        """Return a gauge."""
        text = self.client.get("/metrics", headers={"Authorization": f"Bearer {self.token}"}).text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


@contextlib.contextmanager
def _serve(project: Project) -> Iterator[_Engine]:
    command = [str(Path(sys.executable).with_name("nightferry")), "up", "--port", "0"]
    with (project.root / "engine.out").open("wb") as output:
        process = subprocess.Popen(command, cwd=project.root, stdout=output, stderr=output)
        try:
            end = time.monotonic() + 60
            while (login := make_engine_login(project.state)) is None:
                if process.poll() is not None or time.monotonic() > end:
                    raise SystemExit((project.root / "engine.out").read_text(errors="replace"))
                time.sleep(0.1)
            base = login.partition("/login")[0]
            with httpx.Client(base_url=base, headers={"Sec-Fetch-Site": "same-origin"}, timeout=60) as client:
                client.get(login)
                yield _Engine(client, read_token(project.state), psutil.Process(process.pid))
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass
class _Times:
    """The sorted seconds of equal requests, their processor time in the engine, and the machine's slowdown."""

    seconds: list[float]
    processor_seconds: float
    slowdown: float

    @property
    def median(self) -> float:
        """Return the median."""
        return statistics.median(self.seconds)

    @property
    def p95(self) -> float:
        """Return the time that 95 percent of the requests keep."""
        return self.seconds[int(len(self.seconds) * 0.95)]

    def judge(self, name: str, limit: float) -> Limit:
        """Return the goal for the 95th percentile; ``limit`` is in seconds."""
        return Limit(f"p95 of {name}", self.p95 * 1000, limit * self.slowdown * 1000, "ms")


def _measure_slowdown() -> float:
    wall, processor = time.perf_counter(), time.process_time()
    while time.process_time() - processor < 0.05:
        sum(range(1000))
    return max(1.0, (time.perf_counter() - wall) / (time.process_time() - processor))


def _time(engine: _Engine, path: str, samples: int) -> _Times:
    """Return the times of requests, after two that fill caches."""
    times, slowdowns = [], []
    used = engine.read_processor_seconds()
    for number in range(samples + 2):
        if number % max(1, samples // 10) == 0:
            slowdowns.append(_measure_slowdown())
        started = time.perf_counter()
        response = engine.client.get(path)
        took = time.perf_counter() - started
        if response.status_code != 200:
            raise SystemExit(f"{path}: status {response.status_code}: {response.text[:300]}")
        if number >= 2:
            times.append(took)
    used = (engine.read_processor_seconds() - used) / (samples + 2)
    return _Times(sorted(times), used, statistics.mean(slowdowns))


def _measure_pages(engine: _Engine) -> Iterator[Limit]:
    empty = _time(engine, EMPTY_PAGE, SAMPLES)
    _report("an empty page", empty, empty)
    for name, path in PAGES.items():
        times = _time(engine, path, SAMPLES)
        _report(name, times, empty)
        yield times.judge(name, PAGE_SECONDS)


def _report(name: str, times: _Times, empty: _Times) -> None:
    print(
        f"{name:40} median {times.median * 1000:7.1f} ms, {times.median / empty.median:4.1f} times an empty page; "
        f"{times.processor_seconds * 1000:6.1f} ms of processor time; the machine is {times.slowdown:.1f} times slower"
    )


def _measure_logs(engine: _Engine) -> Iterator[Limit]:
    few = max(10, SAMPLES // 10)
    log = f"/local/runs/{LONG_RUN}/log"
    yield _time(engine, log, few).judge(f"the last lines of {LONG_LOG:,}", 0.2)
    yield _time(engine, f"{log}?q=Row+99000", few).judge(f"a search in {LONG_LOG:,} lines", 1)
    yield Limit(f"page of a log of {LONG_LOG:,} lines, raw", len(engine.client.get(log).content) / 1000, 150, "kB")


def _weigh(engine: _Engine) -> Iterator[Limit]:
    css, script = (gzip.compress(read_asset(kind).content, 5) for kind in ("css", "js"))
    page = gzip.compress(engine.client.get("/local/").content, 5)
    yield Limit(
        "first view, compressed: HTML, CSS and JavaScript", (len(page) + len(css) + len(script)) / 1000, 60, "kB"
    )
    yield Limit("JavaScript, compressed", len(script) / 1000, 15, "kB")
    yield Limit("lines of JavaScript", read_asset("js").content.count(b"\n"), 600, "lines")


def _disturb(engine: _Engine) -> Iterator[Limit]:
    """Request pages at a steady rate, until schedules have fired at the beginning of a minute."""
    paths = list(PAGES.values())
    lateness, sent, behind = 0.0, 0, 0.0
    duration = 60 - (time.time() + LOAD_SECONDS_AROUND_START) % 60 + 2 * LOAD_SECONDS_AROUND_START
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < duration:
        due = sent / LOAD_PER_SECOND
        if elapsed < due:
            time.sleep(due - elapsed)
        behind = max(behind, elapsed - due)
        engine.client.get(paths[sent % len(paths)])
        sent += 1
        if sent % LOAD_PER_SECOND == 0:
            late = engine.read_metric("nightferry_scheduler_lateness_seconds")
            lateness = max(lateness, late, engine.read_metric("nightferry_scheduler_lag_seconds"))
    print(f"{sent} requests in {elapsed:.0f} s, at most {behind:.2f} s behind {LOAD_PER_SECOND} requests/s")
    yield Limit(f"lateness of starts under {LOAD_PER_SECOND} requests/s", lateness, 1, "s")
    problems = json.loads(engine.client.get("/health").text)["problems"]
    yield Limit("problems of /health after it", len(problems), 0, "")


def _measure_memory(engine: _Engine) -> Iterator[Limit]:
    """Request many pages over many executions, and compare the memory of the engine before and after."""
    before = engine.read_metric("nightferry_engine_memory_bytes")
    for number in range(MEMORY_REQUESTS):
        execution = EXECUTIONS - 1 - number % MEMORY_EXECUTIONS
        engine.client.get(f"/local/executions/w{execution % 4}-{execution:08}")
    grown = (engine.read_metric("nightferry_engine_memory_bytes") - before) / 1e6
    yield Limit(
        f"more memory after {MEMORY_REQUESTS:,} requests over {MEMORY_EXECUTIONS:,} executions", grown, 150, "MB"
    )


if __name__ == "__main__":
    main()
