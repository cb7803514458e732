"""The permissions that a call requires: actions, resources and condition keys, by AWS's documentation.

Sources: Service Authorization Reference for actions, resources and keys; Amazon S3 User Guide, "Required permissions
for Amazon S3 API operations", "Enforce conditional deletes" and "Conditional writes"; Amazon S3 API Reference,
"CopyObject"; AWS KMS, Amazon SNS and Systems Manager guides for the keys of encrypted buckets, topics and parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol
from urllib.parse import unquote

from nightferry.contract import TASK_PRINCIPAL
from nightferry.testing.iam.requests import Request
from nightferry.testing.iam.statements import Need


class UnknownCall(Exception):
    """The permissions of an operation are not known. Add it to nightferry.testing.iam.needs."""


class Stored(Protocol):
    """The resources that the permissions of a call depend on."""

    def bucket_key(self, bucket: str) -> str | None:
        """Return the ARN of the KMS key that encrypts the bucket by default."""

    def has_tags(self, bucket: str, key: str) -> bool:
        """Return True if the object exists and has tags."""

    def topic_key(self, topic: str) -> str | None:
        """Return the ARN of the KMS key of a topic."""

    def parameter_key(self, name: str) -> str | None:
        """Return the ARN of the customer-managed KMS key of a parameter."""

    def definition(self, name: str) -> tuple[str, list[str]]:
        """Return the ARN of the newest or named revision of a task definition, and the ARNs of its roles."""

    def task_tags(self, task: str) -> dict[str, str]:
        """Return the tags of a task (ARN)."""


def find_needs(request: Request, account: str, stored: Stored) -> list[Need]:
    """Return what a call requires. The first need is that of the operation itself.

    Raises:
        UnknownCall: The operation is not in this module.
    """
    find = _FINDERS.get(request.service)
    needs = list(find(_Call(request, account, stored))) if find else []
    if not needs:
        raise UnknownCall(f"{request.service}:{request.operation}")
    return needs


def find_missing_object_needs(request: Request) -> list[Need]:
    """Return what S3 requires to report that an object of the call does not exist: otherwise it returns 403, not 404.

    S3 checks the permission without a prefix.
    """
    buckets = {request.parameters["Bucket"]}
    if "x-amz-copy-source" in request.headers:
        buckets = {_read_copy_source(request)[0]}
    return [Need("s3:ListBucket", f"arn:aws:s3:::{bucket}") for bucket in sorted(buckets)]


class _Call:
    """A request with the names of its resources."""

    def __init__(self, request: Request, account: str, stored: Stored) -> None:
        self.operation = request.operation
        self.parameters = request.parameters
        self.request = request
        self.stored = stored
        self._place = f"{request.region}:{account}"

    def arn(self, resource: str, service: str = "") -> str:
        return f"arn:aws:{service or self.request.service}:{self._place}:{resource}"

    def need(self, resource: str, **context: str) -> Need:
        """Return the need of the operation itself, whose action has the operation's name."""
        return Need(f"{self.request.service}:{self.operation}", resource, context)


