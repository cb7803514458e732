"""Check the parameters of the secrets without reading their values.

The list of parameters has the type and the tier, but no size. The size is the length of the encrypted value, which
GetParameter returns without decryption. Few callers should have that permission: with the account's default key, it is
also the permission to read the secret. Without it, one finding reports that the sizes were not checked.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from nightferry.aws.session import AccessDenied, ResourceNotFound
from nightferry.aws.verify.probe import Probe, Problem
from nightferry.backend.errors import Refused
from nightferry.backend.verify.findings import Finding
from nightferry.catalog.secret_users import format_set_command
from nightferry.environments.aws_resources import AwsResources

_GROUP = "secrets"
_MAX_NAMES = 50  # values of one filter (API reference, ParameterStringFilter)
# Characters of a value, by tier (Systems Manager guide, "Parameter tiers"). Intelligent-Tiering chooses one of them.
_LIMITS = {"Standard": 4096, "Advanced": 8192, "Intelligent-Tiering": 8192}
_NEAR = 0.95
_STANDARD, _ADVANCED = _LIMITS["Standard"], _LIMITS["Advanced"]


def check_secrets(resources: AwsResources, probe: Probe) -> Iterator[Finding]:
    """Check that each secret of a task or webhook is a SecureString parameter that is not near its tier's limit."""
    users: dict[str, list[str]] = {}
    commands: dict[str, str] = {}  # that set the secret, by parameter
    uses = [
        (secret, task.name) for task in resources.catalog.tasks.values() for secret in resources.secrets(task).values()
    ]
    uses += [(secret, f"notices of {topic} to {chat.capitalize()}") for topic, chat, secret in resources.chat_notices]
    for secret, user in uses:
        name = resources.parameter(secret)
        users.setdefault(name, []).append(user)
        commands[name] = format_set_command(secret.name, resources.environment.name)
    names = sorted(users)
    encrypted: dict[str, str] = {}  # tier by name
    for start in range(0, len(names), _MAX_NAMES):
        chunk = names[start : start + _MAX_NAMES]
        found: dict[str, dict[str, Any]] = {}

        def read(chunk: list[str] = chunk, found: dict[str, dict[str, Any]] = found) -> None:
            # A page may be empty although later pages are not (API reference, DescribeParameters).
            filters = [{"Key": "Name", "Option": "Equals", "Values": chunk}]
            pages: Any = probe.aws.ssm.get_paginator("describe_parameters").paginate(ParameterFilters=filters)  # type: ignore[arg-type]
            found.update({one["Name"]: one for page in pages for one in page.get("Parameters", []) if "Name" in one})

        listed = probe.check(_GROUP, ", ".join(chunk), "ssm:DescribeParameters", read)
        if listed.verdict != "ok":
            yield from (Finding(_GROUP, name, listed.verdict, listed.detail) for name in chunk)
            continue
        for name in chunk:
            needed = "all tasks" if len(users[name]) == len(resources.catalog.tasks) else ", ".join(users[name])
            problem = _find_problem(found.get(name), needed, commands[name])
            if problem is None:
                encrypted[name] = found[name].get("Tier", "Standard")
            else:
                yield Finding(_GROUP, name, *problem)
    yield from _check_sizes(probe, encrypted, commands)


def _find_problem(parameter: dict[str, Any] | None, needed: str, command: str) -> Problem:
    if parameter is None:
        return "missing", f"Parameter not found. Required by {needed}. Store it: {command}"
    kind = parameter.get("Type", "unknown")
    if kind == "SecureString":
        return None
    return "wrong", (
        f"The type is {kind}, which is not encrypted. Delete the parameter, because a type cannot be changed, and "
        f"store it: {command}"
    )


def _check_sizes(probe: Probe, tiers: dict[str, str], commands: dict[str, str]) -> Iterator[Finding]:
    denied = ""
    for name, tier in tiers.items():
        if denied:
            yield Finding(_GROUP, name, "ok")
            continue
        try:
            with probe.aws.translate_errors(f"read the size of {name}", missing=("ParameterNotFound",)):
                value = probe.aws.ssm.get_parameter(Name=name, WithDecryption=False)["Parameter"].get("Value", "")
        except AccessDenied:
            denied = name
            yield Finding(_GROUP, name, "ok")
        except (ResourceNotFound, Refused) as error:
            yield Finding(_GROUP, name, "not checked", str(error))
        else:
            yield Finding(_GROUP, name, *(_find_size_problem(tier, value, commands[name]) or ("ok", "")))
    if denied:
        yield Finding(
            _GROUP,
            "sizes of the values",
            "not checked",
            f"Requires ssm:GetParameter, which may also permit reading the values. A value has at most {_STANDARD:,} "
            f"characters, or {_ADVANCED:,} in the tier Intelligent-Tiering.",
        )


def _find_size_problem(tier: str, ciphertext: str, command: str) -> Problem:
    """Return a warning if the value almost fills its tier. The encrypted value is longer, so its size is a bound."""
    try:
        size = len(base64.b64decode(ciphertext, validate=True))
    except binascii.Error:
        size = len(ciphertext)
    limit = _LIMITS.get(tier, _STANDARD)
    if size < limit * _NEAR:
        return None
    if limit == _STANDARD:
        return "warning", (
            f"The value almost fills the tier {tier} ({limit:,} characters), which refuses a longer one. Store it "
            f"again in the tier Intelligent-Tiering: {command} < FILE"
        )
    return "warning", (
        f"The value almost fills the tier {tier} ({limit:,} characters), the largest. Shorten it, for example by "
        "removing keys that are no longer needed."
    )
