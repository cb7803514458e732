"""Object triggers: S3 notifies a function, directly or through EventBridge, and the function starts the target.

EventBridge could start a task or a workflow itself, but its input transformer inserts the object's key into the request
without escaping it: a quotation mark in the name of an object could add overrides, such as another command.
"""

from __future__ import annotations

import json
from urllib.parse import quote_plus

from nightferry.catalog.declarations import ObjectTrigger
from nightferry.errors import EnvironmentFileError
from nightferry.terraform import policies
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
        document.add_module(f"trigger_{slug(trigger.name)}", _build_module_call(names, trigger))
    for bucket in dict.fromkeys(trigger.bucket for trigger in triggers):
        _add_notification(document, names, bucket)
    rules = [trigger.name for trigger in triggers if trigger.via == "eventbridge"]
    if rules:
        arns = [expression(f"module.trigger_{slug(name)}.rule_arn") for name in rules]
        policies.allow_dead_letters(document, "triggers_dead_letters", arns)
    return document


def _build_module_call(names: Names, trigger: ObjectTrigger) -> Block:
    arguments: Block = {
        "source": "../../modules/s3_ecs_trigger",
        # The module appends "-trigger" to it for the function's name.
        "name": names.add_prefix(trigger.name, 64 - len("-trigger"), f"object trigger '{trigger.name}'"),
        "bucket": names.bucket(trigger.bucket).name,
    }
    if trigger.via == "eventbridge":
        arguments["event_pattern"] = json.dumps(_build_event_pattern(names, trigger))
        arguments["enabled"] = names.resolve(trigger.enabled) == "true"
    if trigger.kind == "workflow":
        arguments["state_machine_arn"] = expression(f"aws_sfn_state_machine.{slug(trigger.target)}.arn")
    else:
        arguments |= {
            "cluster_arn": expression("data.aws_ecs_cluster.this.arn"),
            "task_definition_arn": names.definition_arn(trigger.target),
            "container": trigger.target,
            "task_role_arns": names.role_arns(trigger.target),
            "subnets": expression("local.subnets"),
            "security_groups": [expression("aws_security_group.tasks.id")],
            "event_log_group": names.naming.event_group,
        }
        task = names.catalog.tasks[trigger.target]
        if "S3_URI" in {*(name.upper() for name in task.config.model_fields), *task.required_at_start}:
            arguments["reads_uri"] = True
    arguments |= {
        "dead_letter_queue_arn": expression("aws_sqs_queue.triggers_dead_letters.arn"),
        "log_retention_days": names.aws.log_retention_days,
        **policies.limit_roles(names),
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


def _build_event_pattern(names: Names, trigger: ObjectTrigger) -> Block:
    detail: Block = {"bucket": {"name": [names.bucket(trigger.bucket).name]}}
    if keys := _build_key_pattern(trigger):
        detail["object"] = {"key": keys}
    return {"source": ["aws.s3"], "detail-type": ["Object Created"], "detail": detail}


def _build_key_pattern(trigger: ObjectTrigger) -> list[Block]:
    """Return EventBridge's pattern for the key; only a wildcard gives ``*`` and the backslash a special meaning."""
    if not trigger.suffix:
        return [{"prefix": trigger.prefix}] if trigger.prefix else []
    if not trigger.prefix:
        return [{"suffix": trigger.suffix}]
    prefix, suffix = (part.replace("\\", "\\\\").replace("*", "\\*") for part in (trigger.prefix, trigger.suffix))
    return [{"wildcard": f"{prefix}*{suffix}"}]
