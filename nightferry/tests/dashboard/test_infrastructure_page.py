"""The page of the infrastructure: on this machine and for an environment on AWS, with checks only on request."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from nightferry.clock import get_clock
from nightferry.dashboard.access import Access
from nightferry.dashboard.pages.infrastructure import checks
from nightferry.dashboard.site import Site
from nightferry.environments.project import Project
from nightferry.local.backend import LocalBackend
from nightferry.terraform import synthesize
from tests.aws.project import ON_AWS
from tests.dashboard.dashboards import PORT, TOKEN, check_html, make_client

MORE = """
[aws.operators.on-call]
tasks = ["hello"]
workflows = ["marks"]

[settings]
color = "blue"
"""
DECLARED = """
sh("copy", "true", grants=[inbox.read("in/*"), inbox.write("out/*"), failures.publish()],
   secrets={"PASSWORD": Secret("door")})
"""


@pytest.fixture
def deployed(project_root: Path) -> Site:
    """Return a site of an environment on AWS, whose runs are those of this machine."""
    module = next(project_root.glob("toy_*.py"))
    module.write_text(module.read_text() + DECLARED)
    (project_root / "environments" / "there.toml").write_text(ON_AWS + MORE)
    project = Project.find(project_root)
    access = Access.on_loopback(TOKEN, PORT)
    local = project.environment("local")
    return Site(project, project.environment("there"), access, lambda: LocalBackend(project, local), author="anna")


def test_the_checks_of_this_machine_run_on_request(site: Site, client: httpx.Client) -> None:
    page = check_html(client.get("/local/infrastructure"))
    assert "The checks have not run since this dashboard started." in page.text_content()
    assert client.post("/local/infrastructure/check").status_code == 303
    thread = next((one for one in checks.threading.enumerate() if one.name == "dashboard-checks"), None)
    if thread is not None:
        thread.join(30)
    text = " ".join(check_html(client.get("/local/infrastructure")).text_content().split())
    assert "programs: no-such-program Command of task missing. Install the project." in text
    found = client.get("/local/infrastructure.json").json()["checks"]
    verdicts = [finding["verdict"] for finding in found["findings"]]
    assert f"{verdicts.count('ok')} ok, {verdicts.count('missing')} missing, wrong or not allowed" in text
    assert found["drift"] is None
    run = site.get_shared(checks.Checks).run
    assert run is not None
    assert run.begun_at <= run.ended_at <= get_clock().now()  # type: ignore[operator]


def test_one_run_of_the_checks_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = checks.threading.Event()

    def wait(site: Site) -> list[object]:
        gate.wait(30)
        return []

    monkeypatch.setattr(checks, "_check", wait)
    thread = site.get_shared(checks.Checks).begin()
    assert thread is not None
    assert site.get_shared(checks.Checks).begin() is None
    gate.set()
    thread.join(30)
    again = site.get_shared(checks.Checks).begin()
    assert again is not None
    again.join(30)


def test_an_environment_on_aws_without_a_call(deployed: Site) -> None:
    client = make_client(deployed)
    response = client.get("/there/infrastructure")
    text = " ".join(check_html(response).text_content().split())
    assert "Read and list objects that match in/* in bucket inbox." in text
    assert "Write objects that match out/* in bucket inbox." in text
    assert "Publish to topic failures." in text
    assert "on-call" in text
    assert "service/toy-there/ecs-tasks" in text
    links = check_html(response).xpath("//a[starts-with(@href, 'https://')]")
    assert links
    assert all(link.get("href").startswith("https://us-east-1.console.aws.amazon.com/") for link in links)
    assert all("noopener" in link.get("rel") for link in links)
    data = client.get("/there/infrastructure.json").json()
    assert data["deployed"]["operators"] == {"on-call": {"tasks": ["hello"], "workflows": ["marks"]}}
    assert any(alarm.startswith("toy-there-hello") for alarm in data["deployed"]["alarms"])
    task = check_html(client.get("/there/tasks/copy"))
    assert '"s3:GetObject"' in task.xpath("string(//details/pre)")
    assert "door" in task.text_content()
    client.close()


def test_the_drift_of_the_written_files(deployed: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_check", lambda _: [])
    for path, text in synthesize(deployed.catalog, deployed.environment).items():
        file = deployed.project.root / "infra" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    client = make_client(deployed)

    def check() -> str:
        thread = deployed.get_shared(checks.Checks).begin()
        assert thread is not None
        thread.join(60)
        return " ".join(check_html(client.get("/there/infrastructure")).text_content().split())

    assert "The written Terraform files agree with the catalog." in check()
    file = deployed.project.root / "infra" / "ecs-tasks" / "there" / "tasks.tf.json"
    file.write_text(file.read_text().replace('"cpu": 1024', '"cpu": 512', 1))
    assert "Differences between the written Terraform files and the catalog" in check()
    client.close()


def test_a_failed_check_is_a_problem_and_not_the_end(site: Site, client: httpx.Client) -> None:
    def fail(site: Site) -> None:
        raise OSError("password=hunter2")

    patch = pytest.MonkeyPatch()
    patch.setattr(checks, "_check", fail)
    thread = site.get_shared(checks.Checks).begin()
    assert thread is not None
    thread.join(30)
    patch.undo()
    text = check_html(client.get("/local/infrastructure")).text_content()
    assert "The checks failed (OSError)." in text
    assert "hunter2" not in text
