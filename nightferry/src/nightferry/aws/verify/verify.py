"""Check that the resources to which the declarations refer exist on AWS and are accessible.

::

    the account ─► the prerequisites of a deployment ─► the deployed resources ─► the permissions of the roles
                                                     └─► after the first deployment: alarms, queues, logs, starts

The checks change nothing and do not decrypt the values of secrets.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from nightferry.aws.session import Aws
from nightferry.aws.verify.database import check_database
from nightferry.aws.verify.deployed import check_deployed, check_log_policies
from nightferry.aws.verify.health import check_health
from nightferry.aws.verify.prerequisites import (
    check_arns,
    check_buckets,
    check_image,
    check_network,
    check_repository,
)
from nightferry.aws.verify.probe import Probe
from nightferry.aws.verify.recipients import check_recipients
from nightferry.aws.verify.roles import check_roles
from nightferry.aws.verify.secrets import check_secrets
from nightferry.aws.verify.starts import StartChecks
from nightferry.backend.interface import Backend
from nightferry.backend.verify.expected import Expected
from nightferry.backend.verify.findings import Finding
from nightferry.clock import Clock, get_clock
from nightferry.environments.aws_resources import AwsResources


def verify(
    resources: AwsResources,
    expected: Expected,
    aws: Aws,
    *,
    prerequisites: bool,
    image_tag: str | None,
    starts: Backend | None = None,
    clock: Clock | None = None,
) -> Iterator[Finding]:
    """Check all resources, in the order of a deployment.

    Args:
        resources: The existing resources to check.
        expected: What the synthesized files declare.
        aws: The session with AWS.
        prerequisites: Check only the resources that must exist before a deployment.
        image_tag: Check the image with this tag; default: the deployed tag.
        starts: Also check what shows only after a deployment, with this backend of the environment.
        clock: The clock of the checks after a deployment.

    Raises Unreachable and CredentialsExpired.
    """
    probe = Probe(aws)
    with aws.translate_errors("read the caller's identity"):
        account = aws.sts.get_caller_identity().get("Account")
    if account != resources.aws.account:
        yield Finding(
            "account",
            resources.aws.account,
            "wrong",
            f"The credentials belong to account {account}. Use credentials of account {resources.aws.account}. "
            "Nothing else was checked.",
        )
        return
    yield Finding("account", resources.aws.account, "ok")
    yield from check_network(resources, probe)
    yield from check_database(resources, probe)
    yield check_repository(resources, probe)
    deployed = DeployedTag()
    if image_tag is None or not prerequisites:
        found, deployed = _read_deployed_tag(resources, probe)
        if not (prerequisites and found.verdict == "missing"):
            yield found
    if tag := image_tag or deployed.tag:
        yield check_image(resources, probe, tag)
    yield from check_secrets(resources, probe)
    yield from check_buckets(resources, probe)
    yield from check_arns(resources, probe)
    yield from check_log_policies(resources, expected, probe, deployed=not prerequisites)
    if not prerequisites:
        yield from check_deployed(resources, expected, probe, deployed.tag)
        yield from check_recipients(resources, probe)
        yield from check_roles(resources, expected, probe)
    if starts is not None:
        yield from check_health(resources, expected, probe)
        clock = clock or get_clock()
        yield from StartChecks(resources, starts, probe, clock, deployed.at or clock.now()).check()


@dataclass(frozen=True)
class DeployedTag:
    """The image tag of the last complete deployment and its time; empty and None if they are unknown."""

    tag: str = ""
    at: datetime | None = None


def _read_deployed_tag(resources: AwsResources, probe: Probe) -> tuple[Finding, DeployedTag]:
    """Return the finding about the parameter with the deployed tag, and its content."""
    parameter = resources.naming.image_tag_parameter
    found: list[DeployedTag] = []

    def read() -> None:
        value = probe.aws.ssm.get_parameter(Name=parameter)["Parameter"]
        found.append(DeployedTag(value.get("Value", ""), value.get("LastModifiedDate")))

    finding = probe.check(
        "image",
        "the tag that is deployed",
        "ssm:GetParameter",
        read,
        f"Nothing has been deployed yet: parameter {parameter} does not exist. Deploy a version. The first plan needs "
        "its tag: terraform plan -var image_tag=TAG",
        missing=("ParameterNotFound",),
    )
    return finding, found[0] if found else DeployedTag()
