"""Logs: a group for all tasks, a group for their state changes, subscriptions, and an optional forwarder."""

from __future__ import annotations

import json

from nightferry.catalog.declarations import Secret
from nightferry.errors import EnvironmentFileError
from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression
from nightferry.terraform.names import Names

_LEAST_RETENTION_DAYS = 14
"""Time for which a dead letter can start a task: its retry searches the state changes for an earlier start."""


def build(names: Names) -> Document:
    """Build ``logs.tf.json``."""
    _check_retention(names)
    document = Document(
        "Logs. All tasks write to one group, with one stream per run ({environment}/{task}/{task id}). State changes "
        "of tasks go to a group of their own, because AWS deletes the data of a stopped task within hours."
        + _describe_forwarding(names)
    )
    _add_forwarder(document, names)
    _add_group(document, names, "tasks", names.log_group)
    _add_group(document, names, "events", names.naming.event_group)
    if names.catalog.workflows:
        # A group below /aws/vendedlogs needs no entry in the size-limited resource policy for Step Functions.
        _add_group(document, names, "workflows", f"/aws/vendedlogs/states/{names.prefix}", forwarded=False)
    _add_state_changes(document, names)
    return document


def _check_retention(names: Names) -> None:
    days = names.aws.log_retention_days
    if days < _LEAST_RETENTION_DAYS and (names.catalog.object_triggers or names.catalog.schedules):
        place = names.environment.locate("aws", "log_retention_days")
        raise EnvironmentFileError(
            f"{place}: log_retention_days = {days} is too short for schedules and object triggers. A failed start can "
            f"be repeated for {_LEAST_RETENTION_DAYS} days, and only the logs show whether its task has started "
            f"before. Set log_retention_days = {_LEAST_RETENTION_DAYS} or more."
        )


def _describe_forwarding(names: Names) -> str:
    if names.aws.new_relic_forwarder is not None:
        return " Both are forwarded to New Relic."
    return " The function aws.log_forwarder receives both." if names.aws.log_forwarder is not None else ""


def _add_forwarder(document: Document, names: Names) -> None:
    """Add the forwarder, if requested. Its log group is in the module, so that it cannot be subscribed to itself."""
    settings = names.aws.new_relic_forwarder
    if settings is None:
        return
    arguments: Block = {
        "source": "../../modules/newrelic_forwarder",
        "name": names.add_prefix("newrelic-forwarder", 64, "the log forwarder"),
        "license_key_parameter": names.parameter(Secret(settings.license_key)),
        "log_retention_days": names.aws.log_retention_days,
        **policies.limit_roles(names),
    }
    optional = {
        "log_api_url": settings.log_api_url,
        "parameters_key_arn": names.aws.parameters_key,
        "log_key_arn": names.aws.log_key,
    }
    document.add_module(
        "newrelic_forwarder", arguments | {key: value for key, value in optional.items() if value is not None}
    )


def _add_group(document: Document, names: Names, name: str, group_name: str, *, forwarded: bool = True) -> None:
    arguments: Block = {"name": group_name, "retention_in_days": names.aws.log_retention_days}
    if names.aws.log_key:
        arguments["kms_key_id"] = names.aws.log_key
    group = document.add_resource("aws_cloudwatch_log_group", name, arguments)
    forwarder = names.aws.log_forwarder
    if names.aws.new_relic_forwarder is not None:
        forwarder = expression("module.newrelic_forwarder.function_arn")
    if not forwarded or forwarder is None:
        return
    permission = document.add_resource(
        "aws_lambda_permission",
        f"forward_{name}",
        {
            "statement_id": f"{names.prefix}-{name}",
            "action": "lambda:InvokeFunction",
            "function_name": forwarder,
            "principal": "logs.amazonaws.com",
            "source_arn": expression(f"{group}.arn") + ":*",
            "source_account": names.aws.account,
        },
    )
    document.add_resource(
        "aws_cloudwatch_log_subscription_filter",
        name,
        {
            "name": "new-relic",
            "log_group_name": expression(f"{group}.name"),
            "filter_pattern": "",
            "destination_arn": forwarder,
            # CloudWatch Logs invokes the function when the filter is created.
            "depends_on": [permission],
        },
    )


def _add_state_changes(document: Document, names: Names) -> None:
    # The rule matches the common prefix of all families, because a list would exceed a pattern's 4,096 characters.
    families = [{"prefix": names.arn("ecs", f"task-definition/{names.prefix}-")}]
    pattern = {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": {
            "clusterArn": [expression("data.aws_ecs_cluster.this.arn")],
            "taskDefinitionArn": families,
        },
    }
    rule = document.add_resource(
        "aws_cloudwatch_event_rule",
        "state_changes",
        {
            "name": f"{names.prefix}-task-states",
            "description": f"State changes of the background tasks of {names.prefix}.",
            "event_pattern": json.dumps(pattern),
            # Without this argument, Terraform does not notice that someone has disabled the rule.
            "state": "ENABLED",
        },
    )
    document.add_resource(
        "aws_cloudwatch_event_target",
        "state_changes",
        {
            "rule": expression(f"{rule}.name"),
            "target_id": "log-group",
            "arn": expression("aws_cloudwatch_log_group.events.arn"),
            "depends_on": ["aws_cloudwatch_log_resource_policy.events"],
        },
    )
    group = [expression("aws_cloudwatch_log_group.events.arn") + ":*"]
    # EventBridge names the rule when it writes events, but not when it creates a stream (its guide, "CloudWatch Logs
    # permissions"). A condition on the rule for CreateLogStream would therefore lose every event.
    create = policies.allow("CreateLogStreams", ["logs:CreateLogStream"], group)
    write = policies.allow(
        "WriteStateChanges",
        ["logs:PutLogEvents"],
        group,
        [("ArnEquals", "aws:SourceArn", [expression(f"{rule}.arn")])],
    )
    for block in (create, write):
        block["principals"] = {
            "type": "Service",
            "identifiers": ["delivery.logs.amazonaws.com", "events.amazonaws.com"],
        }
    policy = document.add_data("aws_iam_policy_document", "events", {"statement": [create, write]})
    document.add_resource(
        "aws_cloudwatch_log_resource_policy",
        "events",
        {"policy_name": f"{names.prefix}-task-states", "policy_document": expression(f"{policy}.json")},
    )
