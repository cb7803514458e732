"""Check what shows only after a deployment: log streams, states of alarms, and dead letters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightferry.aws.executions.dead_letters import list_queue_names
from nightferry.aws.verify.deployed import read_alarms
from nightferry.aws.verify.probe import Probe, Problem
from nightferry.backend.verify.expected import Expected
from nightferry.backend.verify.findings import Finding
from nightferry.environments.aws_resources import AwsResources

_OVERDUE = "-overdue"  # the end of the names of alarms for missing successes


def check_health(resources: AwsResources, expected: Expected, probe: Probe) -> Iterator[Finding]:
    """Check the log groups of the tasks, the alarms and the dead-letter queues."""
    yield from _check_streams(resources, probe)
    yield from _check_alarm_states(resources, expected, probe)
    for queue in expected.names.get("aws_sqs_queue", ()):
        yield _check_queue(resources, probe, queue)


def _check_streams(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    env = resources.environment.name
    run = f"Run a task: nightferry run TASK --env {env}"
    lines = _check_group(probe, resources.naming.log_group, ("not checked", f"No task has written a line yet. {run}"))
    yield lines
    problem: Problem = "not checked", f"No task has changed its state yet. {run}"
    if lines.verdict == "ok":
        problem = (
            "wrong",
            (
                "Tasks have run, but EventBridge has written none of their state changes, so failures have no alarm. "
                f"Check the rule {resources.naming.prefix}-task-states and the resource policy of the log group."
            ),
        )
    yield _check_group(probe, resources.naming.event_group, problem)


def _check_group(probe: Probe, group: str, empty: Problem) -> Finding:
    return probe.check(
        "logs",
        f"streams of {group}",
        "logs:DescribeLogStreams",
        lambda: probe.aws.logs.describe_log_streams(logGroupName=group, limit=1),
        "The log group does not exist. Deploy this version (terraform apply).",
        missing=("ResourceNotFoundException",),
        find_problem=lambda response: None if response.get("logStreams") else empty,
    )


def _check_alarm_states(resources: AwsResources, expected: Expected, probe: Probe) -> Iterator[Finding]:
    alarms = read_alarms(resources, probe)
    if isinstance(alarms, Finding):
        yield alarms
        return
    fine = 0
    waiting = []
    for name in sorted(set(expected.names.get("aws_cloudwatch_metric_alarm", ())) & alarms.keys()):
        alarm = alarms[name]
        state = alarm.get("StateValue")
        if alarm.get("ActionsEnabled") is False:
            command = f"aws cloudwatch enable-alarm-actions --alarm-names {name}"
            yield Finding(
                "alarms", name, "wrong", f"Its actions are off, so it notifies nobody. Turn them on: {command}"
            )
        elif state == "ALARM" and name.endswith(_OVERDUE):
            text = "In state ALARM. A new alarm for missing successes remains in it until the first success."
            yield Finding("alarms", name, "warning", text)
        elif state == "ALARM":
            yield Finding("alarms", name, "wrong", f"In state ALARM: {alarm.get('StateReason', 'no reason given')}")
        elif state == "INSUFFICIENT_DATA":
            waiting.append(name)
        else:
            fine += 1
    if waiting:
        text = f"Not evaluated yet: {', '.join(waiting)}. Repeat the check in an hour."
        yield Finding("alarms", f"{len(waiting)} states", "not checked", text)
    if fine:
        yield Finding("alarms", f"{fine} states", "ok")


def _check_queue(resources: AwsResources, probe: Probe, queue: str) -> Finding:
    env = resources.environment.name
    name = next((short for short, full in list_queue_names(resources).items() if full == queue), queue)

    def read() -> int:
        url = probe.aws.sqs.get_queue_url(QueueName=queue)["QueueUrl"]
        found: Any = probe.aws.sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        )
        return sum(int(number) for number in found.get("Attributes", {}).values())

    return probe.check(
        "dead letters",
        queue,
        "sqs:GetQueueUrl and sqs:GetQueueAttributes",
        read,
        "The queue does not exist. Deploy this version (terraform apply).",
        missing=("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist"),
        find_problem=lambda count: (
            ("wrong", f"It has {count} messages. List them: nightferry redrive {name} --env {env} --dry-run")
            if count
            else None
        ),
    )
