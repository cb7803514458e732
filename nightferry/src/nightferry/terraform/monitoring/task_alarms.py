"""Alarms of tasks: failures, tasks that cannot start, and tasks that exceed their time limits."""

from __future__ import annotations

from datetime import timedelta

from nightferry.catalog.declarations import Task
from nightferry.contract import GUARDDUTY_CONTAINER, OUT_OF_MEMORY, ExitCode, StopCode
from nightferry.terraform.document import Document, expression, slug
from nightferry.terraform.monitoring.alarm import add_alarm
from nightferry.terraform.monitoring.overdue import HOUR_SECONDS, MAX_EVALUATION
from nightferry.terraform.names import Names

LIMIT_GRACE = timedelta(minutes=15)  # the time that a task may take to start, and to stop after its time limit


def add_task_alarms(document: Document, names: Names) -> None:
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
    add_alarm(
        document,
        names,
        "state_changes_lost",
        "state-changes-lost",
        "",
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
        add_alarm(
            document,
            names,
            f"task_{slug(task.name)}_failed",
            "TASK-failed",
            task.name,
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
    add_alarm(
        document,
        names,
        f"task_{slug(task.name)}_still_running",
        "TASK-still-running",
        task.name,
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
