"""Where an environment's tasks run, as its deployment has published it in the parameter store."""

from __future__ import annotations

import json
from dataclasses import dataclass

from nightferry.aws.session import Aws, NotThere
from nightferry.backend.interface import Refused
from nightferry.contract import Naming


class NotDeployed(Refused):
    """The environment has not published where its tasks run: deploy it, or use credentials of its account."""


@dataclass(frozen=True)
class Placement:
    """Cluster (its ARN), subnets, security groups and log group of an environment's tasks."""

    cluster: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    log_group: str


def published(aws: Aws, naming: Naming) -> Placement:
    """What the deployment has published; raises NotDeployed."""
    name = naming.network_parameter
    try:
        with aws.asking(f"parameter {name}", missing=("ParameterNotFound",)):
            text = aws.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except NotThere:
        raise NotDeployed(
            f"Parameter {name} does not exist in account {_account(aws)}, region {aws.region}. It is written when "
            f"environment '{naming.environment}' is deployed. Environment '{naming.environment}' is in account "
            f"{aws.account}: do your credentials belong to it?"
        ) from None
    try:
        value = json.loads(text)
        return Placement(
            str(value["cluster"]),
            tuple(map(str, value["subnets"])),
            tuple(map(str, value["security_groups"])),
            str(value["log_group"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise NotDeployed(
            f"Parameter {name} cannot be read ({type(error).__name__}: {error}). Deploy the environment again."
        ) from None


def _account(aws: Aws) -> str:
    with aws.asking("who the caller is"):
        return aws.sts.get_caller_identity()["Account"]
