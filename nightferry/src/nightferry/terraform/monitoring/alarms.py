"""Alarms for tasks, schedules, triggers, workflows and the forwarder, derived from the declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from nightferry.catalog.declarations import ObjectTrigger, Schedule, Severity, Task, Workflow
from nightferry.contract import ExitCode, LogEvent, StopCode
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.monitoring.dashboard import add_dashboard
from nightferry.terraform.monitoring.overdue import HOUR_SECONDS, MAX_EVALUATION, compute_overdue_window
from nightferry.terraform.names import Names

LIMIT_GRACE = timedelta(minutes=15)  # the time that a task may take to start, and to stop after its time limit


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
            f"runs: {', '.join(unmonitored)}."
            if unmonitored
            else ""
        )
    )
    _add_task_alarms(document, names)
    _add_schedule_alarms(document, names)
    for name, workflow in names.catalog.workflows.items():
        dimensions = {"StateMachineArn": expression(f"aws_sfn_state_machine.{slug(name)}.arn")}
        for metric, problem in (
            ("ExecutionsFailed", "failed"),
            ("ExecutionsTimedOut", "timed out"),
            ("ExecutionThrottled", "was throttled"),
        ):
            _add_alarm(
                document,
                names,
                f"workflow_{slug(name)}_{slug(problem.replace(' ', '-'))}",
                f"{name}-{problem.replace(' ', '-')}",
                f"Workflow {name} {problem}. For the cause see its executions or log group "
                f"/aws/vendedlogs/states/{names.prefix}.",
                workflow.severity,
                {"namespace": "AWS/States", "metric_name": metric, "dimensions": dimensions},
            )
    if names.catalog.schedules:
        _add_dead_letter_alarm(
            document, names, "schedules", _find_highest_severity(names, names.catalog.schedules.values())
        )
    if names.catalog.object_triggers:
        _add_dead_letter_alarm(
            document, names, "triggers", _find_highest_severity(names, names.catalog.object_triggers.values())
        )
    if names.aws.new_relic_forwarder is not None:
        _add_alarm(
            document,
            names,
            "logs_dead_letters",
            "logs-dead-letters",
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
        _add_alarm(
            document,
            names,
            "logs_dropped",
            "logs-dropped",
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


def _find_highest_severity(names: Names, starters: Iterable[Schedule | ObjectTrigger]) -> Severity:
    """Return the severity of an alarm that several declarations share, because AWS counts per group or queue."""
    return "high" if any(_find_severity(names, starter) == "high" for starter in starters) else "low"


def _find_severity(names: Names, starter: Schedule | ObjectTrigger) -> Severity:
    members: Mapping[str, Task | Workflow] = names.catalog.tasks if starter.kind == "task" else names.catalog.workflows
    return members[starter.target].severity


def _find_topic(names: Names, severity: Severity) -> str | None:
    alarms = names.aws.alarms
    return (alarms.high or alarms.low) if severity == "high" else (alarms.low or alarms.high)


def _add_alarm(
    document: Document,
    names: Names,
    name: str,
    alarm: str,
    description: str,
    severity: Severity,
    metric: Block,
    evaluation: Block | None = None,
) -> None:
    topic = _find_topic(names, severity)
    document.add_resource(
        "aws_cloudwatch_metric_alarm",
        name,
        {
            "alarm_name": f"{names.prefix}-{alarm}",
            "alarm_description": description,
            **metric,
            **{
                "statistic": "Sum",
                "period": 300,
                "evaluation_periods": 1,
                "comparison_operator": "GreaterThanThreshold",
                "threshold": 0,
                "treat_missing_data": "notBreaching",
                **(evaluation or {}),
            },
            **({"alarm_actions": [topic], "ok_actions": [topic]} if topic else {}),
        },
    )


def _add_task_alarms(document: Document, names: Names) -> None:
    """Add two alarms per task: one for failures and one for runs that exceed the time limit.

    They are metric alarms, because every topic accepts messages from CloudWatch. A rule that publishes to the topic
    directly would need a policy on a topic that this configuration does not manage, and would lose messages without it.
    """
    document.add_resource(
        "aws_cloudwatch_log_metric_filter",
        "failures",
        {
            "//": "Failed tasks: the task could not start, or it has a non-zero exit code or none. ECS reports this "
            "even for a task that was killed before it could log anything.",
            "name": "failures",
            "log_group_name": expression("aws_cloudwatch_log_group.events.name"),
            "pattern": f'{{ $.detail.lastStatus = "STOPPED" && ($.detail.stopCode = "{StopCode.NOT_STARTED}" || '
            "$.detail.containers[0].exitCode != 0 || $.detail.containers[0].exitCode NOT EXISTS) }",
            "metric_transformation": {
                "name": "Failures",
                "namespace": names.metric_namespace,
                "value": "1",
                "dimensions": {"Group": "$.detail.group"},
            },
        },
    )
    for task in names.catalog.tasks.values():
        _add_alarm(
            document,
            names,
            f"task_{slug(task.name)}_failed",
            f"{task.name}-failed",
            f"Task {task.name} could not start or ended with an exit code other than {ExitCode.SUCCESS} "
            f"({ExitCode.TIME_LIMIT} means that it exceeded its time limit). For its log see group {names.log_group}, "
            f"streams {names.environment.name}/{task.name}/. For the stop reason see group {names.log_group}/events.",
            task.severity,
            {
                "namespace": names.metric_namespace,
                "metric_name": "Failures",
                "dimensions": {"Group": f"family:{names.family(task.name)}"},
            },
        )
        _add_still_running_alarm(document, names, task)


def _add_still_running_alarm(document: Document, names: Names, task: Task) -> None:
    """Add an alarm for a job that hangs and cannot end itself at its time limit."""
    allowed = task.time_limit + LIMIT_GRACE
    # Periods of less than an hour can cover one day, and longer periods one week (API reference, PutMetricAlarm).
    period = 300 if allowed <= timedelta(days=1) else HOUR_SECONDS
    periods = -(-int(allowed.total_seconds()) // period)
    if periods * period > MAX_EVALUATION.total_seconds():
        return
    _add_alarm(
        document,
        names,
        f"task_{slug(task.name)}_still_running",
        f"{task.name}-still-running",
        f"Task {task.name} has been running continuously for longer than its time limit of {task.time_limit}. "
        "Requires Container Insights on the cluster.",
        task.severity,
        {
            "namespace": "ECS/ContainerInsights",
            "metric_name": "MemoryUtilized",
            "dimensions": {"ClusterName": names.aws.cluster, "TaskDefinitionFamily": names.family(task.name)},
        },
        {"statistic": "SampleCount", "period": period, "evaluation_periods": periods},
    )


def _add_schedule_alarms(document: Document, names: Names) -> None:
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
        for metric, problem in (("TargetErrorCount", "could-not-start"), ("InvocationDroppedCount", "dropped")):
            _add_alarm(
                document,
                names,
                f"schedules_{slug(problem)}",
                f"schedules-{problem}",
                "A schedule could not start its target. After the last attempt, the schedule and the error are in a "
                f"message of the queue {names.prefix}-schedules-dead-letters.",
                _find_highest_severity(names, grouped),
                {
                    "namespace": "AWS/Scheduler",
                    "metric_name": metric,
                    "dimensions": {"ScheduleGroup": expression("aws_scheduler_schedule_group.this.name")},
                },
            )
    for schedule in schedules:
        if schedule.via == "rule":
            _add_alarm(
                document,
                names,
                f"schedule_{slug(schedule.name)}_could_not_start",
                f"{schedule.name}-could-not-start",
                f"Rule {names.prefix}-{schedule.name} could not start {schedule.target}. The error is in a message of "
                f"the queue {names.prefix}-schedules-dead-letters.",
                _find_severity(names, schedule),
                {
                    "namespace": "AWS/Events",
                    "metric_name": "FailedInvocations",
                    "dimensions": {"RuleName": f"{names.prefix}-{schedule.name}"},
                },
            )
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
    _add_alarm(
        document,
        names,
        f"schedule_{slug(schedule.name)}_overdue",
        f"{schedule.name}-overdue",
        f"{schedule.target}, started by schedule {schedule.name}, has not succeeded for {hours} hours.",
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


def _add_dead_letter_alarm(document: Document, names: Names, kind: str, severity: Severity) -> None:
    _add_alarm(
        document,
        names,
        f"{kind}_dead_letters",
        f"{kind}-dead-letters",
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
