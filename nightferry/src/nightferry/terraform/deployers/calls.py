"""The AWS actions of the provider's calls by resource type, and of the commands that a deployment runs.

The provider's calls are those of its resources' create, read, update, delete and tag functions; each type names its
file in ``internal/service`` of hashicorp/terraform-provider-aws, version 6. tests/terraform/service-authorization.json
has the resources on which IAM checks each action.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Calls:
    """Actions of one service on one target (see :mod:`~nightferry.terraform.deployers.targets`).

    A plan requires ``read``, a deployment both. Each is a list of actions separated by blanks. ``passed_to`` is the
    service to which the target, roles, may be passed.
    """

    target: str
    service: str
    read: str = ""
    write: str = ""
    passed_to: str = ""

    def list_actions(self, *, plan: bool) -> list[str]:
        """Return the actions that a plan, or else a deployment, requires."""
        names = self.read if plan else f"{self.read} {self.write}"
        return [f"{self.service}:{name}" for name in names.split()]


def _pass_role(service: str) -> Calls:
    return Calls("passed roles", "iam", write="PassRole", passed_to=service)


_RULES = (
    Calls("anything", "ec2", read="DescribeSecurityGroupRules"),
    Calls("rules of security groups", "ec2", write="ModifySecurityGroupRules"),
    Calls("new network tags", "ec2", write="CreateTags"),
    Calls("network tags", "ec2", write="CreateTags DeleteTags"),
)

# By resource type. The actions on tags belong to the provider's general code for resources with tags.
RESOURCES: dict[str, tuple[Calls, ...]] = {
    # cloudwatch/dashboard.go
    "aws_cloudwatch_dashboard": (
        Calls("dashboards", "cloudwatch", read="GetDashboard", write="PutDashboard DeleteDashboards"),
    ),
    # events/rule.go
    "aws_cloudwatch_event_rule": (
        Calls("rules", "events", "DescribeRule ListTagsForResource", "PutRule DeleteRule TagResource UntagResource"),
    ),
    # events/target.go
    "aws_cloudwatch_event_target": (
        Calls("rules", "events", "ListTargetsByRule", "PutTargets RemoveTargets"),
        _pass_role("events.amazonaws.com"),
    ),
    # logs/group.go
    "aws_cloudwatch_log_group": (
        Calls("anything", "logs", "DescribeLogGroups"),
        Calls(
            "log groups",
            "logs",
            "ListTagsForResource",
            "CreateLogGroup DeleteLogGroup PutRetentionPolicy AssociateKmsKey DisassociateKmsKey "
            "TagResource UntagResource",
        ),
    ),
    # logs/metric_filter.go
    "aws_cloudwatch_log_metric_filter": (
        Calls("log groups", "logs", "DescribeMetricFilters", "PutMetricFilter DeleteMetricFilter"),
    ),
    # logs/resource_policy.go
    "aws_cloudwatch_log_resource_policy": (
        Calls("anything", "logs", "DescribeResourcePolicies", "PutResourcePolicy DeleteResourcePolicy"),
    ),
    # logs/subscription_filter.go
    "aws_cloudwatch_log_subscription_filter": (
        Calls("log groups", "logs", "DescribeSubscriptionFilters", "PutSubscriptionFilter DeleteSubscriptionFilter"),
    ),
    # cloudwatch/metric_alarm.go
    "aws_cloudwatch_metric_alarm": (
        Calls("all alarms", "cloudwatch", "DescribeAlarms"),
        Calls("alarms", "cloudwatch", "ListTagsForResource", "PutMetricAlarm DeleteAlarms TagResource UntagResource"),
    ),
    # Old revisions stay registered (skip_destroy), so nothing is deregistered.
    # ecs/task_definition.go
    "aws_ecs_task_definition": (
        Calls("anything", "ecs", "DescribeTaskDefinition"),
        Calls("task definitions", "ecs", write="RegisterTaskDefinition TagResource UntagResource"),
        _pass_role("ecs-tasks.amazonaws.com"),
    ),
    # iam/role.go
    "aws_iam_role": (
        Calls(
            "roles",
            "iam",
            "GetRole ListRolePolicies ListAttachedRolePolicies GetRolePolicy",
            "DeleteRole UpdateRole UpdateRoleDescription UpdateAssumeRolePolicy ListInstanceProfilesForRole "
            "TagRole UntagRole",
        ),
        Calls("limited roles", "iam", write="CreateRole"),
        Calls("roles to limit", "iam", write="PutRolePermissionsBoundary"),
    ),
    # iam/role_policy.go
    "aws_iam_role_policy": (
        Calls("roles", "iam", "GetRolePolicy", "DeleteRolePolicy"),
        Calls("limited roles", "iam", write="PutRolePolicy"),
    ),
    # kms/key.go
    "aws_kms_key": (
        Calls("anything with our tags", "kms", write="CreateKey"),
        Calls("new keys", "kms", write="PutKeyPolicy TagResource"),
        # A new key's tags take minutes to have an effect on permissions.
        Calls(
            "all keys",
            "kms",
            "DescribeKey GetKeyPolicy GetKeyRotationStatus ListResourceTags",
            "EnableKeyRotation",
        ),
        Calls(
            "keys",
            "kms",
            write="PutKeyPolicy UpdateKeyDescription EnableKey ScheduleKeyDeletion TagResource UntagResource",
        ),
    ),
    # lambda/function.go
    "aws_lambda_function": (
        Calls(
            "functions",
            "lambda",
            "GetFunction GetFunctionConfiguration GetFunctionCodeSigningConfig ListVersionsByFunction ListTags",
            "CreateFunction UpdateFunctionCode UpdateFunctionConfiguration DeleteFunction TagResource UntagResource",
        ),
        _pass_role("lambda.amazonaws.com"),
    ),
    # lambda/function_event_invoke_config.go
    "aws_lambda_function_event_invoke_config": (
        Calls(
            "functions",
            "lambda",
            "GetFunctionEventInvokeConfig",
            "PutFunctionEventInvokeConfig DeleteFunctionEventInvokeConfig",
        ),
    ),
    # Of the trigger's function for S3, and of the forwarder for CloudWatch Logs, which may be another configuration's.
    # lambda/permission.go
    "aws_lambda_permission": (
        Calls("functions", "lambda", "GetPolicy", "AddPermission RemovePermission"),
        Calls("forwarder", "lambda", "GetPolicy", "AddPermission RemovePermission"),
    ),
    # s3/bucket_notification.go
    "aws_s3_bucket_notification": (Calls("notifying buckets", "s3", "GetBucketNotification", "PutBucketNotification"),),
    # scheduler/schedule.go
    "aws_scheduler_schedule": (
        Calls("schedules", "scheduler", "GetSchedule", "CreateSchedule UpdateSchedule DeleteSchedule"),
        _pass_role("scheduler.amazonaws.com"),
    ),
    # scheduler/schedule_group.go
    "aws_scheduler_schedule_group": (
        Calls(
            "schedule group",
            "scheduler",
            "GetScheduleGroup ListTagsForResource",
            "CreateScheduleGroup DeleteScheduleGroup TagResource UntagResource",
        ),
        Calls("schedules", "scheduler", write="DeleteSchedule"),
    ),
    # ec2/vpc_security_group.go
    "aws_security_group": (
        Calls("anything", "ec2", "DescribeSecurityGroups", "DescribeNetworkInterfaces"),
        Calls("new security groups", "ec2", write="CreateSecurityGroup"),
        Calls("new network tags", "ec2", write="CreateTags"),
        Calls("network tags", "ec2", write="CreateTags DeleteTags"),
        # AWS adds a rule that allows all egress, which the provider revokes.
        Calls("security groups", "ec2", write="DeleteSecurityGroup RevokeSecurityGroupEgress"),
    ),
    # sfn/state_machine.go
    "aws_sfn_state_machine": (
        Calls("anything", "states", "ValidateStateMachineDefinition"),
        Calls(
            "state machines",
            "states",
            "DescribeStateMachine ListStateMachineVersions ListTagsForResource",
            "CreateStateMachine UpdateStateMachine DeleteStateMachine TagResource UntagResource",
        ),
        _pass_role("states.amazonaws.com"),
    ),
    # sns/topic.go
    "aws_sns_topic": (
        Calls(
            "topics",
            "sns",
            "GetTopicAttributes ListTagsForResource",
            "CreateTopic DeleteTopic SetTopicAttributes TagResource UntagResource",
        ),
    ),
    # sns/topic_subscription.go
    "aws_sns_topic_subscription": (
        Calls("anything", "sns", "GetSubscriptionAttributes", "SetSubscriptionAttributes Unsubscribe"),
        Calls("topics", "sns", write="Subscribe"),
    ),
    # sqs/queue.go
    "aws_sqs_queue": (
        Calls(
            "queues",
            "sqs",
            "GetQueueAttributes ListQueueTags",
            "CreateQueue DeleteQueue SetQueueAttributes TagQueue UntagQueue",
        ),
    ),
    # sqs/queue_policy.go
    "aws_sqs_queue_policy": (Calls("queues", "sqs", "GetQueueAttributes", "SetQueueAttributes"),),
    # ssm/parameter.go
    "aws_ssm_parameter": (
        Calls("anything", "ssm", "DescribeParameters"),
        Calls(
            "parameters",
            "ssm",
            "GetParameter ListTagsForResource",
            "PutParameter DeleteParameter AddTagsToResource RemoveTagsFromResource",
        ),
    ),
    # ec2/vpc_security_group_egress_rule.go
    "aws_vpc_security_group_egress_rule": (
        *_RULES,
        Calls(
            "security groups",
            "ec2",
            write="AuthorizeSecurityGroupEgress RevokeSecurityGroupEgress ModifySecurityGroupRules",
        ),
        Calls("rules of security groups", "ec2", write="AuthorizeSecurityGroupEgress"),
    ),
    # ec2/vpc_security_group_ingress_rule.go
    "aws_vpc_security_group_ingress_rule": (
        *_RULES,
        Calls(
            "database security group",
            "ec2",
            write="AuthorizeSecurityGroupIngress RevokeSecurityGroupIngress ModifySecurityGroupRules",
        ),
        Calls("rules of security groups", "ec2", write="AuthorizeSecurityGroupIngress"),
    ),
}

# By type of data source. Others, such as aws_iam_policy_document, call nothing that requires a permission.
DATA_SOURCES: dict[str, tuple[Calls, ...]] = {
    # ecr/repository_data_source.go
    "aws_ecr_repository": (Calls("repository", "ecr", "DescribeRepositories DescribeImages ListTagsForResource"),),
    # ecs/cluster_data_source.go
    "aws_ecs_cluster": (Calls("cluster", "ecs", "DescribeClusters"),),
    # ssm/parameter_data_source.go
    "aws_ssm_parameter": (Calls("parameters", "ssm", "GetParameter"),),
    # ec2/vpc_data_source.go
    "aws_vpc": (
        Calls("anything", "ec2", "DescribeVpcs DescribeRouteTables"),
        Calls("vpc", "ec2", "DescribeVpcAttribute"),
    ),
}

# Terraform's S3 backend. A plan takes no lock.
STATE = (
    Calls("state bucket", "s3", "ListBucket"),
    Calls("state", "s3", "GetObject", "PutObject"),
    Calls("state lock", "s3", write="GetObject PutObject DeleteObject"),
)

# The push of the image: docker push, and aws ecr get-login-password, describe-images and describe-repositories.
PUSH = (
    Calls("anything", "ecr", write="GetAuthorizationToken"),
    Calls(
        "repository",
        "ecr",
        write="BatchCheckLayerAvailability BatchGetImage CompleteLayerUpload DescribeImages DescribeRepositories "
        "InitiateLayerUpload PutImage UploadLayerPart",
    ),
)

# nightferry.aws: run-ecs-task, nightferry verify and nightferry rollback.
COMMANDS = (
    Calls("anything", "ecs", write="DescribeTaskDefinition ListTaskDefinitions"),
    Calls("tasks in the cluster", "ecs", write="ListTasks"),
    Calls("started task definitions", "ecs", write="RunTask"),
    Calls("tasks", "ecs", write="DescribeTasks"),
    Calls("own tasks", "ecs", write="StopTask"),
    Calls("new tasks", "ecs", write="TagResource"),
    Calls("task definitions", "ecs", write="RegisterTaskDefinition TagResource"),
    _pass_role("ecs-tasks.amazonaws.com"),
    Calls("log groups", "logs", write="DescribeLogStreams FilterLogEvents"),
    Calls("parameters", "ssm", write="GetParameter GetParameterHistory PutParameter"),
    Calls("anything", "ec2", write="DescribeSecurityGroups DescribeSubnets DescribeVpcs"),
    Calls("anything", "logs", write="DescribeLogGroups DescribeResourcePolicies"),
    Calls("anything", "ssm", write="DescribeParameters"),
    Calls("cluster", "ecs", write="DescribeClusters"),
    Calls("repository", "ecr", write="DescribeImages DescribeRepositories"),
    Calls("buckets", "s3", write="ListBucket"),
    Calls("notifying buckets", "s3", write="GetBucketNotification"),
    Calls("forwarder", "lambda", write="GetFunctionConfiguration"),
    Calls("alarm topics", "sns", write="GetTopicAttributes"),
    Calls("topics", "sns", write="ListSubscriptionsByTopic"),
    Calls("used keys", "kms", write="DescribeKey"),
    Calls("database clusters", "rds", write="DescribeDBClusters"),
    Calls("databases", "rds", write="DescribeDBInstances"),
    Calls("rules", "events", write="DescribeRule"),
    Calls("schedules", "scheduler", write="GetSchedule"),
    Calls("state machines", "states", write="DescribeStateMachine ListExecutions"),
    Calls("executions", "states", write="DescribeExecution"),
    Calls("queues", "sqs", write="GetQueueAttributes GetQueueUrl"),
    Calls("all alarms", "cloudwatch", write="DescribeAlarms"),
    Calls("roles", "iam", write="GetRole SimulatePrincipalPolicy"),
    Calls("permissions boundary", "iam", write="GetPolicy"),
)
