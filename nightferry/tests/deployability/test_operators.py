"""The commands of a person on call, with the policy that synthesis writes for the group. IAM is enforced."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nightferry.aws.backend import AwsBackend
from nightferry.environments.project import Project
from nightferry.errors import UnknownName
from nightferry.terraform import synthesize
from nightferry.testing.aws_provider.deployment import Deployment
from nightferry.testing.iam.account import EnforcedAccount
from tests.aws.project import make_aws_project
from tests.cli.terminal import nightferry

MORE = """
catalog.schedule("hourly", hello, "cron(0 5 * * ? *)")
greet = catalog.workflow("greet", RunTask(hello))
catalog.schedule("greets", greet, "cron(0 6 * * ? *)")
"""
GROUP = """
[aws.operators.on-call]
tasks = ["hello"]
workflows = ["greet"]
"""
ROLE = "arn:aws:iam::123456789012:role/on-call"


@pytest.mark.long
def test_a_group_finds_stops_and_redrives_executions(
    emulated_aws: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalog has other workflows, which the group may read and not start."""
    root = make_aws_project(tmp_path / "toy")
    (module,) = root.glob("toy_*.py")
    module.write_text(module.read_text() + MORE)
    file = root / "environments/test.toml"
    file.write_text(file.read_text() + GROUP)
    project = Project.find(root)
    environment = project.environment("test")
    Deployment(project.catalog, environment, tmp_path / "infra").apply("first")
    account = EnforcedAccount(emulated_aws, "us-east-1")
    iam = account.administer("iam")
    trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam.create_role(RoleName="on-call", AssumeRolePolicyDocument=document)
    for number, (name, text) in enumerate(synthesize(project.catalog, environment).items()):
        if "/operators-on-call" in name:
            iam.put_role_policy(RoleName="on-call", PolicyName=f"part-{number}", PolicyDocument=text)
    variables = account.variables(ROLE)
    account.enforce()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    def call(*words: str, code: int = 0) -> str:
        ended = nightferry(root, *words, "--env", "test")
        assert ended.returncode == code, (words, ended.stderr)
        return ended.stdout.strip()

    call("run", "hello", "--detach")
    execution = call("start", "greet", "--detach")
    for words in (
        ["status"],
        ["status", "hello"],
        ["status", execution],
        ["status", "greet"],
        ["starts"],
    ):
        call(*words)
    with pytest.raises(UnknownName):  # the ID of a run is searched among the executions first
        AwsBackend(project, environment).execution("3f2a")
    call("stop", execution)
    call("redrive", execution, "--dry-run")
    assert [one["call"] for one in account.calls() if not one["allowed"]] == []
    call("start", "marks", code=126)
    call("backfill", "hourly", "--from", "2026-11-01", "--to", "2026-11-01", code=126)
    assert {one["call"] for one in account.calls() if not one["allowed"]} == {
        "states:StartExecution", "scheduler:GetSchedule"
    }  # fmt: skip
