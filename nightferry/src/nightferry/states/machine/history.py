"""The events of an execution's history, as AWS's GetExecutionHistory has them.

Source of types and details: the ``HistoryEvent`` shape of the Step Functions API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any


@dataclass(slots=True)
class HistoryEvent:
    """One event. It is never changed after it was made.

    ``details`` are AWS's for the type, payloads as JSON text. ``engine`` holds what AWS's history lacks and a
    replay needs: ``scope`` (which branch or iteration, ``"/0/2"``), ``child`` (the distributed Map's
    child execution whose history this event belongs to; ids count per child), ``next`` (where an exit leads),
    ``retries`` (retries so far, per retrier), ``error`` and ``cause`` of a failure, ``anew`` (the scopes whose states a
    redrive does from their beginnings, and the events that those follow).
    """

    id: int
    previous_event_id: int
    type: str
    timestamp: datetime
    details: dict[str, Any] | None = None
    engine: dict[str, Any] | None = None

    @property
    def child(self) -> str:
        """The child execution that the event belongs to; empty for the execution itself."""
        return self.engine.get("child", "") if self.engine else ""

    def to_aws(self) -> dict[str, Any]:
        """The event as GetExecutionHistory answers it, its time in ISO 8601."""
        event: dict[str, Any] = {
            "timestamp": self.timestamp.isoformat(),
            "type": self.type,
            "id": self.id,
            "previousEventId": self.previous_event_id,
        }
        if self.details is not None:
            event[details_key(self.type)] = self.details
        return event

    def to_json(self) -> dict[str, Any]:
        """All there is of the event as a JSON object, from which :meth:`from_json` makes the same event."""
        event = self.to_aws()
        if self.engine:
            event["engine"] = self.engine
        return event

    @classmethod
    def from_json(cls, event: dict[str, Any]) -> HistoryEvent:
        """The event that :meth:`to_json` wrote."""
        kind = event["type"]
        return cls(
            event["id"],
            event["previousEventId"],
            kind,
            datetime.fromisoformat(event["timestamp"]),
            event.get(details_key(kind)),
            event.get("engine"),
        )


@cache
def details_key(kind: str) -> str:
    """The name of the details of an event type: ``TaskFailed`` → ``taskFailedEventDetails``."""
    if kind.endswith("StateEntered"):
        return "stateEnteredEventDetails"
    if kind.endswith("StateExited"):
        return "stateExitedEventDetails"
    return f"{kind[0].lower()}{kind[1:]}EventDetails"
