"""Actions of the deploy role that the stand-in for the provider does not call, with the caller that needs each."""

from __future__ import annotations

OTHER_ACTIONS: dict[str, str] = {}
