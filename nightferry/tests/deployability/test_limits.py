"""Limits of AWS's API models and permissions of a role, which the emulators do not enforce."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest

from nightferry.terraform.provider.server import ProviderError
from nightferry.testing.aws_provider.limits import check_parameters
from nightferry.testing.aws_provider.permissions import Permissions

SESSION = botocore.session.get_session()


@pytest.mark.parametrize(
    ("service", "operation", "parameters", "message"),
    [
        ("iam", "CreateRole", {"RoleName": "r" * 65}, "length 65, above the maximum of 64"),
        ("iam", "CreateRole", {"RoleName": "a b"}, "does not match"),
        (
            "scheduler",
            "CreateSchedule",
            {"Target": {"RetryPolicy": {"MaximumRetryAttempts": 186}}},
            "above the maximum",
        ),
        ("sns", "CreateTopic", {"Tags": [{"Key": "k" * 129, "Value": ""}]}, r"Tags\[0\].Key has length 129"),
        ("lambda", "CreateFunction", {"Runtime": "python2.6"}, "not one of"),
        ("events", "PutRule", {"Name": "rule/x"}, "does not match"),
    ],
)
def test_a_call_beyond_a_limit_is_refused(service: str, operation: str, parameters: Any, message: str) -> None:
    shape = SESSION.get_service_model(service).operation_model(operation).input_shape
    with pytest.raises(ProviderError, match=message):
        check_parameters(service, operation, shape, parameters)


def permissions(action: str, resource: str, **conditions: Any) -> Permissions:
    statement = {"Effect": "Allow", "Action": [action], "Resource": [resource], "Condition": conditions}
    return Permissions([{"Statement": [statement]}], "123456789012", "us-east-1", own_tags={"application": "a"})


@pytest.mark.parametrize(
    ("allowed", "service", "operation", "parameters"),
    [
        (permissions("iam:GetRole", "arn:aws:iam::123456789012:role/a-*"), "iam", "GetRole", {"RoleName": "a-x"}),
        (permissions("sqs:DeleteQueue", "arn:aws:sqs:us-east-1:123456789012:a"), "sqs", "DeleteQueue",
         {"QueueUrl": "https://sqs/123456789012/a"}),
        (permissions("kms:PutKeyPolicy", "*", StringEquals={"aws:ResourceTag/application": ["a"]}), "kms",
         "PutKeyPolicy", {"KeyId": "k"}),
    ],
)  # fmt: skip
def test_a_call_that_the_role_may_make(allowed: Permissions, service: str, operation: str, parameters: Any) -> None:
    allowed.check(service, operation, parameters)


@pytest.mark.parametrize(
    ("allowed", "operation", "parameters", "missing"),
    [
        (permissions("iam:*", "arn:aws:iam::123456789012:role/a-*"), "GetRole", {"RoleName": "b-x"}, "iam:GetRole"),
        (permissions("iam:CreateRole", "*"), "CreateRole", {"RoleName": "a", "Tags": [{"Key": "k", "Value": "v"}]},
         "iam:TagRole"),
        (permissions("iam:GetRole", "*", StringEquals={"aws:ResourceTag/application": ["b"]}), "GetRole",
         {"RoleName": "a"}, "iam:GetRole"),
    ],
)  # fmt: skip
def test_a_call_that_the_role_may_not_make(allowed: Permissions, operation: str, parameters: Any, missing: str) -> None:
    with pytest.raises(ProviderError, match=f"may not perform {missing}"):
        allowed.check("iam", operation, parameters)


def test_passing_a_role_is_a_permission_of_its_own() -> None:
    allowed = permissions("scheduler:CreateSchedule", "*")
    target = {"Target": {"RoleArn": "arn:aws:iam::123456789012:role/x"}}
    with pytest.raises(ProviderError, match="iam:PassRole"):
        allowed.check("scheduler", "CreateSchedule", {"GroupName": "g", "Name": "n", **target})
