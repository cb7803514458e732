"""The pages in a real browser: accessible, within the window, usable by keys and without scripts, refreshed alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe

from nightferry.backend import Unreachable
from nightferry.dashboard.routes import PAGES
from nightferry.dashboard.server import open_browser
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.testing.tiers import LONG
from tests.dashboard.dashboards import make_login
from tests.dashboard.log_writer import RATE, RUN, Writer
from tests.dashboard.night import copy_night
from tests.dashboard.test_pages import list_pages, list_samples
from tests.local import toy

WIDTHS = (360, 1280)
THEMES = ("light", "dark")
_RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def address(night: Path, night_site: Site, serve_night: Callable[..., str]) -> str:
    return serve_night(night, batches=night_site.batches)


@pytest.fixture(scope="module")
def tab(chromium: Any) -> Iterator[Any]:
    """Return the page of one browser profile. A profile of its own for each test would cost as much as the test."""
    context = chromium.new_context()
    yield context.new_page()
    context.close()


@pytest.fixture
def page(tab: Any, address: str) -> Any:
    """Return a page of usual size that is logged in."""
    tab.set_viewport_size({"width": 1280, "height": 720})
    tab.goto(make_login(address))
    return tab


def test_a_file_logs_a_browser_in(chromium: Any, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--open`` opens a file, which is another site for a browser."""
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    open_browser(tmp_path, make_login(address))
    context = chromium.new_context()
    page = context.new_page()
    page.goto(opened[0])
    page.wait_for_url(f"{address}/local/")
    assert page.locator("h1").text_content()
    context.close()


def base(page: Any) -> str:
    parts = urlsplit(page.url)
    return f"{parts.scheme}://{parts.netloc}"


def list_urls(site: Site) -> list[str]:
    """Return URLs of all pages but downloads; without the long tier, one of every fourth page."""
    samples = list_samples(site)
    pages = [path for path in list_pages() if not path.endswith((".txt", ".csv", "/stream"))]
    return [url for path in pages for url in samples[path]] if LONG else [samples[path][0] for path in pages[::4]]


_SMALL_TARGETS = """() => [...document.querySelectorAll(
    "button, select, input:not([type=hidden]), summary, a.row, .button"
)]
    .filter((one) => one.getClientRects().length && one.getBoundingClientRect().height < 24)
    .map((one) => one.outerHTML.slice(0, 120))"""


def find_problems(page: Any, urls: list[str], *, all_combinations: bool = LONG) -> list[str]:
    """Return what axe and the window show on pages.

    axe needs half a second for a page. Without all combinations of theme and width, it reads every third page, and
    these take turns.
    """
    combinations = list(itertools.product(THEMES, WIDTHS))
    axe, problems = Axe(), []
    for number, url in enumerate(urls):
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(f"{base(page)}/local{url}")
        problems += [f"{url}: {target} is too small" for target in page.evaluate(_SMALL_TARGETS)]
        turns = [] if number % 3 else [combinations[number // 3 % len(combinations)]]
        for theme, width in combinations if all_combinations else turns:
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 740})
            found = axe.run(page, options=_RULES).response["violations"]
            problems += [f"{url} {theme} {width}: {one['id']} {one['nodes'][0]['html'][:200]}" for one in found]
        page.set_viewport_size({"width": 360, "height": 740})
        for size in ("100%", "200%"):
            page.evaluate(f"document.documentElement.style.fontSize = '{size}'")
            if page.evaluate("document.documentElement.scrollWidth") > 360:
                problems.append(f"{url} is wider than the window at {size}")
    return problems


def test_pages_fit_a_phone_and_are_accessible(page: Any, night_site: Site) -> None:
    messages: list[str] = []
    page.on("console", lambda message: messages.append(f"{page.url}: {message.text}"))
    page.on("pageerror", lambda error: messages.append(f"{page.url}: {error}"))
    assert find_problems(page, list_urls(night_site)) == []
    assert not messages, "scripts or styles were refused, or failed"


