"""The dashboard, which shows the runs of all tasks and workflows, the errors and the dead letters."""

from __future__ import annotations

import json

from nightferry.terraform.document import Block, Document, expression, slug
from nightferry.terraform.names import Names


def add_dashboard(document: Document, names: Names) -> None:
    """Add the dashboard of the environment."""
    region = names.aws.region
    successes = [[names.metric_namespace, "Successes", "Task", task] for task in names.catalog.tasks]
    widgets: list[Block] = [
        _build_widget("Successful runs", successes, region, 0, 0, "Sum"),
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
        widgets.append(_build_widget(f"Workflow {name}", metrics, region, 0, row * 8, "Sum"))
        duration = [["AWS/States", "ExecutionTime", "StateMachineArn", arn]]
        widgets.append(_build_widget(f"Workflow {name}: duration (ms)", duration, region, 12, row * 8, "Maximum"))
    below = (len(names.catalog.workflows) + 1) * 8
    failures = [
        [names.metric_namespace, "Failures", "Group", f"family:{names.family(task)}"] for task in names.catalog.tasks
    ]
    widgets.append(_build_widget("Failed runs", failures, region, 0, below, "Sum"))
    queues = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", expression(f"aws_sqs_queue.{queue}.name")]
        for queue, members in (
            ("schedules_dead_letters", names.catalog.schedules),
            ("triggers_dead_letters", names.catalog.object_triggers),
        )
        if members
    ]
    if queues:
        widgets.append(_build_widget("Dead letters", queues, region, 12, below, "Maximum"))
    document.add_resource(
        "aws_cloudwatch_dashboard",
        "this",
        {"dashboard_name": names.prefix, "dashboard_body": json.dumps({"widgets": widgets})},
    )


def _build_widget(title: str, metrics: list[list[str]], region: str, x: int, y: int, statistic: str) -> Block:
    return {
        "type": "metric",
        "x": x,
        "y": y,
        "width": 12,
        "height": 8,
        "properties": {"title": title, "region": region, "metrics": metrics, "stat": statistic, "period": 3600},
    }
