"""Tasks: one call of the module ``ecs_task`` each, all with one image."""

from __future__ import annotations

from nightferry.catalog.declarations import Task
from nightferry.contract import ENVIRONMENT_VARIABLE, container_environment
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.grants import statements_of
from nightferry.terraform.iam import TASKS_TRUST
from nightferry.terraform.names import Names


def build(names: Names) -> Document:
    """``tasks.tf.json``."""
    document = Document(
        "Tasks, each with its definition and its two roles. All run one image with different commands; var.image_tag "
        "is given at deployment, and without it a plan keeps what is deployed. "
        "A new revision needs no change elsewhere: whoever starts a task names its family."
    )
    shared = _shared(names)
    address = document.local("tasks", shared)
    for task in names.catalog.tasks.values():
        document.module(f"task_{slug(task.name)}", _call(names, task, shared, address))
    document.resource(
        "aws_ssm_parameter",
        "image_tag",
        {
            "//": "The last deployment that registered all definitions. Its history is what nightferry rollback reads.",
            "name": names.naming.image_tag_parameter,
            "description": "Tag of the image that was deployed last.",
            "type": "String",
            "insecure_value": expression("local.image_tag"),
            "depends_on": [f"module.task_{slug(task)}" for task in names.catalog.tasks],
        },
    )
    return document


def _shared(names: Names) -> Block:
    """Return what all tasks of the environment have in common."""
    variables: dict[str, str] = names.in_terraform({**names.catalog.env, ENVIRONMENT_VARIABLE: names.environment.name})
    shared: Block = {
        "prefix": names.prefix,
        "image": expression("local.image"),
        "repository_arn": expression("data.aws_ecr_repository.image.arn"),
        "log_group": expression("aws_cloudwatch_log_group.tasks.name"),
        "log_group_arn": expression("aws_cloudwatch_log_group.tasks.arn"),
        "log_stream_prefix": names.naming.stream_prefix,
        "region": names.aws.region,
        "parameters": names.arn("ssm", "parameter"),
        "trust": expression(f"data.aws_iam_policy_document.{TASKS_TRUST}.json"),
        "environment": {name: value for name, value in sorted(variables.items()) if value != ""},
        "secrets": {
            name: names.parameter(secret)
            for name, secret in sorted(names.catalog.secrets.items())
            if names.exists(secret)
        },
    }
    if names.aws.parameters_key:
        shared["parameters_key"] = names.aws.parameters_key
    return shared


def _call(names: Names, task: Task, shared: Block, address: str) -> Block:
    call: Block = {
        "//": f"{task.description} Declared in {task.declared_in.rpartition(':')[0]}.",
        "source": "../../modules/ecs_task",
        "shared": expression(address),
        "name": task.name,
        "command": names.in_terraform(list(task.command)),
        "cpu": task.size.cpu,
        "memory": task.size.memory,
    }
    optional = {
        "scratch": task.scratch,
        "environment": _beside(shared["environment"], environment(names, task)),
        "secrets": _beside(
            shared["secrets"], {name: names.parameter(secret) for name, secret in names.secrets(task).items()}
        ),
        "statements": [_statement(block) for block in statements_of(names, task)],
    }
    for argument, called in (("role_name", task.name), ("execution_role_name", f"{task.name}-execution")):
        if names.role_name(called) != f"{names.prefix}-{called}":
            optional[argument] = names.role_name(called)
    return call | {key: value for key, value in optional.items() if value}


def _beside(shared: dict[str, str], whole: dict[str, str]) -> dict[str, str]:
    """Return what a task has beside the shared values; an empty value removes a shared one."""
    return {
        name: value
        for name, value in sorted(whole.items())
        if value != shared.get(name) and (value != "" or name in shared)
    }


def _statement(block: Block) -> Block:
    return {"conditions" if key == "condition" else key: value for key, value in block.items()}


def environment(names: Names, task: Task) -> dict[str, str]:
    """The variables of a task's container that are not secret."""
    own: dict[str, str] = names.in_terraform({**names.catalog.env, **task.env})
    supplied = container_environment(
        environment=names.environment.name,
        task=task.name,
        time_limit=int(task.time_limit.total_seconds()),
        overlap=task.overlap,
        lease=names.in_terraform(task.lease or ""),
    )
    return {**own, **supplied}
