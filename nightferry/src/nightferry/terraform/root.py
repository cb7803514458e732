"""What frames the rest: versions and provider, what exists already, what is told to others."""

from __future__ import annotations

from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names


def versions(names: Names) -> Document:
    """``versions.tf.json``: versions and state; apart, because checkov cannot read a file with this block."""
    aws = names.aws
    document = Document("Which Terraform and providers this is for, and where the state is kept.")
    terraform: Block = {
        "required_version": ">= 1.11",  # use_lockfile: no lock table for the state
        "required_providers": {
            "aws": {"source": "hashicorp/aws", "version": "~> 6.25"},
            "archive": {"source": "hashicorp/archive", "version": "~> 2.7"},
        },
    }
    if aws.state is not None:
        terraform["backend"] = {
            "s3": {
                "bucket": aws.state.bucket,
                "key": aws.state.key or f"{names.catalog.name}/{names.environment.name}/ecs-tasks.tfstate",
                "region": aws.state.region,
                "encrypt": True,
                "use_lockfile": True,
            }
        }
    document.body["terraform"] = terraform
    return document


def main(names: Names) -> Document:
    """``main.tf.json``: provider and variables."""
    aws = names.aws
    document = Document(
        f"Background tasks of {names.catalog.name} in {names.environment.name}, synthesized by nightferry synth. "
        "Do not edit: change the catalogue or the environment's file."
    )
    document.body["provider"] = {
        "aws": {
            "region": aws.region,
            # A plan in the wrong account stops here.
            "allowed_account_ids": [aws.account],
            "default_tags": {
                "tags": {
                    "application": names.catalog.name,
                    "environment": names.environment.name,
                    "managed-by": "nightferry",
                    **dict(sorted(aws.tags.items())),
                }
            },
        }
    }
    document.variable(
        "image_tag",
        {
            "description": "Tag of the container image, as pushed by the deployment: the commit's hash. Without it, "
            "the tag that was deployed last stays.",
            "type": "string",
            "default": None,
            "validation": {
                "condition": expression(
                    'var.image_tag == null || can(regex("^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$", var.image_tag))'
                ),
                "error_message": "Give the tag of an image in the repository, such as a commit's hash.",
            },
        },
    )
    return document


def data(names: Names) -> Document:
    """``data.tf.json``: what exists already and is only referred to."""
    document = Document("What exists already. A plan fails here, and early, when one of them does not.")
    document.data("aws_ecs_cluster", "this", {"cluster_name": names.aws.cluster})
    document.data("aws_vpc", "this", {"id": names.aws.vpc})
    document.data("aws_ecr_repository", "image", {"name": names.catalog.image.repository})
    document.data(
        "aws_ssm_parameter",
        "image_tag",
        {
            "//": "What was deployed last: tasks.tf.json writes it, and so does nightferry rollback.",
            "count": expression("var.image_tag == null ? 1 : 0"),
            "name": names.naming.image_tag_parameter,
        },
    )
    document.local(
        "image_tag",
        expression("coalesce(var.image_tag, one(data.aws_ssm_parameter.image_tag[*].insecure_value))"),
    )
    document.local(
        "image", expression("data.aws_ecr_repository.image.repository_url") + ":" + expression("local.image_tag")
    )
    document.local("subnets", list(names.aws.subnets))
    return document


def outputs(names: Names) -> Document:
    """``outputs.tf.json``."""
    document = Document("What other configurations and the deployment may want to know.")
    document.output(
        "task_definitions",
        {
            "description": "Family of each task: with it, run-ecs-task and others start the newest revision.",
            "value": {task: expression(f"module.task_{slug(task)}.family") for task in names.catalog.tasks},
        },
    )
    document.output(
        "security_group",
        {"description": "Security group of the tasks.", "value": expression("aws_security_group.tasks.id")},
    )
    document.output(
        "log_group",
        {"description": "Log group of all tasks.", "value": expression("aws_cloudwatch_log_group.tasks.name")},
    )
    document.output(
        "image_tag", {"description": "Tag of the image that was deployed.", "value": expression("local.image_tag")}
    )
    if names.catalog.workflows:
        document.output(
            "state_machines",
            {
                "description": "ARN of each workflow.",
                "value": {
                    name: expression(f"aws_sfn_state_machine.{slug(name)}.arn") for name in names.catalog.workflows
                },
            },
        )
    return document
