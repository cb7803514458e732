"""The findings of ``nightferry verify`` about the resources that declarations refer to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "warning", "missing", "wrong", "not allowed", "not checked"]


@dataclass(frozen=True)
class Finding:
    """The result of checking one resource. ``detail`` has the fix, or why the resource could not be checked."""

    group: str
    name: str
    verdict: Verdict
    detail: str = ""

    @property
    def is_failure(self) -> bool:
        """Return True if a declaration cannot work because of this finding."""
        return self.verdict in ("missing", "wrong", "not allowed")
