"""Alarms of what starts tasks and workflows: schedules and triggers that fail, lose a start, or are overdue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from nightferry.catalog.declarations import ObjectTrigger, Schedule, Severity, Task, Workflow
from nightferry.contract import ExitCode, LogEvent
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.monitoring.alarm import add_alarm
from nightferry.terraform.monitoring.overdue import (
    HOUR_SECONDS,
    compute_latest_notice,
    compute_overdue_window,
)
from nightferry.terraform.names import Names


def add_schedule_alarms(document: Document, names: Names) -> None:
    """Add the alarms of the schedules: starts that failed or were lost, and overdue successes."""
    if not names.catalog.schedules:
        return
    document.add_resource(
        "aws_cloudwatch_log_metric_filter",
        "successes",
        {
            "//": "The last log line of a successful job. A task without a success has no data.",
            "name": "successes",
            "log_group_name": expression("aws_cloudwatch_log_group.tasks.name"),
            "pattern": f'{{ $.event = "{LogEvent.ENDED}" && $.exit_code = {ExitCode.SUCCESS} }}',
            "metric_transformation": {
                "name": "Successes",
                "namespace": names.metric_namespace,
                "value": "1",
                "dimensions": {"Task": "$.task"},
            },
        },
    )
    schedules = list(names.catalog.schedules.values())
    if grouped := [schedule for schedule in schedules if schedule.via == "scheduler"]:
        in_queue = (
            "A schedule could not start its target. After the last attempt, the schedule and the error are in a "
            f"message of the queue {names.prefix}-schedules-dead-letters."
        )
        for metric, problem, description in (
            ("TargetErrorCount", "could-not-start", in_queue),
            ("InvocationDroppedCount", "dropped", in_queue),
            (
                "InvocationsFailedToBeSentToDeadLetterCount",
                "lost",
                "A schedule could not start its target, and the failed start could not be sent to the queue "
                f"{names.prefix}-schedules-dead-letters. Check the schedule's role, and start the target by hand.",
            ),
        ):
            add_alarm(
                document,
                names,
                f"schedules_{slug(problem)}",
                f"schedules-{problem}",
                "",
                description,
                find_highest_severity(names, grouped),
                {
                    "namespace": "AWS/Scheduler",
                    "metric_name": metric,
                    "dimensions": {"ScheduleGroup": expression("aws_scheduler_schedule_group.this.name")},
                },
            )
    for schedule in schedules:
        if schedule.via == "rule":
            add_alarm(
                document,
                names,
                f"schedule_{slug(schedule.name)}_could_not_start",
                "SCHEDULE-could-not-start",
                schedule.name,
                f"Rule {names.prefix}-{schedule.name} could not start {schedule.target}. The error is in a message of "
                f"the queue {names.prefix}-schedules-dead-letters.",
                _find_severity(names, schedule),
                {
                    "namespace": "AWS/Events",
                    "metric_name": "FailedInvocations",
                    "dimensions": {"RuleName": f"{names.prefix}-{schedule.name}"},
                },
            )
            _add_lost_alarm(document, names, "schedule", schedule)
        if names.resolve(schedule.enabled) == "true":
            _add_overdue_alarm(document, names, schedule)


def _add_overdue_alarm(document: Document, names: Names, schedule: Schedule) -> None:
    window = compute_overdue_window(names, schedule)
    if window is None:
        return
    if schedule.kind == "task":
        metric: Block = {
            "namespace": names.metric_namespace,
            "metric_name": "Successes",
            "dimensions": {"Task": schedule.target},
        }
    else:
        arn = expression(f"aws_sfn_state_machine.{slug(schedule.target)}.arn")
        metric = {
            "namespace": "AWS/States",
            "metric_name": "ExecutionsSucceeded",
            "dimensions": {"StateMachineArn": arn},
        }
    hours = -(-int(window.total_seconds()) // HOUR_SECONDS)
    add_alarm(
        document,
        names,
        f"schedule_{slug(schedule.name)}_overdue",
        "SCHEDULE-overdue",
        schedule.name,
        f"{schedule.target}, started by schedule {schedule.name}, has not succeeded for {hours} hours. CloudWatch "
        f"reports this up to {compute_latest_notice(hours)} hours after the last success. For a start for which ECS "
        "returned failures, such as missing capacity, this is the only alarm.",
        _find_severity(names, schedule),
        metric,
        {
            "period": HOUR_SECONDS,
            "evaluation_periods": hours,
            "comparison_operator": "LessThanThreshold",
            "threshold": 1,
            "treat_missing_data": "breaching",
        },
    )


def add_trigger_alarms(document: Document, names: Names, trigger: ObjectTrigger) -> None:
    """Add alarms for events that reach neither the trigger's target nor the dead-letter queue."""
    if trigger.via == "eventbridge":
        _add_lost_alarm(document, names, "trigger", trigger)
    add_alarm(
        document,
        names,
        f"trigger_{slug(trigger.name)}_dropped",
        "TRIGGER-dropped",
        trigger.name,
        f"Lambda could not send a failed event of trigger {trigger.name} to the queue "
        f"{names.prefix}-triggers-dead-letters. The function's log names the object. Start {trigger.target} by hand.",
        _find_severity(names, trigger),
        {
            "namespace": "AWS/Lambda",
            "metric_name": "DestinationDeliveryFailures",
            "dimensions": {"FunctionName": f"{names.prefix}-{trigger.name}-trigger"},
        },
    )


def _add_lost_alarm(document: Document, names: Names, kind: str, starter: Schedule | ObjectTrigger) -> None:
    """Add an alarm for a start that a classic rule could send neither to its target nor to the dead-letter queue."""
    add_alarm(
        document,
        names,
        f"{kind}_{slug(starter.name)}_lost",
        f"{kind.upper()}-lost",
        starter.name,
        f"Rule {names.prefix}-{starter.name} could neither start {starter.target} nor send the failed start to the "
        f"queue {names.prefix}-{kind}s-dead-letters. Check the queue's policy, and start the target by hand.",
        _find_severity(names, starter),
        {
            "namespace": "AWS/Events",
            "metric_name": "InvocationsFailedToBeSentToDlq",
            "dimensions": {"RuleName": f"{names.prefix}-{starter.name}"},
        },
    )


def add_dead_letter_alarm(document: Document, names: Names, kind: str, severity: Severity) -> None:
    """Add the alarm for dead letters of the schedules or the triggers."""
    add_alarm(
        document,
        names,
        f"{kind}_dead_letters",
        f"{kind}-dead-letters",
        "",
        f"A start failed permanently. The target and the error are in the messages of the queue "
        f"{names.prefix}-{kind}-dead-letters.",
        severity,
        {
            "namespace": "AWS/SQS",
            "metric_name": "ApproximateNumberOfMessagesVisible",
            "dimensions": {"QueueName": expression(f"aws_sqs_queue.{kind}_dead_letters.name")},
        },
        {"statistic": "Maximum"},
    )


def find_highest_severity(names: Names, starters: Iterable[Schedule | ObjectTrigger]) -> Severity:
    """Return the severity of an alarm that several declarations share, because AWS counts per group or queue."""
    return "high" if any(_find_severity(names, starter) == "high" for starter in starters) else "low"


def _find_severity(names: Names, starter: Schedule | ObjectTrigger) -> Severity:
    members: Mapping[str, Task | Workflow] = names.catalog.tasks if starter.kind == "task" else names.catalog.workflows
    return members[starter.target].severity
