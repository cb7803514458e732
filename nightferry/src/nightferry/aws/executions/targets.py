"""Start the target of a schedule or rule, with a token that makes the start idempotent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.contract import parse_arn_id
from nightferry.errors import NightferryError

_NETWORK = {"Subnets": "subnets", "SecurityGroups": "securityGroups", "AssignPublicIp": "assignPublicIp"}
_ECS = {
    "TaskDefinitionArn": "taskDefinition",
    "LaunchType": "launchType",
    "PlatformVersion": "platformVersion",
    "PropagateTags": "propagateTags",
    "EnableECSManagedTags": "enableECSManagedTags",
    "Group": "group",
}


class NotStarted(NightferryError):
    """The start failed again. The message has the reason."""


@dataclass(frozen=True)
class Target:
    """The target of a schedule or rule, and its input: a cluster with ``ecs`` (EcsParameters), or a state machine."""

    arn: str
    ecs: dict[str, Any] | None
    input: str

    @classmethod
    def from_rule(cls, target: dict[str, Any], event: Any) -> Target:
        """Return a rule's target with the input that EventBridge creates from the event."""
        if "InputTransformer" in target:
            transformer = target["InputTransformer"]
            input = _transform(transformer.get("InputPathsMap", {}), transformer["InputTemplate"], event)
        else:
            input = target.get("Input") or json.dumps(event)
        return cls(target["Arn"], target.get("EcsParameters"), input)


def start(aws: Aws, target: Target, token: str) -> str:
    """Start the target, and return the ID of the run or execution.

    Raises NotStarted and the errors of :meth:`Aws.translate_errors`.
    """
    if target.ecs is not None:
        return _run_task(aws, target, target.ecs, token)
    if ":stateMachine:" not in target.arn:
        raise NotStarted(f"{target.arn} is neither a cluster nor a state machine.")
    try:
        with aws.translate_errors(f"start {target.arn}", missing=("ExecutionAlreadyExists",)):
            response = aws.stepfunctions.start_execution(
                stateMachineArn=target.arn, name=f"redrive-{token[:32]}", input=target.input or "{}"
            )
    except ResourceNotFound:
        return f"execution redrive-{token[:32]} was already started"
    return response["executionArn"].rpartition(":")[2]


def _run_task(aws: Aws, target: Target, ecs: dict[str, Any], token: str) -> str:
    request: dict[str, Any] = {name: ecs[key] for key, name in _ECS.items() if key in ecs}
    network = ecs.get("NetworkConfiguration", {}).get("awsvpcConfiguration", {})
    if network:
        vpc = {name: network[key] for key, name in _NETWORK.items() if key in network}
        request["networkConfiguration"] = {"awsvpcConfiguration": vpc}
    try:
        overrides = json.loads(target.input) if target.input.strip() else {}
    except ValueError:
        raise NotStarted("The input is not JSON with the overrides of a task.") from None
    if isinstance(overrides, dict) and "containerOverrides" in overrides:
        request["overrides"] = overrides
    try:
        with aws.translate_errors(f"start {request.get('taskDefinition')}", missing=("ConflictException",)):
            response = aws.ecs.run_task(cluster=target.arn, clientToken=token, startedBy="redrive", **request)
    except ResourceNotFound:
        return "the task was already started"
    if response["failures"] or not response["tasks"]:
        reasons = ", ".join(failure.get("reason", "no reason given") for failure in response["failures"])
        raise NotStarted(f"ECS did not start the task: {reasons or 'no task in the response'}")
    return parse_arn_id(response["tasks"][0]["taskArn"])


def _transform(paths: dict[str, str], template: str, event: Any) -> str:
    """Return the template with each ``<name>`` replaced with the value at its path in the event.

    Values are escaped for JSON strings, so that a key that contains a quotation mark does not end the string.
    """

    def value(match: re.Match[str]) -> str:
        found = event
        for step in paths.get(match[1], "").removeprefix("$.").split("."):
            found = found.get(step) if isinstance(found, dict) else None
        text = "" if found is None else found if isinstance(found, str) else json.dumps(found)
        return json.dumps(text, ensure_ascii=False)[1:-1]

    return re.sub(r"<([\w.-]+)>", value, template)
