"""The permissions boundary of an environment limits every role, and the deploy role cannot create a role without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nightferry.environments.environment import parse
from nightferry.errors import EnvironmentFileError
from nightferry.terraform import synthesize
from nightferry.terraform.provider.server import ProviderError
from nightferry.terraform.reading.expansion import expand
from nightferry.testing.aws_provider.permissions import Permissions
from tests.deployability import test_permissions as proof
from tests.terraform.example import ENVIRONMENT, make_catalog, make_environment
from tests.terraform.test_deployers import (
    BOUNDARY,
    FOLDER,
    list_statements,
    read_policies,
    synthesize_limited,
)

ANOTHER = "arn:aws:iam::aws:policy/AdministratorAccess"
ROLE = "paid-leave-api-test-new"


def test_every_role_has_the_boundary() -> None:
    """The roles of all modules, and those that no module creates."""
    catalog = proof.make_catalog()
    limited = proof.ENVIRONMENT.replace("bucket_prefix", f'permissions_boundary = "{BOUNDARY}"\nbucket_prefix')
    for text, expected in ((limited, BOUNDARY), (proof.ENVIRONMENT, None)):
        files = synthesize(catalog, parse("test", text, catalog, Path("environments/test.toml")))
        roles = [one for one in expand(files, FOLDER) if one.type == "aws_iam_role"]
        assert {one.arguments.get("permissions_boundary") for one in roles} == {expected}
        modules = {one.address.split(".")[1] for one in roles if one.address.startswith("module.")}
        kinds = (
            "task_work",
            "schedule",
            "trigger",
            "newrelic_forwarder",
            "news_slack",
            "failure_notices",
            "task_retries",
        )
        assert all(any(name.startswith(kind) for name in modules) for kind in kinds), modules
        assert any(one.name.endswith("-workflow") for one in roles)


def deploy_role(**boundaries: str) -> Permissions:
    policies = read_policies(synthesize_limited(), "deploy")
    return Permissions(policies, "123456789012", "us-east-1", boundaries=boundaries)


@pytest.mark.parametrize(
    ("boundaries", "operation", "parameters"),
    [
        ({}, "CreateRole", {}),
        ({}, "CreateRole", {"PermissionsBoundary": ANOTHER}),
        ({ROLE: BOUNDARY}, "CreateRole", {}),
        ({}, "PutRolePolicy", {}),
        ({ROLE: ANOTHER}, "PutRolePolicy", {}),
        ({ROLE: BOUNDARY}, "PutRolePermissionsBoundary", {"PermissionsBoundary": ANOTHER}),
        ({ROLE: BOUNDARY}, "DeleteRolePermissionsBoundary", {}),
        ({ROLE: BOUNDARY}, "AttachRolePolicy", {}),
    ],
)
def test_the_deploy_role_may_not_give_more_permissions(
    boundaries: dict[str, str], operation: str, parameters: dict[str, Any]
) -> None:
    with pytest.raises(ProviderError, match=f"may not perform iam:{operation}"):
        deploy_role(**boundaries).check("iam", operation, {"RoleName": ROLE, **parameters})


def test_the_deploy_role_creates_and_limits_roles() -> None:
    role, name = deploy_role(), {"RoleName": ROLE}
    role.check("iam", "CreateRole", {**name, "PermissionsBoundary": BOUNDARY})
    role.check("iam", "PutRolePolicy", name)
    role.check("iam", "PutRolePermissionsBoundary", {**name, "PermissionsBoundary": BOUNDARY})
    role.check("iam", "DeleteRole", name)


def test_no_policy_allows_changing_the_boundary() -> None:
    actions = {action for one in list_statements(synthesize_limited(), "deploy") for action in one["Action"]}
    changing = {"iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeleteRolePermissionsBoundary", "iam:*"}
    assert actions & changing == set()


def test_a_boundary_that_is_not_a_policy_is_refused() -> None:
    text = ENVIRONMENT.replace(
        "bucket_prefix", f'permissions_boundary = "{BOUNDARY.replace("policy", "role")}"\nbucket_prefix'
    )
    with pytest.raises(EnvironmentFileError, match=r"aws.permissions_boundary.*is not valid. ARN of the policy"):
        make_environment(make_catalog(), text)
