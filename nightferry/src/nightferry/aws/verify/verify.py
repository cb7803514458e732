"""Does what the declarations refer to exist on AWS, and may it be used?

::

    the account ─► what must exist before a deployment ─► what the deployment made ─► what its roles may do

Nothing is changed, and no secret's value is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nightferry.aws.session import Aws, client
from nightferry.aws.verify.deployed import deployed
from nightferry.aws.verify.probe import Probe
from nightferry.aws.verify.roles import roles
from nightferry.backend.findings import Finding
from nightferry.environments.aws_resources import AwsResources

_DEPLOYED_TAG = "the tag that is deployed"


def verify(resources: AwsResources, aws: Aws, *, prerequisites: bool, image_tag: str | None) -> Iterator[Finding]:
    """Look at everything, in the order of a deployment.

    ``prerequisites``: only at what must exist before one. ``image_tag``: at this image; else at the one deployed.
    Raises Unreachable and CredentialsExpired.
    """
    look = Probe(aws)
    with aws.asking("who we are"):
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
    yield from _network(resources, look)
    yield from _image(resources, look, image_tag, prerequisites)
    yield from _secrets(resources, look)
    yield from _buckets(resources, look)
    yield from _referred(resources, look)
    if not prerequisites:
        yield from deployed(resources, look)
        yield from roles(resources, look)


def _network(resources: AwsResources, look: Probe) -> Iterator[Finding]:
    aws, file = resources.aws, resources.environment.file
    ec2 = client(look.aws, "ec2")
    yield look.check(
        "network",
        aws.vpc,
        lambda: ec2.describe_vpcs(VpcIds=[aws.vpc]),
        f"There is no such VPC in {aws.region}. Correct aws.vpc in {file}.",
        missing=("InvalidVpcID.NotFound",),
    )

    def usable(answer: Any) -> str | None:
        (subnet,) = answer["Subnets"]
        if subnet["VpcId"] != aws.vpc:
            return f"It belongs to {subnet['VpcId']}. Name subnets of {aws.vpc} in {file}."
        return None if subnet["AvailableIpAddressCount"] else "It has no address left: a task needs one."

    for name in aws.subnets:
        yield look.check(
            "network",
            name,
            lambda name=name: ec2.describe_subnets(SubnetIds=[name]),  # type: ignore[misc]
            f"There is no such subnet. Correct aws.subnets in {file}.",
            missing=("InvalidSubnetID.NotFound",),
            judge=usable,
        )
    if group := aws.database_security_group:
        yield look.check(
            "network",
            group,
            lambda: ec2.describe_security_groups(GroupIds=[group]),
            f"There is no such security group. Correct aws.database_security_group in {file}.",
            missing=("InvalidGroup.NotFound", "InvalidGroupId.Malformed"),
        )
    yield Finding("network", "a way to AWS (NAT or endpoints)", "not checked", "Only a task can tell: run one.")

    def active(answer: Any) -> str | None:
        if not answer["clusters"] or answer["clusters"][0]["status"] != "ACTIVE":
            return f"There is no active cluster of this name. Make it, or correct aws.cluster in {file}."
        on = {"name": "containerInsights", "value": "disabled"} not in answer["clusters"][0].get("settings", [])
        return None if on else "Container Insights is off: nothing would tell of a task that hangs. Switch it on."

    yield look.check(
        "cluster",
        aws.cluster,
        lambda: look.aws.ecs.describe_clusters(clusters=[aws.cluster], include=["SETTINGS"]),
        "",
        judge=active,
    )


def _image(resources: AwsResources, look: Probe, tag: str | None, prerequisites: bool) -> Iterator[Finding]:
    repository = resources.catalog.image.repository
    ecr = client(look.aws, "ecr")
    yield look.check(
        "image",
        repository,
        lambda: ecr.describe_repositories(repositoryNames=[repository]),
        f"There is no such repository: aws ecr create-repository --repository-name {repository} "
        "--image-tag-mutability IMMUTABLE",
        missing=("RepositoryNotFoundException",),
    )
    if tag is None:
        parameter = resources.naming.image_tag_parameter
        found: list[str] = []
        finding = look.check(
            "image",
            _DEPLOYED_TAG,
            lambda: found.append(look.aws.ssm.get_parameter(Name=parameter)["Parameter"]["Value"]),
            f"Nothing was deployed yet: {parameter} does not exist.",
            missing=("ParameterNotFound",),
        )
        if not found:
            if not (prerequisites and finding.verdict == "missing"):
                yield finding
            return
        (tag,) = found
    image = {"imageTag": tag}
    yield look.check(
        "image",
        f"{repository}:{tag}",
        lambda: ecr.describe_images(repositoryName=repository, imageIds=[image]),
        "There is no image with this tag: no task could start. Push it, or deploy another version.",
        missing=("ImageNotFoundException", "RepositoryNotFoundException"),
    )


def _secrets(resources: AwsResources, look: Probe) -> Iterator[Finding]:
    users: dict[str, list[str]] = {}
    for task in resources.catalog.tasks.values():
        for secret in resources.secrets(task).values():
            users.setdefault(resources.parameter(secret), []).append(task.name)
    for name, tasks in sorted(users.items()):
        needed = "all tasks" if len(tasks) == len(resources.catalog.tasks) else ", ".join(tasks)

        def judge(answer: Any, needed: str = needed) -> str | None:
            if not answer["Parameters"]:
                return f"Needed by {needed}. Make it, of type SecureString."
            kind = answer["Parameters"][0]["Type"]
            return None if kind == "SecureString" else f"It is a {kind}: make it a SecureString, which is encrypted."

        filters = [{"Key": "Name", "Option": "Equals", "Values": [name]}]
        yield look.check(
            "secrets",
            name,
            lambda filters=filters: look.aws.ssm.describe_parameters(ParameterFilters=filters),  # type: ignore[misc]
            "",
            judge=judge,
        )


def _buckets(resources: AwsResources, look: Probe) -> Iterator[Finding]:
    s3 = client(look.aws, "s3")
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
            yield Finding("buckets", bucket, "not checked", "No task has a grant on it: it is used in another role.")
            continue
        found = look.check(
            "buckets",
            bucket,
            lambda bucket=bucket: s3.head_bucket(Bucket=bucket),  # type: ignore[misc]
            f"There is no such bucket. Make it, or correct [aws.buckets.{declared}] in {resources.environment.file}.",
            missing=("404", "NoSuchBucket"),
        )
        yield found
        for pattern in sorted(patterns[declared]) if found.verdict == "ok" else ():
            prefix = pattern.split("*")[0]
            seen = look.check(
                "buckets",
                f"{bucket}/{prefix}",
                lambda bucket=bucket, prefix=prefix: s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1),  # type: ignore[misc]
                "",
            )
            yield seen


def _referred(resources: AwsResources, look: Probe) -> Iterator[Finding]:
    """Functions, topics, keys and roles that the environment names by ARN."""
    aws, file = resources.aws, resources.environment.file
    if forwarder := aws.log_forwarder:
        yield look.check(
            "logs",
            forwarder,
            lambda: client(look.aws, "lambda").get_function_configuration(FunctionName=forwarder),
            f"There is no such function. Correct aws.log_forwarder in {file}.",
            missing=("ResourceNotFoundException",),
        )
    for topic in sorted({topic for topic in (aws.alarms.high, aws.alarms.low) if topic}):
        yield look.check(
            "alarms",
            topic,
            lambda topic=topic: client(look.aws, "sns").get_topic_attributes(TopicArn=topic),  # type: ignore[misc]
            f"There is no such topic: alarms would reach nobody. Correct [aws.alarms] in {file}.",
            missing=("NotFound", "NotFoundException"),
        )
    for key in sorted({key for key in (aws.parameters_key, aws.log_key) if key}):
        yield look.check(
            "keys",
            key,
            lambda key=key: client(look.aws, "kms").describe_key(KeyId=key),  # type: ignore[misc]
            f"There is no such key. Correct it in {file}.",
            missing=("NotFoundException",),
            judge=lambda answer: None if answer["KeyMetadata"]["Enabled"] else "It is disabled.",
        )
    for role in resources.catalog.roles.values():
        if arn := resources.environment.settings[role.arn.name]:
            yield Finding("roles", arn, "not checked", "Only a task that may assume it can tell.")
