"""The bytes that all tasks wrote to their log, from the metric of the log group."""

from __future__ import annotations

from datetime import datetime, timedelta

from nightferry.aws.session import Aws
from nightferry.backend.errors import Refused

_DAY = int(timedelta(days=1).total_seconds())  # CloudWatch keeps sums of a day for 15 months


def read_log_volume(aws: Aws, group: str, since: datetime, until: datetime) -> int | None:
    """Return the bytes from ``since`` to ``until``; None without a metric or the permission to read it."""
    try:
        with aws.translate_errors("read the size of the log"):
            found = aws.session.client("cloudwatch", config=aws.config).get_metric_statistics(
                Namespace="AWS/Logs",
                MetricName="IncomingBytes",
                Dimensions=[{"Name": "LogGroupName", "Value": group}],
                StartTime=since,
                EndTime=until,
                Period=_DAY,
                Statistics=["Sum"],
            )
            sums = [float(point["Sum"]) for point in found["Datapoints"]]
    except Refused:
        return None
    return int(sum(sums)) if sums else None
