"""CloudWatch Logs: groups, metric filters, subscriptions and resource policies."""

from __future__ import annotations

from nightferry.testing.aws_provider.clients import Clients
from nightferry.testing.aws_provider.resource import Resource, Values, changed_tags, first, given


class LogGroup(Resource):
    """A log group."""

    type = "aws_cloudwatch_log_group"
    identity = ("name",)

    def create(self, aws: Clients, new: Values) -> Values:
        aws("logs").create_log_group(
            logGroupName=new["name"], **given(kmsKeyId=new["kms_key_id"], tags=new["tags_all"])
        )
        if new["retention_in_days"]:
            aws("logs").put_retention_policy(logGroupName=new["name"], retentionInDays=new["retention_in_days"])
        return {"name": new["name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        name = identity["name"]
        groups = aws("logs").describe_log_groups(logGroupNamePrefix=name).get("logGroups", [])
        group = next((one for one in groups if one["logGroupName"] == name), None)
        if group is None:
            return None
        arn = group["arn"].removesuffix(":*")
        return {
            "id": name,
            "name": name,
            "arn": arn,
            "retention_in_days": group.get("retentionInDays", 0),
            "kms_key_id": group.get("kmsKeyId"),
            "log_group_class": group.get("logGroupClass") or "STANDARD",
            "tags": aws("logs").list_tags_for_resource(resourceArn=arn).get("tags", {}),
        }

    def update(self, aws: Clients, old: Values, new: Values) -> None:
        logs = aws("logs")
        if new["retention_in_days"] != old["retention_in_days"]:
            if new["retention_in_days"]:
                logs.put_retention_policy(logGroupName=new["name"], retentionInDays=new["retention_in_days"])
            else:
                logs.delete_retention_policy(logGroupName=new["name"])
        if new["kms_key_id"] != old["kms_key_id"]:
            if new["kms_key_id"]:
                logs.associate_kms_key(logGroupName=new["name"], kmsKeyId=new["kms_key_id"])
            else:
                logs.disassociate_kms_key(logGroupName=new["name"])
        added, removed = changed_tags(old, new)
        if added:
            logs.tag_resource(resourceArn=old["arn"], tags=added)
        if removed:
            logs.untag_resource(resourceArn=old["arn"], tagKeys=removed)

    def delete(self, aws: Clients, old: Values) -> None:
        if not old["skip_destroy"]:
            aws("logs").delete_log_group(logGroupName=old["name"])


class MetricFilter(Resource):
    """A metric filter of a log group."""

    type = "aws_cloudwatch_log_metric_filter"
    identity = ("log_group_name", "name")

    def create(self, aws: Clients, new: Values) -> Values:
        metric = first(new["metric_transformation"])
        aws("logs").put_metric_filter(
            logGroupName=new["log_group_name"],
            filterName=new["name"],
            filterPattern=new["pattern"],
            metricTransformations=[
                {
                    "metricName": metric["name"],
                    "metricNamespace": metric["namespace"],
                    "metricValue": metric["value"],
                    **given(
                        unit=metric["unit"],
                        defaultValue=float(metric["default_value"]) if metric["default_value"] else None,
                        dimensions=metric["dimensions"],
                    ),
                }
            ],
        )
        return {"log_group_name": new["log_group_name"], "name": new["name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        group, name = identity["log_group_name"], identity["name"]
        filters = aws("logs").describe_metric_filters(logGroupName=group, filterNamePrefix=name)["metricFilters"]
        found = next((one for one in reversed(filters) if one["filterName"] == name), None)  # moto keeps older ones
        if found is None:
            return None
        metric = found["metricTransformations"][0]
        return {
            "id": name,
            "name": name,
            "log_group_name": group,
            "pattern": found.get("filterPattern", ""),
            "metric_transformation": [
                {
                    "name": metric["metricName"],
                    "namespace": metric["metricNamespace"],
                    "value": metric["metricValue"],
                    "unit": metric.get("unit") or "None",
                    "default_value": str(metric["defaultValue"]) if metric.get("defaultValue") is not None else None,
                    "dimensions": metric.get("dimensions"),
                }
            ],
        }

    def delete(self, aws: Clients, old: Values) -> None:
        aws("logs").delete_metric_filter(logGroupName=old["log_group_name"], filterName=old["name"])


class Subscription(Resource):
    """A subscription of a log group, such as by a log forwarder."""

    type = "aws_cloudwatch_log_subscription_filter"
    identity = ("log_group_name", "name")

    def create(self, aws: Clients, new: Values) -> Values:
        aws("logs").put_subscription_filter(
            logGroupName=new["log_group_name"],
            filterName=new["name"],
            filterPattern=new["filter_pattern"],
            destinationArn=new["destination_arn"],
            **given(distribution=new["distribution"], roleArn=new["role_arn"]),
        )
        return {"log_group_name": new["log_group_name"], "name": new["name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        group, name = identity["log_group_name"], identity["name"]
        filters = aws("logs").describe_subscription_filters(logGroupName=group, filterNamePrefix=name)
        found = next((one for one in filters["subscriptionFilters"] if one["filterName"] == name), None)
        if found is None:
            return None
        return {
            "id": f"cwlsf-{group}-{name}",
            "name": name,
            "log_group_name": group,
            "filter_pattern": found.get("filterPattern", ""),
            "destination_arn": found["destinationArn"],
            "distribution": found.get("distribution") or "ByLogStream",
            "role_arn": found.get("roleArn") or "",
        }

    def delete(self, aws: Clients, old: Values) -> None:
        aws("logs").delete_subscription_filter(logGroupName=old["log_group_name"], filterName=old["name"])


class ResourcePolicy(Resource):
    """A resource policy of the account, with which services write to log groups."""

    type = "aws_cloudwatch_log_resource_policy"
    identity = ("policy_name",)

    def create(self, aws: Clients, new: Values) -> Values:
        aws("logs").put_resource_policy(policyName=new["policy_name"], policyDocument=new["policy_document"])
        return {"policy_name": new["policy_name"]}

    def read(self, aws: Clients, identity: Values) -> Values | None:
        name = identity["policy_name"]
        policies = aws("logs").describe_resource_policies()["resourcePolicies"]
        found = next((one for one in policies if one["policyName"] == name), None)
        return found and {"id": name, "policy_name": name, "policy_document": found["policyDocument"]}

    def delete(self, aws: Clients, old: Values) -> None:
        aws("logs").delete_resource_policy(policyName=old["policy_name"])


RESOURCES = (LogGroup, MetricFilter, Subscription, ResourcePolicy)
