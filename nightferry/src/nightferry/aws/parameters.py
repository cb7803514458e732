"""The parameters of an environment's secrets: stored and listed with the caller's permissions, never read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nightferry.aws.session import Aws
from nightferry.catalog.declarations import Secret
from nightferry.environments.aws_resources import AwsResources

_MAX_NAMES = 50  # values of one filter (API reference, ParameterStringFilter)


def store_secret(resources: AwsResources, secret: Secret, value: str) -> int:
    """Store the value of a secret as a SecureString, and return the number of its version.

    Raises :class:`~nightferry.backend.errors.Refused`, Unreachable or CredentialsExpired.
    """
    name = resources.parameter(secret)
    aws = Aws(resources.aws.region, resources.aws.account)
    key: Any = {} if resources.aws.parameters_key is None else {"KeyId": resources.aws.parameters_key}
    with aws.translate_errors(f"store parameter {name}"):
        stored = aws.ssm.put_parameter(
            Name=name,
            Value=value,
            Type="SecureString",
            Tier="Intelligent-Tiering",  # Standard refuses values above 4,096 characters.
            Overwrite=True,
            **key,
        )
        return stored["Version"]


def find_parameters(resources: AwsResources, names: Iterable[str]) -> set[str]:
    """Return those of the names that exist in the parameter store.

    Raises :class:`~nightferry.backend.errors.Refused`, Unreachable or CredentialsExpired.
    """
    aws = Aws(resources.aws.region, resources.aws.account)
    wanted, found = sorted(names), set()
    with aws.translate_errors("list parameters (ssm:DescribeParameters)"):
        for start in range(0, len(wanted), _MAX_NAMES):
            filters: Any = [{"Key": "Name", "Option": "Equals", "Values": wanted[start : start + _MAX_NAMES]}]
            pages: Any = aws.ssm.get_paginator("describe_parameters").paginate(ParameterFilters=filters)
            found |= {one["Name"] for page in pages for one in page.get("Parameters", [])}
    return found
