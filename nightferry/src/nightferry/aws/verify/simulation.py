"""Query IAM's policy simulator for the permissions of a role, in few calls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from botocore.exceptions import ClientError

from nightferry.aws.session import Aws, get_error_code
from nightferry.backend.verify.expected import Context, Permission

# More resources in one call were refused in practice (nccgroup/PMapper#6).
_MAX_RESOURCES = 20
_KEY_TYPE = "string"  # the simulator compares ARNs and texts alike

Cause = Literal["allowed", "organization", "boundary", "deny statement", "no statement"]


@dataclass(frozen=True)
class Decision:
    """The simulator's decision about a permission. ``cause`` is None if it made none, for the reason in ``detail``."""

    permission: Permission
    cause: Cause | None
    detail: str = ""


def simulate(aws: Aws, iam: Any, role: str, permissions: Sequence[Permission]) -> Iterator[Decision]:
    """Yield a decision for each permission of the role with the ARN ``role``.

    Raises the errors of :meth:`Aws.translate_errors`.
    """
    for context, actions, resources in _batch(permissions):
        with aws.translate_errors(f"simulate the policies of {role}"):
            yield from _simulate_batch(iam, role, context, actions, resources)


def _batch(permissions: Sequence[Permission]) -> Iterator[tuple[Context, list[str], list[str]]]:
    """Yield groups of actions with the same context and resources, because a call combines each with each."""
    resources: dict[tuple[Context, str], list[str]] = {}
    for permission in permissions:
        resources.setdefault((permission.context, permission.action), []).append(permission.resource)
    actions: dict[tuple[Context, tuple[str, ...]], list[str]] = {}
    for (context, action), arns in resources.items():
        for start in range(0, len(arns), _MAX_RESOURCES):
            actions.setdefault((context, tuple(arns[start : start + _MAX_RESOURCES])), []).append(action)
    for (context, chunk), names in actions.items():
        yield context, names, list(chunk)


def _simulate_batch(
    iam: Any, role: str, context: Context, actions: list[str], resources: list[str]
) -> Iterator[Decision]:
    request = {
        "PolicySourceArn": role,
        "ActionNames": actions,
        "ResourceArns": resources,
        "ContextEntries": [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": _KEY_TYPE} for key, value in context
        ],
    }
    try:
        pages = list(iam.get_paginator("simulate_principal_policy").paginate(**request))
    except ClientError as error:
        if get_error_code(error) != "InvalidInput":
            raise
        # The simulator refuses some combinations: they "require different authorization information".
        if len(actions) > 1:
            for action in actions:
                yield from _simulate_batch(iam, role, context, [action], resources)
            return
        message = error.response["Error"].get("Message", "no reason given")
        for resource in resources:
            yield Decision(Permission(actions[0], resource, context), None, f"IAM's simulator refused it: {message}")
        return
    causes = dict(pair for page in pages for result in page.get("EvaluationResults", []) for pair in _read(result))
    for action in actions:
        for resource in resources:
            key = action.lower(), resource
            detail = "" if key in causes else "IAM's simulator returned no decision."
            yield Decision(Permission(action, resource, context), causes.get(key), detail)


def _read(result: dict[str, Any]) -> Iterator[tuple[tuple[str, str], Cause]]:
    """Yield the cause of each decision of a result, by action and resource. All its members but two are optional."""
    action = result["EvalActionName"].lower()
    specific = result.get("ResourceSpecificResults") or []
    for one in specific:
        boundary = one.get("PermissionsBoundaryDecisionDetail") or result.get("PermissionsBoundaryDecisionDetail")
        yield (action, one["EvalResourceName"]), _find_cause(one["EvalResourceDecision"], result, boundary)
    if not specific:
        boundary = result.get("PermissionsBoundaryDecisionDetail")
        yield (action, result.get("EvalResourceName", "*")), _find_cause(result["EvalDecision"], result, boundary)


def _find_cause(decision: str, result: dict[str, Any], boundary: dict[str, Any] | None) -> Cause:
    if decision == "allowed":
        return "allowed"
    if (result.get("OrganizationsDecisionDetail") or {}).get("AllowedByOrganizations") is False:
        return "organization"
    if (boundary or {}).get("AllowedByPermissionsBoundary") is False:
        return "boundary"
    return "deny statement" if decision == "explicitDeny" else "no statement"
