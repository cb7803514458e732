"""Following a log in a real browser: no line is lost or doubled, and no reader is disturbed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.local.store import now
from nightferry.local.store.times import format_time
from nightferry.testing.tiers import LONG
from tests.dashboard.dashboards import make_login

RUN = "cd" * 16
RATE = 1000  # lines per second
SECONDS = 60 if LONG else 2
MOST_ROWS = 2000

_WATCH = """() => {
    window.seen = [];
    window.most = 0;
    window.tasks = [];
    const list = document.querySelector("ol.log");
    const keep = (row) => { if (row.id) seen.push(Number(row.id.slice(1))); };
    list.querySelectorAll("li").forEach(keep);
    new MutationObserver((changes) => {
        for (const change of changes) change.addedNodes.forEach((row) => { if (row.nodeType === 1) keep(row); });
        most = Math.max(most, list.childElementCount);
    }).observe(list, { childList: true });
    new PerformanceObserver((found) => found.getEntries().forEach((one) => tasks.push(one.duration)))
        .observe({ entryTypes: ["longtask"] });
}"""


class Writer:
    """Writes lines of a running run in a thread, in batches like the engine."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self.written = 0
        self._backend = self._open()
        self._backend.store.add_run(RUN, "hello", [], {})
        begun = format_time(now() - timedelta(seconds=1))
        self._backend.store._db.execute("UPDATE run SET status = 'RUNNING', started_at = ?", (begun,))

    def _open(self) -> LocalBackend:
        return LocalBackend(self._project, self._project.environment("local"))

    def write(self, lines: int) -> None:
        """Write some lines at once."""
        self._write(self._backend, lines)

    def _write(self, backend: LocalBackend, lines: int) -> None:
        first = self.written + 1
        backend.store.add_lines([(RUN, f"line {n}") for n in range(first, first + lines)])
        self.written += lines

    def run(self, seconds: float) -> None:
        """Write lines at the rate in another thread until it has ended."""

        def work() -> None:
            backend = self._open()
            began = time.monotonic()
            while self.written < seconds * RATE:
                if self.written < (time.monotonic() - began) * RATE:
                    self._write(backend, RATE // 20)
                else:
                    time.sleep(0.01)
            backend.store.close()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    def stop(self) -> None:
        """End the run."""
        self._backend.store.mark_run_stopped(RUN, 0, "EssentialContainerExited", None)


@pytest.fixture
def writer(project_root: Path) -> Writer:
    return Writer(Project.find(project_root))


@pytest.fixture
def page(chromium: Any, serve: Callable[..., str], project_root: Path, writer: Writer) -> Iterator[Any]:
    """Return the log of the running run, which has 30 lines."""
    writer.write(30)
    context = chromium.new_context(viewport={"width": 800, "height": 500})
    page = context.new_page()
    address = serve(project_root)
    page.goto(make_login(address))
    page.goto(f"{address}/local/runs/{RUN}/log")
    page.evaluate(_WATCH)
    yield page
    context.close()


def wait_for(page: Any, line: int) -> None:
    page.wait_for_function(f"() => document.getElementById('L{line}') !== null", timeout=30_000)


def test_a_thousand_lines_per_second_are_followed(page: Any, writer: Writer) -> None:
    page.get_by_text("Following the log.").wait_for()
    writer.run(SECONDS)
    writer.stop()
    page.get_by_text("The run has stopped.").wait_for(timeout=30_000)
    assert page.evaluate("seen") == list(range(1, writer.written + 1))
    assert writer.written >= SECONDS * RATE
    assert page.evaluate("most") <= MOST_ROWS + 101  # those of one event are removed after they are added
    assert page.locator("ol.log > li").count() <= MOST_ROWS
    assert page.locator(f"#L{writer.written}").is_visible()
    if LONG:  # depends on the machine, so it is printed
        print("tasks above 50 ms:", sorted(page.evaluate("tasks")))


@pytest.mark.long
def test_a_reader_of_earlier_lines_is_not_disturbed(page: Any, writer: Writer) -> None:
    writer.write(400)
    wait_for(page, 430)
    page.mouse.move(300, 250)
    page.mouse.wheel(0, -3000)
    page.get_by_text("Paused while you read above.").wait_for(state="attached")
    before = page.evaluate("scrollY")
    top = page.evaluate("document.elementFromPoint(300, 250).closest('li').id")
    writer.write(3000)
    page.wait_for_timeout(700)
    assert page.evaluate("scrollY") == before
    assert page.evaluate("document.elementFromPoint(300, 250).closest('li').id") == top
    page.get_by_role("button", name="Continue at the end").click()
    wait_for(page, 3430)
    assert page.evaluate("seen") == list(range(1, 3431))


@pytest.mark.long
def test_an_interrupted_stream_continues(page: Any, writer: Writer) -> None:
    page.get_by_text("Following the log.").wait_for()
    page.context.set_offline(True)
    writer.write(500)
    page.wait_for_timeout(300)
    page.context.set_offline(False)
    writer.write(500)
    wait_for(page, 1030)
    assert page.evaluate("seen") == list(range(1, 1031))
