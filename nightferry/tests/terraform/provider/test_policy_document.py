"""Policy documents as the provider renders them (internal/service/iam/policy_document_data_source_test.go)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nightferry.terraform.provider.policy_document import PolicyDocumentError, evaluate


def document(*statements: dict[str, Any], **arguments: Any) -> dict[str, Any]:
    return {"statement": list(statements), **arguments}


def test_one_value_is_a_text_and_several_are_sorted_in_reverse() -> None:
    text = evaluate(
        document(
            {"sid": "1", "actions": ["s3:GetBucketLocation", "s3:ListAllMyBuckets"], "resources": ["arn:aws:s3:::*"]}
        )
    )["json"]
    assert text == (
        '{\n  "Version": "2012-10-17",\n  "Statement": [\n    {\n      "Sid": "1",\n      "Effect": "Allow",\n'
        '      "Action": [\n        "s3:ListAllMyBuckets",\n        "s3:GetBucketLocation"\n      ],\n'
        '      "Resource": "arn:aws:s3:::*"\n    }\n  ]\n}'
    )


def test_variables_of_policies_and_conditions() -> None:
    statement = {
        "effect": "Deny",
        "actions": ["s3:ListBucket"],
        "resources": ["arn:aws:s3:::home/&{aws:username}"],
        "condition": [
            {"test": "StringLike", "variable": "s3:prefix", "values": ["", "home/", "home/&{aws:username}/"]},
            {"test": "Bool", "variable": "aws:SecureTransport", "values": ["false"]},
        ],
        "principals": [{"type": "AWS", "identifiers": ["arn:b", "arn:c", "arn:a"]}],
    }
    found = json.loads(evaluate(document(statement))["minified_json"])["Statement"][0]
    assert found == {
        "Effect": "Deny",
        "Action": "s3:ListBucket",
        "Resource": "arn:aws:s3:::home/${aws:username}",
        "Principal": {"AWS": ["arn:c", "arn:b", "arn:a"]},
        "Condition": {
            "Bool": {"aws:SecureTransport": "false"},
            "StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/"]},
        },
    }


def test_everybody_is_a_text() -> None:
    statement = {"actions": ["*"], "principals": [{"type": "*", "identifiers": ["*"]}]}
    assert json.loads(evaluate(document(statement))["json"])["Statement"][0]["Principal"] == "*"


def test_a_later_document_replaces_a_statement_with_the_same_id() -> None:
    override = json.dumps({"Version": "2012-10-17", "Statement": [{"Sid": "a", "Effect": "Deny", "Action": "s3:*"}]})
    found = evaluate(document({"sid": "a", "actions": ["s3:GetObject"]}, override_policy_documents=[override]))
    assert json.loads(found["json"])["Statement"] == [{"Sid": "a", "Effect": "Deny", "Action": "s3:*"}]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (document({"sid": "a", "actions": ["x"]}, {"sid": "a", "actions": ["y"]}), r"duplicate Sid \(a\)"),
        (document({"sid": "a-b", "actions": ["x"]}), "only include alphanumeric"),
        (document({"resources": ["&{aws:username}"]}, version="2008-10-17"), "not supported"),
    ],
)
def test_refused_documents(config: dict[str, Any], message: str) -> None:
    with pytest.raises(PolicyDocumentError, match=message):
        evaluate(config)
