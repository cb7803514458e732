"""List the resources and permissions that the synthesized files declare, as they must exist after a deployment."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from nightferry.backend.verify.expected import Context, Expected, Permission
from nightferry.environments.aws_resources import AwsResources
from nightferry.terraform.reading.expansion import Attributes, Resource, expand
from nightferry.terraform.reading.values import as_list, decode, to_json

Json = Any
# Wildcards of a resource or a condition's value are replaced with this text. It is also valid as a number, because the
# wildcard of a task definition stands for its revision.
_EXAMPLE = "1"
# Types of Terraform, with the service and the format of the ARN (service authorization reference, "Resource types").
_ARNS = {
    "aws_cloudwatch_event_rule": ("events", "rule/{name}"),
    "aws_cloudwatch_log_group": ("logs", "log-group:{name}"),
    "aws_ecr_repository": ("ecr", "repository/{name}"),
    "aws_lambda_function": ("lambda", "function:{name}"),
    "aws_sfn_state_machine": ("states", "stateMachine:{name}"),
    "aws_sns_topic": ("sns", "{name}"),
    "aws_sqs_queue": ("sqs", "{name}"),
}


def find_expected(files: Mapping[str, str], resources: AwsResources) -> Expected:
    """Return what the files of an environment declare.

    Raises:
        NightferryError: The files cannot be expanded.
    """
    folder = f"ecs-tasks/{resources.environment.name}"
    found = expand(files, folder, name_attributes(resources))
    names: dict[str, list[str]] = {}
    for one in found:
        names.setdefault(one.type, []).append(one.name)
    statements, policies = _find_policies(found)
    return Expected(
        permissions={role: list(_list_permissions(blocks)) for role, blocks in statements.items()},
        policies=policies,
        names=names,
        subscriptions={
            to_json(one.arguments["log_group_name"]): to_json(one.arguments["destination_arn"])
            for one in found
            if one.type == "aws_cloudwatch_log_subscription_filter"
        },
        definitions={
            resources.naming.state_machine(workflow): json.loads(files[f"{folder}/workflows/{workflow}.asl.json"])
            for workflow in resources.catalog.workflows
        },
    )


def name_attributes(resources: AwsResources) -> Attributes:
    """Return the attributes that follow from the name of a resource, its account and its region."""
    fixed = {
        ("aws_caller_identity", "account_id"): resources.aws.account,
        ("aws_partition", "partition"): resources.aws.partition,
        ("aws_region", "region"): resources.aws.region,
        ("aws_ecs_cluster", "arn"): resources.arn("ecs", f"cluster/{resources.aws.cluster}"),
    }

    def find(kind: str, name: str, attribute: str) -> str | None:
        if (kind, attribute) in fixed:
            return fixed[kind, attribute]
        if attribute != "arn":
            return None
        if kind == "aws_iam_role":
            return resources.global_arn("iam", f"role/{name}")
        if kind not in _ARNS:
            return None
        service, form = _ARNS[kind]
        return resources.arn(service, form.format(name=name))

    return find


def _find_policies(found: Sequence[Resource]) -> tuple[dict[str, list[Json]], dict[str, str]]:
    """Return the statements of each role, and the name of its policy."""
    statements: dict[str, list[Json]] = {one.name: [] for one in found if one.type == "aws_iam_role"}
    policies: dict[str, str] = {}
    by_id = {f'${{aws_iam_role["{name}"].id}}': name for name in statements}
    for one in found:
        if one.type == "aws_iam_role_policy":
            role = by_id[to_json(one.arguments["role"])]
            statements[role] += as_list(decode(one.arguments["policy"])["Statement"])
            policies[role] = one.name
    return statements, policies


def _list_permissions(statements: Iterable[Json]) -> Iterator[Permission]:
    """Yield an example of each action on each resource of the statements, without repetitions."""
    seen: set[Permission] = set()
    for block in statements:
        if block["Effect"] != "Allow":
            continue
        for context in _list_contexts(block.get("Condition", {})):
            for resource, action in product(as_list(block["Resource"]), as_list(block["Action"])):
                permission = Permission(action, resource if resource == "*" else _fill(resource), context)
                if permission not in seen:
                    seen.add(permission)
                    yield permission


def _list_contexts(conditions: Mapping[str, Mapping[str, Any]]) -> Iterator[Context]:
    """Yield a context for each combination of the values in the conditions."""
    keys = {
        key: [_fill(str(value)) for value in as_list(values)]
        for variables in conditions.values()
        for key, values in variables.items()
    }
    for values in product(*keys.values()):
        yield tuple(zip(keys, values, strict=True))


def _fill(pattern: str) -> str:
    """Return an example of a pattern. An expression that only Terraform can evaluate stays as it is."""
    parts = re.split(r"(\$\{[^}]*\})", pattern)
    return "".join(
        part if part.startswith("${") else part.replace("*", _EXAMPLE).replace("?", _EXAMPLE) for part in parts
    )
