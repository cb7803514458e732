"""The check of one resource on AWS: it is OK, it is missing, or it could not be checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.backend.findings import Finding
from nightferry.backend.interface import Refused


@dataclass(frozen=True)
class Probe:
    """Checks resources with the caller's credentials."""

    aws: Aws

    def check(
        self,
        group: str,
        name: str,
        call: Callable[[], Any],
        fix: str,
        *,
        missing: tuple[str, ...] = (),
        find_problem: Callable[[Any], str | None] = lambda _: None,
    ) -> Finding:
        """Return the finding about a resource.

        Args:
            group: The group of the finding.
            name: The name of the resource.
            call: Reads the resource.
            fix: The detail of the finding if the resource is missing.
            missing: AWS's error codes that mean that the resource does not exist.
            find_problem: Returns the problem of the response, or None.

        Raises Unreachable and CredentialsExpired, because no finding is possible without a response.
        """
        try:
            with self.aws.translate_errors(f"check {name}", missing=missing):
                response = call()
        except ResourceNotFound:
            return Finding(group, name, "missing", fix)
        except Refused as refused:
            return Finding(group, name, "not checked", str(refused))
        problem = find_problem(response)
        return Finding(group, name, "missing" if problem else "ok", problem or "")
