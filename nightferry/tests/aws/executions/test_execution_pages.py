"""The dashboard's pages of an execution on AWS: what a view calls, and that a further view calls little."""

from __future__ import annotations

from collections import Counter

from nightferry.aws.backend import AwsBackend
from nightferry.dashboard.access import Access
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, TaskScript
from tests.dashboard.dashboards import PORT, TOKEN, check_html, make_client


def test_the_pages_of_an_execution_on_aws(
    project: Project, backend: AwsBackend, fargate: FakeFargate, clock: FakeClock
) -> None:
    fargate.script("mark", *[TaskScript(exit_code=code) for code in (1, 0, 0, 1, 0, 0, 0)])
    id = backend.start_workflow("marks", {})
    for _ in range(20):
        clock.sleep(90)
        if backend.execution(id).stopped_at is not None:
            break
    assert backend.execution(id).status == "SUCCEEDED"
    access = Access.on_loopback(TOKEN, PORT)
    client = make_client(Site(project, project.environment("test"), access, lambda: backend, author="anna"))

    page = check_html(client.get(f"/test/executions/{id}"))
    rows = page.xpath("//table[@class='timelines']/tbody/tr")
    assert len(rows) == 5
    spans = [len(row.xpath(".//*[local-name()='rect']")) for row in rows]
    assert sum(spans) == 7, "two attempts failed"
    assert "overlap: settle" not in page.text_content()
    for path in ("state/each mark[1] / mark 2", "map/each mark", "map/each mark?item=1", "state/each mark.json"):
        assert client.get(f"/test/executions/{id}/{path}").status_code == 200, path
    assert client.get(f"/test/executions/{id}/map/each mark.json").json()["counts"]["succeeded"] == 3

    before = len(fargate.calls)
    assert client.get(f"/test/executions/{id}").status_code == 200
    calls = Counter(fargate.calls[before:])
    assert calls["GetExecutionHistory"] == 0
    assert calls["DescribeStateMachineForExecution"] == 0
    assert sum(calls.values()) <= 8, calls
