"""What goes wrong on purpose: set at start or, while it runs, by the control interface."""

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
"""Faults that keep a call from taking effect, in the order in which the dice are read."""

AFTER = ("late_timeout", "late_garbage", "drop_after")
"""Faults that hit the answer of a call that took effect."""


class InvalidFault(ValueError):
    """A fault that does not exist, or a value that it cannot have."""


@dataclass(frozen=True)
class Faults:
    """Shares are between 0 and 1, of the composer calls named by ``calls``."""

    latency_ms: float = 0
    """A call takes at least this long."""
    unavailable: float = 0  # 503
    gateway_timeout: float = 0  # 504
    rate_limited: float = 0  # 429 with Retry-After
    socket_timeout: float = 0  # 500 with ESOCKETTIMEDOUT in the body
    server_error: float = 0  # 500
    garbage: float = 0  # 200 with a body that is not XML
    drop_before: float = 0  # the connection is cut
    hang: float = 0  # no answer for hang_seconds, then a cut connection
    late_timeout: float = 0  # 504, although the call took effect
    late_garbage: float = 0
    drop_after: float = 0
    hang_seconds: float = 60
    token_unavailable: float = 0  # share of token requests that get 503
    calls: tuple[str, ...] = CALLS
    refuse: dict[str, str] = field(default_factory=dict)
    """FEIN → VALIDATION_MESSAGE that UpdateOrCreateParty answers with."""
    refuse_agreement: dict[str, str] = field(default_factory=dict)
    """FEIN → VALIDATION_MESSAGE that ServiceAgreementService answers with."""
    status: dict[str, int] = field(default_factory=dict)
    """FEIN → HTTP status that UpdateOrCreateParty answers with."""

    @classmethod
    def parse(cls, values: dict[str, Any], base: Self | None = None) -> Self:
        """The faults of ``base`` (default: none) with ``values`` replaced."""
        known = {item.name: item for item in dataclasses.fields(cls)}
        for name, value in values.items():
            if name not in known:
                raise InvalidFault(f"there is no fault {name!r}; there are {', '.join(known)}")
            default = getattr(cls(), name)
            if isinstance(default, int | float):
                share = name not in ("latency_ms", "hang_seconds")
                if not isinstance(value, int | float) or value < 0 or (share and value > 1):
                    raise InvalidFault(f"{name} must be {'between 0 and 1' if share else 'at least 0'}")
            elif name == "calls":
                if not isinstance(value, list | tuple) or not set(value) <= set(CALLS):
                    raise InvalidFault(f"calls must be a list of {', '.join(CALLS)}")
            elif not isinstance(value, dict):
                raise InvalidFault(f"{name} must be an object with FEINs as keys")
        values = {name: tuple(value) if name == "calls" else value for name, value in values.items()}
        return dataclasses.replace(base or cls(), **values)

    def throw(self, call: str, names: tuple[str, ...], dice: random.Random) -> str | None:
        """Which of the faults ``names`` hits this call, if any."""
        if call not in self.calls:
            return None
        number = dice.random()
        for name in names:
            number -= getattr(self, name)
            if number < 0:
                return name
        return None


def parse_text(text: str) -> dict[str, Any]:
    """Faults as the command line has them: a JSON object."""
    try:
        values = json.loads(text)
    except ValueError:
        raise InvalidFault("faults must be a JSON object") from None
    if not isinstance(values, dict):
        raise InvalidFault("faults must be a JSON object")
    return values
