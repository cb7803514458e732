"""The first step of a deployment applies what a run of the migration needs, and nothing that changes another task.

Terraform applies the targets of the step and everything that they refer to. These tests follow the references in the
synthesized files in the same way.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

PROJECT = Path(__file__).parents[3]
INFRA = PROJECT / "paidleave" / "infra"
ENVIRONMENTS = sorted(path.name for path in (INFRA / "ecs-tasks").iterdir() if path.is_dir())
MIGRATION = "module.task_db_migrate_up"
TOKENS = re.compile(r"(data\.\w+\.\w+|module\.\w+|local\.\w+|\baws_\w+\.\w+)")


def read_blocks(environment: str) -> dict[str, Any]:
    """Return the blocks of the root module by address."""
    blocks: dict[str, Any] = {}
    for file in (INFRA / "ecs-tasks" / environment).glob("*.tf.json"):
        document = json.loads(file.read_text(encoding="utf-8"))
        for prefix, section in (("", "resource"), ("data.", "data")):
            for kind, members in document.get(section, {}).items():
                blocks |= {f"{prefix}{kind}.{name}": body for name, body in members.items()}
        blocks |= {f"module.{name}": body for name, body in document.get("module", {}).items()}
        blocks |= {f"local.{name}": value for name, value in document.get("locals", {}).items()}
    return blocks


def find_references(body: Any) -> set[str]:
    """Return the addresses in the expressions and in ``depends_on`` of a block."""
    if isinstance(body, dict):
        return {
            found
            for key, item in body.items()
            if key != "//"
            for found in (set(item) if key == "depends_on" else find_references(item))
        }
    if isinstance(body, list):
        return {found for item in body for found in find_references(item)}
    if not isinstance(body, str):
        return set()
    return {found for part in re.findall(r"\$\{(.*?)\}", body) for found in TOKENS.findall(part)}


def follow(blocks: dict[str, Any], targets: set[str]) -> set[str]:
    """Return the targets and everything that they refer to, directly or not."""
    reached: set[str] = set()
    pending = set(targets)
    while pending:
        address = pending.pop()
        assert address in blocks, f"{address} is not declared"
        reached.add(address)
        pending |= find_references(blocks[address]) - reached
    return reached


@pytest.fixture(scope="module")
def targets() -> set[str]:
    workflow = yaml.safe_load((PROJECT / ".github" / "workflows" / "deploy.yml").read_text(encoding="utf-8"))
    (register,) = [step["run"] for step in workflow["jobs"]["deploy"]["steps"] if step.get("id") == "register"]
    return set(re.findall(r"-target=(\w+\.\w+)", register))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_targets_apply_what_the_migration_needs_and_nothing_else(environment: str, targets: set[str]) -> None:
    blocks = read_blocks(environment)
    reached = follow(blocks, targets)
    managed = {address for address in reached if not address.startswith(("data.", "local."))}
    group = {"aws_security_group.tasks"}
    # The rules that let the task reach AWS and its database. Nothing refers to them, so each is a target itself.
    rules = {
        address
        for address, body in blocks.items()
        if address.startswith("aws_vpc_security_group_") and group & find_references(body)
        and address.rpartition(".")[2] in ("https", "database")
    }  # fmt: skip
    assert len(rules) == 3
    # run-ecs-task reads the parameter and the log; the module has the definition and both roles with their policies.
    assert managed == {MIGRATION, *group, *rules, "aws_ssm_parameter.network", "aws_cloudwatch_log_group.tasks"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_all_permissions_of_the_migration_are_in_its_module(environment: str, targets: set[str]) -> None:
    """Such as rds-db:connect, which the task needs if it has no password."""
    blocks = read_blocks(environment)
    module = json.loads((INFRA / "modules" / "ecs_task" / "main.tf.json").read_text(encoding="utf-8"))["resource"]
    assert {"aws_ecs_task_definition", "aws_iam_role", "aws_iam_role_policy"} == set(module)
    assert set(module["aws_iam_role"]) == set(module["aws_iam_role_policy"]) == {"task", "execution"}
    assert MIGRATION in targets
    others = {
        address: body
        for address, body in blocks.items()
        if re.match(r"aws_iam_\w*polic|aws_iam_role_policy_attachment", address)
    }
    assert not any(MIGRATION in find_references(body.get("role")) for body in others.values())
