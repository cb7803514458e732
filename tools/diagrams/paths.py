"""The way of one start on AWS, resource by resource: a schedule, an object in a bucket, and a workflow."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nightferry.terraform.files import read
from nightferry.terraform.reading.expansion import Resource, expand
from nightferry.terraform.reading.values import to_json
from tools.diagrams.figure import Box, Edge, Figure, Kind, Panel
from tools.diagrams.infrastructure import ENVIRONMENT, EXISTING, INFRA
from tools.diagrams.references import find_references

_PREFIX = f"paid-leave-api-{ENVIRONMENT}-"
_PATHS = {
    "aws-scheduled": (
        "A scheduled task",
        r"module\.(schedule|task)_paidleave_check\.|aws_(sqs_queue\.schedules|cloudwatch_log_group\.tasks$)",
        ("images", "secrets", "buckets", "database"),
    ),
    "aws-triggered": (
        "A task that an object starts",
        r"aws_s3_bucket_notification\.|module\.(trigger_exempt_employers|task_dor_import_exempt)\."
        r"|aws_sqs_queue\.triggers",
        ("buckets",),
    ),
    "aws-workflow": (
        "A workflow",
        r"module\.schedule_dor_fineos_etl\.|aws_sfn_state_machine\.dor_fineos_etl|aws_sqs_queue\.schedules"
        r"|aws_iam_role(_policy)?\.workflow_dor_fineos_etl|aws_cloudwatch_log_group\.workflows"
        r"|module\.task_(dor_import|fineos_import_employee_updates|load_employers_to_fineos"
        r"|fineos_eligibility_feed_export)\.aws_ecs_",
        (),
    ),
}
_TYPES: dict[str, tuple[str, Kind]] = {
    "aws_scheduler_schedule": ("schedule", "start"),
    "aws_s3_bucket_notification": ("bucket notification", "start"),
    "aws_lambda_function": ("function", "plain"),
    "aws_sfn_state_machine": ("state machine", "plain"),
    "aws_ecs_task_definition": ("task definition", "strong"),
    "aws_iam_role": ("role", "idle"),
    "aws_cloudwatch_log_group": ("log group", "plain"),
    "aws_sqs_queue": ("dead-letter queue", "plain"),
}
_SHOWN_ACTIONS = 2


def build() -> list[Figure]:
    """Return the figures."""
    resources = expand(read(INFRA, ENVIRONMENT), f"ecs-tasks/{ENVIRONMENT}")
    return [
        _build_path(name, title, [one for one in resources if re.match(pattern, one.address)], existing)
        for name, (title, pattern, existing) in _PATHS.items()
    ]


def _build_path(name: str, title: str, resources: list[Resource], shown: tuple[str, ...]) -> Figure:
    resources = sorted(resources, key=lambda one: list(_TYPES).index(one.type) if one.type in _TYPES else 99)
    owners = {(one.type, one.name): one.address for one in resources if one.type in _TYPES}
    tasks = [aws_name for kind, aws_name in owners if kind == "aws_ecs_task_definition"]
    if len(tasks) > 1:
        owners |= dict.fromkeys((("aws_ecs_task_definition", task) for task in tasks), "tasks")
    existing: dict[str, set[str]] = {}
    actions: dict[tuple[str, str], set[str]] = {}
    for resource in resources:
        for source in _find_sources(resource, owners):
            for target, allowed in find_references(resource, owners, existing):
                if target != source and (target in owners.values() or target in shown):
                    actions.setdefault((source, target), set()).update(allowed)
    boxes = []
    for (kind, aws_name), address in owners.items():
        noun, style = _TYPES[kind]
        if address != "tasks":
            boxes.append(Box(address, _shorten(aws_name), (noun,), style))
    if len(tasks) > 1:
        boxes.append(Box("tasks", f"{len(tasks)} task definitions", tuple(map(_shorten, tasks)), "strong"))
    boxes += [
        Box(kind, EXISTING[kind] if len(names) == 1 else f"{len(names)} {EXISTING[kind]}s", kind="existing")
        for kind, names in existing.items()
        if kind in shown
    ]
    edges = [Edge(*ends, _format(allowed)) for ends, allowed in actions.items()]
    return Figure(
        name,
        f"{title} on AWS, in the environment {ENVIRONMENT}",
        "Each box is a resource with its name and type. "
        "An arrow leads from a resource to one that it refers to, or from a role to one that it may use.",
        [[Panel(boxes, edges)]],
        [f"Names begin with {_PREFIX}, or have it instead of the sign …", "An arrow from a role is a permission."],
        gap_x=18,
    )


def _shorten(name: str) -> str:
    return name.removeprefix(_PREFIX).replace(_PREFIX, "…")


def _find_sources(resource: Resource, owners: dict[tuple[str, str], str]) -> Iterator[str]:
    """Yield the address whose references these are: of a policy, the role; of an argument's resource, itself."""
    if resource.type == "aws_iam_role_policy":
        match = re.search(r'aws_iam_role\["([^"]+)"\]', to_json(resource.arguments["role"]))
        if match and ("aws_iam_role", match[1]) in owners:
            yield owners["aws_iam_role", match[1]]
    elif resource.type == "aws_lambda_function_event_invoke_config":
        yield owners["aws_lambda_function", to_json(resource.arguments["function_name"])]
    elif (resource.type, resource.name) in owners:
        yield resource.address


def _format(actions: set[str]) -> str:
    shown = sorted(actions - {"ecs:TagResource"})
    if len(shown) <= _SHOWN_ACTIONS:
        return "\n".join(shown)
    return f"{shown[0].partition(':')[0]}: {len(shown)} actions"
