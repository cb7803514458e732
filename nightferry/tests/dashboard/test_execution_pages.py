"""The pages of an execution: what failed and why, its timeline, its graph, one state, and the items of a Map."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from lxml import html as lxml_html

from nightferry.dashboard.site import Site
from nightferry.states import HistoryEvent
from tests.dashboard.dashboards import check_html, make_client, make_site
from tests.dashboard.executions import START, open_store, record, run_state
from tests.local import toy

RETRY = [{"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 2, "MaxAttempts": 1}]
HOSTILE = "</script><b>&\u202e\x1b[1m"


def each(items: list[Any], **more: Any) -> dict[str, Any]:
    send = run_state(End=True)
    processor = {"StartAt": "send", "States": {"send": send}}
    return {"Type": "Map", "ItemsPath": "$.items", "ResultPath": None, "ItemProcessor": processor, **more}


def texts(page: lxml_html.HtmlElement, path: str) -> list[str]:
    return [" ".join(one.text_content().split()) for one in page.xpath(path)]


@pytest.fixture
def failed(site: Site) -> str:
    """Record an execution whose first attempt failed, and whose last job failed after ten minutes without a job."""
    definition = {
        "StartAt": "load",
        "States": {
            "load": run_state(Retry=RETRY, ResultPath=None, Next="each"),
            "each": each([], Next="wait"),
            "wait": {"Type": "Wait", "Seconds": 600, "Next": "last"},
            "last": run_state(End=True),
        },
    }
    items = [{"key": "in/a.csv"}, {"key": f"in/{HOSTILE}.csv"}]
    record(
        site, definition, lambda command, n: 1 if n == 1 or command.state_name == "last" else 0, input={"items": items}
    )
    return "/local/executions/0e0e0e0e"


def test_an_execution_shows_what_failed_and_what_a_redrive_would_do(client: httpx.Client, failed: str) -> None:
    page = check_html(client.get(failed))
    [verdict] = texts(page, "//p[contains(@class, 'verdict')]")
    assert verdict == "✕ failed at last after 10 min 6 s, at 2026-11-24 03:10:06 UTC."
    assert texts(page, "//p[@class='redrive']") == [
        "A redrive continues at last. 3 jobs that succeeded do not run again."
    ]
    assert page.xpath("//a[contains(@href, '/redrive')]")
    rows = page.xpath("//table[@class='timelines']/tbody/tr")
    assert [row.get("class") for row in rows] == ["succeeded", "succeeded", "succeeded", "failed"]
    spans = [[rect.get("class") for rect in row.xpath(".//*[local-name()='rect']")] for row in rows]
    assert spans == [["span failed", "span succeeded"], ["span succeeded"], ["span succeeded"], ["span failed"]]
    [caption] = texts(page, "//caption")
    assert "10 min 0 s in which no job ran, from 2026-11-24 03:00:05 UTC, are drawn short (zigzag)." in caption
    assert len(page.xpath("//*[@class='cut']")) == 4
    assert HOSTILE not in page.text_content()
    assert "in/</script><b>&\\u202e\\u001b[1m.csv" in page.text_content()


def test_the_graph_is_also_a_list_and_leaves_out_the_plumbing(client: httpx.Client, site: Site) -> None:
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "notify"}]
    definition = {
        "StartAt": "scheduled time",
        "States": {
            "scheduled time": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.at", "IsPresent": True, "Next": "load"}],
                "Default": "load",
            },
            "load": run_state(Catch=catch, Next="each: items"),
            "each: items": {"Type": "Pass", "Next": "each"},
            "each": each([], End=True),
            "notify": {"Type": "Pass", "Next": "failed"},
            "failed": {"Type": "Fail", "Error": "Boom"},
        },
    }
    record(site, definition, lambda command, n: 1, input={"items": []})
    page = check_html(client.get("/local/executions/0e0e0e0e"))
    names = [text.split()[0] for text in texts(page, "//details[@class='graph-list']//li")]
    assert names == ["load", "each", "send", "On", "notify", "failed"]
    shown = texts(page, "//*[local-name()='svg'][@class='graph']//*[@class='name']")
    assert shown == ["✕ load", "each", "send", "✓ notify", "✕ failed"]
    everything = check_html(client.get("/local/executions/0e0e0e0e?all=1"))
    assert len(everything.xpath("//*[local-name()='svg'][@class='graph']//*[@class='name']")) == 7


def test_a_state_shows_its_attempts_data_and_events(client: httpx.Client, failed: str) -> None:
    page = check_html(client.get(f"{failed}/state/load"))
    attempts = texts(page, "//div[@id='state']//tbody/tr")
    assert len(attempts) == 2
    assert "run 0e0e0e0e" in attempts[0]
    assert "States.TaskFailed" in attempts[0]
    assert "succeeded" in attempts[1]
    data = client.get(f"{failed}/state/load.json").json()
    assert [one["error"] for one in data["attempts"]] == ["States.TaskFailed", None]
    assert data["cause"] is None, "the state succeeded in the end"
    assert client.get(f"{failed}/state/last.json").json()["cause"] == '{"code": 1}'
    assert data["input"]["items"][0] == {"key": "in/a.csv"}
    assert [event["type"] for event in data["events"]][:2] == ["TaskStateEntered", "TaskScheduled"]
    inner = check_html(client.get(f"{failed}/state/{quote('each[1] / send')}"))
    assert "Item" in texts(inner, "//dt")
    assert client.get(f"{failed}/state/nothing").status_code == 404
    assert client.get(f"{failed}/state/load?visit=2").status_code == 404
    assert client.get(f"{failed}/state/load?visit=x").status_code == 400
    assert client.get("/local/executions/ffffffff").status_code == 404


def test_a_running_execution_is_live_and_says_when_it_usually_ends(client: httpx.Client, site: Site) -> None:
    definition = {"StartAt": "load", "States": {"load": run_state(Next="last"), "last": run_state(End=True)}}
    record(site, definition, id="aaaa0001", seconds=60)
    record(site, definition, lambda command, n: 0 if n == 1 else None, id="aaaa0002")
    page = check_html(client.get("/local/executions/aaaa0002"))
    assert page.xpath("//body/@data-live-seconds")
    assert {"verdict", "timeline", "graph", "states"} <= set(page.xpath("//*[@data-live]/@id"))
    [verdict] = texts(page, "//p[contains(@class, 'verdict')]")
    assert "Usually 2 min 0 s, so done by 2026-11-24 03:02:00 UTC" in verdict
    assert "Now in last" in verdict
    assert page.xpath("//a[contains(@href, '/stop')]")
    assert not check_html(client.get("/local/executions/aaaa0001")).xpath("//body/@data-live-seconds")


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client of a project whose pages show no personal data, with an execution that has some."""
    project_root = toy.make_project(tmp_path_factory.mktemp("strict") / "a project")
    module = next(project_root.glob("toy_*.py"))
    text = module.read_text().replace('image=Image("toy")', 'image=Image("toy"), privacy=Privacy.STRICT')
    module.write_text(text.replace("import Catalog,", "import Catalog, Privacy,"))
    site = make_site(project_root)
    definition = {"StartAt": "each", "States": {"each": each([], End=True)}}
    people = [
        {"ssn": "123-45-6789", "last_name": "Meyer", "id": "123-45-6789"},
        {"key": "in/a.csv", "token": "s3cr3t-x"},
    ]
    record(
        site,
        definition,
        lambda command, n: 1,
        input={"items": people, "password": "hunter2", "n": {"ssn": ["987-65-4321"]}},
    )
    client = make_client(site)
    yield client
    client.close()


