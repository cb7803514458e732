"""The IAM actions that ``nightferry verify`` requires, by the group of its findings.

``tests/aws/verify/test_verify.py`` compares them with the calls of the checks.
"""

from __future__ import annotations

from collections.abc import Mapping

VERIFY_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "account": ("sts:GetCallerIdentity",),
    "alarms": ("cloudwatch:DescribeAlarms", "sns:GetTopicAttributes"),
    "buckets": ("s3:ListBucket",),
    "cluster": ("ecs:DescribeClusters",),
    "database": ("rds:DescribeDBClusters", "rds:DescribeDBInstances"),
    "image": ("ecr:DescribeImages", "ecr:DescribeRepositories", "ssm:GetParameter"),
    "keys": ("kms:DescribeKey",),
    "logs": (
        "lambda:GetFunctionConfiguration",
        "logs:DescribeLogGroups",
        "logs:DescribeResourcePolicies",
        "logs:DescribeSubscriptionFilters",
    ),
    "network": ("ec2:DescribeSecurityGroups", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "ssm:GetParameter"),
    "notices": ("sns:ListSubscriptionsByTopic",),
    "roles": (
        "iam:GetPolicy",
        "iam:GetRole",
        "iam:ListRolePolicies",
        "iam:SimulatePrincipalPolicy",
        "sns:GetTopicAttributes",
    ),
    "schedules": ("events:DescribeRule", "scheduler:GetSchedule"),
    "secrets": ("ssm:DescribeParameters",),
    "task definitions": ("ecs:DescribeTaskDefinition", "ecs:ListTaskDefinitions"),
    "triggers": ("events:DescribeRule", "lambda:GetFunctionConfiguration", "s3:GetBucketNotification"),
    "workflows": ("states:DescribeStateMachine",),
}
"""``ssm:GetParameter`` is required for the parameters of the deployment only, not for secrets."""

AFTER_DEPLOY_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "alarms": ("cloudwatch:DescribeAlarms",),
    "dead letters": ("sqs:GetQueueAttributes", "sqs:GetQueueUrl"),
    "logs": ("logs:DescribeLogStreams",),
    "runs": ("ecs:DescribeTasks", "ecs:ListTasks", "logs:FilterLogEvents", "ssm:GetParameter"),
    "starts": ("states:DescribeExecution", "states:ListExecutions"),
}
"""The actions that the checks of ``--after-deploy`` require in addition. Those of ``--run`` are not among them."""
