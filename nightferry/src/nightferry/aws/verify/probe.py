"""One look at one thing on AWS: it is there, it is missing, or it could not be looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nightferry.aws.session import Aws, NotThere
from nightferry.backend.findings import Finding
from nightferry.backend.interface import Refused


@dataclass(frozen=True)
class Probe:
    """Looks at things with the caller's own credentials."""

    aws: Aws

    def check(
        self,
        group: str,
        name: str,
        call: Callable[[], Any],
        cure: str,
        *,
        missing: tuple[str, ...] = (),
        judge: Callable[[Any], str | None] = lambda _: None,
    ) -> Finding:
        """What ``call`` finds. ``missing`` are AWS's codes for "there is none"; ``judge`` says what is wrong with it.

        Raises Unreachable and CredentialsExpired: without an answer there is nothing to tell.
        """
        try:
            with self.aws.asking(name, missing=missing):
                answer = call()
        except NotThere:
            return Finding(group, name, "missing", cure)
        except Refused as refused:
            return Finding(group, name, "not checked", str(refused))
        problem = judge(answer)
        return Finding(group, name, "missing" if problem else "ok", problem or "")
