"""Alarms and a dashboard, all of them from the declarations: there is no list to forget a task in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta

from nightferry.catalog.declarations import ObjectTrigger, Schedule, Severity, Task, Workflow
from nightferry.contract import ExitCode, LogEvent, StopCode
from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.monitoring.dashboard import dashboard
from nightferry.terraform.monitoring.silence import HOUR, LONGEST_EVALUATION, silence
from nightferry.terraform.names import Names

LIMIT_GRACE = timedelta(minutes=15)  # time to start, and to stop at the limit


def build(names: Names) -> Document:
    """``alarms.tf.json``."""
    unwatched = [
        schedule.name
        for schedule in names.catalog.schedules.values()
        if names.in_terraform(schedule.enabled) == "true" and silence(names, schedule) is None
    ]
    document = Document(
        "Alarms: a task that fails, cannot start or runs over its limit, a schedule that did not start its target or "
        "has had no success for too long, a failed workflow, a dead letter. "
        + (
            f"CloudWatch looks back a week at most, so nothing tells that {', '.join(unwatched)} had no success for "
            "too long; failures of it are told."
            if unwatched
            else ""
        )
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
                f"Workflow {name} {problem}. Its executions tell why, as does log group "
                f"/aws/vendedlogs/states/{names.prefix}.",
                workflow.severity,
                {"namespace": "AWS/States", "metric_name": metric, "dimensions": dimensions},
            )
    if names.catalog.schedules:
        _dead_letters(document, names, "schedules", _highest(names, names.catalog.schedules.values()))
    if names.catalog.object_triggers:
        _dead_letters(document, names, "triggers", _highest(names, names.catalog.object_triggers.values()))
    if names.aws.new_relic_forwarder is not None:
        _alarm(
            document,
            names,
            "logs_dead_letters",
            "logs-dead-letters",
            "Log lines could not be delivered to New Relic. They are in CloudWatch, and in the queue "
            f"{names.prefix}-newrelic-forwarder-dead-letters, from where nightferry redrive replays them.",
            "low",
            {
                "namespace": "AWS/SQS",
                "metric_name": "ApproximateNumberOfMessagesVisible",
                "dimensions": {"QueueName": expression("module.newrelic_forwarder.dead_letters")},
            },
            {"statistic": "Maximum"},
        )
        _alarm(
            document,
            names,
            "logs_dropped",
            "logs-dropped",
            "Lambda could not hand log events to the forwarder, nor keep them in its dead-letter queue. They are in "
            "CloudWatch only.",
            "low",
            {
                "namespace": "AWS/Lambda",
                "metric_name": "DestinationDeliveryFailures",
                "dimensions": {"FunctionName": expression("module.newrelic_forwarder.function_name")},
            },
        )
    dashboard(document, names)
    return document


def _highest(names: Names, starters: Iterable[Schedule | ObjectTrigger]) -> Severity:
    """The severity of an alarm that several share: AWS counts the starts of a whole group or queue as one."""
    return "high" if any(_severity(names, starter) == "high" for starter in starters) else "low"


def _severity(names: Names, starter: Schedule | ObjectTrigger) -> Severity:
    members: Mapping[str, Task | Workflow] = names.catalog.tasks if starter.kind == "task" else names.catalog.workflows
    return members[starter.target].severity


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
    """Two alarms a task: it failed, it still runs. Metric alarms, because any topic takes CloudWatch's messages.

    A rule straight to the topic would need a policy on a topic that is not ours, and lose messages without it.
    """
    document.resource(
        "aws_cloudwatch_log_metric_filter",
        "failures",
        {
            "//": "A task ended badly: it could not start, or its exit code is not 0, or it has none. ECS tells so, "
            "even of a task that was killed before it could log anything.",
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
        _alarm(
            document,
            names,
            f"task_{slug(task.name)}_failed",
            f"{task.name}-failed",
            f"Task {task.name} could not start or ended with an exit code other than {ExitCode.SUCCESS} "
            f"({ExitCode.TIME_LIMIT}: over its time limit). "
            f"Log group {names.log_group}, streams {names.environment.name}/{task.name}/; why it stopped: "
            f"{names.log_group}/events.",
            task.severity,
            {
                "namespace": names.metric_namespace,
                "metric_name": "Failures",
                "dimensions": {"Group": f"family:{names.family(task.name)}"},
            },
        )
        _still_running(document, names, task)


def _still_running(document: Document, names: Names, task: Task) -> None:
    """The job ends itself at its limit; this tells of one that hangs so badly that it cannot."""
    allowed = task.time_limit + LIMIT_GRACE
    # Periods below an hour may cover a day, hours a week (API reference, PutMetricAlarm).
    period = 300 if allowed <= timedelta(days=1) else HOUR
    periods = -(-int(allowed.total_seconds()) // period)
    if periods * period > LONGEST_EVALUATION.total_seconds():
        return
    _alarm(
        document,
        names,
        f"task_{slug(task.name)}_still_running",
        f"{task.name}-still-running",
        f"Task {task.name} has been running without a pause for more than its limit of {task.time_limit}. "
        "Needs Container Insights on the cluster.",
        task.severity,
        {
            "namespace": "ECS/ContainerInsights",
            "metric_name": "MemoryUtilized",
            "dimensions": {"ClusterName": names.aws.cluster, "TaskDefinitionFamily": names.family(task.name)},
        },
        {"statistic": "SampleCount", "period": period, "evaluation_periods": periods},
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
            _alarm(
                document,
                names,
                f"schedules_{slug(problem)}",
                f"schedules-{problem}",
                "A schedule could not start its target. Once it gives up, the message in the queue "
                f"{names.prefix}-schedules-dead-letters tells which and why.",
                _highest(names, grouped),
                {
                    "namespace": "AWS/Scheduler",
                    "metric_name": metric,
                    "dimensions": {"ScheduleGroup": expression("aws_scheduler_schedule_group.this.name")},
                },
            )
    for schedule in schedules:
        if schedule.via == "rule":
            _alarm(
                document,
                names,
                f"schedule_{slug(schedule.name)}_could_not_start",
                f"{schedule.name}-could-not-start",
                f"Rule {names.prefix}-{schedule.name} could not start {schedule.target}. The message in the queue "
                f"{names.prefix}-schedules-dead-letters tells why.",
                _severity(names, schedule),
                {
                    "namespace": "AWS/Events",
                    "metric_name": "FailedInvocations",
                    "dimensions": {"RuleName": f"{names.prefix}-{schedule.name}"},
                },
            )
        if names.in_terraform(schedule.enabled) == "true":
            _last_success(document, names, schedule)


def _last_success(document: Document, names: Names, schedule: Schedule) -> None:
    window = silence(names, schedule)
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
    hours = -(-int(window.total_seconds()) // HOUR)
    _alarm(
        document,
        names,
        f"schedule_{slug(schedule.name)}_overdue",
        f"{schedule.name}-overdue",
        f"{schedule.target}, which schedule {schedule.name} starts, has had no success for {hours} hours.",
        _severity(names, schedule),
        metric,
        {
            "period": HOUR,
            "evaluation_periods": hours,
            "comparison_operator": "LessThanThreshold",
            "threshold": 1,
            "treat_missing_data": "breaching",
        },
    )


def _dead_letters(document: Document, names: Names, kind: str, severity: Severity) -> None:
    _alarm(
        document,
        names,
        f"{kind}_dead_letters",
        f"{kind}-dead-letters",
        "Something that should have started did not. The messages in the queue "
        f"{names.prefix}-{kind}-dead-letters tell what and why.",
        severity,
        {
            "namespace": "AWS/SQS",
            "metric_name": "ApproximateNumberOfMessagesVisible",
            "dimensions": {"QueueName": expression(f"aws_sqs_queue.{kind}_dead_letters.name")},
        },
        {"statistic": "Maximum"},
    )
