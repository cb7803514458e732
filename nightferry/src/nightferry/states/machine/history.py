"""The events of an execution's history, in the format of AWS's GetExecutionHistory.

Source of types and details: the ``HistoryEvent`` shape of the Step Functions API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

HISTORY_LIMIT_EVENTS = 25_000
"""Maximum number of events of a Standard execution (service quota). An execution that reaches it fails."""


@dataclass(slots=True)
class HistoryEvent:
    """One immutable event.

    ``details`` are AWS's details of the type, with payloads as JSON text. ``engine`` contains the data that a replay
    needs and AWS's history lacks: ``scope`` (the branch or iteration, ``"/0/2"``), ``child`` (the distributed Map's
    child execution that the event belongs to; IDs are counted per child), ``next`` (the next state after an exit),
    ``retries`` (retries so far, per retrier), ``error`` and ``cause`` of a failure, ``anew`` (the scopes whose
    states a redrive restarts), and ``waiting`` (the child executions that a redriven map run continues).
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
        """Return the event in the format of GetExecutionHistory, with its time in ISO 8601."""
        event: dict[str, Any] = {
            "timestamp": self.timestamp.isoformat(),
            "type": self.type,
            "id": self.id,
            "previousEventId": self.previous_event_id,
        }
        if self.details is not None:
            event[get_details_key(self.type)] = self.details
        return event

    def to_json(self) -> dict[str, Any]:
        """Return the complete event as a JSON object for :meth:`from_json`."""
        event = self.to_aws()
        if self.engine:
            event["engine"] = self.engine
        return event

    @classmethod
    def from_json(cls, event: dict[str, Any]) -> HistoryEvent:
        """Return the event of an object that :meth:`to_json` returned."""
        kind = event["type"]
        return cls(
            event["id"],
            event["previousEventId"],
            kind,
            datetime.fromisoformat(event["timestamp"]),
            event.get(get_details_key(kind)),
            event.get("engine"),
        )


@cache
def get_details_key(kind: str) -> str:
    """Return the name of an event type's details: ``taskFailedEventDetails`` for ``TaskFailed``."""
    if kind.endswith("StateEntered"):
        return "stateEnteredEventDetails"
    if kind.endswith("StateExited"):
        return "stateExitedEventDetails"
    return f"{kind[:1].lower()}{kind[1:]}EventDetails"
