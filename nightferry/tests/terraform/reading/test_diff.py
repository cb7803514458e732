"""The difference of two syntheses is described for reviewers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Secret
from nightferry.terraform import synthesize
from nightferry.terraform.reading.diff import diff, format_markdown
from tests.terraform.example import ENVIRONMENT, JobSettings, make_catalog, make_environment


def synthesize_example(change: Callable[[Catalog], object] = lambda _: None, text: str = ENVIRONMENT) -> dict[str, str]:
    catalog = make_catalog()
    change(catalog)
    return synthesize(catalog, make_environment(catalog, text))


def test_nothing_changed() -> None:
    assert diff(synthesize_example(), synthesize_example(), "test") == []
    assert "does not change" in format_markdown([], "test")


def test_a_new_task_is_reported_with_its_permissions_only() -> None:
    changes = [str(change) for change in diff(synthesize_example(), synthesize_example(add_task), "test")]
    assert "task sweep: new: 1024 CPU units, 2048 MiB, runs sweep" in changes
    assert any(change.startswith("IAM sweep: new: may now") and "org-test-inbox/old/*" in change for change in changes)
    assert not any(change.startswith(("task load", "task report", "IAM load")) for change in changes)


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
    assert f"IAM load_execution: may now ssm:GetParameters on {path}" in changes
    assert "task load: new secret MODE = /service/example/test/load/mode" in changes
    assert "task load: scratch (GiB) 0 → 40" in changes
    back = [str(change) for change in diff(synthesize_example(add_secret), synthesize_example(), "test")]
    assert f"IAM load_execution: may no longer ssm:GetParameters on {path}" in back
    assert "task load: secret MODE removed" in back
