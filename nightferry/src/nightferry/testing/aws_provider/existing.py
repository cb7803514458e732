"""The resources that exist before a deployment, created on the emulated AWS: network, cluster, repository, buckets."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from nightferry.environments.aws_resources import AwsResources
from nightferry.testing.aws_provider.clients import Clients

_TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
    '"Principal": {"Service": "lambda.amazonaws.com"}}]}'
)


def create_existing(aws: Clients, resources: AwsResources) -> dict[str, str]:
    """Create what the environment refers to, and return the emulated AWS's ID for each ID of the environment."""
    settings = resources.aws
    names = {settings.account: aws.account()}
    ec2 = aws("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    names[settings.vpc] = vpc
    for n, subnet in enumerate(settings.subnets):
        created = ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{n}.0/24")
        names[subnet] = created["Subnet"]["SubnetId"]
    if settings.database_security_group:
        group = ec2.create_security_group(
            GroupName=f"{resources.naming.prefix}-database", Description="The database.", VpcId=vpc
        )
        names[settings.database_security_group] = group["GroupId"]
    aws("ecs").create_cluster(clusterName=settings.cluster)
    _create_once(aws("ecr"), "create_repository", repositoryName=resources.catalog.image.repository)
    for name in resources.catalog.buckets:
        bucket = resources.bucket(name)
        _create_once(aws("s3"), "create_bucket", Bucket=bucket.name)
        if bucket.key:
            default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": bucket.key}
            encryption = {"Rules": [{"ApplyServerSideEncryptionByDefault": default}]}
            aws("s3").put_bucket_encryption(Bucket=bucket.name, ServerSideEncryptionConfiguration=encryption)
    if settings.state:
        _create_once(aws("s3"), "create_bucket", Bucket=settings.state.bucket)
    if settings.log_forwarder:
        _create_function(aws, settings.log_forwarder.rpartition(":")[2])
    return names


def _create_function(aws: Clients, name: str) -> None:
    """Create the function that forwards logs, as another deployment has done."""
    role = _create_once(aws("iam"), "create_role", RoleName=f"{name}-role", AssumeRolePolicyDocument=_TRUST)
    arn = role["Role"]["Arn"] if role else aws("iam").get_role(RoleName=f"{name}-role")["Role"]["Arn"]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("forwarder.py", "def handler(event, context): pass\n")
    _create_once(
        aws("lambda"),
        "create_function",
        FunctionName=name,
        Role=arn,
        Runtime="python3.13",
        Handler="forwarder.handler",
        Code={"ZipFile": archive.getvalue()},
    )


def _create_once(client: Any, method: str, **arguments: Any) -> Any:
    """Create a resource that another environment may share; return None if it exists."""
    try:
        return getattr(client, method)(**arguments)
    except client.exceptions.ClientError as error:
        if "Exist" in error.response["Error"]["Code"] or "Conflict" in error.response["Error"]["Code"]:
            return None
        raise
