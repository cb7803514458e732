"""Object triggers: S3 → Lambda → RunTask, or S3 → EventBridge → RunTask or a workflow, without a function."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

from nightferry.catalog.declarations import ObjectTrigger
from nightferry.errors import EnvironmentFileError
from nightferry.terraform import iam, policies
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names

_PLAIN = "/!-_.*'()"  # characters of a key that S3 does not encode


def build(names: Names) -> Document:
    """``triggers.tf.json``."""
    document = Document(
        "Object triggers. A bucket has one notification resource for all its triggers, because S3 keeps one "
        "configuration for each bucket and every write replaces it."
    )
    triggers = list(names.catalog.object_triggers.values())
    if not triggers:
        return document
    document.resource(
        "aws_sqs_queue",
        "triggers_dead_letters",
        {
            "name": f"{names.prefix}-triggers-dead-letters",
            "message_retention_seconds": 1_209_600,
            "sqs_managed_sse_enabled": True,
        },
    )
    for trigger in triggers:
        if trigger.via == "lambda":
            document.module(f"trigger_{slug(trigger.name)}", _module(names, trigger))
        else:
            _rule(document, names, trigger)
    for bucket in dict.fromkeys(trigger.bucket for trigger in triggers):
        _notification(document, names, bucket)
    rules = [trigger.name for trigger in triggers if trigger.via == "eventbridge"]
    if rules:
        arns = [expression(f"aws_cloudwatch_event_rule.{slug(name)}.arn") for name in rules]
        policies.dead_letters_of_rules(document, "triggers_dead_letters", arns)
    return document


def _module(names: Names, trigger: ObjectTrigger) -> Block:
    bucket = names.bucket(trigger.bucket)
    arguments: Block = {
        "source": "../../modules/s3_ecs_trigger",
        # The function's name adds "-trigger" to it.
        "name": names.limited(trigger.name, 64 - len("-trigger"), f"object trigger '{trigger.name}'"),
        "bucket": bucket.name,
        "cluster_arn": expression("data.aws_ecs_cluster.this.arn"),
        "task_definition_arn": names.definition_arn(trigger.target),
        "container": trigger.target,
        "task_role_arns": names.role_arns(trigger.target),
        "subnets": expression("local.subnets"),
        "security_groups": [expression("aws_security_group.tasks.id")],
        "dead_letter_queue_arn": expression("aws_sqs_queue.triggers_dead_letters.arn"),
        "log_retention_days": names.aws.log_retention_days,
    }
    if names.aws.log_key:
        arguments["log_key_arn"] = names.aws.log_key
    return arguments


def _notification(document: Document, names: Names, bucket: str) -> None:
    existing = names.bucket(bucket)
    triggers = [t for t in names.catalog.object_triggers.values() if t.bucket == bucket]
    functions = [t for t in triggers if t.via == "lambda"]
    if existing.notifications != "ours":
        if functions:
            raise EnvironmentFileError(
                f"{names.environment.locate('aws', 'buckets', bucket)}: object trigger "
                f"'{functions[0].name}' ({functions[0].declared_in}) goes "
                f"through Lambda, which needs the whole notification configuration of bucket {existing.name}: writing "
                "it would silently remove the notifications of others. Either say that it is ours ([aws.buckets."
                f'{bucket}] notifications = "ours"), or declare the trigger with via="eventbridge".'
            )
        return  # whoever owns the configuration switches EventBridge on there
    enabled = [t for t in functions if names.in_terraform(t.enabled) == "true"]
    arguments: Block = {"bucket": existing.name}
    if len(functions) < len(triggers):
        # The switch stands in the same configuration: without it here, it would be off.
        arguments["eventbridge"] = True
    if enabled:
        arguments["lambda_function"] = [_function(trigger) for trigger in enabled]
    if functions:
        # S3 asks the functions whether it may call them when it takes the configuration.
        arguments["depends_on"] = [f"module.trigger_{slug(trigger.name)}" for trigger in functions]
    document.resource("aws_s3_bucket_notification", slug(bucket), arguments)


def _function(trigger: ObjectTrigger) -> Block:
    # S3 reads filters in the form in which its events carry keys: encoded as in a form.
    filters = {
        "filter_prefix": quote_plus(trigger.prefix, safe=_PLAIN),
        "filter_suffix": quote_plus(trigger.suffix, safe=_PLAIN),
    }
    return {
        "id": trigger.name,
        "lambda_function_arn": expression(f"module.trigger_{slug(trigger.name)}.function_arn"),
        "events": ["s3:ObjectCreated:*"],
        **{key: value for key, value in filters.items() if value},
    }


def _key_pattern(trigger: ObjectTrigger) -> list[Block]:
    """What EventBridge compares with the key; there, ``*`` and the backslash are special in a wildcard only."""
    if not trigger.suffix:
        return [{"prefix": trigger.prefix}] if trigger.prefix else []
    if not trigger.prefix:
        return [{"suffix": trigger.suffix}]
    prefix, suffix = (part.replace("\\", "\\\\").replace("*", "\\*") for part in (trigger.prefix, trigger.suffix))
    return [{"wildcard": f"{prefix}*{suffix}"}]


def _rule(document: Document, names: Names, trigger: ObjectTrigger) -> None:
    """A rule on the bucket's events, which somebody must have switched on for the bucket (``eventbridge = true``)."""
    name = slug(trigger.name)
    detail: Block = {"bucket": {"name": [names.bucket(trigger.bucket).name]}}
    if keys := _key_pattern(trigger):
        detail["object"] = {"key": keys}
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}
    rule = document.resource(
        "aws_cloudwatch_event_rule",
        name,
        {
            "name": names.limited(trigger.name, 64, f"object trigger '{trigger.name}'"),
            "description": f"Starts {trigger.target} for new objects {trigger.prefix}*{trigger.suffix}.",
            "event_pattern": json.dumps(pattern),
            "state": "ENABLED" if names.in_terraform(trigger.enabled) == "true" else "DISABLED",
        },
    )
    role = policies.role(
        document,
        names,
        f"trigger_{name}",
        called=f"{trigger.name}-trigger",
        description=f"What trigger {trigger.name} may do: start {trigger.target}.",
        # The rule's ARN is written out: the role exists before the target that joins them.
        trusted=policies.trust(
            "events.amazonaws.com", policies.ours(names, [names.arn("events", f"rule/{names.prefix}-{trigger.name}")])
        ),
        statements=_start_statements(names, trigger),
    )
    document.resource(
        "aws_cloudwatch_event_target",
        name,
        {
            "rule": expression(f"{rule}.name"),
            "target_id": trigger.target,
            "role_arn": expression(f"{role}.arn"),
            **_target(names, trigger),
            "retry_policy": {"maximum_event_age_in_seconds": 21_600, "maximum_retry_attempts": 10},
            "dead_letter_config": {"arn": expression("aws_sqs_queue.triggers_dead_letters.arn")},
            "depends_on": [f"aws_iam_role_policy.trigger_{name}"],
        },
    )


