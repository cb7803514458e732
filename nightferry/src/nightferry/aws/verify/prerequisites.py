"""Check the resources that must exist before a deployment: network, cluster, image, buckets, and what ARNs name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightferry.aws.verify.probe import Probe, Problem
from nightferry.backend.verify.findings import Finding
from nightferry.environments.aws_resources import AwsResources


def check_network(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    """Check the VPC, the subnets, the database's security group and the cluster."""
    aws, file = resources.aws, resources.environment.file
    ec2 = probe.client("ec2")
    yield probe.check(
        "network",
        aws.vpc,
        "ec2:DescribeVpcs",
        lambda: ec2.describe_vpcs(VpcIds=[aws.vpc]),
        f"VPC not found in {aws.region}. Correct aws.vpc in {file}.",
        missing=("InvalidVpcID.NotFound",),
    )

    def find_subnet_problem(response: Any) -> Problem:
        subnet: dict[str, Any] = next(iter(response.get("Subnets", [])), {})
        if subnet.get("VpcId") != aws.vpc:
            return "wrong", f"The subnet belongs to {subnet.get('VpcId')}. Use subnets of {aws.vpc} in {file}."
        if subnet.get("AvailableIpAddressCount") == 0:
            return "wrong", "The subnet has no free address, and each task requires one. Use a larger subnet."
        return None

    for name in aws.subnets:
        yield probe.check(
            "network",
            name,
            "ec2:DescribeSubnets",
            lambda name=name: ec2.describe_subnets(SubnetIds=[name]),  # type: ignore[misc]
            f"Subnet not found. Correct aws.subnets in {file}.",
            missing=("InvalidSubnetID.NotFound",),
            find_problem=find_subnet_problem,
        )
    if group := aws.database_security_group:
        yield probe.check(
            "network",
            group,
            "ec2:DescribeSecurityGroups",
            lambda: ec2.describe_security_groups(GroupIds=[group]),
            f"Security group not found. Correct aws.database_security_group in {file}.",
            missing=("InvalidGroup.NotFound", "InvalidGroupId.Malformed"),
        )
    yield Finding(
        "network", "route to AWS (NAT or endpoints)", "not checked", "Only a task can check this. Run a task."
    )

    def find_cluster_problem(response: Any) -> Problem:
        cluster: dict[str, Any] = next(iter(response.get("clusters", [])), {})
        if cluster.get("status") != "ACTIVE":
            return "missing", f"No active cluster has this name. Create it, or correct aws.cluster in {file}."
        if {"name": "containerInsights", "value": "disabled"} in cluster.get("settings", []):
            return "wrong", "Container Insights is off, so no alarm reports a task that hangs. Turn it on."
        return None

    yield probe.check(
        "cluster",
        aws.cluster,
        "ecs:DescribeClusters",
        lambda: probe.aws.ecs.describe_clusters(clusters=[aws.cluster], include=["SETTINGS"]),
        find_problem=find_cluster_problem,
    )


def check_repository(resources: AwsResources, probe: Probe) -> Finding:
    """Check the repository of the image."""
    repository = resources.catalog.image.repository
    return probe.check(
        "image",
        repository,
        "ecr:DescribeRepositories",
        lambda: probe.client("ecr").describe_repositories(repositoryNames=[repository]),
        f"Repository not found. Create it: aws ecr create-repository --repository-name {repository} "
        "--image-tag-mutability IMMUTABLE",
        missing=("RepositoryNotFoundException",),
    )


def check_image(resources: AwsResources, probe: Probe, tag: str) -> Finding:
    """Check that the repository has an image with this tag."""
    repository = resources.catalog.image.repository
    return probe.check(
        "image",
        f"{repository}:{tag}",
        "ecr:DescribeImages",
        lambda: probe.client("ecr").describe_images(repositoryName=repository, imageIds=[{"imageTag": tag}]),
        "No image has this tag, so no task can start. Push the image, or deploy another version.",
        missing=("ImageNotFoundException", "RepositoryNotFoundException"),
    )


def check_buckets(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    """Check the buckets, and that the prefixes that tasks list can be listed."""
    s3 = probe.client("s3")
    patterns: dict[str, set[str]] = {}
    for task in resources.catalog.tasks.values():
        for grant in task.grants:
            if grant.kind == "bucket":
                patterns.setdefault(grant.name, set())
                if "list" in grant.access:
                    patterns[grant.name].add(grant.pattern)
    for trigger in resources.catalog.object_triggers.values():
        patterns.setdefault(trigger.bucket, set())
    for declared in resources.catalog.buckets:
        bucket = resources.bucket(declared).name
        if declared not in patterns:
            yield Finding("buckets", bucket, "not checked", "No task has a grant on it. Another role uses it.")
            continue
        found = probe.check(
            "buckets",
            bucket,
            "s3:ListBucket",
            lambda bucket=bucket: s3.head_bucket(Bucket=bucket),  # type: ignore[misc]
            f"Bucket not found. Create it, or correct [aws.buckets.{declared}] in {resources.environment.file}.",
            missing=("404", "NoSuchBucket"),
        )
        yield found
        for pattern in sorted(patterns[declared]) if found.verdict == "ok" else ():
            prefix = pattern.split("*")[0]
            seen = probe.check(
                "buckets",
                f"{bucket}/{prefix}",
                "s3:ListBucket",
                lambda bucket=bucket, prefix=prefix: s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1),  # type: ignore[misc]
            )
            yield seen


def check_arns(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    """Check the functions, topics, keys and roles to which the environment refers by ARN."""
    aws, file = resources.aws, resources.environment.file
    if forwarder := aws.log_forwarder:
        yield probe.check(
            "logs",
            forwarder,
            "lambda:GetFunctionConfiguration",
            lambda: probe.client("lambda").get_function_configuration(FunctionName=forwarder),
            f"Function not found. Correct aws.log_forwarder in {file}.",
            missing=("ResourceNotFoundException",),
        )
    for topic in aws.alarms.existing:
        yield probe.check(
            "alarms",
            topic,
            "sns:GetTopicAttributes",
            lambda topic=topic: probe.client("sns").get_topic_attributes(TopicArn=topic),  # type: ignore[misc]
            f"Topic not found, so alarms have no recipient. Correct [aws.alarms] in {file}.",
            missing=("NotFound", "NotFoundException"),
        )
    for key in sorted({key for key in (aws.parameters_key, aws.log_key) if key}):
        yield probe.check(
            "keys",
            key,
            "kms:DescribeKey",
            lambda key=key: probe.client("kms").describe_key(KeyId=key),  # type: ignore[misc]
            f"Key not found. Correct it in {file}.",
            missing=("NotFoundException",),
            find_problem=lambda response: (
                ("wrong", "The key is disabled. Enable it.")
                if response.get("KeyMetadata", {}).get("Enabled") is False
                else None
            ),
        )
    if boundary := aws.permissions_boundary:
        yield probe.check(
            "roles",
            boundary,
            "iam:GetPolicy",
            lambda: probe.client("iam").get_policy(PolicyArn=boundary),
            f"Policy not found, so no role can be created. Correct aws.permissions_boundary in {file}.",
            missing=("NoSuchEntity",),
        )
    for role in resources.catalog.roles.values():
        if arn := resources.environment.settings[role.arn.name]:
            yield Finding("roles", arn, "not checked", "Only a task that can assume the role can check this.")