def _find_s3_needs(call: _Call) -> Iterator[Need]:
    bucket, key = call.parameters["Bucket"], call.parameters["Key"]
    arn = f"arn:aws:s3:::{bucket}/{key}"
    kms = call.stored.bucket_key(bucket)
    matching = "if-match" in call.request.headers and call.request.headers["if-match"] != "*"
    match call.operation:
        case "ListObjectsV2":
            context = {"s3:prefix": call.parameters["prefix"]} if "prefix" in call.parameters else {}
            yield Need("s3:ListBucket", f"arn:aws:s3:::{bucket}", context)
        case "GetObject" | "HeadObject":
            yield Need("s3:GetObject", arn)
            yield from _find_key_needs(kms, "kms:Decrypt")
        case "PutObject" | "CreateMultipartUpload" | "UploadPart" | "CompleteMultipartUpload":
            yield Need("s3:PutObject", arn)
            if matching:
                yield Need("s3:GetObject", arn)
            if "x-amz-tagging" in call.request.headers:
                yield Need("s3:PutObjectTagging", arn)
            yield from _find_key_needs(kms, "kms:GenerateDataKey")
            if call.operation in ("UploadPart", "CompleteMultipartUpload"):
                yield from _find_key_needs(kms, "kms:Decrypt")
        case "CopyObject" | "UploadPartCopy":
            yield Need("s3:PutObject", arn)
            source, source_key = _read_copy_source(call.request)
            source_arn = f"arn:aws:s3:::{source}/{source_key}"
            yield Need("s3:GetObject", source_arn)
            if call.operation == "CopyObject" and call.stored.has_tags(source, source_key):
                yield Need("s3:GetObjectTagging", source_arn)
                yield Need("s3:PutObjectTagging", arn)
            yield from _find_key_needs(call.stored.bucket_key(source), "kms:Decrypt")
            yield from _find_key_needs(kms, "kms:GenerateDataKey")
        case "DeleteObject":
            yield Need("s3:DeleteObject", arn)
            if matching:
                yield Need("s3:GetObject", arn)
        case "AbortMultipartUpload" | "GetObjectTagging" | "PutObjectTagging":
            yield Need(f"s3:{call.operation}", arn)


def _read_copy_source(request: Request) -> tuple[str, str]:
    source = unquote(request.headers["x-amz-copy-source"]).lstrip("/").partition("?versionId=")[0]
    bucket, _, key = source.partition("/")
    return bucket, key


def _find_key_needs(key: str | None, *actions: str, **context: str) -> Iterator[Need]:
    if key:
        for action in actions:
            yield Need(action, key, context)


def _find_ecs_needs(call: _Call) -> Iterator[Need]:
    cluster = str(call.parameters.get("cluster", "default"))
    cluster_arn = cluster if cluster.startswith("arn:") else call.arn(f"cluster/{cluster}")
    context = {"ecs:cluster": cluster_arn}
    match call.operation:
        case "RunTask":
            # The revision is resolved before the authorization (since March 2024).
            definition, roles = call.stored.definition(call.parameters["taskDefinition"])
            if "enableExecuteCommand" in call.parameters:
                executes = str(call.parameters["enableExecuteCommand"]).lower()
                context = context | {"ecs:enable-execute-command": executes}
            yield Need("ecs:RunTask", definition, context)
            if call.parameters.get("propagateTags") == "TASK_DEFINITION" or call.parameters.get("tags"):
                tasks = cluster_arn.replace(":cluster/", ":task/")
                yield Need("ecs:TagResource", f"{tasks}/new", {"ecs:CreateAction": "RunTask"})
            overrides = call.parameters.get("overrides", {})
            chosen = [overrides[name] for name in ("taskRoleArn", "executionRoleArn") if name in overrides]
            for role in dict.fromkeys([*roles, *chosen]):
                yield Need("iam:PassRole", role, {"iam:PassedToService": TASK_PRINCIPAL})
        case "DescribeTasks":
            for task in call.parameters["tasks"]:
                yield Need("ecs:DescribeTasks", task, context)
        case "ListTasks":
            # Its resource is a container instance, which Fargate does not have.
            yield Need("ecs:ListTasks", "*", context)
        case "StopTask":
            task = call.parameters["task"]
            tags = {f"aws:ResourceTag/{name}": value for name, value in call.stored.task_tags(task).items()}
            yield Need("ecs:StopTask", task, context | tags)


def _find_logs_needs(call: _Call) -> Iterator[Need]:
    group = call.parameters.get("logGroupName", "*")
    match call.operation:
        case "CreateLogStream" | "PutLogEvents":
            yield call.need(call.arn(f"log-group:{group}:log-stream:{call.parameters['logStreamName']}"))
        case "FilterLogEvents":
            yield call.need(call.arn(f"log-group:{group}:log-stream:"))


