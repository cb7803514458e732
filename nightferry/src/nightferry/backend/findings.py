"""What ``nightferry verify`` finds of the things that the declarations refer to, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "missing", "not allowed", "not checked"]


@dataclass(frozen=True)
class Finding:
    """One thing and what is the matter with it. ``detail`` says what to do, or why it could not be checked."""

    group: str
    name: str
    verdict: Verdict
    detail: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether something that is declared cannot work."""
        return self.verdict in ("missing", "not allowed")
