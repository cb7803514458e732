"""The difference of two syntheses is described for reviewers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret
from nightferry.terraform import read, synthesize, write
from nightferry.terraform.reading.diff import diff, format_markdown
from tests.terraform.example import ENVIRONMENT, JobSettings, make_catalog, make_environment

pytestmark = pytest.mark.sampled(8)


def synthesize_example(change: Callable[[Catalog], object] = lambda _: None, text: str = ENVIRONMENT) -> dict[str, str]:
    catalog = make_catalog()
    change(catalog)
    return synthesize(catalog, make_environment(catalog, text))


def test_nothing_changed() -> None:
    assert diff(synthesize_example(), synthesize_example(), "test") == []
    assert "does not change" in format_markdown([], "test")


def test_nothing_changed_since_the_files_were_written(tmp_path: Path) -> None:
    write(synthesize_example(), tmp_path)
    assert diff(read(tmp_path, "test"), synthesize_example(), "test") == []


def test_a_new_task_is_reported_with_its_permissions_only() -> None:
    changes = [str(change) for change in diff(synthesize_example(), synthesize_example(add_task), "test")]
    assert "task sweep: new: 1024 CPU units, 2048 MiB, runs sweep" in changes
    assert any(
        change.startswith("IAM task sweep: new: may now") and "org-test-inbox/old/*" in change for change in changes
    )
    assert not any(change.startswith(("task load", "task report", "IAM task load")) for change in changes)


def add_task(catalog: Catalog) -> None:
    inbox = catalog.buckets["inbox"]
    catalog.task(
        "sweep", command=["sweep"], config=JobSettings, env={"FOLDER_PATH": inbox / "old"}, grants=[inbox.read("old/*")]
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[settings]", '[settings]\nnightly = "cron(0 23 * * ? *)"',
         "schedule nightly: moves from cron(30 20 * * ? *) America/New_York to cron(0 23 * * ? *) America/New_York"),
        ('mode = "a ${literal} b"', 'mode = "b"', "task load: variable MODE a $${literal} b → b"),
        ('secrets = ["common/new-relic"]', "", "task load: secret NEW_RELIC_LICENSE_KEY removed"),
        ("port = 22", "port = 2222", "aws_vpc_security_group_egress_rule.partner_sftp: from_port 22 → 2222"),
    ],
)  # fmt: skip
def test_a_change_of_the_environment(old: str, new: str, message: str) -> None:
    changes = [
        str(change)
        for change in diff(synthesize_example(), synthesize_example(text=ENVIRONMENT.replace(old, new)), "test")
    ]
    assert message in changes
    assert message.partition(":")[0] in format_markdown(
        diff(synthesize_example(), synthesize_example(text=ENVIRONMENT.replace(old, new)), "test"), "t"
    )


def test_a_changed_statement_reports_only_its_additions() -> None:
    def add_secret(catalog: Catalog) -> None:
        load = catalog.tasks["load"]
        catalog.tasks["load"] = replace(load, secrets={**load.secrets, "MODE": Secret("load/mode")}, scratch=40)

    changes = [str(change) for change in diff(synthesize_example(), synthesize_example(add_secret), "test")]
    path = "arn:aws:ssm:us-east-1:123456789012:parameter/service/example/test/load/mode"
    assert f"IAM task load (execution role): may now ssm:GetParameters on {path}" in changes
    assert "task load: new secret MODE = /service/example/test/load/mode" in changes
    assert "task load: scratch (GiB) 0 → 40" in changes
    back = [str(change) for change in diff(synthesize_example(add_secret), synthesize_example(), "test")]
    assert f"IAM task load (execution role): may no longer ssm:GetParameters on {path}" in back
    assert "task load: secret MODE removed" in back


def edit_statements(files: dict[str, str], edit: Callable[[list[Any]], object]) -> dict[str, str]:
    """Return the files after an edit of the statements of the task ``load``."""
    tasks = json.loads(files["ecs-tasks/test/tasks.tf.json"])
    edit(tasks["module"]["task_load"]["statements"])
    return files | {"ecs-tasks/test/tasks.tf.json": json.dumps(tasks)}


def make_statement(sid: str | None, *resources: str, **values: list[str]) -> dict[str, object]:
    """Return a statement, whose condition has ``values`` by test."""
    conditions = [{"test": test, "variable": "s3:prefix", "values": items} for test, items in values.items()]
    return {"sid": sid, "actions": ["s3:GetObject"], "resources": list(resources), "conditions": conditions}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        # The last of two statements with the same id stays as it was.
        ([make_statement("A", "one"), make_statement("A", "two")],
         [make_statement("A", "*"), make_statement("A", "two")],
         ["may no longer s3:GetObject on one", "may now s3:GetObject on *"]),
        ([make_statement("A", "one")], [make_statement("A", "all"), make_statement("A", "one")],
         ["may now s3:GetObject on all"]),
        ([make_statement(None, "one")], [make_statement(None, "one"), make_statement(None, "two")],
         ["may now s3:GetObject on two"]),
        # Other ids, another order or another division allow the same.
        ([make_statement("A", "one", "two")], [make_statement("C", "two"), make_statement("B", "one")], []),
        ([make_statement("A", "one", StringLike=["a"])],
         [make_statement("A", "one", StringLike=["a", "*"])],
         ["may now s3:GetObject on one if StringLike s3:prefix *"]),
        ([make_statement("A", "one", StringLike=["a"])],
         [make_statement("A", "one")],
         ["may no longer s3:GetObject on one if StringLike s3:prefix a", "may now s3:GetObject on one"]),
        # All values of a negated condition must differ, so one value more allows less.
        ([make_statement("A", "one", StringNotLike=["a", "b"])],
         [make_statement("A", "one", StringNotLike=["a"])],
         ["may no longer s3:GetObject on one if StringNotLike s3:prefix a, b",
          "may now s3:GetObject on one if StringNotLike s3:prefix a"]),
    ],
)  # fmt: skip
def test_a_widened_permission_is_visible_whatever_the_ids_are(old: list[Any], new: list[Any], expected: Any) -> None:
    files = synthesize_example()
    before, after = (edit_statements(files, lambda all_, some=some: all_.extend(some)) for some in (old, new))
    assert sorted(map(str, diff(before, after, "test"))) == [f"IAM task load: {text}" for text in expected]


@pytest.mark.parametrize(
    ("module", "subject"),
    [("ecs_task_scheduler", "IAM schedule nightly"), ("s3_ecs_trigger", "IAM trigger on-file")],
)
def test_a_widened_permission_of_a_module_is_visible(module: str, subject: str) -> None:
    files = synthesize_example()
    path = f"modules/{module}/main.tf.json"
    wider = files | {path: files[path].replace('"sqs:SendMessage"', '"sqs:SendMessage", "sqs:PurgeQueue"')}
    changes = [str(change) for change in diff(files, wider, "test")]
    assert any(change.startswith(f"{subject}: may now sqs:PurgeQueue on") for change in changes)


def test_a_change_inside_a_module_is_visible() -> None:
    old = synthesize_example()
    new = dict(old)
    for name in ("modules/s3_ecs_trigger/s3_trigger.py", "modules/ecs_task_scheduler/main.tf.json"):
        new[name] = new[name].replace("retr", "RETR")
    new["modules/ecs_task/README.md"] += "\n"
    assert [str(change) for change in diff(old, new, "test")] == [
        f"module {module}: {file} changed. Terraform's plan shows the effects on each resource of the module"
        for module, file in (("ecs_task_scheduler", "main.tf.json"), ("s3_ecs_trigger", "s3_trigger.py"))
    ]


def test_another_trusted_service_is_visible() -> None:
    files = synthesize_example()
    path = "ecs-tasks/test/iam.tf.json"
    wider = files | {path: files[path].replace('"states.amazonaws.com"', '"states.amazonaws.com", "ec2.amazonaws.com"')}
    (change,) = diff(files, wider, "test")
    assert str(change).startswith("IAM workflow_nightly_trust: may now sts:AssumeRole on itself by ec2.amazonaws.com")


def test_a_permission_that_the_deploy_role_needs_is_visible() -> None:
    files = synthesize_example()
    path = "ecs-tasks/test/deploy-role-policy-1.json"
    wider = files | {path: files[path].replace('"cloudwatch:PutMetricAlarm"', '"cloudwatch:PutMetricAlarm", "x:Y"')}
    (change,) = diff(files, wider, "test")
    assert str(change) == (
        "role to deploy: may now x:Y on arn:aws:cloudwatch:us-east-1:123456789012:alarm:example-test-*"
    )
