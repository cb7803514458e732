"""IAM's policy simulator for the roles in moto, which has none.

It is written from the guide's "Policy evaluation logic" and "IAM JSON policy elements: Condition operators", and reads
the policies from moto. It shares nothing with the code that it tests.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

Policy = Mapping[str, Any]
_ALLOW_ALL = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class IamSimulator:
    """Responds to SimulatePrincipalPolicy. ``organization`` is the policy of the organization (SCP)."""

    def __init__(self, iam: Any) -> None:
        self.iam = iam
        self.organization: Policy = _ALLOW_ALL
        self.unknown: set[str] = set()  # actions that the simulator rejects
        self.calls: list[dict[str, Any]] = []
        self._last: tuple[str, tuple[list[Policy], Policy]] | None = None  # the role of consecutive calls

    def respond(self, _path: str, body: bytes) -> tuple[int, bytes, str] | None:
        """Return the response to a request, or None if it is for another operation."""
        form = {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}
        if form.get("Action") != "SimulatePrincipalPolicy":
            return None
        actions, resources = _read_list(form, "ActionNames"), _read_list(form, "ResourceArns")
        context = dict(_read_context(form))
        self.calls.append({"role": form["PolicySourceArn"], "actions": actions, "resources": resources})
        if problem := self._find_invalid_input(actions):
            return 400, _make_error("InvalidInput", problem), "text/xml"
        role = form["PolicySourceArn"].rpartition("/")[2]
        if self._last is None or self._last[0] != role:
            self._last = role, self._read_policies(role)
        policies, boundary = self._last[1]
        members = [
            self._evaluate(action, resource, context, policies, boundary)
            for action in actions
            for resource in resources
        ]
        return 200, _make_response(members), "text/xml"

    def _find_invalid_input(self, actions: list[str]) -> str | None:
        # Recorded in public repositories: actions of several services, or iam:PassRole with others, in one call.
        groups = {"iam:PassRole" if action == "iam:PassRole" else action.partition(":")[0] for action in actions}
        if len(groups) > 1:
            pair = f"[{actions[0]}] and [{actions[-1]}]"
            return f"Invalid Input Actions: {pair} require different authorization information."
        unknown = self.unknown.intersection(actions)
        return f"Action {unknown.pop()} is unknown." if unknown else None

    def _read_policies(self, role: str) -> tuple[list[Policy], Policy]:
        names = self.iam.list_role_policies(RoleName=role)["PolicyNames"]
        policies = [self.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
        attached = self.iam.get_role(RoleName=role)["Role"].get("PermissionsBoundary")
        if attached is None:
            return policies, _ALLOW_ALL
        arn = attached["PermissionsBoundaryArn"]
        version = self.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        return policies, self.iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]

    def _evaluate(
        self, action: str, resource: str, context: Mapping[str, str], policies: list[Policy], boundary: Policy
    ) -> str:
        def decide(documents: Iterable[Policy]) -> str:
            return _decide(documents, action, resource, context)

        own, limit, organization = decide(policies), decide([boundary]), decide([self.organization])
        decision = max((own, limit, organization), key=["allowed", "implicitDeny", "explicitDeny"].index)
        return (
            f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{escape(resource)}</EvalResourceName>"
            f"<EvalDecision>{decision}</EvalDecision>"
            f"<OrganizationsDecisionDetail><AllowedByOrganizations>{_to_xml(organization == 'allowed')}"
            "</AllowedByOrganizations></OrganizationsDecisionDetail>"
            f"<PermissionsBoundaryDecisionDetail><AllowedByPermissionsBoundary>{_to_xml(limit == 'allowed')}"
            "</AllowedByPermissionsBoundary></PermissionsBoundaryDecisionDetail></member>"
        )


def _read_list(form: Mapping[str, str], name: str) -> list[str]:
    return [form[f"{name}.member.{n}"] for n in range(1, 1 + sum(key.startswith(f"{name}.member.") for key in form))]


def _read_context(form: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    n = 1
    while (key := f"ContextEntries.member.{n}.ContextKeyName") in form:
        yield form[key].lower(), form[f"ContextEntries.member.{n}.ContextKeyValues.member.1"]
        n += 1


def _to_xml(value: bool) -> str:
    return "true" if value else "false"


def _make_response(members: list[str]) -> bytes:
    return (
        '<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/">'
        f"<SimulatePrincipalPolicyResult><EvaluationResults>{''.join(members)}</EvaluationResults>"
        "</SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>"
    ).encode()


def _make_error(code: str, message: str) -> bytes:
    error = f"<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
    return f"<ErrorResponse>{error}</ErrorResponse>".encode()


# ── the evaluation of policies ────────────────────────────────────────────────────────────────────────────────


def _decide(policies: Iterable[Policy], action: str, resource: str, context: Mapping[str, str]) -> str:
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _as_list(policy["Statement"])
        if _matches(statement, action, resource, context)
    }
    return "explicitDeny" if "Deny" in effects else "allowed" if "Allow" in effects else "implicitDeny"


def _matches(statement: Policy, action: str, resource: str, context: Mapping[str, str]) -> bool:
    return (
        any(_is_like(action.lower(), pattern.lower()) for pattern in _as_list(statement["Action"]))
        and any(_is_like(resource, pattern) for pattern in _as_list(statement["Resource"]))
        and all(
            _holds(operator, context.get(key.lower()), _as_list(values))
            for operator, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    )


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, expected: value == expected,
    "StringLike": lambda value, expected: _is_like(value, expected),
    "ArnEquals": lambda value, expected: _is_like(value, expected),
    "ArnLike": lambda value, expected: _is_like(value, expected),
}


def _holds(operator: str, value: str | None, expected: list[str]) -> bool:
    name = operator.removesuffix("IfExists")
    if value is None:
        return name != operator
    return any(_OPERATORS[name](value, one) for one in expected)


def _is_like(value: str, pattern: str) -> bool:
    parts = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(parts, value, re.DOTALL) is not None


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def to_document(statements: list[Any]) -> str:
    """Return the JSON of a policy."""
    return json.dumps({"Version": "2012-10-17", "Statement": statements})
