"""Start the target of a schedule or rule, with tokens that make the start idempotent."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightferry.aws.runs.once import AlreadyStarted, NotPlaced, start_once
from nightferry.aws.runs.runs import to_ecs_keys
from nightferry.aws.session import Aws, ResourceNotFound, create_client
from nightferry.catalog.declarations import Schedule
from nightferry.clock import Clock
from nightferry.contract import format_scheduled_time
from nightferry.environments.aws_resources import AwsResources
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
_SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"  # EventBridge Scheduler's guide, "Adding context attributes"
_INSPECT = "Inspect it in the console, and start the target by hand: nightferry run TASK, or nightferry start WORKFLOW."


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
        transformer = target.get("InputTransformer")
        if transformer is None:
            # A task receives nothing of the event (EventBridge's guide, "Targets").
            input = target.get("Input") or ("" if "EcsParameters" in target else json.dumps(event))
        elif transformer.get("InputPathsMap") == {"time": "$.time"}:
            input = transformer["InputTemplate"].replace("<time>", _read_time(event.get("time")))
        else:
            # EventBridge inserts values into the input without escaping them, and only a time needs no escape.
            raise NotStarted(
                "The rule changes its input by a template, as an earlier version did. Deploy this version."
            )
        return cls(target["Arn"], target.get("EcsParameters"), input)

    @classmethod
    def from_schedule(cls, target: dict[str, Any], body: str, time: str) -> Target:
        """Return a schedule's target with the input in a dead letter.

        The body of a dead letter is not documented: it may be the target's input or the whole request of RunTask or
        StartExecution, with the names of the API or of EventBridge Scheduler. Raises NotStarted for any other form. It
        may have the placeholder of the scheduled ``time`` instead of the time.
        """
        input = _find_input(target, body).replace(_SCHEDULED_TIME, _read_time(time))
        return cls(target["Arn"], target.get("EcsParameters"), input)


@dataclass(frozen=True)
class StartTokens:
    """The client tokens for the starts of one dead letter, derived from ``identity``.

    ECS returns the original response for a token that it knows, including failures. A start therefore uses the first
    token for which ECS does not return failures. ``attempts`` is how many tokens may be used.
    """

    identity: tuple[str, ...]
    attempts: int

    @property
    def id(self) -> str:
        """The first token, which identifies the start: 64 characters, which is ECS's limit."""
        return self.get(0)

    def get(self, attempt: int) -> str:
        """Return the token of an attempt."""
        values = [*self.identity] + [str(attempt)] * (attempt > 0)
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()


def start(aws: Aws, target: Target, tokens: StartTokens, clock: Clock) -> str:
    """Start the target, and return the ID of the run or execution.

    Raises NotStarted and the errors of :meth:`Aws.translate_errors`.
    """
    if target.ecs is not None:
        return _run_task(aws, target, target.ecs, tokens, clock)
    if ":stateMachine:" not in target.arn:
        raise NotStarted(f"{target.arn} is neither a cluster nor a state machine.")
    name = f"redrive-{tokens.id[:32]}"
    try:
        with aws.translate_errors(f"start {target.arn}", missing=("ExecutionAlreadyExists",)):
            response = aws.stepfunctions.start_execution(
                stateMachineArn=target.arn, name=name, input=target.input or "{}"
            )
    except ResourceNotFound:
        return f"execution {name} was already started"
    return response["executionArn"].rpartition(":")[2]


def read_target(resources: AwsResources, aws: Aws, schedule: Schedule, time: datetime) -> Target:
    """Return the target of a deployed schedule with the input for one of its times. Raises NotStarted."""
    prefix = resources.naming.prefix
    name, text = f"{prefix}-{schedule.name}", format_scheduled_time(time)
    try:
        with aws.translate_errors(f"read schedule {name}", missing=("ResourceNotFoundException",)):
            if schedule.via == "scheduler":
                found = create_client(aws, "scheduler").get_schedule(GroupName=prefix, Name=name)["Target"]
                input = found.get("Input", "").replace(_SCHEDULED_TIME, text)
                return Target(found["Arn"], found.get("EcsParameters"), input)
            (found,) = create_client(aws, "events").list_targets_by_rule(Rule=name)["Targets"]
            return Target.from_rule(found, {"time": text})
    except ResourceNotFound:
        raise NotStarted(f"Schedule {name} is not deployed. Deploy the environment first.") from None


def build_request(target: Target, ecs: dict[str, Any], started_by: str) -> dict[str, Any]:
    """Return the parameters of RunTask for a target, except the client token."""
    request: dict[str, Any] = {name: ecs[key] for key, name in _ECS.items() if key in ecs}
    network = ecs.get("NetworkConfiguration", {}).get("awsvpcConfiguration", {})
    if network:
        vpc = {name: network[key] for key, name in _NETWORK.items() if key in network}
        request["networkConfiguration"] = {"awsvpcConfiguration": vpc}
    if target.input:
        request["overrides"] = json.loads(target.input)
    return request | {"cluster": target.arn, "startedBy": started_by}


def format_started_by(tokens: StartTokens) -> str:
    """Return ``startedBy`` of a redriven task, by which its events are found after ECS has forgotten the token."""
    return f"redrive/{tokens.id[:28]}"  # 36 characters, as for other starts


def _run_task(aws: Aws, target: Target, ecs: dict[str, Any], tokens: StartTokens, clock: Clock) -> str:
    request = build_request(target, ecs, format_started_by(tokens))
    try:
        return start_once(aws, request, map(tokens.get, range(tokens.attempts)), clock)
    except AlreadyStarted:
        return "the task was already started"
    except NotPlaced as failed:
        raise NotStarted(f"ECS did not start the task: {failed}") from None


def _read_time(time: object) -> str:
    """Return a time of a message, or nothing if it is not one, so that it cannot change the JSON around it."""
    try:
        return format_scheduled_time(datetime.fromisoformat(str(time or "")))
    except ValueError:
        return ""


# ── the body of a schedule's dead letter ──────────────────────────────────────────────────────────────────────────────

# The members of overrides (ECS API, TaskOverride).
_OVERRIDES = frozenset(
    {
        "containerOverrides",
        "cpu",
        "memory",
        "taskRoleArn",
        "executionRoleArn",
        "ephemeralStorage",
        "inferenceAcceleratorOverrides",
    }
)


def _find_input(target: dict[str, Any], body: str) -> str:
    """Return the target's input from the body of a dead letter: overrides of a task, or input of a state machine."""
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        raise NotStarted(f"The message is not JSON. {_INSPECT}") from None
    if "EcsParameters" not in target:
        request = to_ecs_keys(content) if isinstance(content, dict) else {}
        if request.get("stateMachineArn") == target["Arn"]:
            input = request.get("input") or "{}"
            return input if isinstance(input, str) else json.dumps(input)
        return body
    if not isinstance(content, dict):
        raise NotStarted(f"The message holds neither overrides nor a request of RunTask. {_INSPECT}")
    content = to_ecs_keys(content)
    if "taskDefinition" in content:
        found = content.get("overrides") or {}
    elif content.keys() <= _OVERRIDES:
        found = content
    else:
        unknown = ", ".join(sorted(content.keys() - _OVERRIDES))
        raise NotStarted(f"The message holds neither overrides nor a request of RunTask: {unknown}. {_INSPECT}")
    return json.dumps(found) if found else ""
