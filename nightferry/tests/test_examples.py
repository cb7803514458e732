"""Run the small projects in examples/: each one on this machine, and its Terraform and types."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, TaskScript
from nightferry.testing.aws_provider.deployment import Deployment
from nightferry.testing.iam.account import EnforcedAccount
from nightferry.testing.iam.agent import Agent
from nightferry.testing.iam.services import Services, make_object_event
from nightferry.testing.tiers import LONG
from tests.cli.terminal import nightferry, nightferry_process

pytest_plugins = ["pytester"]

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())
UNWANTED = shutil.ignore_patterns("__pycache__", ".nightferry", "infra", ".mypy_cache")


def copy(name: str, folder: Path) -> Path:
    return Path(shutil.copytree(EXAMPLES / name, folder / name, ignore=UNWANTED))


def test_the_tests_of_csv_report_pass(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    project = copy("csv-report", pytester.path)
    monkeypatch.chdir(project)
    monkeypatch.syspath_prepend(project / "src")
    selected = [] if LONG else ["-k", "not s3"]  # pytester imports moto again, which takes seconds
    ended = pytester.inline_run("-p", "no:cacheprovider", "-p", "no:xdist", *selected)
    ended.assertoutcome(passed=6 if LONG else 3)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_an_example_passes_mypy_and_can_be_deployed(name: str, tmp_path: Path) -> None:
    project = copy(name, tmp_path)
    mypy = [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path / "cache")]
    checked = subprocess.run(mypy, cwd=project, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout
    written = nightferry(project, "synth", "--env", "test")
    assert written.returncode == 0, written.stderr
    assert nightferry(project, "diff", "--env", "test").stdout == "No changes in test.\n"


@pytest.mark.long
def test_a_file_starts_csv_report(tmp_path: Path) -> None:
    project = copy("csv-report", tmp_path)
    bucket = project / ".nightferry" / "buckets" / "files"
    (bucket / "incoming").mkdir(parents=True)
    engine = subprocess.Popen(
        [Path(sys.executable).with_name("nightferry"), "up", "--port", "0"],
        cwd=project,
        stdout=subprocess.PIPE,
        text=True,
    )
    with engine:
        assert engine.stdout is not None
        while '"event": "up"' not in (line := engine.stdout.readline()):
            assert line, "the engine has not started"
        shutil.copy(project / "orders.csv", bucket / "incoming")
        report = bucket / "reports" / "orders.json"
        deadline = time.monotonic() + 60
        while not report.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        engine.terminate()
        engine.communicate(timeout=60)
    assert json.loads(report.read_text()) == {"north": 160, "south": 80}


@pytest.mark.long
def test_a_failed_attempt_of_api_to_postgres_is_repeated(tmp_path: Path) -> None:
    project = copy("api-to-postgres", tmp_path)
    first = nightferry_process(project, "run", "load-orders")
    assert "The API refused page 1 with status 503" in first.stdout
    assert first.returncode == 1
    runs = json.loads(nightferry(project, "status", "--json").stdout)["runs"]
    assert sorted(run["exit_code"] for run in runs) == [0, 1]
    log = [json.loads(line) for line in nightferry(project, "logs", "load-orders").stdout.splitlines()]
    assert [line["result"] for line in log if line.get("event") == "result"] == [{"orders": 3}]


@pytest.mark.long
@pytest.mark.parametrize(
    ("content", "sums", "notices"),
    [
        ("region,amount\nnorth,120\nsouth,80\nnorth,40\nwest,7\n", ["north: 160", "south: 80", "west: 7"], 0),
        ("region,amount\n", [], 1),
    ],
)
def test_regional_sales_runs_for_each_region(tmp_path: Path, content: str, sums: list[str], notices: int) -> None:
    project = copy("regional-sales", tmp_path)
    (project / "sales.csv").write_text(content)
    sent = json.dumps({"uri": (project / "sales.csv").as_uri(), "key": "sales.csv"})
    ended = nightferry_process(project, "start", "sales", "--input", sent)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    messages = [json.loads(line)["message"] for line in nightferry(project, "logs", "sales").stdout.splitlines()]
    assert sorted(message for message in messages if ": " in message) == sums
    assert len(json.loads(nightferry(project, "notifications", "--json").stdout)) == notices


MOTO_ACCOUNT = "123456789012"
MANIFEST = '{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}'


@contextmanager
def deploy(name: str, url: str, folder: Path) -> Iterator[tuple[Services, EnforcedAccount]]:
    """Apply an example's Terraform on moto with IAM enforced. Its jobs run with the roles of the environment."""
    project_folder = copy(name, folder)
    file = project_folder / "environments" / "test.toml"
    file.write_text(file.read_text().replace("111111111111", MOTO_ACCOUNT))
    project = Project.find(project_folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)  # in which the jobs find their modules, as in the image
        deployment = Deployment(project.catalog, project.environment("test"), folder / "applied")
        deployment.apply("first")
        account = EnforcedAccount(url, "us-east-1")
        account.administer("ecr").put_image(repositoryName=name, imageTag="first", imageManifest=MANIFEST)
        account.enforce()
        agent = Agent(account, {})
        yield (
            Services(account, agent, deployment.resources.aws.cluster, deployment.root / ".terraform"),
            account,
        )