class _Unreachable(LocalBackend):
    """A backend whose place is not reached, as AWS without a network."""

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("_") and callable(getattr(LocalBackend, name, None)):
            raise Unreachable("ecs.us-east-1.amazonaws.com does not respond. Check the network, then try again.")
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    "state",
    [pytest.param("empty", marks=pytest.mark.long), pytest.param("read-only", marks=pytest.mark.long), "unreachable"],
)
def test_other_states_fit_a_phone_and_are_accessible(
    tab: Any, serve: Callable[..., str], night: Path, tmp_path: Path, state: str
) -> None:
    """The long tier visits all pages of the navigation."""
    root = toy.make_project(tmp_path / "an empty project") if state == "empty" else night
    options: dict[str, Any] = {"read-only": {"actions": False}, "unreachable": {"backend": _Unreachable}}.get(state, {})
    tab.goto(make_login(serve(root, **options)))
    urls = [one.path for one in PAGES if one.name]
    if state == "read-only":
        urls += ["/tasks/hello/run", "/schedules/nightly/backfill", "/topics/failures/test"]
    assert find_problems(tab, urls if LONG else urls[::9]) == []
    if state == "unreachable":
        tab.goto(f"{base(tab)}/local/runs")
        assert tab.get_by_text("does not respond").is_visible()


def test_the_first_page_is_light(page: Any) -> None:
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"{base(page)}/local/")
    page.wait_for_load_state("networkidle")
    assert all(url.startswith(base(page)) for url in requests)
    assert len([url for url in requests if not url.endswith(".svg")]) <= 3, requests
    weight = page.evaluate(
        """() => performance.getEntries().filter((one) => one.transferSize !== undefined)
            .reduce((sum, one) => sum + one.encodedBodySize, 0)"""
    )
    assert 1000 < weight < 60_000


def test_rows_and_pages_are_reached_by_keys(page: Any) -> None:
    page.goto(f"{base(page)}/local/")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/local/runs")
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.getAttribute('href')")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.getAttribute('href')") != first
    page.keyboard.press("k")
    assert page.evaluate("document.activeElement.getAttribute('href')") == first
    page.keyboard.press("f")
    page.wait_for_url("**outcome=failed**")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.name") == "q"
    page.keyboard.type("f?")  # in a field, keys are text
    assert page.evaluate("document.activeElement.value") == "f?"
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("?")
    page.wait_for_url("**/help")


def test_all_works_without_scripts(
    chromium: Any, night_site: Site, serve_night: Callable[[Path], str], night: Path
) -> None:
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(make_login(serve_night(night)))
    page.goto(f"{base(page)}/local/runs")
    page.get_by_label("Outcome").select_option("failed")
    page.get_by_role("button", name="Show").click()
    assert "outcome=failed" in page.url
    assert page.locator("tr.failed").count() >= 2
    page.get_by_label("Times in").select_option("UTC")
    page.get_by_role("button", name="Apply").click()
    assert page.url.endswith("/local/runs?task=&outcome=failed&since=&until=&q=") or "outcome=failed" in page.url
    page.get_by_role("button", name="Log out").click()
    assert page.goto(f"{base(page)}/local/runs").status == 401
    context.close()


def test_a_list_is_refreshed_and_keeps_what_the_reader_does(
    page: Any, serve: Callable[[Path], str], night: Path, tmp_path: Path
) -> None:
    root = copy_night(night, tmp_path / "copy of a night")
    page.goto(make_login(serve(root)))
    page.goto(f"{base(page)}/local/runs")
    rows = page.locator("#runs tbody tr").count()
    page.locator("a.row").nth(1).focus()
    focused = page.evaluate("document.activeElement.getAttribute('href')")
    project = Project.find(root)
    backend = LocalBackend(project, project.environment("local"))
    backend.store.add_run("f" * 32, "hello", [], {}, started_by="eve")
    page.locator("#runs tbody tr").nth(rows).wait_for(timeout=10_000)
    assert page.evaluate("document.activeElement.getAttribute('href')") == focused
    page.keyboard.press("p")
    assert page.get_by_role("button", name="Continue the live update").is_visible()


