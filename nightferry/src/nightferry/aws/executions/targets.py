"""Starting what a schedule or rule would have started, with a token, so that trying twice starts once."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from nightferry.aws.session import Aws, NotThere
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
    """It did not start this time either; the message says why."""


@dataclass(frozen=True)
class Target:
    """A cluster with ``ecs`` (the EcsParameters of a schedule or rule), or a state machine; and the input for it."""

    arn: str
    ecs: dict[str, Any] | None
    input: str

    @classmethod
    def of_rule(cls, target: dict[str, Any], event: Any) -> Target:
        """A rule's target, with the input that EventBridge would have made of the event."""
        if "InputTransformer" in target:
            transformer = target["InputTransformer"]
            input = _transform(transformer.get("InputPathsMap", {}), transformer["InputTemplate"], event)
        else:
            input = target.get("Input") or json.dumps(event)
        return cls(target["Arn"], target.get("EcsParameters"), input)


def start(aws: Aws, target: Target, token: str) -> str:
    """Start it; answers what runs now. Raises NotStarted and what :meth:`Aws.asking` raises."""
    if target.ecs is not None:
        return _run_task(aws, target, target.ecs, token)
    if ":stateMachine:" not in target.arn:
        raise NotStarted(f"{target.arn} is neither a cluster nor a state machine.")
    try:
        with aws.asking(f"starting {target.arn}", missing=("ExecutionAlreadyExists",)):
            answer = aws.stepfunctions.start_execution(
                stateMachineArn=target.arn, name=f"redrive-{token[:32]}", input=target.input or "{}"
            )
    except NotThere:
        return f"execution redrive-{token[:32]} was started before"
    return answer["executionArn"].rpartition(":")[2]


def _run_task(aws: Aws, target: Target, ecs: dict[str, Any], token: str) -> str:
    request: dict[str, Any] = {name: ecs[theirs] for theirs, name in _ECS.items() if theirs in ecs}
    network = ecs.get("NetworkConfiguration", {}).get("awsvpcConfiguration", {})
    if network:
        vpc = {name: network[theirs] for theirs, name in _NETWORK.items() if theirs in network}
        request["networkConfiguration"] = {"awsvpcConfiguration": vpc}
    try:
        overrides = json.loads(target.input) if target.input.strip() else {}
    except ValueError:
        raise NotStarted("The input is not the JSON of a task's overrides.") from None
    if isinstance(overrides, dict) and "containerOverrides" in overrides:
        request["overrides"] = overrides
    try:
        with aws.asking(f"starting {request.get('taskDefinition')}", missing=("ConflictException",)):
            answer = aws.ecs.run_task(cluster=target.arn, clientToken=token, startedBy="redrive", **request)
    except NotThere:
        return "a task that was started before"
    if answer["failures"] or not answer["tasks"]:
        reasons = ", ".join(failure.get("reason", "no reason given") for failure in answer["failures"])
        raise NotStarted(f"ECS did not start it: {reasons or 'no task'}")
    return parse_arn_id(answer["tasks"][0]["taskArn"])


def _transform(paths: dict[str, str], template: str, event: Any) -> str:
    """The template with each ``<name>`` replaced by what its path finds in the event.

    Within quotes a value is written as JSON writes it, so that a key with a quote in it stays one text.
    """

    def value(match: re.Match[str]) -> str:
        found = event
        for step in paths.get(match[1], "").removeprefix("$.").split("."):
            found = found.get(step) if isinstance(found, dict) else None
        text = "" if found is None else found if isinstance(found, str) else json.dumps(found)
        return json.dumps(text, ensure_ascii=False)[1:-1]

    return re.sub(r"<([\w.-]+)>", value, template)