@pytest.mark.long
def test_csv_report_runs_on_an_emulated_aws(emulated_aws: str, tmp_path: Path) -> None:
    with deploy("csv-report", emulated_aws, tmp_path) as (services, account):
        s3 = account.administer("s3")
        s3.put_object(
            Bucket="csv-report-test-files", Key="incoming/orders.csv", Body=b"region,amount\nnorth,120\nnorth,40\n"
        )
        services.invoke(
            "csv-report-test-orders-arrived-trigger", make_object_event("csv-report-test-files", "incoming/orders.csv")
        )
        report = s3.get_object(Bucket="csv-report-test-files", Key="reports/orders.json")["Body"].read()
        assert json.loads(report) == {"north": 160}
        assert all(call["allowed"] for call in account.calls())


@pytest.mark.long
def test_regional_sales_runs_on_an_emulated_aws(emulated_aws: str, tmp_path: Path) -> None:
    with deploy("regional-sales", emulated_aws, tmp_path) as (services, account):
        account.administer("s3").put_object(
            Bucket="regional-sales-test-files", Key="incoming/sales.csv", Body=b"region,amount\nnorth,120\nsouth,80\n"
        )
        machine = f"arn:aws:states:us-east-1:{MOTO_ACCOUNT}:stateMachine:regional-sales-test-sales"
        uri = "s3://regional-sales-test-files/incoming/sales.csv"
        services.run_workflow(machine, {"uri": uri, "key": "incoming/sales.csv"})
        assert all(call["allowed"] for call in account.calls())


@pytest.mark.long
def test_commands_run_the_examples_on_a_fake_fargate(tmp_path: Path) -> None:
    with FakeFargate(Project.find(copy("csv-report", tmp_path)), "test", FakeClock()) as aws:
        missing = aws.command("run", "report", "--env", "test")
        assert (missing.exit_code, "S3_URI" in missing.errors) == (2, True)
        ended = aws.command("run", "report", "--s3-uri=s3://files/incoming/orders.csv", "--env", "test")
        assert ended.exit_code == 0, ended.errors
        (run,) = aws.run_ids("report")
        (overrides,) = aws.model(run).overrides["containerOverrides"]
        assert {"name": "S3_URI", "value": "s3://files/incoming/orders.csv"} in overrides["environment"]
    with FakeFargate(Project.find(copy("regional-sales", tmp_path)), "test", FakeClock()) as aws:
        aws.script("find-regions", TaskScript(result={"regions": ["north", "south"], "count": 2}))
        sent = json.dumps({"uri": "s3://files/incoming/sales.csv", "key": "incoming/sales.csv"})
        ended = aws.command("start", "sales", "--env", "test", "--input", sent)
        assert ended.exit_code == 0, ended.output
        assert len(aws.run_ids("sum-region")) == 2
