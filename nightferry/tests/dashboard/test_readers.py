"""What an operator reads first: the verdict, the filter of a list, and reasons without noise."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from lxml import html as lxml_html

from nightferry.dashboard.site import Site
from tests.dashboard.dashboards import check_html


def read(client: httpx.Client, path: str) -> lxml_html.HtmlElement:
    return check_html(client.get(f"/local{path}"))


def read_text(page: lxml_html.HtmlElement, path: str) -> str:
    [found] = page.xpath(path)
    return " ".join(found.text_content().split())


@pytest.fixture
def store(site: Site) -> Any:
    """Return the store of the site's project."""
    return site.backend.store  # type: ignore[attr-defined]


def end_run(store: Any, number: int, exit_code: int, task: str = "hello") -> str:
    id = f"{number:032x}"
    store.add_run(id, task, [], {})
    store.mark_run_stopped(id, exit_code, "EssentialContainerExited", "Essential container in task exited")
    return id


VERDICT = "//main//p[contains(@class, 'verdict')]"


def test_the_verdict_is_a_failure_until_a_later_run_of_each_failed_task_succeeded(
    client: httpx.Client, store: Any
) -> None:
    end_run(store, 1, 1)
    end_run(store, 2, 3, "three")
    assert read_text(read(client, "/"), VERDICT).startswith("✕ Failures: 2 runs failed in the last 24 hours,")
    end_run(store, 3, 0)
    assert read_text(read(client, "/"), VERDICT).startswith("✕ Failures: 2 runs")
    end_run(store, 4, 0, "three")
    verdict = read_text(read(client, "/"), VERDICT)
    assert verdict.startswith(
        "✓ All well: 2 runs failed in the last 24 hours, and later runs of the same tasks succeeded,"
    )
    end_run(store, 5, 1)
    assert read_text(read(client, "/"), VERDICT).startswith("✕ Failures: 3 runs")


def test_the_reason_of_every_end_of_a_container_is_left_out(client: httpx.Client, store: Any) -> None:
    page = read(client, f"/runs/{end_run(store, 1, 1)}")
    assert "Essential container" not in page.text_content()
    assert read_text(page, "//div[contains(@class, 'verdict')]/p[1]").startswith("✕ failed with exit code 1")


def test_a_success_is_not_explained(client: httpx.Client, store: Any) -> None:
    page = read(client, f"/runs/{end_run(store, 1, 0)}")
    assert read_text(page, "//div[contains(@class, 'verdict')]") == "✓ succeeded with exit code 0."


@pytest.mark.parametrize(
    ("query", "summary"),
    [("", "Filter"), ("?task=hello&outcome=failed&before=&q=", "Filter: task hello, outcome failed")],
)
def test_a_folded_filter_says_what_it_selects(client: httpx.Client, query: str, summary: str) -> None:
    page = read(client, f"/runs{query}")
    assert read_text(page, "//details[@class='filters']/summary") == summary
    assert page.xpath("//details[@class='filters']/@open"), "without JavaScript, the fields are visible"


@pytest.mark.parametrize("things", ["runs", "executions", "files"])
def test_an_empty_list_says_how_it_is_filled_and_a_filtered_one_how_to_widen_it(
    client: httpx.Client, things: str
) -> None:
    empty = "//div[@class='empty']"
    assert read_text(read(client, f"/{things}"), empty).startswith(f"No {things} yet.A ")
    assert read_text(read(client, f"/{things}?since=1h"), empty) == (
        f"No {things} match.Widen the period, or clear the filter."
    )


def test_next_starts_name_a_missing_engine(night_client: httpx.Client) -> None:
    [problem] = read(night_client, "/").xpath("//section[h2='Next']/p")
    assert "No engine is running" in problem.text_content()


def test_equal_reasons_are_written_once(client: httpx.Client, store: Any) -> None:
    for number in (1, 2):
        store.add_lines([(end_run(store, number, 1), '{"level": "ERROR", "message": "The disk is full."}')])
    reasons = read(client, "/").xpath("//ul[@class='failures']//p[@class='reason']")
    assert [reason.text_content().strip() for reason in reasons] == [
        "exit code 1: The disk is full.",
        "exit code 1: the same as above",
    ]


def test_empty_variables_are_left_out(client: httpx.Client, store: Any) -> None:
    store.add_run("ab" * 16, "hello", [], {"SCHEDULED_AT": "", "MODE": "full"})
    facts = read_text(read(client, f"/runs/{'ab' * 16}"), "//dl[dt='Variables']")
    assert "MODE=full" in facts
    assert "SCHEDULED_AT" not in facts


def test_a_line_with_many_fields_names_some_of_them(client: httpx.Client, store: Any) -> None:
    fields = ", ".join(f'"count_{number}": {number}' for number in range(30))
    store.add_lines([(end_run(store, 1, 0), f'{{"level": "INFO", "message": "done", {fields}}}')])
    summary = read_text(read(client, f"/runs/{1:032x}"), "//ol[@class='log']//summary")
    assert summary.startswith("count_0, count_1, ")
    assert summary.endswith("count_7 and 22 more")
