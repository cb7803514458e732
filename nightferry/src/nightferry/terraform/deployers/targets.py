"""The resources on which the roles of a deployment act, with the conditions of their use.

Names of the environment's resources are its prefix, or start with it and a dash. Keys, security groups and their rules
have no names of their own, and are limited by the tags that Terraform sets on all resources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nightferry.terraform.names import Names

Conditions = Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True)
class Target:
    """The ARNs of resources, and the conditions by test and variable."""

    resources: tuple[str, ...]
    conditions: Conditions = field(default_factory=dict)


def find_targets(names: Names) -> dict[str, Target]:
    """Return the targets of :mod:`~nightferry.terraform.deployers.calls` in an environment."""
    return {
        **_find_tasks(names),
        **_find_network(names),
        **_find_keys(names),
        **_find_named(names),
        **_find_referenced(names),
    }


def _find_tasks(names: Names) -> dict[str, Target]:
    cluster = names.arn("ecs", f"cluster/{names.aws.cluster}")
    in_cluster = {"ArnEquals": {"ecs:cluster": [cluster]}}
    definitions = names.arn("ecs", f"task-definition/{names.prefix}-*:*")
    tasks = names.arn("ecs", f"task/{names.aws.cluster}/*")
    return {
        "cluster": Target((cluster,)),
        "task definitions": Target((definitions,)),
        "started task definitions": Target((definitions,), in_cluster),
        "tasks": Target((tasks,), in_cluster),
        # Every start of ours gives a task the tags of its definition; the cluster may also run tasks of others.
        "own tasks": Target((tasks,), {**in_cluster, **_resource_tags(names)}),
        "new tasks": Target((tasks,), {"StringEquals": {"ecs:CreateAction": ["RunTask"]}}),
        # The only resource of this action is a container instance, of which Fargate has none.
        "tasks in the cluster": Target(("*",), in_cluster),
    }


def _find_network(names: Names) -> dict[str, Target]:
    groups = names.arn("ec2", "security-group/*")
    rules = names.arn("ec2", "security-group-rule/*")
    database = names.aws.database_security_group
    return {
        "vpc": Target((names.arn("ec2", f"vpc/{names.aws.vpc}"),)),
        "new security groups": Target((groups, names.arn("ec2", f"vpc/{names.aws.vpc}")), _request_tags(names)),
        "security groups": Target((groups,), _resource_tags(names)),
        "rules of security groups": Target((rules,)),
        "database security group": Target((names.arn("ec2", f"security-group/{database}"),) if database else ()),
        "new network tags": Target((groups, rules), _request_tags(names)),
        "network tags": Target((groups, rules), _resource_tags(names)),
    }


def _find_keys(names: Names) -> dict[str, Target]:
    keys = (names.arn("kms", "key/*"),)
    buckets = [names.bucket(bucket).key for bucket in names.catalog.buckets]
    used = {key for key in (names.aws.parameters_key, names.aws.log_key, *buckets) if key}
    return {
        "anything with our tags": Target(("*",), _request_tags(names)),
        "new keys": Target(keys, _request_tags(names)),
        "all keys": Target(keys),
        "keys": Target(keys, _resource_tags(names)),
        "used keys": Target(tuple(sorted(used))),
    }


def _request_tags(names: Names) -> Conditions:
    return {"StringEquals": {f"aws:RequestTag/{key}": [value] for key, value in names.own_tags.items()}}


def _resource_tags(names: Names) -> Conditions:
    return {"StringEquals": {f"aws:ResourceTag/{key}": [value] for key, value in names.own_tags.items()}}


def _find_named(names: Names) -> dict[str, Target]:
    prefix = names.prefix
    # A role's name is cut to IAM's limit, after 55 characters at the earliest.
    roles = Target((names.global_arn("iam", f"role/{prefix[:55].rstrip('-')}-*"),))
    boundary = names.aws.permissions_boundary
    limited: Conditions = {"StringEquals": {"iam:PermissionsBoundary": [boundary]}} if boundary else {}
    parameters = names.naming.network_parameter.rpartition("/")[0]
    schedule_groups = (
        (prefix, names.naming.retries) if any(t.retry for t in names.catalog.tasks.values()) else (prefix,)
    )
    groups = (f"service/{prefix}/*", f"/aws/lambda/{prefix}-*", f"/aws/vendedlogs/states/{prefix}*")
    return {
        "anything": Target(("*",)),
        "alarms": Target((names.arn("cloudwatch", f"alarm:{prefix}-*"),)),
        # CloudWatch checks the permission to describe alarms on all of them.
        "all alarms": Target((names.arn("cloudwatch", "alarm:*"),)),
        "dashboards": Target((names.global_arn("cloudwatch", f"dashboard/{prefix}"),)),
        "executions": Target((names.arn("states", f"execution:{prefix}-*:*"),)),
        "functions": Target((names.arn("lambda", f"function:{prefix}-*"),)),
        # Without the condition, the deploy role could create a role that may do anything, and run a task with it.
        "limited roles": Target(roles.resources, limited),
        "log groups": Target(tuple(names.arn("logs", f"log-group:{group}") for group in groups)),
        "passed roles": roles,
        "parameters": Target((names.arn("ssm", f"parameter{parameters}/*"),)),
        "permissions boundary": Target((boundary,) if boundary else ()),
        "queues": Target((names.arn("sqs", f"{prefix}-*"),)),
        "roles": roles,
        # The boundary of a role cannot be removed, or replaced with another one.
        "roles to limit": Target(roles.resources if boundary else (), limited),
        "rules": Target((names.arn("events", f"rule/{prefix}-*"),)),
        "schedule group": Target(tuple(names.arn("scheduler", f"schedule-group/{group}") for group in schedule_groups)),
        "schedules": Target(tuple(names.arn("scheduler", f"schedule/{group}/*") for group in schedule_groups)),
        "state machines": Target((names.arn("states", f"stateMachine:{prefix}-*"),)),
        "topics": Target((names.arn("sns", f"{prefix}-*"),)),
    }


def _find_referenced(names: Names) -> dict[str, Target]:
    """Return the resources of other configurations to which the environment refers."""
    aws, catalog = names.aws, names.catalog
    buckets = {name: names.global_arn("s3", names.bucket(name).name, account=False) for name in catalog.buckets}
    notifying = {trigger.bucket for trigger in catalog.object_triggers.values() if trigger.via == "lambda"}
    database = aws.database_resource_id or ""
    state = names.global_arn("s3", aws.state.bucket, account=False) if aws.state else ""
    return {
        "alarm topics": Target(tuple(aws.alarms.existing)),
        "buckets": Target(tuple(sorted(set(buckets.values())))),
        "database clusters": Target((names.arn("rds", "cluster:*"),) if database.startswith("cluster-") else ()),
        "databases": Target((names.arn("rds", "db:*"),) if database.startswith("db-") else ()),
        "forwarder": Target((aws.log_forwarder,) if aws.log_forwarder else ()),
        "notifying buckets": Target(tuple(sorted({buckets[name] for name in notifying}))),
        "repository": Target((names.arn("ecr", f"repository/{catalog.image.repository}"),)),
        "state bucket": Target((state,) if state else ()),
        "state": Target((f"{state}/{names.state_key}",) if state else ()),
        "state lock": Target((f"{state}/{names.state_key}.tflock",) if state else ()),
    }
