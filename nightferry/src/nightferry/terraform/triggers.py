"""Object triggers: S3 → Lambda → RunTask, or without a function S3 → EventBridge → RunTask or a workflow."""

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
    """Build ``triggers.tf.json``."""
    document = Document(
        "Object triggers. A bucket has one notification resource for all its triggers, because S3 stores one "
        "notification configuration per bucket and each write replaces it."
    )
    triggers = list(names.catalog.object_triggers.values())
    if not triggers:
        return document
    document.add_resource(
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
            document.add_module(f"trigger_{slug(trigger.name)}", _build_module_call(names, trigger))
        else:
            _add_rule(document, names, trigger)
    for bucket in dict.fromkeys(trigger.bucket for trigger in triggers):
        _add_notification(document, names, bucket)
    rules = [trigger.name for trigger in triggers if trigger.via == "eventbridge"]
    if rules:
        arns = [expression(f"aws_cloudwatch_event_rule.{slug(name)}.arn") for name in rules]
        policies.allow_dead_letters(document, "triggers_dead_letters", arns)
    return document


def _build_module_call(names: Names, trigger: ObjectTrigger) -> Block:
    bucket = names.bucket(trigger.bucket)
    arguments: Block = {
        "source": "../../modules/s3_ecs_trigger",
        # The module appends "-trigger" to it for the function's name.
        "name": names.add_prefix(trigger.name, 64 - len("-trigger"), f"object trigger '{trigger.name}'"),
        "bucket": bucket.name,
        "cluster_arn": expression("data.aws_ecs_cluster.this.arn"),
        "task_definition_arn": names.definition_arn(trigger.target),
        "container": trigger.target,
        "task_role_arns": names.role_arns(trigger.target),
        "subnets": expression("local.subnets"),
        "security_groups": [expression("aws_security_group.tasks.id")],
        "event_log_group": names.naming.event_group,
        "dead_letter_queue_arn": expression("aws_sqs_queue.triggers_dead_letters.arn"),
        "log_retention_days": names.aws.log_retention_days,
    }
    if names.aws.log_key:
        arguments["log_key_arn"] = names.aws.log_key
    return arguments


def _add_notification(document: Document, names: Names, bucket: str) -> None:
    existing = names.bucket(bucket)
    triggers = [t for t in names.catalog.object_triggers.values() if t.bucket == bucket]
    functions = [t for t in triggers if t.via == "lambda"]
    if existing.notifications != "ours":
        if functions:
            raise EnvironmentFileError(
                f"{names.environment.locate('aws', 'buckets', bucket)}: object trigger '{functions[0].name}' "
                f"({functions[0].declared_in}) uses Lambda and must write the whole notification configuration of "
                f"bucket {existing.name}, which would remove the notifications of other applications. If there are "
                f'none, set notifications = "ours" in [aws.buckets.{bucket}]. Otherwise declare the trigger with '
                'via="eventbridge".'
            )
        return  # the owner of the configuration must enable EventBridge there
    enabled = [t for t in functions if names.resolve(t.enabled) == "true"]
    arguments: Block = {"bucket": existing.name}
    if len(functions) < len(triggers):
        # EventBridge is enabled in the same configuration; without this argument, it would be disabled.
        arguments["eventbridge"] = True
    if enabled:
        arguments["lambda_function"] = [_build_function_notification(trigger) for trigger in enabled]
    if functions:
        # S3 checks that it may invoke the functions when it receives the configuration.
        arguments["depends_on"] = [f"module.trigger_{slug(trigger.name)}" for trigger in functions]
    document.add_resource("aws_s3_bucket_notification", slug(bucket), arguments)


def _build_function_notification(trigger: ObjectTrigger) -> Block:
    # S3 compares filters with form-encoded keys, as its events contain them.
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


def _build_key_pattern(trigger: ObjectTrigger) -> list[Block]:
    """Return EventBridge's pattern for the key; only a wildcard gives ``*`` and the backslash a special meaning."""
    if not trigger.suffix:
        return [{"prefix": trigger.prefix}] if trigger.prefix else []
    if not trigger.prefix:
        return [{"suffix": trigger.suffix}]
    prefix, suffix = (part.replace("\\", "\\\\").replace("*", "\\*") for part in (trigger.prefix, trigger.suffix))
    return [{"wildcard": f"{prefix}*{suffix}"}]


def _add_rule(document: Document, names: Names, trigger: ObjectTrigger) -> None:
    """Add a rule on the bucket's events, which must be enabled for the bucket (``eventbridge = true``)."""
    name = slug(trigger.name)
    detail: Block = {"bucket": {"name": [names.bucket(trigger.bucket).name]}}
    if keys := _build_key_pattern(trigger):
        detail["object"] = {"key": keys}
    pattern = {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}
    rule = document.add_resource(
        "aws_cloudwatch_event_rule",
        name,
        {
            "name": names.add_prefix(trigger.name, 64, f"object trigger '{trigger.name}'"),
            "description": f"Start {trigger.target} for new objects {trigger.prefix}*{trigger.suffix}.",
            "event_pattern": json.dumps(pattern),
            "state": "ENABLED" if names.resolve(trigger.enabled) == "true" else "DISABLED",
        },
    )
    role = policies.add_role(
        document,
        names,
        f"trigger_{name}",
        role_name=f"{trigger.name}-trigger",
        description=f"Permissions of trigger {trigger.name}: start {trigger.target}.",
        # The ARN is written out instead of referenced, because the target of the rule depends on the role.
        trusted=policies.trust(
            "events.amazonaws.com",
            policies.build_source_conditions(names, [names.arn("events", f"rule/{names.prefix}-{trigger.name}")]),
        ),
        statements=_build_start_statements(names, trigger),
    )
    document.add_resource(
        "aws_cloudwatch_event_target",
        name,
        {
            "rule": expression(f"{rule}.name"),
            "target_id": trigger.target,
            "role_arn": expression(f"{role}.arn"),
            **_build_target(names, trigger),
            "retry_policy": {"maximum_event_age_in_seconds": 21_600, "maximum_retry_attempts": 10},
            "dead_letter_config": {"arn": expression("aws_sqs_queue.triggers_dead_letters.arn")},
            "depends_on": [f"aws_iam_role_policy.trigger_{name}"],
        },
    )


def _build_start_statements(names: Names, trigger: ObjectTrigger) -> list[Block]:
    if trigger.kind == "task":
        return iam.build_start_statements(names, [trigger.target])
    machine = expression(f"aws_sfn_state_machine.{slug(trigger.target)}.arn")
    return [policies.allow("StartWorkflow", ["states:StartExecution"], [machine])]


def _build_target(names: Names, trigger: ObjectTrigger) -> Block:
    """Return the arguments of the rule's target, which pass the object to it."""
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
