"""Logs: one group for all tasks, one for the changes of their states, both forwarded; and a forwarder on request."""

from __future__ import annotations

import json

from nightferry.catalog.declarations import Secret
from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression
from nightferry.terraform.names import Names


def build(names: Names) -> Document:
    """``logs.tf.json``."""
    document = Document(
        "Logs. All tasks write to one group, one stream a run ({environment}/{task}/{task id}); state changes of tasks "
        "go to a group of their own, because AWS forgets a stopped task within hours." + _forwarding(names)
    )
    _forwarder(document, names)
    _group(document, names, "tasks", names.log_group)
    _group(document, names, "events", names.naming.event_group)
    if names.catalog.workflows:
        # Step Functions can deliver to groups below /aws/vendedlogs only without growing the resource policy.
        _group(document, names, "workflows", f"/aws/vendedlogs/states/{names.prefix}", forwarded=False)
    _state_changes(document, names)
    return document


def _forwarding(names: Names) -> str:
    if names.aws.new_relic_forwarder is not None:
        return " Both are forwarded to New Relic."
    return " The function aws.log_forwarder gets both." if names.aws.log_forwarder is not None else ""


def _forwarder(document: Document, names: Names) -> None:
    """A function of our own. Its log group is not one of ours here, so that nothing can subscribe it to itself."""
    wanted = names.aws.new_relic_forwarder
    if wanted is None:
        return
    arguments: Block = {
        "source": "../../modules/newrelic_forwarder",
        "name": names.limited("newrelic-forwarder", 64, "the log forwarder"),
        "license_key_parameter": names.parameter(Secret(wanted.license_key)),
        "log_retention_days": names.aws.log_retention_days,
    }
    optional = {
        "log_api_url": wanted.log_api_url,
        "parameters_key_arn": names.aws.parameters_key,
        "log_key_arn": names.aws.log_key,
    }
    document.module(
        "newrelic_forwarder", arguments | {key: value for key, value in optional.items() if value is not None}
    )


def _group(document: Document, names: Names, name: str, called: str, *, forwarded: bool = True) -> None:
    arguments: Block = {"name": called, "retention_in_days": names.aws.log_retention_days}
    if names.aws.log_key:
        arguments["kms_key_id"] = names.aws.log_key
    group = document.resource("aws_cloudwatch_log_group", name, arguments)
    forwarder = names.aws.log_forwarder
    if names.aws.new_relic_forwarder is not None:
        forwarder = expression("module.newrelic_forwarder.function_arn")
    if not forwarded or forwarder is None:
        return
    permission = document.resource(
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
    document.resource(
        "aws_cloudwatch_log_subscription_filter",
        name,
        {
            "name": "new-relic",
            "log_group_name": expression(f"{group}.name"),
            "filter_pattern": "",
            "destination_arn": forwarder,
            # CloudWatch Logs tries the function when the filter is made.
            "depends_on": [permission],
        },
    )


def _state_changes(document: Document, names: Names) -> None:
    # By what all families begin with: a list of them would outgrow the 4096 characters of a pattern.
    families = [{"prefix": names.arn("ecs", f"task-definition/{names.prefix}-")}]
    pattern = {
        "source": ["aws.ecs"],
        "detail-type": ["ECS Task State Change"],
        "detail": {
            "clusterArn": [expression("data.aws_ecs_cluster.this.arn")],
            "taskDefinitionArn": families,
        },
    }
    rule = document.resource(
        "aws_cloudwatch_event_rule",
        "state_changes",
        {
            "name": f"{names.prefix}-task-states",
            "description": f"Every change of state of a background task of {names.prefix}.",
            "event_pattern": json.dumps(pattern),
        },
    )
    document.resource(
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
    # EventBridge names the rule when it writes, and not when it makes a stream (its guide, "CloudWatch Logs
    # permissions"): a condition on the rule there would lose every event.
    create = policies.statement("EventBridgeMakesStreams", ["logs:CreateLogStream"], group)
    write = policies.statement(
        "EventBridgeWritesStateChanges",
        ["logs:PutLogEvents"],
        group,
        [("ArnEquals", "aws:SourceArn", [expression(f"{rule}.arn")])],
    )
    for block in (create, write):
        block["principals"] = {
            "type": "Service",
            "identifiers": ["delivery.logs.amazonaws.com", "events.amazonaws.com"],
        }
    policy = document.data("aws_iam_policy_document", "events", {"statement": [create, write]})
    document.resource(
        "aws_cloudwatch_log_resource_policy",
        "events",
        {"policy_name": f"{names.prefix}-task-states", "policy_document": expression(f"{policy}.json")},
    )
