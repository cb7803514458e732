"""The page that compares two runs or two executions."""

from __future__ import annotations

import httpx
import pytest

from nightferry.backend.queries import ExecutionFilter, RunFilter
from nightferry.dashboard.site import Site
from tests.dashboard.dashboards import check_html, make_client


def list_rows(response: httpx.Response) -> dict[str, list[str]]:
    page = check_html(response)
    rows = page.xpath("//table[contains(@class, 'compared')]/tbody/tr")
    texts = [[" ".join(cell.text_content().split()) for cell in row.xpath("td")] for row in rows]
    return {name: values for name, *values in texts}


def test_runs_are_compared_and_swapped(night_client: httpx.Client, night_site: Site) -> None:
    runs = night_site.backend.runs(RunFilter(task="hello"), limit=50)
    green = next(run for run in runs if run.env.get("COLOR") == "green")
    failed = next(run for run in runs if run.exit_code == 1)
    response = night_client.get("/local/compare", params={"a": green.id, "b": failed.id})
    rows = list_rows(response)
    assert rows["COLOR"] == ["green", "–", ""]
    assert rows["exit code"] == ["0", "1", ""]
    assert rows["arguments"][0] == "–"
    assert "task" not in rows
    (swap,) = check_html(response).xpath("//a[starts-with(., 'Swap')]/@href")
    assert list_rows(night_client.get(swap))["COLOR"] == ["–", "green", ""]
    data = night_client.get("/local/compare.json", params={"a": green.id, "b": failed.id}).json()
    assert {one["title"] for one in data["comparisons"]} >= {"Outcome", "Durations", "Inputs"}


def test_executions_are_compared_by_their_states(night_client: httpx.Client, night_site: Site) -> None:
    fails = night_site.backend.executions(ExecutionFilter(workflow="fails"))[0]
    marks = night_site.backend.executions(ExecutionFilter(workflow="marks"))[0]
    rows = list_rows(night_client.get("/local/compare", params={"a": fails.id, "b": marks.id}))
    assert rows["workflow"] == ["fails", "marks", ""]
    assert rows["three: passes"] == ["1", "–", ""]
    assert rows["cause"][0] == "Task three ended with exit code 3."
    assert rows["status"] == ["FAILED", "SUCCEEDED", ""]
    assert "No differences" in night_client.get("/local/compare", params={"a": fails.id, "b": fails.id}).text


def test_one_side_offers_the_others_of_its_kind(night_client: httpx.Client, night_site: Site) -> None:
    run = night_site.backend.runs(RunFilter(task="hello"))[0]
    page = check_html(night_client.get("/local/compare", params={"a": run.id}))
    offered = page.xpath("//main//li/a[contains(@href, '/compare')]/@href")
    assert len(offered) == night_site.backend.count_runs(RunFilter(task="hello")).number - 1
    assert night_client.get(offered[0]).status_code == 200
    assert "Enter the IDs" in night_client.get("/local/compare").text


@pytest.mark.parametrize(("a", "status"), [("none-of-these", 404), ("<x>", 400), ("0", 400), ("../../etc", 400)])
def test_other_ids_are_refused(night_client: httpx.Client, a: str, status: int) -> None:
    assert night_client.get("/local/compare", params={"a": a}).status_code == status


def test_a_run_and_an_execution_are_not_compared(night_client: httpx.Client, night_site: Site) -> None:
    run, execution = night_site.backend.runs()[0], night_site.backend.executions()[0]
    response = night_client.get("/local/compare", params={"a": run.id, "b": execution.id})
    assert response.status_code == 400


def test_secrets_and_personal_data_are_hidden(strict_site: Site) -> None:
    store = strict_site.backend.store  # type: ignore[attr-defined]
    for id, number in (("0000aaaa", "123-45-6789"), ("0000bbbb", "987-65-4321")):
        store.add_run(id, "hello", [f"--ssn={number}"], {"PASSWORD": f"hunter-{number}", "COLOR": number})
    for path in ("compare", "compare.json"):
        text = make_client(strict_site).get(f"/local/{path}", params={"a": "0000aaaa", "b": "0000bbbb"}).text
        assert "0000aaaa" in text
        assert "123-45" not in text
        assert "987-65" not in text
        assert "hunter" not in text
