"""Task definitions: one for each task, all with one image."""

from __future__ import annotations

from nightferry.catalog.declarations import Task
from nightferry.catalog.fargate import INCLUDED_SCRATCH
from nightferry.contract import container_environment
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names

STOP_TIMEOUT = 120  # seconds between SIGTERM and SIGKILL; the most that Fargate allows
SCRATCH = "/tmp"  # noqa: S108  # the container's own: the one writable folder beside a read-only root


def build(names: Names) -> Document:
    """``tasks.tf.json``."""
    document = Document(
        "Task definitions. All tasks run one image with different commands; var.image_tag is given at deployment, and "
        "without it a plan keeps what is deployed. "
        "A new revision needs no change elsewhere: whoever starts a task names its family."
    )
    for task in names.catalog.tasks.values():
        _define(document, names, task)
    document.resource(
        "aws_ssm_parameter",
        "image_tag",
        {
            "//": "The last deployment that registered all definitions. Its history is what nightferry rollback reads.",
            "name": names.naming.image_tag_parameter,
            "description": "Tag of the image that was deployed last.",
            "type": "String",
            "insecure_value": expression("local.image_tag"),
            "depends_on": [f"aws_ecs_task_definition.{slug(task)}" for task in names.catalog.tasks],
        },
    )
    return document


def _define(document: Document, names: Names, task: Task) -> None:
    name = slug(task.name)
    container = document.local(f"{name}_container", _container(names, task))
    arguments: Block = {
        "//": f"{task.description} Declared in {task.declared_in.rpartition(':')[0]}.",
        "family": names.family(task.name),
        "requires_compatibilities": ["FARGATE"],
        "network_mode": "awsvpc",
        "cpu": str(task.size.cpu),
        "memory": str(task.size.memory),
        "execution_role_arn": expression(f"aws_iam_role.{name}_execution.arn"),
        "task_role_arn": expression(f"aws_iam_role.{name}.arn"),
        "runtime_platform": {"cpu_architecture": "X86_64", "operating_system_family": "LINUX"},
        **_scratch(task),
        "container_definitions": expression(f"jsonencode([{container}])"),
        # An old revision may still be named by a run that is about to start, and rollback needs it.
        "skip_destroy": True,
        "tags": {"task": task.name},
    }
    document.resource("aws_ecs_task_definition", name, arguments)


def _scratch(task: Task) -> Block:
    """The one writable folder of a task that declares it. Its owner is the image's: VOLUME in the Dockerfile."""
    if not task.scratch:
        return {}
    larger = {"ephemeral_storage": {"size_in_gib": task.scratch}} if task.scratch > INCLUDED_SCRATCH else {}
    return {"volume": {"name": "scratch"}, **larger}


def _container(names: Names, task: Task) -> Block:
    """The container, normalised as ECS gives it back, so that a plan without a change is empty.

    That is: no nulls, no empty lists, variables and secrets sorted by name.
    """
    container = {
        "name": task.name,
        "image": expression("local.image"),
        "essential": True,
        "command": names.in_terraform(list(task.command)),
        "environment": [
            {"name": key, "value": value} for key, value in sorted(environment(names, task).items()) if value != ""
        ],
        "secrets": [
            {"name": key, "valueFrom": names.arn("ssm", f"parameter{names.parameter(secret)}")}
            for key, secret in sorted(names.secrets(task).items())
        ],
        "readonlyRootFilesystem": True,
        "mountPoints": [{"sourceVolume": "scratch", "containerPath": SCRATCH, "readOnly": False}]
        if task.scratch
        else [],
        "linuxParameters": {"initProcessEnabled": True, "capabilities": {"drop": ["ALL"]}},
        "stopTimeout": STOP_TIMEOUT,
        "logConfiguration": {
            "logDriver": "awslogs",
            "options": {
                "awslogs-group": expression("aws_cloudwatch_log_group.tasks.name"),
                "awslogs-region": names.aws.region,
                "awslogs-stream-prefix": names.naming.stream_prefix,
                # Blocking: a slow log service makes a job slow, and loses none of its lines.
                "mode": "blocking",
            },
        },
    }
    return {key: value for key, value in container.items() if value != []}


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
