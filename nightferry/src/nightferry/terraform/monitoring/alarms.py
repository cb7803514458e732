"""Alarms for tasks, schedules, triggers, workflows and the forwarder, derived from the declarations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from nightferry.catalog.declarations import ObjectTrigger, Schedule, Severity, Task, Workflow
from nightferry.contract import GUARDDUTY_CONTAINER, OUT_OF_MEMORY, ExitCode, LogEvent, StopCode
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.monitoring.dashboard import add_dashboard
from nightferry.terraform.monitoring.overdue import (
    HOUR_SECONDS,
    MAX_EVALUATION,
    compute_latest_notice,
    compute_overdue_window,
)
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
            f"runs: {', '.join(unmonitored)}. No alarm reports a start for which ECS returns failures, such as missing "
            "capacity. Only CloudTrail records it."
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
    for trigger in names.catalog.object_triggers.values():
        _add_trigger_alarms(document, names, trigger)
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
            "//": "Failed tasks: the task could not start, its host ended it, its memory was exhausted, or its "
            "container has a non-zero exit code or none. A task that was stopped by StopTask (a person, or an "
            "execution that ended) did not fail. ECS reports all this even for a task that was killed before it could "
            "log anything.",
            "name": "failures",
            "log_group_name": expression("aws_cloudwatch_log_group.events.name"),
            "pattern": build_failure_pattern(),
            "metric_transformation": {
                "name": "Failures",
                "namespace": names.metric_namespace,
                "value": "1",
                "dimensions": {"Group": "$.detail.group"},
            },
        },
    )
    _add_alarm(
        document,
        names,
        "state_changes_lost",
        "state-changes-lost",
        f"EventBridge could not write a state change of a task to log group {names.naming.event_group}. Without it, "
        "the alarms for failed tasks do not work. Check the resource policy of CloudWatch Logs.",
        "high",
        {
            "namespace": "AWS/Events",
            "metric_name": "FailedInvocations",
            "dimensions": {"RuleName": expression("aws_cloudwatch_event_rule.state_changes.name")},
        },
    )
    for task in names.catalog.tasks.values():
        _add_alarm(
            document,
            names,
            f"task_{slug(task.name)}_failed",
            f"{task.name}-failed",
            f"Task {task.name} could not start, was ended by its host or for its memory, or ended with an exit code "
            f"other than {ExitCode.SUCCESS} ({ExitCode.TIME_LIMIT} means that it exceeded its time limit). No run "
            f"replaces it before its next start. For its log see group {names.log_group}, streams "
            f"{names.environment.name}/{task.name}/. For the stop reason see group {names.log_group}/events.",
            task.severity,
            {
                "namespace": names.metric_namespace,
                "metric_name": "Failures",
                "dimensions": {"Group": f"family:{names.family(task.name)}"},
            },
        )
        _add_still_running_alarm(document, names, task)


def build_failure_pattern() -> str:
    """Return the filter pattern for the state changes of failed tasks.

    A filter cannot search a list, and a task has at most two containers: its own, and GuardDuty's, whose exit code does
    not matter. Their order is not promised.
    """
    sidecar = f'$.detail.containers[0].name = "{GUARDDUTY_CONTAINER}*"'
    failed = [
        f"$.detail.containers[{place}].exitCode != 0 || $.detail.containers[{place}].exitCode NOT EXISTS || "
        f'$.detail.containers[{place}].reason = "*{OUT_OF_MEMORY}*"'
        for place in (0, 1)
    ]
    return (
        '{ $.detail.lastStatus = "STOPPED" && '
        f'($.detail.stopCode NOT EXISTS || $.detail.stopCode != "{StopCode.BY_USER}") && '
        f'($.detail.stopCode != "{StopCode.EXITED}" || $.detail.stoppedReason = "*{OUT_OF_MEMORY}*" || '
        f"({sidecar.replace('=', '!=')} && ({failed[0]})) || ({sidecar} && ({failed[1]}))) }}"
    )


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
            _add_alarm(
                document,
                names,
                f"schedules_{slug(problem)}",
                f"schedules-{problem}",
                description,
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
    _add_alarm(
        document,
        names,
        f"schedule_{slug(schedule.name)}_overdue",
        f"{schedule.name}-overdue",
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


def _add_trigger_alarms(document: Document, names: Names, trigger: ObjectTrigger) -> None:
    """Add alarms for events that reach neither the trigger's target nor the dead-letter queue."""
    if trigger.via == "eventbridge":
        _add_lost_alarm(document, names, "trigger", trigger)
    _add_alarm(
        document,
        names,
        f"trigger_{slug(trigger.name)}_dropped",
        f"{trigger.name}-dropped",
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
    _add_alarm(
        document,
        names,
        f"{kind}_{slug(starter.name)}_lost",
        f"{starter.name}-lost",
        f"Rule {names.prefix}-{starter.name} could neither start {starter.target} nor send the failed start to the "
        f"queue {names.prefix}-{kind}s-dead-letters. Check the queue's policy, and start the target by hand.",
        _find_severity(names, starter),
        {
            "namespace": "AWS/Events",
            "metric_name": "InvocationsFailedToBeSentToDlq",
            "dimensions": {"RuleName": f"{names.prefix}-{starter.name}"},
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
