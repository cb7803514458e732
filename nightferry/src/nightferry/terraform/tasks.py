"""Tasks, each a call of the module ``ecs_task``, all with the same image."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from nightferry.catalog.declarations import Task
from nightferry.contract import (
    ATTEMPT_VARIABLE,
    ENVIRONMENT_VARIABLE,
    EXECUTION_VARIABLE,
    RESULTS_VARIABLE,
    SCHEDULE_VARIABLE,
    START_VARIABLE,
    build_container_environment,
)
from nightferry.overrides import PERSONAL_VARIABLES
from nightferry.terraform import policies
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.grants import build_statements
from nightferry.terraform.iam import TASKS_TRUST
from nightferry.terraform.names import Names

_ANY = ".*"
_START_ID = "[0-9a-f-]{1,64}"


def build(names: Names) -> Document:
    """Build ``tasks.tf.json``."""
    document = Document(
        "Tasks, each with its definition and its two roles. All run the same image with different programs. The "
        "deployment sets var.image_tag; without it, a plan keeps the deployed image. A new revision needs no change "
        "elsewhere, because schedules, triggers and workflows start the newest revision of a family."
    )
    shared = _build_shared_values(names)
    address = document.add_local("tasks", shared)
    for task in names.catalog.tasks.values():
        document.add_module(f"task_{slug(task.name)}", _build_call(names, task, shared, address))
    _add_retries(document, names)
    document.add_resource(
        "aws_ssm_parameter",
        "image_tag",
        {
            "//": "Tag of the last deployment that registered all definitions. nightferry rollback reads its history.",
            "name": names.naming.image_tag_parameter,
            "description": "Tag of the last deployed image.",
            "type": "String",
            "insecure_value": expression("local.image_tag"),
            "depends_on": [f"module.task_{slug(task)}" for task in names.catalog.tasks],
        },
    )
    return document


def _add_retries(document: Document, names: Names) -> None:
    """Add the function that starts failed tasks with ``retry`` again."""
    tasks = {}
    for task in names.catalog.tasks.values():
        if task.retry is None:
            continue
        tasks[task.name] = {
            "family": names.family(task.name),
            "rule": names.add_prefix(f"{task.name}-retry", 64, f"the retry of task '{task.name}'"),
            "role_arns": names.role_arns(task.name),
            "retry": {
                "container": task.name,
                # An ARN that is known before the apply, because it becomes part of the function's code.
                "definition": names.arn("ecs", f"task-definition/{names.family(task.name)}"),
                "attempts": task.retry.attempts,
                "interval": task.retry.interval,
                "backoff": task.retry.backoff,
            },
        }
    if not tasks:
        return
    arguments: Block = {
        "source": "../../modules/task_retries",
        "name": names.naming.retries,
        "cluster_arn": expression("data.aws_ecs_cluster.this.arn"),
        "subnets": expression("local.subnets"),
        "security_groups": [expression("aws_security_group.tasks.id")],
        "event_log_group": names.naming.event_group,
        "tasks": tasks,
        "log_retention_days": names.aws.log_retention_days,
        **policies.limit_roles(names),
    }
    if names.aws.log_key:
        arguments["log_key_arn"] = names.aws.log_key
    document.add_module("task_retries", arguments)


def _build_shared_values(names: Names) -> Block:
    """Return the values that all tasks of the environment share."""
    variables: dict[str, str] = names.resolve({**names.catalog.env, ENVIRONMENT_VARIABLE: names.environment.name})
    shared: Block = {
        "prefix": names.prefix,
        "image": expression("local.image"),
        "repository_arn": expression("data.aws_ecr_repository.image.arn"),
        "log_group": expression("aws_cloudwatch_log_group.tasks.name"),
        "log_group_arn": expression("aws_cloudwatch_log_group.tasks.arn"),
        "log_stream_prefix": names.naming.stream_prefix,
        "region": names.aws.region,
        "definitions": names.arn("ecs", "task-definition"),
        "parameters": names.arn("ssm", "parameter"),
        "trust": expression(f"data.aws_iam_policy_document.{TASKS_TRUST}.json"),
        **policies.limit_roles(names),
        "environment": {name: value for name, value in sorted(variables.items()) if value != ""},
        "secrets": {
            name: names.parameter(secret)
            for name, secret in sorted(names.catalog.secrets.items())
            if names.exists(secret)
        },
        "open": {**dict.fromkeys(sorted(PERSONAL_VARIABLES), _ANY), START_VARIABLE: _START_ID},
    }
    if names.aws.guardduty_agent:
        shared["agent_repository_arn"] = names.aws.guardduty_agent
    if names.aws.parameters_key:
        shared["parameters_key"] = names.aws.parameters_key
    return shared


def _build_call(names: Names, task: Task, shared: Block, address: str) -> Block:
    call: Block = {
        "//": f"{task.description} Declared in {task.declared_in.rpartition(':')[0]}.",
        "source": "../../modules/ecs_task",
        "shared": expression(address),
        "name": task.name,
        "program": names.resolve(list(task.command)),
        "args": task.args,
        "open": dict(sorted(_iterate_open_variables(names, task))),
        "cpu": task.size.cpu,
        "memory": task.size.memory,
    }
    optional = {
        "scratch": task.scratch,
        "environment": _remove_shared(shared["environment"], build_environment(names, task)),
        "secrets": _remove_shared(
            shared["secrets"], {name: names.parameter(secret) for name, secret in names.secrets(task).items()}
        ),
        "statements": [_build_module_statement(block) for block in build_statements(names, task)],
    }
    for argument, name in (("role_name", task.name), ("execution_role_name", f"{task.name}-execution")):
        if names.role_name(name) != f"{names.prefix}-{name}":
            optional[argument] = names.role_name(name)
    return call | {key: value for key, value in optional.items() if value}


def _iterate_open_variables(names: Names, task: Task) -> Iterator[tuple[str, str]]:
    """Yield the variables that a start of the task may set besides the shared ones, with the pattern of their values.

    The values of the variables that schedules, workflows and retries set are those that the declarations allow.
    """
    for name in task.overridable - PERSONAL_VARIABLES:
        yield name, _ANY
    if schedules := [one.name for one in names.catalog.schedules.values() if one.target == task.name]:
        yield SCHEDULE_VARIABLE, _format_choice(schedules)
    if workflows := [one.name for one in names.catalog.workflows.values() if task.name in one.tasks]:
        machines = _format_choice(names.naming.state_machine(one) for one in workflows)
        # The iterations of a distributed Map are executions of their own, whose ARN has the Map's label.
        yield EXECUTION_VARIABLE, f"{_escape(names.arn('states', 'execution:'))}{machines}(?:/[^:]+)?:.+"
    if task.retry is not None:
        yield ATTEMPT_VARIABLE, _format_choice(str(number + 2) for number in range(task.retry.attempts))
    if names.catalog.stores_result(task.name):
        yield RESULTS_VARIABLE, _escape(f"{names.resolve(str(names.catalog.results))}/{task.name}")


def _escape(text: str) -> str:
    """Return a regular expression that matches the text; more readable than that of ``re.escape``."""
    return re.sub(r"[][.\\^$*+?{}|()]", r"\\\g<0>", text)


def _format_choice(texts: Iterable[str]) -> str:
    return f"(?:{'|'.join(map(_escape, sorted(texts)))})"


def _remove_shared(shared: dict[str, str], values: dict[str, str]) -> dict[str, str]:
    """Return the values of a task that differ from the shared ones; an empty value removes a shared one."""
    return {
        name: value
        for name, value in sorted(values.items())
        if value != shared.get(name) and (value != "" or name in shared)
    }


def _build_module_statement(block: Block) -> Block:
    return {"conditions" if key == "condition" else key: value for key, value in block.items()}


def build_environment(names: Names, task: Task) -> dict[str, str]:
    """Return the variables of a task's container that are not secret."""
    declared: dict[str, str] = names.resolve({**names.catalog.env, **task.env})
    supplied = build_container_environment(
        environment=names.environment.name,
        task=task.name,
        time_limit=int(task.time_limit.total_seconds()),
        overlap=task.overlap,
        lease=task.lease and names.resolve(task.lease),
        privacy=names.catalog.privacy,
        secrets={*names.catalog.secrets, *task.secrets},
    )
    return {**declared, **supplied}
