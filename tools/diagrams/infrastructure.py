"""The AWS resources of an environment, and how they refer to each other, from its synthesized Terraform.

Each resource belongs to one group, which is a box of the figure. An arrow is a reference (:mod:`.references`).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from nightferry.terraform.files import read
from nightferry.terraform.reading.expansion import Resource, expand
from tools.diagrams.figure import Box, Edge, Figure, Kind, Panel
from tools.diagrams.references import find_references

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
    "Dashed boxes exist before the deployment. Encryption keys that exist before it are left out.",
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
_OMITTED = {("alarms", "schedules"), ("alarms", "triggers"), ("state_changes", "network")}
"""References that no figure shows, because their groups are in different ones. The box of the alarms counts its own."""


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


def build() -> list[Figure]:
    """Return the figures. Each group is in one of them, and may be in the other one again."""
    model = build_model()
    figures = []
    omitted = model.references.keys() - _OMITTED
    left = model.groups.keys() | model.existing.keys()
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
        omitted -= {(edge.start, edge.end) for edge in edges}
        omitted -= {(start, end) for start, end in omitted if {start, end} <= {*repeated}}
        left -= keys
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
    if omitted or left:
        raise ValueError(f"tools/diagrams/infrastructure.py shows not all resources or references: {omitted | left}")
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
