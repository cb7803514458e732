"""The evaluation of policies, and the permissions of calls, against AWS's own reference and documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from nightferry.testing.iam.needs import UnknownCall, find_needs
from nightferry.testing.iam.requests import Request, read_request
from nightferry.testing.iam.statements import Need, UnsupportedStatement, allows

pytestmark = pytest.mark.sampled(8)

REFERENCE = json.loads(Path(__file__).with_name("service-authorization.json").read_text())
BUCKET = "arn:aws:s3:::b"
KEY = "arn:aws:kms:us-east-1:1:key/k"
ROLE = "arn:aws:iam::1:role"
CALLER = f"{ROLE}/caller"
TOPIC = "arn:aws:sns:us-east-1:1:t"
DEFINITION = "arn:aws:ecs:us-east-1:1:task-definition/d:7"


def statement(**elements: Any) -> dict[str, Any]:
    return {"Sid": "one", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [f"{BUCKET}/in/*"], **elements}


@pytest.mark.parametrize(
    ("elements", "need", "allowed"),
    [
        ({}, Need("s3:GetObject", f"{BUCKET}/in/a"), True),
        ({}, Need("s3:GetObject", f"{BUCKET}/in/a/b\nc"), True),  # * also matches slashes and line breaks
        ({}, Need("s3:GetObject", f"{BUCKET}/out/a"), False),
        ({}, Need("s3:GetObjectTagging", f"{BUCKET}/in/a"), False),
        ({"Action": "s3:getobject"}, Need("s3:GetObject", f"{BUCKET}/in/a"), True),  # actions ignore the case
        ({"Resource": f"{BUCKET}/in/?"}, Need("s3:GetObject", f"{BUCKET}/in/ab"), False),
        ({"Resource": f"{BUCKET}/in/(a"}, Need("s3:GetObject", f"{BUCKET}/in/(a"), True),
        ({"Condition": {"StringEquals": {"k": "a*"}}}, Need("s3:GetObject", f"{BUCKET}/in/a", {"k": "ab"}), False),
        ({"Condition": {"StringLike": {"k": ["x", "a*"]}}}, Need("s3:GetObject", f"{BUCKET}/in/a", {"k": "ab"}), True),
        ({"Condition": {"ArnEquals": {"k": "arn:*"}}}, Need("s3:GetObject", f"{BUCKET}/in/a", {"k": "arn:x"}), True),
        # A condition on a missing key does not hold, unless its operator ends with IfExists.
        ({"Condition": {"StringEquals": {"k": "a"}}}, Need("s3:GetObject", f"{BUCKET}/in/a"), False),
        ({"Condition": {"StringLikeIfExists": {"k": "a"}}}, Need("s3:GetObject", f"{BUCKET}/in/a"), True),
        ({"Condition": {"StringLikeIfExists": {"k": "a"}}}, Need("s3:GetObject", f"{BUCKET}/in/a", {"k": "b"}), False),
        # All conditions must hold.
        (
            {"Condition": {"StringEquals": {"k": "a", "l": "b"}}},
            Need("s3:GetObject", f"{BUCKET}/in/a", {"k": "a", "l": "c"}),
            False,
        ),
        # An account stands for its identities.
        ({"Principal": {"AWS": "arn:aws:iam::1:root"}}, Need("s3:GetObject", f"{BUCKET}/in/a", {}, CALLER), True),
        ({"Principal": {"AWS": "arn:aws:iam::2:root"}}, Need("s3:GetObject", f"{BUCKET}/in/a", {}, CALLER), False),
    ],
)  # fmt: skip
def test_a_statement_allows(elements: dict[str, Any], need: Need, allowed: bool) -> None:
    assert allows(statement(**elements), need) is allowed


@pytest.mark.parametrize(
    "elements",
    [{"Effect": "Deny"}, {"NotAction": "s3:*"}, {"Condition": {"NumericLessThan": {"k": "1"}}}],
)
def test_an_element_that_is_not_supported_is_an_error(elements: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedStatement):
        allows(statement(**elements), Need("s3:GetObject", f"{BUCKET}/in/a", {"k": "0"}))


class Stored:
    """Resources of which some are encrypted or tagged."""

    def bucket_key(self, bucket: str) -> str | None:
        return KEY if bucket == "encrypted" else None

    def has_tags(self, bucket: str, key: str) -> bool:
        return key == "tagged"

    def topic_key(self, topic: str) -> str | None:
        return KEY

    def parameter_key(self, name: str) -> str | None:
        return KEY if "secret" in name else None

    def task_tags(self, task: str) -> dict[str, str]:
        return {"application": "a"}

    def definition(self, name: str) -> tuple[str, list[str]]:
        return DEFINITION, [f"{ROLE}/task", f"{ROLE}/execution"]


def find_all(service: str, operation: str, headers: dict[str, str] | None = None, **parameters: Any) -> list[Need]:
    return find_needs(Request("KEY", "us-east-1", service, operation, parameters, headers or {}), "1", Stored())


def find(
    service: str, operation: str, headers: dict[str, str] | None = None, **parameters: Any
) -> set[tuple[str, str]]:
    return {(need.action, need.resource) for need in find_all(service, operation, headers, **parameters)}


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (find("s3", "GetObject", Bucket="b", Key="k"), {("s3:GetObject", "arn:aws:s3:::b/k")}),
        (
            find("s3", "GetObject", Bucket="encrypted", Key="k"),
            {("s3:GetObject", "arn:aws:s3:::encrypted/k"), ("kms:Decrypt", KEY)},
        ),
        (
            find("s3", "UploadPart", Bucket="encrypted", Key="k"),
            {
                ("s3:PutObject", "arn:aws:s3:::encrypted/k"),
                ("kms:GenerateDataKey", KEY),
                ("kms:Decrypt", KEY),
            },
        ),
        (
            find("s3", "CopyObject", {"x-amz-copy-source": "/b/tagged"}, Bucket="b", Key="k"),
            {
                ("s3:PutObject", "arn:aws:s3:::b/k"),
                ("s3:GetObject", "arn:aws:s3:::b/tagged"),
                ("s3:GetObjectTagging", "arn:aws:s3:::b/tagged"),
                ("s3:PutObjectTagging", "arn:aws:s3:::b/k"),
            },
        ),
        # S3's guide, "Enforce conditional deletes": an ETag also requires s3:GetObject.
        (
            find("s3", "DeleteObject", {"if-match": '"e"'}, Bucket="b", Key="k"),
            {("s3:DeleteObject", "arn:aws:s3:::b/k"), ("s3:GetObject", "arn:aws:s3:::b/k")},
        ),
        (find("s3", "DeleteObject", {"if-match": "*"}, Bucket="b", Key="k"), {("s3:DeleteObject", "arn:aws:s3:::b/k")}),
        (
            find("ecs", "RunTask", cluster="c", taskDefinition="d", propagateTags="TASK_DEFINITION"),
            {
                ("ecs:RunTask", DEFINITION),
                ("ecs:TagResource", "arn:aws:ecs:us-east-1:1:task/c/new"),
                ("iam:PassRole", f"{ROLE}/task"),
                ("iam:PassRole", f"{ROLE}/execution"),
            },
        ),
        (
            find("ssm", "GetParameters", Names=["/a", "/secret"], WithDecryption=True),
            {
                ("ssm:GetParameters", "arn:aws:ssm:us-east-1:1:parameter/a"),
                ("ssm:GetParameters", "arn:aws:ssm:us-east-1:1:parameter/secret"),
                ("kms:Decrypt", KEY),
            },
        ),
        (
            find("sns", "Publish", TopicArn=TOPIC),
            {("sns:Publish", TOPIC), ("kms:GenerateDataKey", KEY), ("kms:Decrypt", KEY)},
        ),
    ],
)
def test_a_call_requires(found: set[tuple[str, str]], expected: set[tuple[str, str]]) -> None:
    assert found == expected


CALLS = [
    *(find_all("s3", operation, {"x-amz-copy-source": "b/tagged", "if-match": "e", "x-amz-tagging": "a=b"},
               Bucket="encrypted", Key="k", prefix="in/")
      for operation in ("ListObjectsV2", "GetObject", "HeadObject", "PutObject", "CreateMultipartUpload", "UploadPart",
                        "CompleteMultipartUpload", "CopyObject", "UploadPartCopy", "DeleteObject",
                        "AbortMultipartUpload", "GetObjectTagging", "PutObjectTagging")),
    find_all("ecs", "RunTask", cluster="c", taskDefinition="d", propagateTags="TASK_DEFINITION"),
    find_all("ecs", "DescribeTasks", cluster="c", tasks=["arn:aws:ecs:us-east-1:1:task/c/t"]),
    find_all("ecs", "StopTask", cluster="c", task="arn:aws:ecs:us-east-1:1:task/c/t"),
    find_all("logs", "CreateLogStream", logGroupName="g", logStreamName="s"),
    find_all("logs", "PutLogEvents", logGroupName="g", logStreamName="s"),
    find_all("logs", "FilterLogEvents", logGroupName="g"),
    find_all("ssm", "GetParameter", Name="/secret", WithDecryption=True),
    find_all("ssm", "GetParameters", Names=["/secret"], WithDecryption=True),
    find_all("ecr", "GetAuthorizationToken"),
    *(find_all("ecr", operation, repositoryName="r")
      for operation in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")),
    find_all("sns", "Publish", TopicArn=TOPIC),
    find_all("sqs", "SendMessage", QueueUrl="http://sqs/1/q"),
    find_all("sts", "AssumeRole", RoleArn=f"{ROLE}/r", ExternalId="e"),
    find_all("states", "ListExecutions", stateMachineArn="arn:aws:states:us-east-1:1:stateMachine:m"),
    find_all("states", "StartExecution", stateMachineArn="arn:aws:states:us-east-1:1:stateMachine:m"),
    *(find_all("states", operation, executionArn="arn:aws:states:us-east-1:1:execution:m:e")
      for operation in ("DescribeExecution", "GetExecutionHistory", "StopExecution", "RedriveExecution")),
    find_all("events", "PutRule", Name="r"),
    find_all("events", "DescribeRule", Name="r"),
    find_all("events", "PutTargets", Rule="r"),
    find_all("lambda", "Invoke", FunctionName="f"),
]  # fmt: skip


@pytest.mark.parametrize("found", CALLS, ids=lambda found: str(found[0].action))
def test_actions_resources_and_condition_keys_are_those_of_the_reference(found: list[Need]) -> None:
    for need in found:
        entry = REFERENCE[need.action]
        patterns = [re.sub(r"\\\$\\{\w+\\}", ".+", re.escape(format)) for format in entry["resources"]]
        # The ARN of a log group in a policy ends with :*, and that of a call with :log-stream: and the stream, if any.
        resource = need.resource.removesuffix(":log-stream:")
        assert any(re.fullmatch(pattern, resource) for pattern in patterns), need
        keys = {re.sub("(EncryptionContext:).*", r"\1${EncryptionContextKey}", key) for key in need.context}
        assert keys <= set(entry["conditions"]), need


def test_a_call_whose_permissions_are_not_known_is_an_error() -> None:
    with pytest.raises(UnknownCall, match="s3:RestoreObject"):
        find("s3", "RestoreObject", Bucket="b", Key="k")


@pytest.mark.parametrize(
    ("method", "path", "query", "operation"),
    [
        ("GET", "/b", "list-type=2&prefix=in/", "ListObjectsV2"),
        ("GET", "/b/k", "", "GetObject"),
        ("HEAD", "/b/k", "", "HeadObject"),
        ("POST", "/b/k", "uploads", "CreateMultipartUpload"),
        ("PUT", "/b/k", "partNumber=1&uploadId=u", "UploadPart"),
        ("POST", "/b/k", "uploadId=u", "CompleteMultipartUpload"),
        ("DELETE", "/b/k", "uploadId=u", "AbortMultipartUpload"),
        ("DELETE", "/b/k", "", "DeleteObject"),
    ],
)
def test_a_request_of_s3_is_read(method: str, path: str, query: str, operation: str) -> None:
    signature = "AWS4-HMAC-SHA256 Credential=KEY/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"
    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "HTTP_AUTHORIZATION": signature
    }  # fmt: skip
    request = read_request(environ, b"")
    assert request is not None
    assert (request.key, request.service, request.operation) == ("KEY", "s3", operation)
