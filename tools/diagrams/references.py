"""The references of AWS resources in the synthesized Terraform.

A reference is a Terraform expression, an ARN, a name in an argument, or a resource of an IAM statement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from nightferry.terraform.reading.expansion import Resource
from nightferry.terraform.reading.values import to_json

# Arguments that name a resource of a type, or an existing one.
_ATTRIBUTES = {
    "group_name": "aws_scheduler_schedule_group",
    "ScheduleGroup": "aws_scheduler_schedule_group",
    "log_group_name": "aws_cloudwatch_log_group",
    "log_group": "aws_cloudwatch_log_group",
    "awslogs-group": "aws_cloudwatch_log_group",
    "QueueName": "aws_sqs_queue",
    "FunctionName": "aws_lambda_function",
    "function_name": "aws_lambda_function",
    "RuleName": "aws_cloudwatch_event_rule",
    "rule": "aws_cloudwatch_event_rule",
    "TaskDefinitionFamily": "aws_ecs_task_definition",
    "bucket": "buckets",
    "metric_name": "metric",
    "Group": "aws_ecs_task_definition",
}
# ARNs without their region and account; the group is the name.
_ARNS = {
    r"ecs:task-definition/([^:*]+)": "aws_ecs_task_definition",
    r"states:(?:stateMachine|execution):([^:]+)": "aws_sfn_state_machine",
    r"lambda:function:([^:]+)": "aws_lambda_function",
    r"sns:(.+)": "aws_sns_topic",
    r"iam:role/(.+)": "aws_iam_role",
    r"rds-db:dbuser:([^/]+)": "database",
    r"s3:([^/]+)": "buckets",
    r"ssm:parameter(/.+)": "aws_ssm_parameter",
}
# What a name is if no resource has it.
_UNKNOWN = {
    "aws_lambda_function": "forwarder",
    "aws_sns_topic": "warnings",
    "aws_iam_role": "partner_role",
    "aws_ssm_parameter": "secrets",
    "database": "database",
    "buckets": "buckets",
}
_DATA = {"aws_ecs_cluster": "network", "aws_ecr_repository": "images"}
_REFERENCE = re.compile(r'(data\.)?(aws_[a-z0-9_]+)(?:\["([^"]+)"\]|\.([a-z_]+))')
_ARN = re.compile(r"arn:aws:([a-z0-9-]+):[^:\s\"]*:[^:\s\"]*:([^\s\",]+)")
_NETWORK = re.compile(r"\b(vpc|subnet|sg)-[0-9a-f]{8,}")


def find_references(
    resource: Resource, owners: Mapping[tuple[str, str], str], existing: dict[str, set[str]]
) -> Iterator[tuple[str, set[str]]]:
    """Yield what a resource refers to, with the IAM actions that it allows.

    That is the value of ``owners`` for the type and name of a resource, or the kind of a resource that is not in
    ``owners``, whose name is added to ``existing``.
    """
    if resource.type == "aws_iam_role_policy":
        for statement in json.loads(to_json(resource.arguments["policy"]))["Statement"]:
            for _, text in _walk("", statement["Resource"]):
                for target in _resolve("", text, owners, existing):
                    yield target, set(statement["Action"])
    elif resource.type != "aws_iam_role":
        for key, text in _walk("", to_json(dict(resource.arguments))):
            for target in _resolve(key, text, owners, existing):
                yield target, set()


def _walk(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        decoded = None
        if value[:1] in ("[", "{"):
            try:
                decoded = json.loads(value)
            except ValueError:
                decoded = None
        if decoded is None:
            yield key, value
        else:
            yield from _walk(key, decoded)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _walk(name, item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(key, item)


def _resolve(
    key: str, text: str, owners: Mapping[tuple[str, str], str], existing: dict[str, set[str]]
) -> Iterator[str]:
    def find(kind: str, name: str) -> Iterator[str]:
        if (kind, name) in owners:
            yield owners[kind, name]
        elif kind in _UNKNOWN:
            existing.setdefault(_UNKNOWN[kind], set()).add(name)
            yield _UNKNOWN[kind]

    for data, kind, name, label in _REFERENCE.findall(text):
        if not data:
            yield from find(kind, name)
        elif kind in _DATA:
            existing.setdefault(_DATA[kind], set()).add(label)
            yield _DATA[kind]
    for service, rest in _ARN.findall(text):
        for pattern, kind in _ARNS.items():
            if match := re.match(pattern, f"{service}:{rest}"):
                yield from find(kind, match[1])
    if key in _ATTRIBUTES and not text.startswith("arn:"):
        yield from find(_ATTRIBUTES[key], text.removeprefix("family:"))
    for match in _NETWORK.finditer(text):
        one = "database_group" if match[1] == "sg" else "network"
        existing.setdefault(one, set()).add(match[0])
        yield one
