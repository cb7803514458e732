"""Check that the resources to which the declarations refer exist on AWS and are accessible.

::

    the account ─► the prerequisites of a deployment ─► the deployed resources ─► the permissions of the roles

The checks change nothing and do not read the values of secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightferry.aws.session import Aws, create_client
from nightferry.aws.verify.deployed import check_deployed
from nightferry.aws.verify.probe import Probe
from nightferry.aws.verify.roles import check_roles
from nightferry.backend.findings import Finding
from nightferry.environments.aws_resources import AwsResources

_DEPLOYED_TAG = "the tag that is deployed"


def verify(resources: AwsResources, aws: Aws, *, prerequisites: bool, image_tag: str | None) -> Iterator[Finding]:
    """Check all resources, in the order of a deployment.

    Args:
        resources: The resources to check.
        aws: The session with AWS.
        prerequisites: Check only the resources that must exist before a deployment.
        image_tag: Check the image with this tag; default: the deployed tag.

    Raises Unreachable and CredentialsExpired.
    """
    probe = Probe(aws)
    with aws.translate_errors("read the caller's identity"):
        account = aws.sts.get_caller_identity()["Account"]
    if account != resources.aws.account:
        yield Finding(
            "account",
            resources.aws.account,
            "missing",
            f"The credentials belong to account {account}. Use credentials of account {resources.aws.account}. "
            "Nothing else was checked.",
        )
        return
    yield Finding("account", account, "ok")
    yield from _check_network(resources, probe)
    yield from _check_image(resources, probe, image_tag, prerequisites)
    yield from _check_secrets(resources, probe)
    yield from _check_buckets(resources, probe)
    yield from _check_arns(resources, probe)
    if not prerequisites:
        yield from check_deployed(resources, probe)
        yield from check_roles(resources, probe)


def _check_network(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    aws, file = resources.aws, resources.environment.file
    ec2 = create_client(probe.aws, "ec2")
    yield probe.check(
        "network",
        aws.vpc,
        lambda: ec2.describe_vpcs(VpcIds=[aws.vpc]),
        f"VPC not found in {aws.region}. Correct aws.vpc in {file}.",
        missing=("InvalidVpcID.NotFound",),
    )

    def find_subnet_problem(response: Any) -> str | None:
        (subnet,) = response["Subnets"]
        if subnet["VpcId"] != aws.vpc:
            return f"The subnet belongs to {subnet['VpcId']}. Use subnets of {aws.vpc} in {file}."
        return (
            None
            if subnet["AvailableIpAddressCount"]
            else "The subnet has no free address, and each task requires one. Use a larger subnet."
        )

    for name in aws.subnets:
        yield probe.check(
            "network",
            name,
            lambda name=name: ec2.describe_subnets(SubnetIds=[name]),  # type: ignore[misc]
            f"Subnet not found. Correct aws.subnets in {file}.",
            missing=("InvalidSubnetID.NotFound",),
            find_problem=find_subnet_problem,
        )
    if group := aws.database_security_group:
        yield probe.check(
            "network",
            group,
            lambda: ec2.describe_security_groups(GroupIds=[group]),
            f"Security group not found. Correct aws.database_security_group in {file}.",
            missing=("InvalidGroup.NotFound", "InvalidGroupId.Malformed"),
        )
    yield Finding(
        "network", "route to AWS (NAT or endpoints)", "not checked", "Only a task can check this. Run a task."
    )

    def find_cluster_problem(response: Any) -> str | None:
        if not response["clusters"] or response["clusters"][0]["status"] != "ACTIVE":
            return f"No active cluster has this name. Create it, or correct aws.cluster in {file}."
        on = {"name": "containerInsights", "value": "disabled"} not in response["clusters"][0].get("settings", [])
        return None if on else "Container Insights is off, so no alarm reports a task that hangs. Turn it on."

    yield probe.check(
        "cluster",
        aws.cluster,
        lambda: probe.aws.ecs.describe_clusters(clusters=[aws.cluster], include=["SETTINGS"]),
        "",
        find_problem=find_cluster_problem,
    )


def _check_image(resources: AwsResources, probe: Probe, tag: str | None, prerequisites: bool) -> Iterator[Finding]:
    repository = resources.catalog.image.repository
    ecr = create_client(probe.aws, "ecr")
    yield probe.check(
        "image",
        repository,
        lambda: ecr.describe_repositories(repositoryNames=[repository]),
        f"Repository not found. Create it: aws ecr create-repository --repository-name {repository} "
        "--image-tag-mutability IMMUTABLE",
        missing=("RepositoryNotFoundException",),
    )
    if tag is None:
        parameter = resources.naming.image_tag_parameter
        found: list[str] = []
        finding = probe.check(
            "image",
            _DEPLOYED_TAG,
            lambda: found.append(probe.aws.ssm.get_parameter(Name=parameter)["Parameter"]["Value"]),
            f"Nothing has been deployed yet: parameter {parameter} does not exist. Deploy a version.",
            missing=("ParameterNotFound",),
        )
        if not found:
            if not (prerequisites and finding.verdict == "missing"):
                yield finding
            return
        (tag,) = found
    image = {"imageTag": tag}
    yield probe.check(
        "image",
        f"{repository}:{tag}",
        lambda: ecr.describe_images(repositoryName=repository, imageIds=[image]),
        "No image has this tag, so no task can start. Push the image, or deploy another version.",
        missing=("ImageNotFoundException", "RepositoryNotFoundException"),
    )


def _check_secrets(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    users: dict[str, list[str]] = {}
    for task in resources.catalog.tasks.values():
        for secret in resources.secrets(task).values():
            users.setdefault(resources.parameter(secret), []).append(task.name)
    for name, tasks in sorted(users.items()):
        needed = "all tasks" if len(tasks) == len(resources.catalog.tasks) else ", ".join(tasks)

        def find_problem(response: Any, needed: str = needed) -> str | None:
            if not response["Parameters"]:
                return f"Parameter not found. Required by {needed}. Create it with type SecureString."
            kind = response["Parameters"][0]["Type"]
            return None if kind == "SecureString" else f"The type is {kind}. Change it to SecureString (encrypted)."

        filters = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        yield probe.check(
            "secrets",
            name,
            lambda filters=filters: probe.aws.ssm.describe_parameters(ParameterFilters=filters),  # type: ignore[misc]
            "",
            find_problem=find_problem,
        )


def _check_buckets(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    s3 = create_client(probe.aws, "s3")
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
                lambda bucket=bucket, prefix=prefix: s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1),  # type: ignore[misc]
                "",
            )
            yield seen


def _check_arns(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    """Check the functions, topics, keys and roles to which the environment refers by ARN."""
    aws, file = resources.aws, resources.environment.file
    if forwarder := aws.log_forwarder:
        yield probe.check(
            "logs",
            forwarder,
            lambda: create_client(probe.aws, "lambda").get_function_configuration(FunctionName=forwarder),
            f"Function not found. Correct aws.log_forwarder in {file}.",
            missing=("ResourceNotFoundException",),
        )
    for topic in sorted({topic for topic in (aws.alarms.high, aws.alarms.low) if topic}):
        yield probe.check(
            "alarms",
            topic,
            lambda topic=topic: create_client(probe.aws, "sns").get_topic_attributes(TopicArn=topic),  # type: ignore[misc]
            f"Topic not found, so alarms have no recipient. Correct [aws.alarms] in {file}.",
            missing=("NotFound", "NotFoundException"),
        )
    for key in sorted({key for key in (aws.parameters_key, aws.log_key) if key}):
        yield probe.check(
            "keys",
            key,
            lambda key=key: create_client(probe.aws, "kms").describe_key(KeyId=key),  # type: ignore[misc]
            f"Key not found. Correct it in {file}.",
            missing=("NotFoundException",),
            find_problem=lambda response: (
                None if response["KeyMetadata"]["Enabled"] else "The key is disabled. Enable it."
            ),
        )
    for role in resources.catalog.roles.values():
        if arn := resources.environment.settings[role.arn.name]:
            yield Finding("roles", arn, "not checked", "Only a task that can assume the role can check this.")
