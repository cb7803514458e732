"""The pages of a run and of its log: what they say, and that no line can do more than be read."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from lxml import html as lxml_html

from nightferry.backend.log_windows import LEVELS
from nightferry.contract import LogEvent
from nightferry.dashboard.pages.runs import log_download, log_follow
from nightferry.dashboard.site import Site
from nightferry.dashboard.streaming import MAX_STREAMS
from nightferry.local.backend import LocalBackend
from nightferry.local.store import now
from nightferry.local.store.times import format_time
from tests.dashboard.dashboards import check_html, make_client, make_login, make_site

RUN = "ab" * 16


@pytest.fixture
def backend(site: Site) -> LocalBackend:
    """Return the backend of this thread."""
    backend = site.backend
    assert isinstance(backend, LocalBackend)
    return backend


def write_run(
    backend: LocalBackend,
    lines: Sequence[str] = (),
    *,
    id: str = RUN,
    exit_code: int | None = None,
    task: str = "hello",
) -> None:
    """Store a run that started a minute ago, with its lines, and its end if it has an exit code."""
    backend.store.add_run(id, task, [], {}, started_by="anna")
    backend.store.add_lines((id, line) for line in lines)
    begun = now() - timedelta(minutes=1)
    backend.store._db.execute(
        "UPDATE run SET status = 'RUNNING', created_at = ?, started_at = ? WHERE id = ?",
        (format_time(begun), format_time(begun + timedelta(seconds=5)), id),
    )
    if exit_code is not None:
        backend.store.mark_run_stopped(id, exit_code, "EssentialContainerExited", None)


def line(message: str, level: str = "INFO", **fields: object) -> str:
    return json.dumps({"time": "x", "level": level, "message": message, **fields})


def get(client: httpx.Client, path: str) -> lxml_html.HtmlElement:
    response = client.get(f"/local/runs/{path}")
    assert response.status_code == 200, response.text
    return check_html(response)


def rows(page: lxml_html.HtmlElement) -> list[str]:
    """Return the texts of the lines, without days and gaps."""
    return [row.text_content() for row in page.xpath("//ol[@class='log']/li[a]")]


def main_text(page: lxml_html.HtmlElement) -> str:
    return " ".join(page.xpath("//main")[0].text_content().split())


# ── the run ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_run_says_why_and_what_to_do(backend: LocalBackend, client: httpx.Client) -> None:
    lines = [line(f"step {n}") for n in range(9)]
    lines += [line("the disk is full", "ERROR"), line("closing"), line("ended", event=LogEvent.ENDED,
              peak_memory_bytes=300 * 1024**2, cpu_seconds=4.2)]  # fmt: skip
    write_run(backend, lines, exit_code=1)
    page = get(client, RUN)
    text = main_text(page)
    assert "failed with exit code 1" in text
    assert "The job failed. Read the last error below." in text
    assert "memory300 MiB of 2,048 MiB (15%)" in text
    shown = rows(page)
    assert [row.split(" ", 2)[2] for row in shown][2:5] == ["step 8", "ERROR the disk is full", "closing"]
    [at] = page.xpath("//li[@aria-current]")
    assert at.get("id") == "L10"
    assert at.xpath("a/@href") == [f"/local/runs/{RUN}/log?at=L10"]


@pytest.mark.parametrize(
    ("exit_code", "words"),
    [(0, "succeeded"), (2, "settings"), (124, "time limit"), (127, "not found"), (137, "killed"), (139, "SIGSEGV"),
     (7, "exit code of its own")],
)  # fmt: skip
def test_exit_codes_are_explained(backend: LocalBackend, client: httpx.Client, exit_code: int, words: str) -> None:
    write_run(backend, exit_code=exit_code)
    verdict = get(client, RUN).xpath("//div[starts-with(@class, 'verdict')]")[0].text_content()
    assert words in verdict


def test_an_open_run_shows_its_progress_and_when_it_is_usually_done(
    backend: LocalBackend, client: httpx.Client
) -> None:
    for n in range(5):
        write_run(backend, id=f"{n}" * 32, exit_code=0)
    progress = {"event": LogEvent.PROGRESS, "step": "rows", "total": 400, "unit": "rows"}
    write_run(backend, [line("p", **progress, done=100), line("p", **progress, done=200), line("p", event="progress",
              step="<b>", done=-1), line("p", event="progress", step="free", done=5, unit=["x"])])  # fmt: skip
    page = get(client, RUN)
    assert "200 of 400 rows" in main_text(page)
    assert "100 of" not in main_text(page)
    assert page.xpath("//progress/@value") == ["200"]
    assert "Usually done by" in main_text(page)
    assert "of 5 earlier runs took at most 55 s" in main_text(page)
    assert page.xpath("//body/@data-live-seconds")


def test_a_run_links_to_the_runs_before_and_after(backend: LocalBackend, client: httpx.Client) -> None:
    for n, id in enumerate(("0" * 32, "1" * 32, "2" * 32, "3" * 32)):
        write_run(backend, id=id, exit_code=0, task="three" if n == 2 else "hello")
        backend.store._db.execute(
            "UPDATE run SET created_at = ? WHERE id = ?", (f"2026-11-0{n + 1}T00:00:00.000000+00:00", id)
        )
    page = get(client, "1" * 32)
    assert page.xpath("//a[@rel='prev']/@href") == [f"/local/runs/{'0' * 32}"]
    assert page.xpath("//a[@rel='next']/@href") == [f"/local/runs/{'3' * 32}"]
    assert not get(client, "3" * 32).xpath("//a[@rel='next']")


def list_buttons(client: httpx.Client) -> list[str]:
    return [link.text_content() for link in get(client, RUN).xpath("//p[@class='actions']/a")]


def test_a_run_offers_the_actions_that_fit_it(backend: LocalBackend, client: httpx.Client, project_root: Path) -> None:
    write_run(backend)
    assert list_buttons(client) == ["Stop …", "Log"]
    backend.store.mark_run_stopped(RUN, 3, "EssentialContainerExited", None)
    assert list_buttons(client) == ["Redrive …", "Run again …", "Log"]
    assert list_buttons(make_client(make_site(project_root, actions=False))) == ["Log"]
    backend.store._db.execute("UPDATE run SET exit_code = 0")
    assert list_buttons(client) == ["Run again …", "Log"]


def test_inputs_are_masked(strict_site: Site) -> None:
    backend = strict_site.backend
    assert isinstance(backend, LocalBackend)
    backend.store.add_run(RUN, "hello", ["--ssn", "123-45-6789"], {"COLOR": "x", "PASSWORD": "hunter2hunter2"})
    backend.store.add_lines([(RUN, "SSN 123-45-6789"), (RUN, line("employee 123-45-6789", ssn="987654321"))])
    client = make_client(strict_site)
    pages = ("", ".json", "/log", "/log.json", "/log.txt", "/log.txt?all=1", "/log/stream?once=1")
    for page in pages:
        response = client.get(f"/local/runs/{RUN}{page}")
        assert response.status_code == 200
        assert not re.search("123-45-6789|987654321|hunter2", response.text), page


@pytest.mark.parametrize("id", ["nothing", "ffff", "a" * 50, "'"])
def test_an_unknown_run_is_not_found(client: httpx.Client, id: str) -> None:
    for path in ("", "/log", "/log.txt", "/log/stream"):
        assert client.get(f"/local/runs/{id}{path}").status_code == 404


# ── the log ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_log_of_a_failed_run_opens_at_its_last_error(backend: LocalBackend, client: httpx.Client) -> None:
    levels = {300: "ERROR", 700: "ERROR"}
    write_run(backend, [line(f"line {n}", levels.get(n, "INFO")) for n in range(1, 2001)], exit_code=1)
    page = get(client, f"{RUN}/log")
    assert page.xpath("//ol/li[a]/@id") == [f"L{n}" for n in range(680, 721)]
    assert page.xpath("//li[@aria-current]/@id") == ["L700"]
    assert [link.get("href") for link in page.xpath("//nav[@aria-label][1]/a[@rel]")][-2:]
    end = get(client, f"{RUN}/log?at=end")
    assert end.xpath("//ol/li[a]/@id") == [f"L{n}" for n in range(1001, 2001)]
    earlier = check_html(client.get(end.xpath("//a[@rel='prev']/@href")[0]))
    assert earlier.xpath("//ol/li[a]/@id") == [f"L{n}" for n in range(1, 1001)]
    assert not earlier.xpath("//a[@rel='prev']")
    later = check_html(client.get(earlier.xpath("//a[@rel='next']/@href")[0]))
    assert later.xpath("//ol/li[a]/@id") == end.xpath("//ol/li[a]/@id")


def test_each_count_is_the_number_of_lines_of_its_link(backend: LocalBackend, client: httpx.Client) -> None:
    write_run(backend, [line(f"line {n} of {n % 3}", LEVELS[n % 5]) for n in range(100)] + ["plain of 1"], exit_code=0)
    for query in ("", "?q=of%201"):
        page = get(client, f"{RUN}/log{query}")
        links = page.xpath("//p[@class='counts']/a")
        assert len(links) == 5
        for link in links:
            listed = check_html(client.get(link.get("href")))
            number = int(link.xpath("strong")[0].text_content().replace(",", ""))
            assert number == len(rows(listed)) > 0
    assert rows(get(client, f"{RUN}/log?q=absent")) == []


@pytest.mark.parametrize(
    ("at", "expected"),
    [("L7", "L7"), ("l7", "L7"), ("7", "L7"), ("start", None), ("end", None), ("p999999999", None)],
)
def test_a_place_of_the_log(backend: LocalBackend, client: httpx.Client, at: str, expected: str | None) -> None:
    write_run(backend, [f"line {n}" for n in range(20)], exit_code=0)
    page = get(client, f"{RUN}/log?at={at}")
    assert page.xpath("//li[@aria-current]/@id") == ([expected] if expected else [])


def test_a_time_of_the_log(backend: LocalBackend, client: httpx.Client) -> None:
    write_run(backend, ["first", "second", "third"], exit_code=0)
    for n, time in enumerate(("2026-11-01T23:59:00.5", "2026-11-02T00:10:00.0", "2026-11-02T00:10:20.0")):
        backend.store._db.execute(
            "UPDATE log_line SET time = ? WHERE text = ?", (f"{time}+00:00", ("first", "second", "third")[n])
        )
    backend.store._db.execute("UPDATE run SET created_at = '2026-11-01T23:50:00.000000+00:00'")
    for at in ("00:05", "2026-11-02T00:05", "2026-11-02T01:05:00%2B01:00"):
        page = get(client, f"{RUN}/log?at={at}")
        assert page.xpath("//li[@aria-current]/@id") == ["L2"], at
    days = [row.text_content() for row in page.xpath("//li[@class='day']")]
    assert days == ["Sunday, 2026-11-01 UTC", "Monday, 2026-11-02 UTC"]
    assert [row.text_content() for row in page.xpath("//li[@class='gap']")] == ["20 s without lines"]


@pytest.mark.parametrize("query", ["before=x", "after=-1", "level=LOUD", "at=never", "before=" + "9" * 40])
def test_an_invalid_place_is_refused(backend: LocalBackend, client: httpx.Client, query: str) -> None:
    write_run(backend, ["x"])
    for path in ("log", "log.txt", "log.json"):
        assert client.get(f"/local/runs/{RUN}/{path}?{query}").status_code == 400


HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(2)>",
    line('</li></ol><a href="javascript:alert(3)">x</a>', **{'"><b onclick=x>': "<i>", "javascript:x": "a\nb"}),
    "see https://example.org/?q=<b>&x='\"> and javascript:alert(4) and HTTPS://example.org/ and https://a.b/c).",
    "\x1b[31mred\x1b[0m \x07 \u202eesrever \u2028 next",
    line("data: x\n\nevent: end\nid: 9\r\rretry: 1", field="\r\n\r\nHTTP/1.1 200"),
]


def test_hostile_lines_are_only_text(backend: LocalBackend, client: httpx.Client) -> None:
    write_run(backend, HOSTILE)
    for path in (RUN, f"{RUN}/log", f"{RUN}/log?q=script", f"{RUN}/log?q=amp"):
        page = get(client, path)
        log = page.xpath("//ol[@class='log']")[0]
        assert {element.tag for element in log.iter()} <= {
            "ol", "li", "a", "time", "b", "i", "details", "summary", "mark"
        }  # fmt: skip
        outside = [link for link in log.xpath(".//a") if not re.match(r"(/local/runs/\w+/log)?\?at=", link.get("href"))]
        for link in outside:
            assert link.get("href").startswith(("https://example.org/", "https://a.b/"))
            assert link.get("rel") == "noopener noreferrer nofollow"
        text = log.text_content()
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u2028\u202e]", text)
        if "q=" not in path:
            assert "\\u001b[31mred" in text
            assert [link.get("href") for link in outside] == ["https://example.org/?q=", "https://a.b/c"]


def test_a_very_long_line_is_cut_on_the_page_only(backend: LocalBackend, client: httpx.Client) -> None:
    write_run(backend, ["x" * 200_000], exit_code=0)
    assert "190,000 more characters are in the download" in main_text(get(client, f"{RUN}/log"))
    assert client.get(f"/local/runs/{RUN}/log.txt").text == "x" * 200_000 + "\n"


def test_a_page_of_a_thousand_lines_is_small(backend: LocalBackend, client: httpx.Client) -> None:
    texts = [
        json.dumps(
            {"time": "2026-11-30T02:10:11.123+00:00", "level": "INFO", "logger": "paidleave.dor.importing.steps",
             "message": f"imported the employers of DORDFML_20261130 in step {n}", "task": "dor-import",
             "run_id": RUN, "execution": "nightly-20261130", "rows": n * 17}
        )
        for n in range(1000)
    ]  # fmt: skip
    write_run(backend, texts, exit_code=0)
    response = client.get(f"/local/runs/{RUN}/log?at=end")
    assert len(rows(check_html(response))) == 1000
    assert len(response.content) < 150_000


# ── downloads and streams ─────────────────────────────────────────────────────────────────────────────────────────


def test_downloads_are_plain_text(backend: LocalBackend, client: httpx.Client) -> None:
    write_run(backend, [*HOSTILE, *(line(f"line {n}", LEVELS[n % 5]) for n in range(1200))])
    for query, count in (("?all=1", 1205), ("?at=start", 1000), ("?level=ERROR&at=start", 480),
                         ("?all=1&level=CRITICAL", 240), ("", 1000)):  # fmt: skip
        response = client.get(f"/local/runs/{RUN}/log.txt{query}")
        assert response.headers["content-type"] == "text/plain; charset=utf-8"
        assert response.headers["content-disposition"] == f'attachment; filename="hello-{RUN[:12]}.txt"'
        assert response.headers["content-security-policy"].startswith("sandbox")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert len(response.text.splitlines()) == count, query


def test_a_download_takes_constant_memory(
    backend: LocalBackend, project_root: Path, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_download, "_LINES", 100)
    sizes = {"a" * 32: 300, "b" * 32: 300, "c" * 32: 1500}  # the first one fills caches
    for id, lines in sizes.items():
        write_run(backend, ["y" * 1000] * lines, id=id)
    peaks = {}
    with httpx.Client(headers={"Accept-Encoding": "identity"}) as client:
        address = serve(project_root)
        client.get(make_login(address))
        tracemalloc.start()
        for id, lines in sizes.items():
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with client.stream("GET", f"{address}/local/runs/{id}/log.txt?all=1") as response:
                assert sum(map(len, response.iter_bytes())) == lines * 1001
            peaks[id] = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
    assert peaks["c" * 32] < 2 * peaks["b" * 32], peaks  # with five times the lines


def read_events(text: str) -> list[dict[str, str]]:
    """Return the events of a stream as a browser reads them."""
    events = []
    for block in text.split("\n\n"):
        event: dict[str, str] = {}
        for row in block.split("\n"):
            name, _, value = row.partition(": ")
            event[name] = f"{event[name]}\n{value}" if name == "data" and name in event else value
        if "data" in event:
            events.append(event)
    return events


def test_a_stream_has_every_row_once_and_ends_with_the_run(
    backend: LocalBackend, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_follow, "_ROWS", 7)
    write_run(backend, [*HOSTILE, *(f"line {n}" for n in range(50))], exit_code=0)
    response = client.get(f"/local/runs/{RUN}/log/stream", headers={"Accept-Encoding": "gzip"})
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "content-encoding" not in response.headers
    events = read_events(response.text)
    assert events.pop() == {"event": "end", "data": "end"}
    shown = rows(lxml_html.fromstring(f"<ol class='log'>{''.join(event['data'] for event in events)}</ol>"))
    assert [row.split(" ", 2)[0] for row in shown] == [str(n) for n in range(1, 56)]
    assert shown == rows(get(client, f"{RUN}/log?at=end"))
    middle = events[3]["id"]
    rest = read_events(client.get(f"/local/runs/{RUN}/log/stream", headers={"Last-Event-ID": middle}).text)
    assert [event["id"] for event in rest[:-1]] == [event["id"] for event in events[4:]]
    assert client.get(f"/local/runs/{RUN}/log/stream", headers={"Last-Event-ID": "x"}).status_code == 400


def test_a_server_has_a_limited_number_of_streams(backend: LocalBackend, site: Site, client: httpx.Client) -> None:
    write_run(backend, ["x"], exit_code=0)
    site.open_streams = MAX_STREAMS
    response = client.get(f"/local/runs/{RUN}/log/stream")
    assert response.status_code == 503
    assert read_events(client.get(f"/local/runs/{RUN}/log/stream?once=1").text)[0]["id"]
    site.open_streams = 0
    assert client.get(f"/local/runs/{RUN}/log/stream").status_code == 200
    assert site.open_streams == 0