def _find_parameter_needs(call: _Call) -> Iterator[Need]:
    if call.operation not in ("GetParameter", "GetParameters"):
        return
    for name in call.parameters.get("Names") or [call.parameters["Name"]]:
        arn = name if name.startswith("arn:") else call.arn(f"parameter/{name.lstrip('/')}")
        yield call.need(arn)
        if call.parameters.get("WithDecryption"):
            key = call.stored.parameter_key(name)
            yield from _find_key_needs(key, "kms:Decrypt", **{"kms:EncryptionContext:PARAMETER_ARN": arn})


def _find_image_needs(call: _Call) -> Iterator[Need]:
    if call.operation == "GetAuthorizationToken":
        yield call.need("*")
    elif call.operation in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
        yield call.need(call.arn(f"repository/{call.parameters['repositoryName']}"))


def _find_topic_needs(call: _Call) -> Iterator[Need]:
    if call.operation == "Publish":
        yield call.need(call.parameters["TopicArn"])
        yield from _find_key_needs(
            call.stored.topic_key(call.parameters["TopicArn"]), "kms:GenerateDataKey", "kms:Decrypt"
        )


def _find_queue_needs(call: _Call) -> Iterator[Need]:
    if call.operation == "SendMessage":
        yield call.need(call.arn(call.parameters["QueueUrl"].rpartition("/")[2]))


def _find_identity_needs(call: _Call) -> Iterator[Need]:
    if call.operation == "AssumeRole":
        external_id = call.parameters.get("ExternalId")
        yield call.need(call.parameters["RoleArn"], **({"sts:ExternalId": external_id} if external_id else {}))


def _find_states_needs(call: _Call) -> Iterator[Need]:
    match call.operation:
        case "StartExecution" | "ListExecutions":
            yield call.need(call.parameters["stateMachineArn"])
        case "DescribeExecution" | "GetExecutionHistory" | "StopExecution" | "RedriveExecution":
            yield call.need(call.parameters["executionArn"])


def _find_events_needs(call: _Call) -> Iterator[Need]:
    match call.operation:
        case "PutRule" | "DescribeRule":
            yield call.need(call.arn(f"rule/{call.parameters['Name']}"))
        case "PutTargets" | "ListTargetsByRule":
            yield call.need(call.arn(f"rule/{call.parameters['Rule']}"))


def _find_function_needs(call: _Call) -> Iterator[Need]:
    if call.operation == "Invoke":
        name = call.parameters["FunctionName"]
        yield Need("lambda:InvokeFunction", name if name.startswith("arn:") else call.arn(f"function:{name}"))


def _find_scheduler_needs(call: _Call) -> Iterator[Need]:
    if call.operation == "GetSchedule":
        yield call.need(call.arn(f"schedule/{call.parameters['GroupName']}/{call.parameters['Name']}"))
    if call.operation == "CreateSchedule":
        yield call.need(call.arn(f"schedule/{call.parameters['GroupName']}/{call.parameters['Name']}"))
        service = {"iam:PassedToService": "scheduler.amazonaws.com"}
        yield Need("iam:PassRole", call.parameters["Target"]["RoleArn"], service)


_FINDERS: dict[str, Callable[[_Call], Iterator[Need]]] = {
    "ecr": _find_image_needs,
    "ecs": _find_ecs_needs,
    "events": _find_events_needs,
    "lambda": _find_function_needs,
    "logs": _find_logs_needs,
    "s3": _find_s3_needs,
    "scheduler": _find_scheduler_needs,
    "sns": _find_topic_needs,
    "sqs": _find_queue_needs,
    "ssm": _find_parameter_needs,
    "states": _find_states_needs,
    "sts": _find_identity_needs,
}


def format_need(need: Need) -> dict[str, Any]:
    """Return a need as JSON."""
    return {"action": need.action, "resource": need.resource, "context": dict(need.context)}
