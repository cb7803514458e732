"""The parts that the targets of EventBridge's rules and of EventBridge Scheduler have in common."""

from __future__ import annotations

from typing import Any

from nightferry.testing.aws_provider.resource import Values, first, given


def make_retry_policy(block: Any) -> Values:
    """Return the API's retry policy from Terraform's block, which may be absent."""
    retry = first(block)
    if not retry:
        return {}
    return {
        "MaximumEventAgeInSeconds": retry["maximum_event_age_in_seconds"],
        "MaximumRetryAttempts": retry["maximum_retry_attempts"],
    }


def make_ecs_parameters(ecs: Values) -> Values:
    """Return the API's parameters of RunTask from Terraform's block."""
    network = first(ecs["network_configuration"])
    made = {
        "TaskDefinitionArn": ecs["task_definition_arn"],
        "TaskCount": ecs["task_count"],
        "EnableECSManagedTags": bool(ecs["enable_ecs_managed_tags"]),
        "EnableExecuteCommand": bool(ecs["enable_execute_command"]),
        **given(
            LaunchType=ecs["launch_type"],
            PlatformVersion=ecs["platform_version"],
            PropagateTags=ecs["propagate_tags"],
            Group=ecs["group"],
        ),
    }
    if network:
        made["NetworkConfiguration"] = {
            "awsvpcConfiguration": {
                "Subnets": network["subnets"],
                "AssignPublicIp": "ENABLED" if network["assign_public_ip"] else "DISABLED",
                **given(SecurityGroups=network["security_groups"]),
            }
        }
    return made


def flatten_target(target: Values) -> Values:
    """Return the attributes of both kinds of targets, without the parameters of RunTask."""
    found: Values = {"arn": target["Arn"], "role_arn": target.get("RoleArn"), "input": target.get("Input")}
    if target.get("DeadLetterConfig"):
        found["dead_letter_config"] = [{"arn": target["DeadLetterConfig"].get("Arn")}]
    if target.get("RetryPolicy"):
        found["retry_policy"] = [
            {
                "maximum_event_age_in_seconds": target["RetryPolicy"].get("MaximumEventAgeInSeconds"),
                "maximum_retry_attempts": target["RetryPolicy"].get("MaximumRetryAttempts"),
            }
        ]
    return found


def flatten_ecs_parameters(ecs: Values) -> Values:
    """Return Terraform's block from the API's parameters of RunTask."""
    network = ecs.get("NetworkConfiguration", {}).get("awsvpcConfiguration")
    return {
        "task_definition_arn": ecs["TaskDefinitionArn"],
        "task_count": ecs.get("TaskCount", 1),
        "enable_ecs_managed_tags": ecs.get("EnableECSManagedTags", False),
        "enable_execute_command": ecs.get("EnableExecuteCommand", False),
        "launch_type": ecs.get("LaunchType"),
        "platform_version": ecs.get("PlatformVersion"),
        "propagate_tags": ecs.get("PropagateTags"),
        "group": ecs.get("Group"),
        "network_configuration": [
            {
                "subnets": network.get("Subnets"),
                "security_groups": network.get("SecurityGroups"),
                "assign_public_ip": network.get("AssignPublicIp") == "ENABLED",
            }
        ]
        if network
        else [],
    }
