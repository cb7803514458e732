"""The AWS resources of an environment, and how they refer to each other, from its synthesized Terraform.

Each resource belongs to one group, which is a box of the figure. An arrow is a reference: by Terraform's expression, by
an ARN, by a name in an argument, or by the resources of an IAM statement.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nightferry.terraform.files import read
from nightferry.terraform.reading.expansion import Resource, expand
from nightferry.terraform.reading.values import to_json
from tools.diagrams.figure import Box, Edge, Figure, Kind, Panel

INFRA = Path(__file__).resolve().parents[2] / "paidleave" / "infra"
ENVIRONMENT = "test"

# The first pattern that matches "TYPE ADDRESS" determines the group of a resource.
_GROUPS = {
    "dead_letters": r"aws_sqs_queue",
    "schedules": r"aws_scheduler_|\S+ module\.schedule_",
    "notification": r"aws_s3_bucket_notification",
    "triggers": r"\S+ module\.trigger_",
    "tasks": r"\S+ module\.task_",
    "rules": r"aws_cloudwatch_event_\S+ module\.failure_notices\.",
    "notices": r"\S+ module\.failure_notices\.",
    "workflows": r"aws_sfn_|aws_iam_role(_policy)? \S+\.workflow_|aws_cloudwatch_log_group \S+\.workflows",
    "network": r"aws_(vpc_)?security_group",
    "state_changes": r"aws_cloudwatch_(event_|log_resource_policy)",
    "events": r"aws_\S+ \S+\.(failures|(forward_)?events)$",
    "log": r"aws_\S+ \S+\.(successes|(forward_)?tasks)$",
    "alarms": r"aws_cloudwatch_metric_alarm",
    "dashboard": r"aws_cloudwatch_dashboard",
    "topic": r"aws_sns_|aws_kms_key",
    "parameters": r"aws_ssm_parameter",
}
# The title of a group counts its resources of this type.
_MAIN = {
    "schedules": ("aws_scheduler_schedule", "schedule", ""),
    "notification": ("aws_s3_bucket_notification", "bucket notification", ""),
    "triggers": ("aws_lambda_function", "trigger function", ""),
    "tasks": ("aws_ecs_task_definition", "task definition", ""),
    "rules": ("aws_cloudwatch_event_rule", "event rule", "of failed executions"),
    "notices": ("aws_lambda_function", "notice function", ""),
    "workflows": ("aws_sfn_state_machine", "state machine", ""),
    "network": ("aws_security_group", "security group", "of tasks"),
    "state_changes": ("aws_cloudwatch_event_rule", "event rule", "of stopped tasks"),
    "events": ("aws_cloudwatch_log_group", "log group", "of state changes"),
    "log": ("aws_cloudwatch_log_group", "log group", "of tasks"),
    "alarms": ("aws_cloudwatch_metric_alarm", "alarm", ""),
    "dashboard": ("aws_cloudwatch_dashboard", "dashboard", ""),
    "topic": ("aws_sns_topic", "topic", "for failures"),
    "parameters": ("aws_ssm_parameter", "parameter", ""),
    "dead_letters": ("aws_sqs_queue", "dead-letter queue", ""),
}
_NAMES = {
    "aws_iam_role": "role",
    "aws_cloudwatch_log_group": "log group",
    "aws_cloudwatch_log_metric_filter": "metric filter",
    "aws_cloudwatch_log_subscription_filter": "log subscription",
    "aws_scheduler_schedule_group": "schedule group",
    "aws_sns_topic_subscription": "subscription",
    "aws_kms_key": "KMS key",
    "aws_vpc_security_group_egress_rule": "egress rule",
    "aws_vpc_security_group_ingress_rule": "ingress rule",
}
# Part of the resource that has them, and therefore not counted in its box.
_PARTS = {
    "aws_iam_role_policy",
    "aws_lambda_permission",
    "aws_lambda_function_event_invoke_config",
    "aws_cloudwatch_event_target",
    "aws_cloudwatch_log_resource_policy",
    "aws_sqs_queue_policy",
}
EXISTING = {
    "images": "image repository",
    "database_group": "database's security group",
    "database": "database",
    "buckets": "bucket",
    "secrets": "secret",
    "forwarder": "log forwarder",
    "warnings": "topic for warnings",
    "partner_role": "role of FINEOS",
}
_DESCRIPTION = (
    "Each box is a group of resources with their number. "
    "An arrow leads from a resource to one that it refers to or may use."
)
_CAPTIONS = (
    "An arrow is a reference or a permission. A label is the IAM action, or the number of alarms.",
    "Dashed boxes exist before the deployment.",
)
# The title of each figure, its groups, the existing resources that it has, and groups of the other figure.
_FIGURES = {
    "aws-resources": (
        "What starts and runs tasks",
        ["schedules", "notification", "triggers", "workflows", "tasks", "network", "log", "dead_letters", "parameters"],
        ["buckets", "images", "secrets", "database", "partner_role", "database_group"],
        [],
    ),
    "aws-failures": (
        "What notices a failure",
        ["rules", "notices", "topic", "state_changes", "events", "alarms", "dashboard"],
        ["warnings", "forwarder"],
        ["workflows", "tasks", "dead_letters", "log"],
    ),
}
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


@dataclass
class Reference:
    """The resources of one group that refer to another group, and the IAM actions that they allow on it."""

    sources: set[str] = field(default_factory=set)
    actions: set[str] = field(default_factory=set)


@dataclass
class Model:
    """The groups with their resources, the existing resources by kind, and the references with their IAM actions."""

    groups: dict[str, list[Resource]] = field(default_factory=dict)
    existing: dict[str, set[str]] = field(default_factory=dict)
    references: dict[tuple[str, str], Reference] = field(default_factory=dict)


def build_model(environment: str = ENVIRONMENT) -> Model:
    """Return the model of an environment."""
    resources = expand(read(INFRA, environment), f"ecs-tasks/{environment}")
    model = Model({key: [] for key in _GROUPS})
    owners: dict[tuple[str, str], str] = {}
    for resource in resources:
        group = find_group(resource)
        model.groups[group].append(resource)
        owners[resource.type, resource.name] = group
        if resource.type == "aws_cloudwatch_log_metric_filter":
            owners["metric", resource.arguments["metric_transformation"]["name"]] = group
    for resource in resources:
        own = find_group(resource)
        for target, actions in find_references(resource, owners, model.existing):
            if target != own:
                reference = model.references.setdefault((own, target), Reference())
                reference.sources.add(resource.address)
                reference.actions |= actions
    return model


def find_group(resource: Resource) -> str:
    """Return the group of a resource; raises ValueError for one that belongs to none."""
    text = f"{resource.type} {resource.address}"
    for group, pattern in _GROUPS.items():
        if re.match(pattern, text):
            return group
    raise ValueError(f"tools/diagrams/infrastructure.py has no group for {resource.address}. Add it to _GROUPS.")


def find_references(
    resource: Resource, owners: Mapping[tuple[str, str], str], existing: dict[str, set[str]]
) -> Iterator[tuple[str, set[str]]]:
    """Yield the groups and existing resources that a resource refers to, with the IAM actions that it allows."""
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


def build() -> list[Figure]:
    """Return the figures. Each group is in one of them, and may be in the other one again."""
    model = build_model()
    figures = []
    for name, (title, groups, existing, repeated) in _FIGURES.items():
        keys = {*groups, *existing, *repeated}
        boxes = [_make_box(group, model) for group in [*groups, *repeated]]
        for kind in existing:
            names = model.existing[kind]
            text = EXISTING[kind] if len(names) == 1 else f"{len(names)} {EXISTING[kind]}s"
            boxes.append(Box(kind, text, kind="existing"))
        edges = [
            Edge(start, end, _format_label(start, reference))
            for (start, end), reference in model.references.items()
            if {start, end} <= keys and not {start, end} <= {*repeated}
        ]
        figures.append(
            Figure(
                name,
                f"{title} in the environment {ENVIRONMENT}",
                _DESCRIPTION,
                [[Panel(boxes, edges)]],
                _CAPTIONS,
                gap_x=12,
            )
        )
    return figures


def _format_label(start: str, reference: Reference) -> str:
    """Return the IAM action of a reference if there is only one, or the number of alarms."""
    if start == "alarms":
        return _count(len(reference.sources), "alarm")
    shown = sorted(reference.actions - {"iam:PassRole", "ecs:TagResource"})
    return shown[0] if len(shown) == 1 else ""


def _make_box(group: str, model: Model) -> Box:
    main, name, purpose = _MAIN[group]
    counts = Counter(resource.type for resource in model.groups[group])
    number = counts.pop(main)
    notes = [purpose] if purpose else []
    notes += [_count(counts.pop(kind), noun) for kind, noun in _NAMES.items() if kind in counts]
    if group == "network":
        notes += ["in the existing cluster,", "VPC and subnets"]
    if group == "alarms":
        watched = {target: len(one.sources) for (start, target), one in model.references.items() if start == group}
        notes += [f"{watched[target]} watch {target}" for target in ("schedules", "triggers")]
    if others := counts.keys() - _PARTS:
        raise ValueError(f"tools/diagrams/infrastructure.py has no name for {', '.join(others)}. Add it to _NAMES.")
    kind: Kind = "start" if group in ("schedules", "notification") else "strong" if group == "tasks" else "plain"
    return Box(group, _count(number, name), tuple(notes), kind)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