def _start_statements(names: Names, trigger: ObjectTrigger) -> list[Block]:
    if trigger.kind == "task":
        return iam.start_statements(names, [trigger.target])
    machine = expression(f"aws_sfn_state_machine.{slug(trigger.target)}.arn")
    return [policies.statement("StartTheWorkflow", ["states:StartExecution"], [machine])]


def _target(names: Names, trigger: ObjectTrigger) -> Block:
    """What the rule starts, and how the object reaches it."""
    paths = {"bucket": "$.detail.bucket.name", "key": "$.detail.object.key", "version": "$.detail.object.version-id"}
    if trigger.kind == "workflow":
        template = {name: f"<{name}>" for name in paths}
        return {
            "arn": expression(f"aws_sfn_state_machine.{slug(trigger.target)}.arn"),
            "input_transformer": {"input_paths": paths, "input_template": json.dumps(template)},
        }
    variables = [{"name": f"S3_{name.upper()}", "value": f"<{name}>"} for name in paths]
    overrides = {"containerOverrides": [{"name": trigger.target, "environment": variables}]}
    return {
        "arn": expression("data.aws_ecs_cluster.this.arn"),
        "ecs_target": {
            "task_definition_arn": names.definition_arn(trigger.target),
            "launch_type": "FARGATE",
            "platform_version": "1.4.0",
            "propagate_tags": "TASK_DEFINITION",
            "enable_ecs_managed_tags": True,
            "network_configuration": {
                "subnets": expression("local.subnets"),
                "security_groups": [expression("aws_security_group.tasks.id")],
            },
        },
        "input_transformer": {"input_paths": paths, "input_template": json.dumps(overrides)},
    }
