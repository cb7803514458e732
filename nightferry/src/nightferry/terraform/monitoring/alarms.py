"""Alarms for tasks, schedules, triggers, workflows and the forwarder, derived from the declarations."""

from __future__ import annotations

from nightferry.catalog.declarations import Severity
from nightferry.terraform.document import Document, expression, slug
from nightferry.terraform.monitoring.alarm import add_alarm
from nightferry.terraform.monitoring.dashboard import add_dashboard
from nightferry.terraform.monitoring.overdue import (
    compute_overdue_window,
)
from nightferry.terraform.monitoring.start_alarms import (
    add_dead_letter_alarm,
    add_schedule_alarms,
    add_trigger_alarms,
    find_highest_severity,
)
from nightferry.terraform.monitoring.task_alarms import add_task_alarms
from nightferry.terraform.names import Names


def build(names: Names) -> Document:
    """Build ``alarms.tf.json``."""
    unmonitored = [
        schedule.name
        for schedule in names.catalog.schedules.values()
        if names.resolve(schedule.enabled) == "true" and compute_overdue_window(names, schedule) is None
    ]
    document = Document(
        "Alarms for failed tasks, tasks that cannot start or exceed their time limits, schedules that cannot start "
        "their targets or are overdue, failed workflows and dead letters. "
        + (
            "CloudWatch evaluates at most one week, so these schedules have alarms for failures, but not for overdue "
            f"runs: {', '.join(unmonitored)}. No alarm reports a start for which ECS returns failures, such as missing "
            "capacity. Only CloudTrail records it."
            if unmonitored
            else ""
        )
    )
    add_task_alarms(document, names)
    add_schedule_alarms(document, names)
    for name, workflow in names.catalog.workflows.items():
        dimensions = {"StateMachineArn": expression(f"aws_sfn_state_machine.{slug(name)}.arn")}
        for metric, problem in (
            ("ExecutionsFailed", "failed"),
            ("ExecutionsTimedOut", "timed out"),
            ("ExecutionThrottled", "was throttled"),
        ):
            add_alarm(
                document,
                names,
                f"workflow_{slug(name)}_{slug(problem.replace(' ', '-'))}",
                f"WORKFLOW-{problem.replace(' ', '-')}",
                name,
                f"Workflow {name} {problem}. For the cause see its executions or log group "
                f"/aws/vendedlogs/states/{names.prefix}.",
                workflow.severity,
                {"namespace": "AWS/States", "metric_name": metric, "dimensions": dimensions},
            )
    if names.catalog.schedules:
        add_dead_letter_alarm(
            document, names, "schedules", find_highest_severity(names, names.catalog.schedules.values())
        )
    if names.catalog.object_triggers:
        add_dead_letter_alarm(
            document, names, "triggers", find_highest_severity(names, names.catalog.object_triggers.values())
        )
    for trigger in names.catalog.object_triggers.values():
        add_trigger_alarms(document, names, trigger)
    for topic, chat, _ in names.chat_notices:
        _add_function_alarms(
            document,
            names,
            "TOPIC-CHAT",
            f"{topic}-{chat}",
            f"{slug(topic)}_{chat}",
            f"A notice of topic {topic} was not delivered to {chat.capitalize()}",
            "low",
        )
    if any(workflow.on_failure is not None for workflow in names.catalog.workflows.values()):
        _add_function_alarms(
            document,
            names,
            "failure-notices",
            "failure-notices",
            "failure_notices",
            "The notice of a failed workflow was not published",
            "low",  # the workflow has an alarm of its own
        )
    if retried := [task for task in names.catalog.tasks.values() if task.retry is not None]:
        severity: Severity = "high" if any(task.severity == "high" for task in retried) else "low"
        _add_function_alarms(
            document, names, "retries", "retries", "task_retries", "A failed task was not started again", severity
        )
    if names.aws.new_relic_forwarder is not None:
        add_alarm(
            document,
            names,
            "logs_dead_letters",
            "logs-dead-letters",
            "",
            "Log lines were not delivered to New Relic. They are in CloudWatch Logs and in the queue "
            f"{names.prefix}-newrelic-forwarder-dead-letters. Replay them with nightferry redrive.",
            "low",
            {
                "namespace": "AWS/SQS",
                "metric_name": "ApproximateNumberOfMessagesVisible",
                "dimensions": {"QueueName": expression("module.newrelic_forwarder.dead_letters")},
            },
            {"statistic": "Maximum"},
        )
        add_alarm(
            document,
            names,
            "logs_dropped",
            "logs-dropped",
            "",
            "Lambda could not pass log events to the forwarder or to its dead-letter queue. They are only in "
            "CloudWatch Logs.",
            "low",
            {
                "namespace": "AWS/Lambda",
                "metric_name": "DestinationDeliveryFailures",
                "dimensions": {"FunctionName": expression("module.newrelic_forwarder.function_name")},
            },
        )
    add_dashboard(document, names)
    return document


def _add_function_alarms(
    document: Document, names: Names, kind: str, name: str, module: str, problem: str, severity: Severity
) -> None:
    """Add alarms for events that the function of a module could not process."""
    add_alarm(
        document,
        names,
        f"{slug(name)}_dead_letters",
        f"{kind}-dead-letters",
        name,
        f"{problem}. The event is in the queue {names.prefix}-{name}-dead-letters. Process it with nightferry redrive "
        f"{name}.",
        severity,
        {
            "namespace": "AWS/SQS",
            "metric_name": "ApproximateNumberOfMessagesVisible",
            "dimensions": {"QueueName": expression(f"module.{module}.dead_letters")},
        },
        {"statistic": "Maximum"},
    )
    add_alarm(
        document,
        names,
        f"{slug(name)}_dropped",
        f"{kind}-dropped",
        name,
        f"{problem}, and Lambda could not send the event to the dead-letter queue. The function's log names the "
        "execution or task.",
        severity,
        {
            "namespace": "AWS/Lambda",
            "metric_name": "DestinationDeliveryFailures",
            "dimensions": {"FunctionName": expression(f"module.{module}.function_name")},
        },
    )
