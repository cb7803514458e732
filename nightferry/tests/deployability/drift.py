"""For each resource type, a change of one attribute that someone makes on AWS, without Terraform."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nightferry.testing.aws_provider.clients import Clients

Change = Callable[[Clients, dict[str, Any]], object]


def _put_alarm(aws: Clients, alarm: dict[str, Any]) -> None:
    found = aws("cloudwatch").describe_alarms(AlarmNames=[alarm["alarm_name"]])["MetricAlarms"][0]
    members = aws("cloudwatch").meta.service_model.operation_model("PutMetricAlarm").input_shape.members
    kept = {name: value for name, value in found.items() if name in members and value not in (None, [], "")}
    aws("cloudwatch").put_metric_alarm(**kept | {"Period": 120, "EvaluationPeriods": 2})


def _register_revision(aws: Clients, definition: dict[str, Any]) -> None:
    """Register a revision with another image, as a rollback does."""
    ecs = aws("ecs")
    found = ecs.describe_task_definition(taskDefinition=definition["family"])["taskDefinition"]
    members = ecs.meta.service_model.operation_model("RegisterTaskDefinition").input_shape.members
    container = found["containerDefinitions"][0]
    container["image"] = container["image"].rpartition(":")[0] + ":elsewhere"
    kept = {name: value for name, value in found.items() if name in members}
    ecs.register_task_definition(**kept)


def _update_schedule(aws: Clients, schedule: dict[str, Any]) -> None:
    scheduler = aws("scheduler")
    found = scheduler.get_schedule(GroupName=schedule["group_name"], Name=schedule["name"])
    members = scheduler.meta.service_model.operation_model("UpdateSchedule").input_shape.members
    kept = {name: value for name, value in found.items() if name in members}
    scheduler.update_schedule(**kept | {"ScheduleExpression": "rate(3 days)"})


def _put_target(aws: Clients, target: dict[str, Any]) -> None:
    events = aws("events")
    found = events.list_targets_by_rule(Rule=target["rule"])["Targets"]
    one = next(item for item in found if item["Id"] == target["target_id"])
    events.put_targets(
        Rule=target["rule"],
        Targets=[one | {"RetryPolicy": {"MaximumRetryAttempts": 17, "MaximumEventAgeInSeconds": 61}}],
    )


def _replace_permission(aws: Clients, permission: dict[str, Any]) -> None:
    names = {"FunctionName": permission["function_name"], "StatementId": permission["statement_id"]}
    aws("lambda").remove_permission(**names)
    aws("lambda").add_permission(**names, Action=permission["action"], Principal="events.amazonaws.com")


def _put_invoke_config(aws: Clients, config: dict[str, Any]) -> None:
    aws("lambda").delete_function_event_invoke_config(FunctionName=config["function_name"])  # moto keeps the first
    aws("lambda").put_function_event_invoke_config(FunctionName=config["function_name"], MaximumRetryAttempts=0)


def _deny_all(resource: str) -> str:
    return (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Principal": "*", "Action": "*", '
        f'"Resource": "{resource}"}}]}}'
    )


CHANGES: dict[str, Change] = {
    "aws_cloudwatch_dashboard": lambda aws, one: aws("cloudwatch").put_dashboard(
        DashboardName=one["dashboard_name"], DashboardBody='{"widgets": []}'
    ),
    "aws_cloudwatch_event_rule": lambda aws, one: aws("events").disable_rule(Name=one["name"]),
    "aws_cloudwatch_event_target": _put_target,
    "aws_cloudwatch_log_group": lambda aws, one: aws("logs").put_retention_policy(
        logGroupName=one["name"], retentionInDays=1
    ),
    "aws_cloudwatch_log_metric_filter": lambda aws, one: aws("logs").put_metric_filter(
        logGroupName=one["log_group_name"],
        filterName=one["name"],
        filterPattern="nothing",
        metricTransformations=[{"metricName": "x", "metricNamespace": "y", "metricValue": "1"}],
    ),
    "aws_cloudwatch_log_resource_policy": lambda aws, one: aws("logs").put_resource_policy(
        policyName=one["policy_name"], policyDocument=_deny_all("*")
    ),
    "aws_cloudwatch_log_subscription_filter": lambda aws, one: aws("logs").put_subscription_filter(
        logGroupName=one["log_group_name"],
        filterName=one["name"],
        filterPattern="error",
        destinationArn=one["destination_arn"],
    ),
    "aws_cloudwatch_metric_alarm": _put_alarm,
    "aws_ecs_task_definition": _register_revision,
    "aws_iam_role": lambda aws, one: aws("iam").update_role_description(
        RoleName=one["name"], Description="Changed by hand."
    ),
    "aws_iam_role_policy": lambda aws, one: aws("iam").put_role_policy(
        RoleName=one["role"],
        PolicyName=one["name"],
        PolicyDocument='{"Version": "2012-10-17", "Statement": '
        '[{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}',
    ),
    "aws_kms_key": lambda aws, one: aws("kms").disable_key_rotation(KeyId=one["key_id"]),
    "aws_lambda_function": lambda aws, one: aws("lambda").update_function_configuration(
        FunctionName=one["function_name"], Timeout=7
    ),
    "aws_lambda_function_event_invoke_config": _put_invoke_config,
    "aws_lambda_permission": _replace_permission,
    "aws_s3_bucket_notification": lambda aws, one: aws("s3").put_bucket_notification_configuration(
        Bucket=one["bucket"], NotificationConfiguration={"EventBridgeConfiguration": {}}
    ),
    "aws_scheduler_schedule": _update_schedule,
    "aws_scheduler_schedule_group": lambda aws, one: aws("scheduler").tag_resource(
        ResourceArn=one["arn"], Tags=[{"Key": "by", "Value": "hand"}]
    ),
    "aws_security_group": lambda aws, one: aws("ec2").create_tags(
        Resources=[one["id"]], Tags=[{"Key": "by", "Value": "hand"}]
    ),
    "aws_sfn_state_machine": lambda aws, one: aws("stepfunctions").update_state_machine(
        stateMachineArn=one["arn"], definition='{"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}'
    ),
    "aws_sns_topic": lambda aws, one: aws("sns").set_topic_attributes(
        TopicArn=one["arn"], AttributeName="KmsMasterKeyId", AttributeValue="alias/elsewhere"
    ),
    "aws_sns_topic_subscription": lambda aws, one: aws("sns").set_subscription_attributes(
        SubscriptionArn=one["arn"], AttributeName="RawMessageDelivery", AttributeValue="true"
    ),
    "aws_sqs_queue": lambda aws, one: aws("sqs").set_queue_attributes(
        QueueUrl=one["url"], Attributes={"MessageRetentionPeriod": "60"}
    ),
    "aws_sqs_queue_policy": lambda aws, one: aws("sqs").set_queue_attributes(
        QueueUrl=one["queue_url"], Attributes={"Policy": _deny_all("*")}
    ),
    "aws_ssm_parameter": lambda aws, one: aws("ssm").put_parameter(
        Name=one["name"], Value="changed", Type="String", Overwrite=True
    ),
    "aws_vpc_security_group_egress_rule": lambda aws, one: aws("ec2").create_tags(
        Resources=[one["id"]], Tags=[{"Key": "by", "Value": "hand"}]
    ),
    "aws_vpc_security_group_ingress_rule": lambda aws, one: aws("ec2").create_tags(
        Resources=[one["id"]], Tags=[{"Key": "by", "Value": "hand"}]
    ),
}
