"""Actions and statements of the deploy role that no call of the test needs, with the caller and its source.

``provider`` is the folder internal/service of hashicorp/terraform-provider-aws, version 6.
"""

from __future__ import annotations

_PUSH = "docker push, aws ecr get-login-password: deploy.yml"
_VERIFY = "nightferry verify: nightferry.aws.verify"
_AFTER_DEPLOY = "nightferry verify --after-deploy: nightferry.aws.verify"
_RUN = "run-ecs-task: nightferry.aws.runs"
_ROLLBACK = "nightferry rollback: nightferry.aws.rollback"

OTHER_ACTIONS: dict[str, str] = {
    "ec2:DescribeNetworkInterfaces": "provider/ec2/vpc_security_group.go: deletes a group's leftover Lambda interfaces",
    "ec2:DescribeSubnets": _VERIFY,
    "ec2:ModifySecurityGroupRules": "provider/ec2/vpc_security_group_ingress_rule.go: a changed rule",
    "ecr:BatchCheckLayerAvailability": _PUSH,
    "ecr:BatchGetImage": _PUSH,
    "ecr:CompleteLayerUpload": _PUSH,
    "ecr:DescribeImages": "provider/ecr/repository_data_source.go: most_recent_image_tags",
    "ecr:GetAuthorizationToken": _PUSH,
    "ecr:InitiateLayerUpload": _PUSH,
    "ecr:PutImage": _PUSH,
    "ecr:UploadLayerPart": _PUSH,
    "ecs:DescribeTasks": _RUN,
    "ecs:ListTaskDefinitions": _ROLLBACK,
    "ecs:ListTasks": _RUN,
    "ecs:RunTask": _RUN,
    "ecs:StopTask": _RUN,
    "iam:SimulatePrincipalPolicy": _VERIFY,
    "iam:UpdateAssumeRolePolicy": "provider/iam/role.go: a changed trust policy",
    "iam:UpdateRole": "provider/iam/role.go: a changed max_session_duration",
    "kms:EnableKey": "provider/kms/key.go: a key that was disabled",
    "kms:PutKeyPolicy": "provider/kms/key.go: a changed policy",
    "kms:UpdateKeyDescription": "provider/kms/key.go: a changed description",
    "lambda:GetFunctionCodeSigningConfig": "provider/lambda/function.go: each read",
    "lambda:GetFunctionConfiguration": "provider/lambda/function.go: waits for the end of an update",
    "lambda:ListTags": "AWS checks it in GetFunction, which returns the tags",
    "lambda:ListVersionsByFunction": "provider/lambda/function.go: each read",
    "lambda:UpdateFunctionCode": "provider/lambda/function.go: changed code",
    "logs:AssociateKmsKey": "provider/logs/group.go: a changed kms_key_id",
    "logs:DisassociateKmsKey": "provider/logs/group.go: a removed kms_key_id",
    "logs:DescribeLogStreams": _AFTER_DEPLOY,
    "logs:FilterLogEvents": _RUN,
    "rds:DescribeDBInstances": _VERIFY,
    "s3:ListBucket": _VERIFY,
    "sns:ListSubscriptionsByTopic": _VERIFY,
    "sqs:GetQueueUrl": _AFTER_DEPLOY,
    "ssm:GetParameterHistory": _ROLLBACK,
    "states:DescribeExecution": _AFTER_DEPLOY,
    "states:ListExecutions": _AFTER_DEPLOY,
    "states:ListStateMachineVersions": "provider/sfn/state_machine.go: each read",
    "states:ValidateStateMachineDefinition": "provider/sfn/state_machine.go: each plan (#39472)",
}

OTHER_STATEMENTS: dict[str, str] = {
    "AlarmTopics": _VERIFY,
    "NewTasks": _RUN,
}
"""Statements that no call of the test needs, although the test calls their actions on other resources."""