@pytest.mark.parametrize(
    "path",
    ["", ".json", "/state/each", "/state/each.json", "/state/each?download=input", "/state/each[0] / send", "/map/each",
     "/map/each.json", "/map/each?item=0"],
)  # fmt: skip
def test_no_page_shows_personal_data_or_secrets(strict: httpx.Client, path: str) -> None:
    response = strict.get(f"/local/executions/0e0e0e0e{path}")
    assert response.status_code == 200
    for value in ("6789", "4321", "Meyer", "hunter2", "s3cr3t"):
        assert value not in response.text


@pytest.mark.parametrize("size", [256_000, 1_500_000])
def test_a_large_payload_is_cut_on_the_page_and_whole_as_a_file(client: httpx.Client, site: Site, size: int) -> None:
    payload = json.dumps({"rows": ["x" * 99] * (size // 100)})
    events = [HistoryEvent(1, 0, "PassStateEntered", START, {"name": "copy", "input": payload})]
    add_history(site, {"StartAt": "copy", "States": {"copy": {"Type": "Pass", "End": True}}}, events)
    response = client.get("/local/executions/0e0e0e0e/state/copy")
    page = check_html(response)
    assert len(response.text) < 300_000
    assert "more" in " ".join(texts(page, "//li[@class='note']"))
    [link] = page.xpath("//a[contains(@href, 'download=input')]/@href")
    download = client.get(link)
    assert download.headers["content-disposition"].startswith("attachment")
    assert len(json.loads(download.text)["rows"]) == size // 100
    assert client.get("/local/executions/0e0e0e0e/state/copy?download=output").status_code == 400


def add_history(site: Site, definition: dict[str, Any], events: list[HistoryEvent]) -> None:
    store = open_store(site)
    with store.transaction():
        store.add_execution("0e0e0e0e", "fails", definition, {})
        store.add_events("0e0e0e0e", 0, events)
    store.close()


ITEMS, BAD = 10_000, 50


@pytest.fixture(scope="module")
def many_items(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Return a client, with a distributed Map of 10,000 items, of which 50 failed."""
    site = make_site(toy.make_project(tmp_path_factory.mktemp("many") / "a project"))
    bad = set(random.Random(3).sample(range(ITEMS), BAD))
    definition = {"StartAt": "each", "States": {"each": each([], End=True, MaxConcurrency=40)}}
    events = [
        HistoryEvent(1, 0, "MapStateEntered", START, {"name": "each", "input": "{}"}),
        HistoryEvent(2, 1, "MapStateStarted", START, {"length": ITEMS}),
        HistoryEvent(3, 2, "MapRunStarted", START, {"mapRunArn": "arn"}, {"run": "each:3"}),
    ]
    for n in range(ITEMS):
        engine, begin = {"scope": f"/{n}", "child": f"each:3/{n}"}, START + timedelta(seconds=n // 40)
        end = begin + timedelta(seconds=1 + n % 7)
        failure = {"error": "States.TaskFailed", "cause": "full"}
        events.append(HistoryEvent(1, 0, "ExecutionStarted", begin, {"input": f'{{"key": "in/{n:05}.csv"}}'}, engine))
        kind = "ExecutionFailed" if n in bad else "ExecutionSucceeded"
        events.append(HistoryEvent(2, 1, kind, end, failure if n in bad else {"output": "{}"}, engine))
    add_history(site, definition, events)
    client = make_client(site)
    yield client
    client.close()


MAP = "/local/executions/0e0e0e0e/map/each"


def test_ten_thousand_items_are_one_small_page_with_the_failed_ones_first(many_items: httpx.Client) -> None:
    response = many_items.get(MAP)
    page = check_html(response)
    assert len(response.text.encode()) < 300_000
    assert len(page.xpath("//*")) < 3_000
    rows = page.xpath("//div[@id='items']//tbody/tr/@class")
    assert rows[:BAD] == ["failed"] * BAD
    assert set(rows[BAD:]) == {"succeeded"}
    assert len(page.xpath("//div[@id='strip']//*[local-name()='path']")) == 2  # one for each status
    assert "At most 40 at once are allowed." in texts(page, "//div[@id='facts']/p")[0]
    overview = many_items.get("/local/executions/0e0e0e0e")
    assert len(overview.text) < 60_000
    assert "50 failed" in overview.text


def test_each_count_is_that_of_its_list_and_pages_have_each_item_once(many_items: httpx.Client) -> None:
    page = check_html(many_items.get(MAP))
    for link in page.xpath("//p[@class='counts-text']/a"):
        number = re.search(r"[0-9,]+", link.text_content())
        assert number is not None
        listed = texts(check_html(many_items.get(link.get("href"))), "//p[@class='count']/strong")
        assert listed == [number[0]]
    found: list[int] = []
    after = ""
    for _ in range(3):
        data = many_items.get(f"{MAP}.json", params={"before": after, "q": "in/00"}).json()
        found += [item["index"] for item in data["items"]]
        after = data["next"]
    assert len(set(found)) == len(found) == 300
    assert many_items.get(MAP, params={"before": "x"}).status_code == 400
    assert many_items.get(MAP, params={"item": str(ITEMS)}).status_code == 400
    one = check_html(many_items.get(MAP, params={"q": "in/00077"}))
    assert texts(one, "//p[@class='count']/strong") == ["1"]
