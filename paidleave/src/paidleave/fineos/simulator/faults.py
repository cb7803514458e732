"""Injected faults. They are set at the start or through the control interface."""

from __future__ import annotations

import dataclasses
import json
import random
from dataclasses import dataclass, field
from typing import Any, Self

CALLS = ("ReadEmployer", "UpdateOrCreateParty", "ServiceAgreementService")

BEFORE = (
    "unavailable",
    "gateway_timeout",
    "rate_limited",
    "socket_timeout",
    "server_error",
    "garbage",
    "drop_before",
    "hang",
)
"""Faults that prevent a call from taking effect, in the order of their evaluation."""

AFTER = ("late_timeout", "late_garbage", "drop_after")
"""Faults of the response to a call that took effect."""


class InvalidFault(ValueError):
    """An unknown fault or an invalid value."""


@dataclass(frozen=True)
class Faults:
    """The faults to inject. Shares are between 0 and 1 and apply to the composer calls in ``calls``."""

    latency_ms: float = 0
    """Minimum duration of a call."""
    unavailable: float = 0  # 503
    gateway_timeout: float = 0  # 504
    rate_limited: float = 0  # 429 with Retry-After
    socket_timeout: float = 0  # 500 with ESOCKETTIMEDOUT in the body
    server_error: float = 0  # 500
    garbage: float = 0  # 200 with a body that is not XML
    drop_before: float = 0  # closed connection
    hang: float = 0  # no response for hang_seconds, then a closed connection
    late_timeout: float = 0  # 504 although the call took effect
    late_garbage: float = 0
    drop_after: float = 0
    hang_seconds: float = 60
    token_unavailable: float = 0  # share of token requests that get 503
    calls: tuple[str, ...] = CALLS
    refuse: dict[str, str] = field(default_factory=dict)
    """FEIN → VALIDATION_MESSAGE in the response of UpdateOrCreateParty."""
    refuse_agreement: dict[str, str] = field(default_factory=dict)
    """FEIN → VALIDATION_MESSAGE in the response of ServiceAgreementService."""
    status: dict[str, int] = field(default_factory=dict)
    """FEIN → HTTP status of the response of UpdateOrCreateParty."""
    replaced: dict[str, str] = field(default_factory=dict)
    """Call → body of its responses with status 200. The call does not take effect."""

    @classmethod
    def parse(cls, values: dict[str, Any], base: Self | None = None) -> Self:
        """Return the faults of ``base`` (default: no faults) with ``values`` replaced."""
        known = {item.name: item for item in dataclasses.fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise InvalidFault(f"unknown fault {name!r}. Valid faults: {', '.join(known)}")
            default = getattr(cls(), name)
            if isinstance(default, int | float):
                share = name not in ("latency_ms", "hang_seconds")
                if not isinstance(value, int | float) or value < 0 or (share and value > 1):
                    raise InvalidFault(f"{name} must be {'between 0 and 1' if share else 'at least 0'}")
            elif name == "calls":
                if not isinstance(value, list | tuple) or not set(value) <= set(CALLS):
                    raise InvalidFault(f"calls must be a list of {', '.join(CALLS)}")
            elif not isinstance(value, dict):
                raise InvalidFault(f"{name} must be an object whose keys are FEINs or calls")
        values = {name: tuple(value) if name == "calls" else value for name, value in values.items()}
        return dataclasses.replace(base or cls(), **values)

    def choose(self, call: str, names: tuple[str, ...], rng: random.Random) -> str | None:
        """Choose one of the faults ``names`` for this call, or None."""
        if call not in self.calls:
            return None
        number = rng.random()
        for name in names:
            number -= getattr(self, name)
            if number < 0:
                return name
        return None


def parse_text(text: str) -> dict[str, Any]:
    """Parse the faults of the command line, a JSON object."""
    try:
        values = json.loads(text)
    except ValueError:
        raise InvalidFault("faults must be a JSON object") from None
    if not isinstance(values, dict):
        raise InvalidFault("faults must be a JSON object")
    return values
