"""Actions of statements that no run of the day uses, with the reason for each."""

from __future__ import annotations

UNUSED_ACTIONS: dict[str, str] = {}
