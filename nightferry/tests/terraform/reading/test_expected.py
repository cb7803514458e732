"""What must exist after a deployment, for a catalog with every kind of declaration."""

from __future__ import annotations

import re

import pytest

from nightferry.backend.verify.expected import Permission
from nightferry.environments.aws_resources import AwsResources
from nightferry.terraform import synthesize
from nightferry.terraform.reading.expected import find_expected
from nightferry.terraform.reading.inventory import build_inventory
from tests.terraform import example, full_catalog

ARN = re.compile(r"\*|arn:aws(-\w+)*:[a-z0-9-]+:[a-z0-9-]*:(\d{12})?:[^*?${}]+")


@pytest.mark.parametrize("module", [example, full_catalog])
def test_each_permission_has_an_example(module: object) -> None:
    """Test that an example exists for each action of each role, and that only KMS's key has an unknown ARN."""
    catalog = module.make_catalog()  # type: ignore[attr-defined]
    environment = module.make_environment(catalog)  # type: ignore[attr-defined]
    files = synthesize(catalog, environment)
    expected = find_expected(files, AwsResources(catalog, environment))
    roles = build_inventory(files, environment.name).roles
    assert expected.permissions.keys() == roles.keys()
    for role, permissions in expected.permissions.items():
        declared = {action for one in roles[role]["statements"] if one["Effect"] == "Allow" for action in one["Action"]}
        assert {one.action for one in permissions} == declared
        assert len(set(permissions)) == len(permissions)
        for one in permissions:
            assert ARN.fullmatch(one.resource) or one.resource.startswith("${aws_kms_key["), one
            assert all(value and not re.search(r"[*?${}]", value) for _, value in one.context), one


def test_conditions_become_contexts() -> None:
    catalog = example.make_catalog()
    environment = example.make_environment(catalog)
    expected = find_expected(synthesize(catalog, environment), AwsResources(catalog, environment))
    bucket = "arn:aws:s3:::org-test-inbox"
    load = expected.permissions["example-test-load"]
    assert Permission("s3:ListBucket", bucket, (("s3:prefix", "in/1"),)) in load
    assert Permission("s3:ListBucket", bucket) not in load
    assert Permission("s3:GetObject", f"{bucket}/in/1") in load
    started = [one for one in expected.permissions["example-test-for-a-year-schedule"] if one.action == "ecs:RunTask"]
    cluster = "arn:aws:ecs:us-east-1:123456789012:cluster/example-test"
    task = "arn:aws:ecs:us-east-1:123456789012:task-definition/example-test-report:1"
    assert started == [Permission("ecs:RunTask", task, (("ecs:cluster", cluster),))]
