"""One alarm, as all declarations have them: its name, its place in the runbook, its defaults and whom it notifies."""

from __future__ import annotations

import re

from nightferry.catalog.declarations import Severity
from nightferry.terraform.document import Block, Document
from nightferry.terraform.names import Names

_PLACEHOLDER = re.compile(r"^[A-Z]+(-[A-Z]+)*")


def add_alarm(
    document: Document,
    names: Names,
    name: str,
    kind: str,
    subject: str,
    description: str,
    severity: Severity,
    metric: Block,
    evaluation: Block | None = None,
) -> None:
    """Add an alarm that notifies the topic of its severity. Without ``evaluation``, any value in 5 minutes alarms.

    ``kind`` is its heading in a runbook. ``subject`` replaces the capitals in it: the alarm of the kind ``TASK-failed``
    for the task ``load`` is ``load-failed``.
    """
    topic = _find_topic(names, severity)
    runbook = names.aws.alarms.runbook
    document.add_resource(
        "aws_cloudwatch_metric_alarm",
        name,
        {
            "alarm_name": f"{names.prefix}-{_PLACEHOLDER.sub(subject, kind)}",
            "alarm_description": f"{description} Runbook: {runbook}#{kind.lower()}" if runbook else description,
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


def _find_topic(names: Names, severity: Severity) -> str | None:
    alarms = names.aws.alarms
    topic = (alarms.high or alarms.low) if severity == "high" else (alarms.low or alarms.high)
    if topic is None or topic.startswith("arn:"):
        return topic
    return str(names.resolve(f"${{topic:{topic}}}"))
