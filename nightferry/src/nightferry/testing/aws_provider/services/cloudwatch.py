"""CloudWatch: alarms and dashboards."""

from __future__ import annotations

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, as_tags, changed_tags, from_tags, given

# Arguments of an alarm and the members of PutMetricAlarm with the same value.
_ALARM = {
    "alarm_name": "AlarmName",
    "comparison_operator": "ComparisonOperator",
    "evaluation_periods": "EvaluationPeriods",
    "actions_enabled": "ActionsEnabled",
    "alarm_actions": "AlarmActions",
    "alarm_description": "AlarmDescription",
    "datapoints_to_alarm": "DatapointsToAlarm",
    "evaluate_low_sample_count_percentiles": "EvaluateLowSampleCountPercentile",
    "extended_statistic": "ExtendedStatistic",
    "insufficient_data_actions": "InsufficientDataActions",
    "metric_name": "MetricName",
    "namespace": "Namespace",
    "ok_actions": "OKActions",
    "period": "Period",
    "statistic": "Statistic",
    "threshold": "Threshold",
    "threshold_metric_id": "ThresholdMetricId",
    "treat_missing_data": "TreatMissingData",
    "unit": "Unit",
}


class Alarm(Resource):
    """A metric alarm."""

    type = "aws_cloudwatch_metric_alarm"
    identity = ("alarm_name",)

    def create(self, aws: Clients, new: Values) -> Values:
        aws("cloudwatch").put_metric_alarm(**_make_alarm(new), **given(Tags=as_tags(new["tags_all"])))
        return {"alarm_name": new["alarm_name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        name = identity["alarm_name"]
        alarms = aws("cloudwatch").describe_alarms(AlarmNames=[name]).get("MetricAlarms", [])
        if not alarms:
            return None
        alarm = alarms[0]
        arn = alarm["AlarmArn"]
        found = {argument: alarm.get(member) for argument, member in _ALARM.items()}
        return {
            **found,
            "id": name,
            "arn": arn,
            "dimensions": {one["Name"]: one["Value"] for one in alarm.get("Dimensions", [])},
            "metric_query": [_flatten_query(query) for query in alarm.get("Metrics") or []],
            "tags": from_tags(aws("cloudwatch").list_tags_for_resource(ResourceARN=arn).get("Tags")),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        aws("cloudwatch").put_metric_alarm(**_make_alarm(new))
        added, removed = changed_tags(old, new)
        if added:
            aws("cloudwatch").tag_resource(ResourceARN=old["arn"], Tags=as_tags(added))
        if removed:
            aws("cloudwatch").untag_resource(ResourceARN=old["arn"], TagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        aws("cloudwatch").delete_alarms(AlarmNames=[old["alarm_name"]])


class Dashboard(Resource):
    """A dashboard."""

    type = "aws_cloudwatch_dashboard"
    identity = ("dashboard_name",)

    def create(self, aws: Clients, new: Values) -> Values:
        aws("cloudwatch").put_dashboard(DashboardName=new["dashboard_name"], DashboardBody=new["dashboard_body"])
        return {"dashboard_name": new["dashboard_name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        name = identity["dashboard_name"]
        client = aws("cloudwatch")
        try:
            found = client.get_dashboard(DashboardName=name)
        except client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] in ("ResourceNotFound", "DashboardNotFoundError"):
                return None
            raise
        return {
            "id": name,
            "dashboard_name": name,
            "dashboard_arn": found["DashboardArn"],
            "dashboard_body": found["DashboardBody"],
        }

    def delete(self, aws: Clients, old: Values) -> None:
        aws("cloudwatch").delete_dashboards(DashboardNames=[old["dashboard_name"]])


def _make_alarm(new: Values) -> Values:
    alarm = {member: new[argument] for argument, member in _ALARM.items() if new[argument] not in (None, "", [])}
    dimensions = [{"Name": name, "Value": value} for name, value in sorted((new["dimensions"] or {}).items())]
    metrics = [_make_query(query) for query in new["metric_query"] or []]
    if metrics:
        for member in ("MetricName", "Namespace", "Period", "Statistic", "Unit"):
            alarm.pop(member, None)
    return {**alarm, **given(Dimensions=dimensions, Metrics=metrics)}


def _make_query(query: Values) -> Values:
    metric = None
    for one in query["metric"] or []:
        dimensions = [{"Name": name, "Value": value} for name, value in sorted((one["dimensions"] or {}).items())]
        metric = {
            "Metric": {"MetricName": one["metric_name"], **given(Namespace=one["namespace"], Dimensions=dimensions)},
            "Period": one["period"],
            "Stat": one["stat"],
            **given(Unit=one["unit"]),
        }
    return {
        "Id": query["id"],
        "ReturnData": bool(query["return_data"]),
        **given(
            Expression=query["expression"],
            Label=query["label"],
            MetricStat=metric,
            Period=query["period"],
            AccountId=query["account_id"],
        ),
    }


def _flatten_query(query: Values) -> Values:
    found: Values = {
        "id": query["Id"],
        "expression": query.get("Expression"),
        "label": query.get("Label"),
        "return_data": query.get("ReturnData", False),
        "period": query.get("Period"),
        "account_id": query.get("AccountId"),
        "metric": [],
    }
    if "MetricStat" in query:
        stat = query["MetricStat"]
        found["metric"] = [
            {
                "metric_name": stat["Metric"]["MetricName"],
                "namespace": stat["Metric"].get("Namespace"),
                "dimensions": {one["Name"]: one["Value"] for one in stat["Metric"].get("Dimensions", [])},
                "period": stat["Period"],
                "stat": stat["Stat"],
                "unit": stat.get("Unit"),
            }
        ]
    return found


RESOURCES = (Alarm, Dashboard)
