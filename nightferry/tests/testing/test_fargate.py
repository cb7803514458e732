"""Commands in the time of a fake clock, and workflows, on the fake Fargate."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from nightferry.environments.project import Project
from nightferry.testing import FakeClock, FakeFargate, ScriptedLine, TaskScript
from tests.aws.project import make_aws_project

MORE = """
from nightferry.states.builder import Output
catalog.function("double", local="{module}:double", arn=catalog.setting("double", default="arn:double"))

def double(payload):
    return {{"twice": payload["n"] * 2}}

count = catalog.task("count", main="{module}_jobs:main")
catalog.workflow("counted", Steps(RunTask(count), RunTask(mark, env={{"COUNT": Output(count, "rows")}})))

for via in ("scheduler", "rule"):
    catalog.schedule(f"counts-{{via}}", count, "cron(0 5 * * ? *)", env={{"COLOR": via}}, via=via)
    catalog.schedule(f"fails-{{via}}", catalog.workflows["fails"], "cron(0 6 * * ? *)", via=via)

catalog.workflow("plain", {{"StartAt": "Wait", "States": {{
    "Wait": {{"Type": "Wait", "Seconds": 120, "Next": "Double"}},
    "Double": {{"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {{"FunctionName": "${{function:double}}", "Payload.$": "$"}},
        "OutputPath": "$.Payload", "Next": "Child"}},
    "Child": {{"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {{"StateMachineArn": "${{workflow:fails}}", "Input": {{}}}},
        "Catch": [{{"ErrorEquals": ["States.TaskFailed"], "ResultPath": "$.child", "Next": "Counted"}}], "End": true}},
    "Counted": {{"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "ResultPath": None,
        "Parameters": {{"StateMachineArn": "${{workflow:counted}}", "Input": {{}}}}, "Next": "End"}},
    "End": {{"Type": "Pass", "End": true}}}}}})
"""


JOBS = """
from nightferry.job import JobSettings, Run, background_task

class CountSettings(JobSettings):
    color: str = ""

@background_task("count", CountSettings)
def main(settings: CountSettings, run: Run) -> dict[str, int]:
    return {"rows": 7}
