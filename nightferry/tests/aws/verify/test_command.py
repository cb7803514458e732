"""The command ``nightferry verify`` for an environment on AWS: its output, its options and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import boto3

from nightferry.testing import FakeFargate, ScriptedLine, TaskScript
from tests.aws.processes import run


def set_deployed_tag(aws: FakeFargate) -> None:
    ssm: Any = boto3.client(
        "ssm", endpoint_url=aws.url, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="a"
    )
    ssm.put_parameter(Name="/service/toy/test/ecs-tasks/image-tag", Value="abc", Type="String")


def test_after_a_deployment_a_task_is_run_and_found(root: Path, aws: FakeFargate) -> None:
    set_deployed_tag(aws)
    aws.script("hello", TaskScript(lines=[ScriptedLine(0.3, "hello from the task")]))
    options = ("--env", "test", "--after-deploy", "--run", "hello", "--json")
    done = run(root, aws.variables, "nightferry", "verify", *options)
    found = {(one["group"], one["name"]): one for one in json.loads(done.stdout)}
    (id,) = aws.run_ids("hello")
    assert found["runs", "a successful run"]["verdict"] == "ok"
    assert id in found["runs", "a successful run"]["detail"]
    assert "hello from the task" in done.stderr  # standard output has only the JSON
    assert found["logs", "streams of service/toy-test/ecs-tasks"]["verdict"] == "ok"
    assert found["workflows", "toy-test-marks"]["verdict"] == "ok"


def test_without_the_option_nothing_is_started_or_read_about_starts(root: Path, aws: FakeFargate) -> None:
    done = run(root, aws.variables, "nightferry", "verify", "--env", "test")
    assert done.returncode == 1
    assert "a successful run" not in done.stdout
    assert "RunTask" not in aws.calls
    summary = done.stdout.splitlines()[-1]
    assert "missing, wrong or not allowed" in summary
    assert "not checked in test" in summary


def test_options_that_exclude_each_other_are_refused(root: Path, aws: FakeFargate) -> None:
    for options, message in (
        (("--env", "test", "--run", "hello"), "--run requires --after-deploy"),
        (("--env", "test", "--after-deploy", "--prerequisites"), "exclude each other"),
        (("--after-deploy",), "Environment 'local' runs on this machine, without a deployment"),
    ):
        done = run(root, aws.variables, "nightferry", "verify", *options)
        assert done.returncode != 0
        assert message in done.stderr
        assert done.stdout == ""
