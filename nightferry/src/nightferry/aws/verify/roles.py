"""Check with IAM's policy simulator that each role of the environment allows what its synthesized policy declares.

The simulator evaluates the policies of the role, its permissions boundary, and the policies of the organization.
Policies of buckets, keys and queues may still deny an action that it allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from botocore.config import Config

from nightferry.aws.session import AccessDenied
from nightferry.aws.verify.deployed import DEPLOY
from nightferry.aws.verify.probe import Probe
from nightferry.aws.verify.simulation import Cause, Decision, simulate
from nightferry.backend.errors import Refused
from nightferry.backend.verify.expected import Expected, Permission
from nightferry.backend.verify.findings import Finding, Verdict
from nightferry.environments.aws_resources import AwsResources

_UNKNOWN = "${"  # begins an expression that only Terraform can evaluate
# IAM throttles the simulator, and one role needs several calls: slow down instead of failing.
_RETRIES = Config(retries={"mode": "adaptive", "total_max_attempts": 10})


def check_roles(resources: AwsResources, expected: Expected, probe: Probe) -> Iterator[Finding]:
    """Yield the findings about each role: one if everything is allowed, otherwise one for each cause."""
    iam: Any = probe.aws.session.client("iam", config=probe.aws.config.merge(_RETRIES))
    values = _find_unknown_values(resources, expected, probe)
    for role in sorted(expected.permissions):
        found = probe.check(
            "roles",
            role,
            "iam:GetRole",
            lambda role=role: iam.get_role(RoleName=role),  # type: ignore[misc]
            DEPLOY,
            missing=("NoSuchEntity",),
        )
        if found.verdict != "ok" or not expected.permissions[role]:
            yield found
            continue
        permissions = [
            replace(one, resource=values.get(one.resource, one.resource)) for one in expected.permissions[role]
        ]
        yield from _check_role(resources, expected, probe, iam, role, permissions)


def _check_role(
    resources: AwsResources, expected: Expected, probe: Probe, iam: Any, role: str, permissions: Sequence[Permission]
) -> Iterator[Finding]:
    known = [one for one in permissions if _UNKNOWN not in f"{one.resource}{one.context}"]
    decisions = [
        Decision(one, None, "AWS chose the ARN, and it was not found.") for one in permissions if one not in known
    ]
    arn = resources.global_arn("iam", f"role/{role}")
    try:
        decisions += simulate(probe.aws, iam, arn, known)
    except AccessDenied as denied:
        text = f"The role exists. The check of its permissions requires iam:SimulatePrincipalPolicy. {denied}"
        yield Finding("roles", role, "not checked", text)
        return
    except Refused as refused:
        yield Finding("roles", role, "not checked", f"The role exists. {refused}")
        return
    by_cause: dict[Cause | None, list[Decision]] = {}
    for decision in decisions:
        if decision.cause != "allowed":
            by_cause.setdefault(decision.cause, []).append(decision)
    if not by_cause:
        yield Finding("roles", role, "ok", f"{len(decisions)} permissions")
    for cause, denied_ones in by_cause.items():
        verdict: Verdict = "not checked" if cause is None else "not allowed"
        what = "; ".join(sorted({_describe(decision) for decision in denied_ones}))
        yield Finding(
            "roles", role, verdict, f"{what}. {_find_fix(resources, expected, probe, iam, role, cause)}".strip()
        )


def _describe(decision: Decision) -> str:
    one = decision.permission
    conditions = "".join(f", {key} = {value}" for key, value in one.context)
    reason = f" ({decision.detail.rstrip('.')})" if decision.detail else ""
    return f"{one.action} on {one.resource}{conditions}{reason}"


def _find_fix(
    resources: AwsResources, expected: Expected, probe: Probe, iam: Any, role: str, cause: Cause | None
) -> str:
    match cause:
        case "organization":
            account = resources.aws.account
            return (
                "Cause: a policy of the organization (SCP). Have its administrator allow these actions for account "
                f"{account}."
            )
        case "boundary":
            return "Cause: the permissions boundary of the role. Allow these actions in the boundary."
        case "deny statement":
            return "Cause: a policy of the role denies them explicitly. Remove its Deny statement."
        case "no statement":
            return _explain_missing_statement(expected, probe, iam, role)
    return ""


def _explain_missing_statement(expected: Expected, probe: Probe, iam: Any, role: str) -> str:
    policy = expected.policies[role]
    try:
        with probe.aws.translate_errors(f"list the policies of role {role}"):
            pages = iam.get_paginator("list_role_policies").paginate(RoleName=role)
            attached = policy in [name for page in pages for name in page.get("PolicyNames", [])]
    except Refused:
        return f"Cause: no policy of the role allows them. {DEPLOY}"
    if not attached:
        return f"Cause: the role has no policy {policy}. {DEPLOY}"
    return f"Cause: policy {policy} of the role does not allow them. {DEPLOY}"


def _find_unknown_values(resources: AwsResources, expected: Expected, probe: Probe) -> Mapping[str, str]:
    """Return the ARN of the topics' key by its Terraform expression. KMS chooses it, and the topics report it."""
    unknown = {
        one.resource for permissions in expected.permissions.values() for one in permissions if _UNKNOWN in one.resource
    }
    keys = [text for text in unknown if text.startswith('${aws_kms_key["Topics of ')]
    for topic in expected.names.get("aws_sns_topic", ()) if keys else ():
        sns = probe.client("sns")
        try:
            with probe.aws.translate_errors(f"check {topic}"):
                attributes = sns.get_topic_attributes(TopicArn=resources.arn("sns", topic)).get("Attributes", {})
        except Refused:
            return {}  # the permissions are reported as not checked
        if key := attributes.get("KmsMasterKeyId"):
            arn = key if key.startswith("arn:") else resources.arn("kms", f"key/{key}")
            return dict.fromkeys(keys, arn)
    return {}
