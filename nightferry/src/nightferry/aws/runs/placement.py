"""The placement of an environment's tasks, which its deployment publishes in the Parameter Store."""

from __future__ import annotations

import json
from dataclasses import dataclass

from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.backend.errors import Refused
from nightferry.contract import Naming


class NotDeployed(Refused):
    """The environment has not published its placement. Deploy it, or use credentials of its account."""


@dataclass(frozen=True)
class Placement:
    """The cluster (an ARN), subnets, security groups and log group of an environment's tasks."""

    cluster: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    log_group: str


def read_placement(aws: Aws, naming: Naming) -> Placement:
    """Return the placement that the deployment has published; raises NotDeployed."""
    name = naming.network_parameter
    try:
        with aws.translate_errors(f"read parameter {name}", missing=("ParameterNotFound",)):
            text = aws.ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except ResourceNotFound:
        raise NotDeployed(
            f"Parameter {name} does not exist in account {_read_account(aws)}, region {aws.region}. The deployment of "
            f"environment '{naming.environment}' creates it in account {aws.account}. Deploy the environment, or use "
            f"credentials of account {aws.account}."
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


def _read_account(aws: Aws) -> str:
    with aws.translate_errors("read the caller's identity"):
        return aws.sts.get_caller_identity()["Account"]