@pytest.mark.long
def test_an_unchanged_page_costs_little_and_a_hidden_one_nothing(page: Any) -> None:
    page.goto(f"{base(page)}/local/runs?outcome=failed")
    responses: list[tuple[int, str]] = []
    page.on("response", lambda one: "/local/" in one.url and responses.append((one.status, one.url)))
    page.wait_for_timeout(6500)
    assert [status for status, _ in responses] in ([200, 304], [200, 304, 304])
    page.evaluate(
        """() => {
            Object.defineProperty(document, "hidden", { value: true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    page.wait_for_timeout(500)  # for a request that was on its way
    responses.clear()
    page.wait_for_timeout(4500)
    assert not responses


def test_a_page_stays_when_its_server_is_gone(
    page: Any, serve_process: Callable[[Path], tuple[str, Callable[[], None]]], night: Path, tmp_path: Path
) -> None:
    address, kill = serve_process(copy_night(night, tmp_path / "copy of a night"))
    page.goto(address)
    page.goto(f"{base(page)}/local/runs")
    rows = page.locator("#runs tbody tr").count()
    kill()
    page.wait_for_selector("body.stale", timeout=10_000)
    assert page.locator("#runs tbody tr").count() == rows
    assert page.get_by_text("This page is not up to date").is_visible()


# ── following a log: no line is lost or doubled, and no reader is disturbed ───────────────────────────────────────

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


@pytest.fixture
def writer(project_root: Path) -> Writer:
    return Writer(Project.find(project_root))


@pytest.fixture
def log_page(chromium: Any, serve: Callable[..., str], project_root: Path, writer: Writer) -> Iterator[Any]:
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


def wait_for_line(page: Any, line: int) -> None:
    page.wait_for_function(f"() => document.getElementById('L{line}') !== null", timeout=30_000)


def test_a_thousand_lines_per_second_are_followed(log_page: Any, writer: Writer) -> None:
    log_page.get_by_text("Following the log.").wait_for()
    writer.run(SECONDS)
    writer.stop()
    log_page.get_by_text("The run has stopped.").wait_for(timeout=30_000)
    assert log_page.evaluate("seen") == list(range(1, writer.written + 1))
    assert writer.written >= SECONDS * RATE
    assert log_page.evaluate("most") <= MOST_ROWS + 101  # those of one event are removed after they are added
    assert log_page.locator("ol.log > li").count() <= MOST_ROWS
    assert log_page.locator(f"#L{writer.written}").is_visible()
    if LONG:  # depends on the machine, so it is printed
        print("tasks above 50 ms:", sorted(log_page.evaluate("tasks")))


@pytest.mark.long
def test_a_reader_of_earlier_lines_is_not_disturbed(log_page: Any, writer: Writer) -> None:
    writer.write(400)
    wait_for_line(log_page, 430)
    log_page.mouse.move(300, 250)
    log_page.mouse.wheel(0, -3000)
    log_page.get_by_text("Paused while you read above.").wait_for(state="attached")
    before = log_page.evaluate("scrollY")
    top = log_page.evaluate("document.elementFromPoint(300, 250).closest('li').id")
    writer.write(3000)
    log_page.wait_for_timeout(700)
    assert log_page.evaluate("scrollY") == before
    assert log_page.evaluate("document.elementFromPoint(300, 250).closest('li').id") == top
    log_page.get_by_role("button", name="Continue at the end").click()
    wait_for_line(log_page, 3430)
    assert log_page.evaluate("seen") == list(range(1, 3431))


@pytest.mark.long
def test_an_interrupted_stream_continues(log_page: Any, writer: Writer) -> None:
    log_page.get_by_text("Following the log.").wait_for()
    log_page.context.set_offline(True)
    writer.write(500)
    log_page.wait_for_timeout(300)
    log_page.context.set_offline(False)
    writer.write(500)
    wait_for_line(log_page, 1030)
    assert log_page.evaluate("seen") == list(range(1, 1031))
