"""An emulated AWS account in which each role makes its calls with its own credentials, and with its own policies only.

::

    account = EnforcedAccount(url, "us-east-1")     # of nightferry.testing.iam.server
    account.enforce()
    account.client(role, "s3").get_object(...)       # is denied unless a statement of the role allows it
    account.calls()                                  # what the calls required, and which statements allowed it
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from nightferry.aws.session import Aws, create_client
from nightferry.testing.iam.statements import as_list


class Failed(Exception):
    """A call was denied, or what it started failed."""


@dataclass(frozen=True)
class Requirement:
    """A permission that a call required, and the statements of the role that allow it."""

    role: str
    call: str
    action: str
    resource: str
    statements: tuple[str, ...]


class EnforcedAccount:
    """The account, with an administrator's clients and clients with the credentials of roles."""

    def __init__(self, url: str, region: str) -> None:
        self.url = url
        self.region = region
        self._aws = Aws(region, account="", attempts=1)
        self._credentials: dict[str, dict[str, str]] = {}
        self._clients: dict[tuple[str, str], Any] = {}
        self._enforced = False

    def enforce(self, enforced: bool = True) -> None:
        """Let the server check each call from now on."""
        self._request("/moto-api/reset-auth", b"0" if enforced else b"inf")
        self._enforced = enforced

    def administer(self, service: str) -> Any:
        """Return a client with the credentials of the process, which may do everything."""
        return self._get_client("", service, {})

    def client(self, role: str, service: str) -> Any:
        """Return a client with the credentials of a role (ARN)."""
        return self._get_client(role, service, self._assume(role))

    def call(self, method: Callable[..., Any], **arguments: Any) -> Any:
        """Call a method of a client, and return its response. Raises Failed for an error of AWS."""
        try:
            return method(**arguments)
        except self.administer("sts").exceptions.ClientError as error:
            raise Failed(str(error)) from None

    def variables(self, role: str) -> dict[str, str]:
        """Return the environment variables of a process that has the credentials of a role."""
        credentials = self._assume(role)
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            **{name.upper(): value for name, value in credentials.items()},
        }

    def check(self, key: str, action: str, resource: str) -> bool:
        """Return True if the role with this access key has a permission, and record it as a call."""
        body = json.dumps({"key": key, "action": action, "resource": resource})
        return bool(json.loads(self._request("/iam/check", body.encode())))

    def requirements(self, since: int = 0) -> list[Requirement]:
        """Return what the calls of roles required, from the call with the number ``since``."""
        return [
            Requirement(call["role"], call["call"], need["action"], need["resource"], tuple(need["statements"]))
            for call in self.calls()[since:]
            for need in call["needs"]
        ]

    def started_tasks(self) -> list[dict[str, Any]]:
        """Return the tasks that RunTask has started, as DescribeTasks does."""
        found: list[dict[str, Any]] = json.loads(self._request("/iam/tasks"))
        return found

    def calls(self) -> list[dict[str, Any]]:
        """Return the checked calls of roles so far."""
        found: list[dict[str, Any]] = json.loads(self._request("/iam/calls"))
        return found

    def list_roles(self) -> list[str]:
        """Return the ARNs of all roles of the account."""
        pages = self.administer("iam").get_paginator("list_roles").paginate()
        return [role["Arn"] for page in pages for role in page["Roles"]]

    def statements(self, role: str) -> dict[str, dict[str, Any]]:
        """Return the statements of a role's inline policies by their IDs."""
        return {
            statement["Sid"]: statement
            for document in self._read_policies(role).values()
            for statement in as_list(document["Statement"])
        }

    @contextmanager
    def without(self, role: str, sid: str) -> Iterator[None]:
        """Remove a statement from the policies of a role during the context."""
        iam, name = self.administer("iam"), role.rpartition("/")[2]
        policies = self._read_policies(role)
        for policy, document in policies.items():
            if left := [one for one in as_list(document["Statement"]) if one.get("Sid") != sid]:
                text = json.dumps(document | {"Statement": left})
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)
            else:  # IAM refuses a policy without statements
                iam.delete_role_policy(RoleName=name, PolicyName=policy)
        try:
            yield
        finally:
            for policy, document in policies.items():
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))

    def _read_policies(self, role: str) -> dict[str, dict[str, Any]]:
        iam, name = self.administer("iam"), role.rpartition("/")[2]
        return {
            policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]
        }

    def _assume(self, role: str) -> dict[str, str]:
        """Return the credentials of a role. moto cannot enforce trust policies that name a service."""
        if role not in self._credentials:
            enforced = self._enforced
            self.enforce(False)
            given = self.administer("sts").assume_role(RoleArn=role, RoleSessionName="task")["Credentials"]
            self._credentials[role] = {
                "aws_access_key_id": given["AccessKeyId"],
                "aws_secret_access_key": given["SecretAccessKey"],
                "aws_session_token": given["SessionToken"],
            }
            self.enforce(enforced)
        return self._credentials[role]

    def _get_client(self, role: str, service: str, credentials: dict[str, str]) -> Any:
        if (role, service) not in self._clients:
            self._clients[role, service] = create_client(self._aws, service, **credentials)
        return self._clients[role, service]

    def _request(self, path: str, body: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "text/plain"})  # noqa: S310  # http here
        with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
            content: bytes = response.read()
        return content
