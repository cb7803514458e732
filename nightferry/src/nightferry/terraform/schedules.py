"""Schedules, each a call of the module ``ecs_task_scheduler``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nightferry.catalog.declarations import Schedule, Via
from nightferry.catalog.references import find_references
from nightferry.contract import SCHEDULE_VARIABLE, SCHEDULED_AT_VARIABLE
from nightferry.errors import EnvironmentFileError
from nightferry.schedules.expressions import At, InvalidExpression, parse
from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names

RETRY_SECONDS = 3600  # a nightly job that cannot start for an hour must not start in the morning
RETRY_ATTEMPTS = 10
MAX_OVERRIDES_CHARACTERS = 8192  # ECS's limit
_TIME = "\ue000"  # stands for the scheduled time until the JSON is complete; a character for private use
# EventBridge Scheduler's guide, "Adding context attributes"; the name that the module gives to a rule's $.time.
_PLACEHOLDERS: dict[Via, str] = {"scheduler": "<aws.scheduler.scheduled-time>", "rule": "<time>"}


def build(names: Names) -> Document:
    """Build ``schedules.tf.json``."""
    document = Document(
        "Schedules, each in its own time zone. A failed start is retried for an hour and then sent to the dead-letter "
        "queue, which has an alarm."
    )
    if not names.catalog.schedules:
        return document
    document.add_resource(
        "aws_scheduler_schedule_group", "this", {"name": names.prefix, "tags": {"application": names.catalog.name}}
    )
    document.add_resource(
        "aws_sqs_queue",
        "schedules_dead_letters",
        {
            "name": f"{names.prefix}-schedules-dead-letters",
            "message_retention_seconds": 1_209_600,
            "sqs_managed_sse_enabled": True,
        },
    )
    for schedule in names.catalog.schedules.values():
        document.add_module(f"schedule_{slug(schedule.name)}", _build_call(names, schedule))
    rules = [schedule.name for schedule in names.catalog.schedules.values() if schedule.via == "rule"]
    if rules:
        arns = [expression(f"module.schedule_{slug(name)}.rule_arn") for name in rules]
        policies.allow_dead_letters(document, "schedules_dead_letters", arns)
    return document


def _build_call(names: Names, schedule: Schedule) -> Block:
    text = names.resolve(schedule.expression)
    try:
        if isinstance(parse(text), At) and schedule.via == "rule":
            raise InvalidExpression("A classic EventBridge rule does not support at(…). Use EventBridge Scheduler.")
    except InvalidExpression as error:
        setting = next((found.name for found in find_references(schedule.expression)), "")
        place = names.environment.locate("settings", *setting.split("."))
        raise EnvironmentFileError(f"{place}: setting '{setting}', schedule '{schedule.name}': {error}") from None
    arguments: Block = {
        "source": "../../modules/ecs_task_scheduler",
        "name": names.add_prefix(schedule.name, 64, f"schedule '{schedule.name}'"),
        "schedule_expression": text,
        "timezone": schedule.timezone,
        "enabled": names.resolve(schedule.enabled) == "true",
        "group": expression("aws_scheduler_schedule_group.this.name"),
        "dead_letter_queue_arn": expression("aws_sqs_queue.schedules_dead_letters.arn"),
        "retry_attempts": RETRY_ATTEMPTS,
        "retry_seconds": RETRY_SECONDS,
        **policies.limit_roles(names),
    }
    if schedule.via == "rule":
        arguments["via"] = "rule"
    for argument, time in (("start_date", schedule.start), ("end_date", schedule.end)):
        if time is not None:
            arguments[argument] = f"{time:%Y-%m-%dT%H:%M:%SZ}"
    text = build_input(schedule, names.resolve)
    if schedule.kind == "workflow":
        arguments["input"] = text
        arguments["state_machine_arn"] = expression(f"aws_sfn_state_machine.{slug(schedule.target)}.arn")
        return arguments
    arguments |= {
        "cluster_arn": expression("data.aws_ecs_cluster.this.arn"),
        "task_definition_arn": names.definition_arn(schedule.target),
        "task_role_arns": names.role_arns(schedule.target),
        "subnets": expression("local.subnets"),
        "security_groups": [expression("aws_security_group.tasks.id")],
    }
    if len(text) > MAX_OVERRIDES_CHARACTERS:
        raise EnvironmentFileError(
            f"schedule '{schedule.name}', declared in {schedule.declared_in}: its overrides have {len(text)} "
            f"characters, and ECS allows {MAX_OVERRIDES_CHARACTERS}. Pass a long value in a setting or an object."
        )
    arguments["overrides"] = text
    return arguments


def build_input(schedule: Schedule, resolve: Callable[[Any], Any]) -> str:
    """Return the input of a schedule's target: the overrides of a task, or the input of a workflow.

    AWS replaces the placeholder of the time in it. ``resolve`` substitutes references.
    """
    if schedule.kind == "workflow":
        return _format_json({"scheduled_at": _TIME, "schedule": schedule.name}, schedule.via)
    return _format_json(_build_overrides(schedule, resolve), schedule.via)


def _build_overrides(schedule: Schedule, resolve: Callable[[Any], Any]) -> dict[str, Any]:
    container: dict[str, Any] = {"name": schedule.target}
    if schedule.args:
        container["command"] = resolve(list(schedule.args))  # after the words of the entry point
    declared: dict[str, str] = resolve(dict(schedule.env))
    variables = {**declared, SCHEDULED_AT_VARIABLE: _TIME, SCHEDULE_VARIABLE: schedule.name}
    container["environment"] = [{"name": key, "value": value} for key, value in sorted(variables.items())]
    return {"containerOverrides": [container]}


def _format_json(value: dict[str, Any], via: Via) -> str:
    """Return JSON in which AWS replaces the placeholder of the time. Other text that looks like one is escaped."""
    return json.dumps(value).replace("<", "\\u003c").replace(json.dumps(_TIME), f'"{_PLACEHOLDERS[via]}"')
