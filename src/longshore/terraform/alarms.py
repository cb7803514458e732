"""Alarms and a dashboard, all of them from the declarations: there is no list to forget a task in."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from longshore.declarations import Schedule, Severity
from longshore.schedules import next_fire, parse
from longshore.terraform.document import Block, Document, expression, slug
from longshore.terraform.names import Names

METRICS = "Longshore"
HOUR = 3600
# CloudWatch evaluates a week at most, and only in periods of an hour or longer (API reference, PutMetricAlarm).
LONGEST_EVALUATION = timedelta(days=7)
GRACE = timedelta(hours=1)


def build(names: Names) -> Document:
    """``alarms.tf.json``."""
    document = Document(
        "Alarms: a task that fails or cannot start, a schedule that did not start its target or has had no success "
        "for too long, a failed workflow, a dead letter. A task over its time limit exits with 124, which is a failure."
    )
    _task_failures(document, names)
    _schedules(document, names)
    for name, workflow in names.catalog.workflows.items():
        dimensions = {"StateMachineArn": expression(f"aws_sfn_state_machine.{slug(name)}.arn")}
        for metric, problem in (
            ("ExecutionsFailed", "failed"),
            ("ExecutionsTimedOut", "timed out"),
            ("ExecutionThrottled", "was throttled"),
        ):
            _alarm(
                document,
                names,
                f"workflow_{slug(name)}_{slug(problem.replace(' ', '-'))}",
                f"{name}-{problem.replace(' ', '-')}",
                f"Workflow {name} {problem}. See: longshore status --env {names.environment.name}",
                workflow.severity,
                {"namespace": "AWS/States", "metric_name": metric, "dimensions": dimensions},
            )
    if names.catalog.schedules:
        _dead_letters(document, names, "schedules")
    if names.catalog.object_triggers:
        _dead_letters(document, names, "triggers")
    _dashboard(document, names)
    return document


def _topic(names: Names, severity: Severity) -> str | None:
    alarms = names.aws.alarms
    return (alarms.high or alarms.low) if severity == "high" else (alarms.low or alarms.high)


def _alarm(
    document: Document,
    names: Names,
    name: str,
    called: str,
    description: str,
    severity: Severity,
    metric: Block,
    more: Block | None = None,
) -> None:
    topic = _topic(names, severity)
    document.resource(
        "aws_cloudwatch_metric_alarm",
        name,
        {
            "alarm_name": f"{names.prefix}-{called}",
            "alarm_description": description,
            **metric,
            **{
                "statistic": "Sum",
                "period": 300,
                "evaluation_periods": 1,
                "comparison_operator": "GreaterThanThreshold",
                "threshold": 0,
                "treat_missing_data": "notBreaching",
                **(more or {}),
            },
            **({"alarm_actions": [topic], "ok_actions": [topic]} if topic else {}),
        },
    )


def _task_failures(document: Document, names: Names) -> None:
    """One rule for each severity, straight to the topic: the message can then name the task and the reason."""
    for severity in ("high", "low"):
        families = [task.name for task in names.catalog.tasks.values() if task.severity == severity]
        topic = _topic(names, severity)
        if not families or topic is None:
            continue
        pattern = {
            "source": ["aws.ecs"],
            "detail-type": ["ECS Task State Change"],
            "detail": {
                "clusterArn": [expression("data.aws_ecs_cluster.this.arn")],
                "taskDefinitionArn": [
                    {"prefix": expression(f"aws_ecs_task_definition.{slug(task)}.arn_without_revision") + ":"}
                    for task in families
                ],
                "lastStatus": ["STOPPED"],
                "$or": [{"stopCode": ["TaskFailedToStart"]}, {"containers": {"exitCode": [{"anything-but": [0]}]}}],
            },
        }
        rule = document.resource(
            "aws_cloudwatch_event_rule",
            f"task_failures_{severity}",
            {
                "name": f"{names.prefix}-failed-tasks-{severity}",
                "description": f"Tasks of severity {severity} that failed or could not start.",
                "event_pattern": json.dumps(pattern),
            },
        )
        lines = [
            f'"A background task of {names.prefix} failed: <family>"',
            '"Stop code: <stop>. Reason: <reason>"',
            '"Exit code: <exit>"',
            f'"Log: longshore logs <task> --env {names.environment.name}"',
        ]
        document.resource(
            "aws_cloudwatch_event_target",
            f"task_failures_{severity}",
            {
                "rule": expression(f"{rule}.name"),
                "target_id": "topic",
                "arn": topic,
                "input_transformer": {
                    "input_paths": {
                        "family": "$.detail.group",
                        "stop": "$.detail.stopCode",
                        "reason": "$.detail.stoppedReason",
                        "exit": "$.detail.containers[0].exitCode",
                        "task": "$.detail.taskArn",
                    },
                    "input_template": "\n".join(lines),
                },
            },
        )


def _schedules(document: Document, names: Names) -> None:
    if not names.catalog.schedules:
        return
    document.resource(
        "aws_cloudwatch_log_metric_filter",
        "successes",
        {
            "//": "The last line of every job that the runtime ends; a task without a success has no data.",
            "name": "successes",
            "log_group_name": expression("aws_cloudwatch_log_group.tasks.name"),
            "pattern": '{ $.event = "ended" && $.exit_code = 0 }',
            "metric_transformation": {
                "name": "Successes",
                "namespace": f"{METRICS}/{names.prefix}",
                "value": "1",
                "dimensions": {"Task": "$.task"},
            },
        },
    )
    for metric, problem in (("TargetErrorCount", "could-not-start"), ("InvocationDroppedCount", "dropped")):
        _alarm(
            document,
            names,
            f"schedules_{slug(problem)}",
            f"schedules-{problem}",
            "A schedule could not start its target. The dead-letter queue tells which and why.",
            "high",
            {
                "namespace": "AWS/Scheduler",
                "metric_name": metric,
                "dimensions": {"ScheduleGroup": expression("aws_scheduler_schedule_group.this.name")},
            },
        )
    for schedule in names.catalog.schedules.values():
        if names.in_terraform(schedule.enabled) == "true":
            _last_success(document, names, schedule)


def _last_success(document: Document, names: Names, schedule: Schedule) -> None:
    gap = longest_gap(names.in_terraform(schedule.expression), schedule.timezone)
    if gap is None:
        return
    members: dict[str, Any] = {**names.catalog.tasks, **names.catalog.workflows}
    target = members[schedule.target]
    limit = target.time_limit if schedule.kind == "task" else timedelta(hours=8)
    window = gap + limit + GRACE
    if window > LONGEST_EVALUATION:
        return  # CloudWatch cannot look back that far
    if schedule.kind == "task":
        metric: Block = {
            "namespace": f"{METRICS}/{names.prefix}",
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
    hours = -(-int(window.total_seconds()) // HOUR)
    _alarm(
        document,
        names,
        f"schedule_{slug(schedule.name)}_overdue",
        f"{schedule.name}-overdue",
        f"Schedule {schedule.name} has had no success for {hours} hours. "
        f"See: longshore status --env {names.environment.name}",
        target.severity,
        metric,
        {
            "period": HOUR,
            "evaluation_periods": hours,
            "comparison_operator": "LessThanThreshold",
            "threshold": 1,
            "treat_missing_data": "breaching",
        },
    )


def longest_gap(text: str, timezone: str) -> timedelta | None:
    """The longest time between two fires within a year of a fixed day; None if it fires once or never."""
    parsed, zone = parse(text), ZoneInfo(timezone)
    start = datetime(2026, 1, 1, tzinfo=UTC)  # fixed, so that two runs are byte-identical
    end = start + timedelta(days=366)
    previous = next_fire(parsed, start, zone, start)
    longest: timedelta | None = None
    while previous is not None and previous < end:
        following = next_fire(parsed, previous, zone, start)
        if following is not None:
            longest = max(longest or following - previous, following - previous)
        previous = following
    return longest


def _dead_letters(document: Document, names: Names, kind: str) -> None:
    _alarm(
        document,
        names,
        f"{kind}_dead_letters",
        f"{kind}-dead-letters",
        f"Something that should have started did not: see longshore redrive {names.prefix}-{kind}-dead-letters",
        "high",
        {
            "namespace": "AWS/SQS",
            "metric_name": "ApproximateNumberOfMessagesVisible",
            "dimensions": {"QueueName": expression(f"aws_sqs_queue.{kind}_dead_letters.name")},
        },
        {"statistic": "Maximum"},
    )


def _dashboard(document: Document, names: Names) -> None:
    region = names.aws.region
    successes = [[f"{METRICS}/{names.prefix}", "Successes", "Task", task] for task in names.catalog.tasks]
    widgets: list[Block] = [
        _widget("Successful runs", successes, region, 0, 0, "Sum"),
        {
            "type": "log",
            "x": 12,
            "y": 0,
            "width": 12,
            "height": 8,
            "properties": {
                "title": "Errors",
                "region": region,
                "query": f"SOURCE '{names.log_group}' | fields @timestamp, task, message "
                "| filter level in ['ERROR', 'CRITICAL'] | sort @timestamp desc | limit 50",
                "view": "table",
            },
        },
    ]
    for row, name in enumerate(names.catalog.workflows, start=1):
        arn = expression(f"aws_sfn_state_machine.{slug(name)}.arn")
        metrics = [
            ["AWS/States", metric, "StateMachineArn", arn]
            for metric in ("ExecutionsStarted", "ExecutionsSucceeded", "ExecutionsFailed", "ExecutionsTimedOut")
        ]
        widgets.append(_widget(f"Workflow {name}", metrics, region, 0, row * 8, "Sum"))
        duration = [["AWS/States", "ExecutionTime", "StateMachineArn", arn]]
        widgets.append(_widget(f"Workflow {name}: duration (ms)", duration, region, 12, row * 8, "Maximum"))
    document.resource(
        "aws_cloudwatch_dashboard",
        "this",
        {"dashboard_name": names.prefix, "dashboard_body": json.dumps({"widgets": widgets})},
    )


def _widget(title: str, metrics: list[list[str]], region: str, x: int, y: int, statistic: str) -> Block:
    return {
        "type": "metric",
        "x": x,
        "y": y,
        "width": 12,
        "height": 8,
        "properties": {"title": title, "region": region, "metrics": metrics, "stat": statistic, "period": 3600},
    }