"""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def fargate(tmp_path: Path, clock: FakeClock) -> Iterator[FakeFargate]:
    root = make_aws_project(tmp_path / "toy")
    (module,) = root.glob("toy_*.py")
    text = module.read_text().replace(
        'image=Image("toy")', 'image=Image("toy"), results=BucketPath("inbox", "results")'
    )
    text = text.replace("import Catalog,", "import BucketPath, Catalog,")
    module.with_name(f"{module.stem}_jobs.py").write_text(JOBS)
    module.write_text(text + MORE.format(module=module.stem).replace("true", "True"))
    environment = root / "environments" / "test.toml"
    notices = '\n[notices.failures]\nemails = ["on-call@example.gov"]\nslack = "notices/slack"\n'
    environment.write_text(environment.read_text() + notices)
    with FakeFargate(Project.find(root), "test", clock) as fake:
        yield fake


def test_a_command_takes_the_time_of_the_clock(fargate: FakeFargate, clock: FakeClock) -> None:
    began, real = clock.now(), time.monotonic()
    lines = [ScriptedLine(1, "one"), ScriptedLine(300, "two")]
    fargate.script("three", TaskScript(lines=lines, stopped=301, exit_code=3))
    ended = fargate.command("run", "three", "--env", "test")
    assert (ended.exit_code, ended.output) == (3, "one\ntwo\n")
    assert "three ended with exit code 3" in ended.errors
    assert timedelta(minutes=5) < clock.now() - began < timedelta(minutes=6)
    assert time.monotonic() - real < 120


def test_a_failed_workflow_is_explained_and_continues_with_a_redrive(fargate: FakeFargate) -> None:
    failing = TaskScript(lines=[ScriptedLine(1, "leaving")], stopped=5, exit_code=3)
    fargate.script("three", failing, TaskScript())
    ended = fargate.command("start", "fails", "--env", "test")
    assert ended.exit_code == 1
    assert "three: exit code 3" in ended.output + ended.errors
    assert fargate.calls.count("DescribeExecution") < 60  # some for each poll, and not one for each workflow
    assert (len(fargate.run_ids("three")), len(fargate.run_ids("hello"))) == (1, 0)
    (failed,) = json.loads(fargate.command("status", "fails", "--env", "test", "--json").output)["executions"]
    assert (failed["status"], failed["error"]) == ("FAILED", "States.TaskFailed")
    assert json.loads(failed["cause"])["Containers"][0]["ExitCode"] == 3
    redriven = fargate.command("redrive", failed["id"], "--env", "test")
    assert redriven.exit_code == 0, redriven
    assert [len(fargate.run_ids(task)) for task in ("three", "hello")] == [2, 1]


def test_waits_functions_results_and_other_workflows(fargate: FakeFargate, clock: FakeClock) -> None:
    began = clock.now()
    fargate.script("three", TaskScript(exit_code=3))
    fargate.script("count", TaskScript(result={"rows": 7}))
    ended = fargate.command("start", "plain", "--env", "test", "--input", '{"n": 21}')
    assert ended.exit_code == 0, ended
    assert clock.now() - began > timedelta(minutes=2)
    (listed,) = json.loads(fargate.command("status", "plain", "--env", "test", "--json").output)["executions"]
    plain = json.loads(fargate.command("status", listed["id"], "--env", "test", "--json").output)
    assert plain["output"]["twice"] == 42
    assert plain["output"]["child"]["Error"] == "States.TaskFailed"
    (run,) = fargate.run_ids("mark")
    (override,) = fargate.model(run).overrides["containerOverrides"]
    assert {"name": "COUNT", "value": "7"} in override["environment"]


def test_a_stop_ends_the_tasks_of_an_execution(fargate: FakeFargate, clock: FakeClock) -> None:
    fargate.script("slow", TaskScript(stopped=None))
    id = fargate.command("start", "stays", "--env", "test", "--detach").output.split()[-1]
    clock.sleep(60)
    assert fargate.command("stop", id, "--env", "test").exit_code == 0
    clock.sleep(60)
    status = json.loads(fargate.command("status", id, "--env", "test", "--json").output)
    assert status["status"] == "ABORTED"
    (run,) = fargate.run_ids("slow")
    assert fargate.model(run).desired_status == "STOPPED"


@pytest.mark.parametrize("via", ["scheduler", "rule"])
def test_a_backfill_starts_what_the_deployed_schedules_would_start(
    fargate: FakeFargate, clock: FakeClock, via: str
) -> None:
    first, last = (f"{clock.now() - timedelta(days=days):%Y-%m-%d}" for days in (3, 2))
    period = ("--from", first, "--to", last, "--env", "test")
    ended = fargate.command("backfill", f"counts-{via}", *period)
    assert (ended.exit_code, ended.output.splitlines()[-1]) == (0, "2 of 2 times succeeded"), ended
    environments = [
        {item["name"]: item["value"] for item in fargate.model(run).overrides["containerOverrides"][0]["environment"]}
        for run in fargate.run_ids("count")
    ]
    assert [(one["SCHEDULED_AT"], one["COLOR"]) for one in environments] == [
        (f"{day}T05:00:00Z", via) for day in (first, last)
    ]
    ended = fargate.command("backfill", f"fails-{via}", *period)
    assert (ended.exit_code, len(fargate.run_ids("three"))) == (0, 2), ended


def test_a_test_notice_is_published_to_the_recipients(fargate: FakeFargate) -> None:
    ended = fargate.command("notifications", "test", "failures", "--env", "test")
    assert ended.exit_code == 0, ended
    assert ended.output.splitlines() == [
        "on-call@example.gov\tpublished; AWS sends the e-mail",
        "Slack (notices/slack)\tpublished; the result is in the log group /aws/lambda/toy-test-failures-slack",
    ]
    (message,) = fargate.published
    assert message["Subject"] == "Test notice of toy test"
    assert message["TopicArn"].endswith(":toy-test-failures")
