"""The client tokens of RunTask, for the fakes of ECS.

ECS scopes tokens to a cluster and returns the original response for a repeated request, including ``failures``. A
request with other parameters is a conflict that names the tasks of the first one. ECS remembers a token for the lesser
of 24 hours and the task's lifetime plus one hour (ECS API, "Ensuring idempotency"). The API does not state this time
for a start without a task. The fake remembers such a token for 24 hours, so that a caller cannot depend on less.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nightferry.clock import Clock

_LONGEST = timedelta(hours=24)
_AFTER_STOP = timedelta(hours=1)


class TokenConflict(Exception):
    """The token was used with other parameters, and started ``tasks`` (ARNs)."""

    def __init__(self, tasks: list[str]) -> None:
        super().__init__("The provided clientToken is already in use with a different RunTask request.")
        self.tasks = tasks

    def to_response(self) -> dict[str, Any]:
        """Return the body of the error."""
        return {"__type": "ConflictException", "message": str(self), "resourceIds": self.tasks}


@dataclass(frozen=True)
class _Start:
    parameters: Mapping[str, Any]
    response: dict[str, Any]
    at: datetime

    @property
    def tasks(self) -> list[str]:
        return [task["taskArn"] for task in self.response.get("tasks", [])]


class ClientTokens:
    """The tokens that ECS remembers. ``read_stop`` returns when a task (ARN) stopped, or None if it has not."""

    def __init__(self, clock: Clock, read_stop: Callable[[str], datetime | None]) -> None:
        self._clock = clock
        self._read_stop = read_stop
        self._starts: dict[tuple[str, str], _Start] = {}

    def find(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the original response to a request, or None if its token is new. Raises TokenConflict."""
        key = _get_key(request)
        start = None if key is None else self._starts.get(key)
        if start is None or self._is_forgotten(start):
            return None
        if start.parameters != _get_parameters(request):
            raise TokenConflict(start.tasks)
        return start.response

    def remember(self, request: Mapping[str, Any], response: dict[str, Any]) -> None:
        """Store the response to a request, if it has a token."""
        if (key := _get_key(request)) is not None:
            self._starts[key] = _Start(_get_parameters(request), response, self._clock.now())

    def clear(self) -> None:
        """Forget all tokens."""
        self._starts.clear()

    def _is_forgotten(self, start: _Start) -> bool:
        end = start.at + _LONGEST
        stops = [self._read_stop(task) for task in start.tasks]
        if stops and None not in stops:
            end = min(end, max(filter(None, stops)) + _AFTER_STOP)
        return self._clock.now() > end


def _get_key(request: Mapping[str, Any]) -> tuple[str, str] | None:
    token = request.get("clientToken")
    cluster = str(request.get("cluster", "default")).rpartition("/")[2]
    return None if token is None else (cluster, token)


def _get_parameters(request: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != "clientToken"}
