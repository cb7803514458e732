"""The check of one resource on AWS: it is OK, missing or wrong, or it could not be checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from nightferry.aws.session import AccessDenied, Aws, ResourceNotFound, create_client
from nightferry.backend.errors import Refused
from nightferry.backend.verify.findings import Finding, Verdict

Problem = tuple[Verdict, str] | None
"""The verdict and the detail of a finding; None without a problem."""


@dataclass(frozen=True)
class Probe:
    """Checks resources with the caller's credentials."""

    aws: Aws
    _clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """Return the client for a service; creating one is slower than most calls."""
        if service not in self._clients:
            self._clients[service] = create_client(self.aws, service)
        return self._clients[service]

    def check(
        self,
        group: str,
        name: str,
        action: str,
        call: Callable[[], Any],
        fix: str = "",
        *,
        missing: tuple[str, ...] = (),
        find_problem: Callable[[Any], Problem] = lambda _: None,
    ) -> Finding:
        """Return the finding about a resource.

        Args:
            group: The group of the finding.
            name: The name of the resource.
            action: The IAM action that the call requires, for the detail of a finding without it.
            call: Reads the resource.
            fix: The detail of the finding if the resource is missing.
            missing: AWS's error codes that mean that the resource does not exist.
            find_problem: Returns the problem of the response.

        Raises Unreachable and CredentialsExpired, because no finding is possible without a response.
        """
        try:
            with self.aws.translate_errors(f"check {name}", missing=missing):
                problem = find_problem(call())  # a member that is missing in the response is Refused
        except ResourceNotFound:
            return Finding(group, name, "missing", fix)
        except AccessDenied as denied:
            return Finding(group, name, "not checked", f"This check requires {action}. {denied}")
        except Refused as refused:
            return Finding(group, name, "not checked", str(refused))
        return Finding(group, name, *(problem or ("ok", "")))
