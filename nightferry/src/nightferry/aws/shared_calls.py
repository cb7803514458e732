"""Responses of AWS that all threads of a server share, so that many open pages cause no more calls than one.

::

    call ─► known and new enough? ──yes──► the known response
                   │ no
                   ▼
            one thread calls AWS, the others wait ─► new response, or the last one with its age and the problem

The rate of calls is bounded whatever the pages request. Each different call may be made again after a time that grows
with the number of different calls: while nothing happens, six of them are made in a minute; while tasks are running or
something has changed, one in a second. A call that changes something makes all responses old.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nightferry.aws.session import AccessDenied, Aws, cached
from nightferry.backend.errors import Unreachable
from nightferry.backend.freshness import Freshness, Reading
from nightferry.clock import Clock, get_clock
from nightferry.errors import NightferryError

if TYPE_CHECKING:
    import boto3

_SERVICES = frozenset({"cloudwatch", "ecs", "events", "logs", "scheduler", "sqs", "stepfunctions"})
_READS = ("Describe", "Filter", "Get", "List")
_FOLLOWING = frozenset({"GetLogEvents"})  # of a log that a person follows; the server limits their number

IDLE_SECONDS = 10.0  # for each different call, between two of them while nothing happens: six in a minute
ACTIVE_SECONDS = 1.0  # the same while something happens
_LEAST_SECONDS = {True: 2.0, False: 10.0}  # between two equal calls: while something happens, and otherwise
_ACTIVE_FOR = 120.0  # seconds after a change
_LIVE_FOR = 300.0  # seconds after its last use, in which a call counts
_KEPT_ITEMS = 50_000  # in all lists of all known responses


@dataclass
class _Entry:
    """One call and its last response. The lock is held during the call."""

    follows: bool
    lock: threading.Lock = field(default_factory=threading.Lock)
    response: Mapping[str, Any] | None = None
    reading: Reading | None = None
    error: Exception | None = None
    tried_at: float = float("-inf")
    used_at: float = float("-inf")
    weight: int = 1


class SharedCalls:
    """The responses by call. ``describe`` returns the error of the backend interface for one of boto3."""

    def __init__(
        self, freshness: Freshness, describe: Callable[[Exception], NightferryError], clock: Clock | None = None
    ) -> None:
        self._freshness = freshness
        self._describe = describe
        self._clock = clock or get_clock()
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._changed_at = float("-inf")

    def call(self, service: str, operation: str, parameters: Mapping[str, Any], make: Callable[[], Any]) -> Any:
        """Return the response to a call; ``make`` makes it."""
        if service not in _SERVICES:
            return make()
        if not operation.startswith(_READS):
            return self._change(make)
        entry = self._find(f"{service} {operation} {sorted(parameters.items())!r}", operation in _FOLLOWING)
        with entry.lock:
            if self._now() - entry.tried_at >= self._choose_seconds(entry):
                self._read(entry, operation, parameters, make)
            if entry.response is None:
                assert entry.error is not None
                raise entry.error
            assert entry.reading is not None
            self._freshness.use(entry.reading)
            return entry.response

    def _now(self) -> float:
        return self._clock.now().timestamp()

    def _find(self, key: str, follows: bool) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry(follows))
            self._entries.move_to_end(key)
            entry.used_at = self._now()
            while len(self._entries) > 1 and sum(one.weight for one in self._entries.values()) > _KEPT_ITEMS:
                self._entries.popitem(last=False)
            return entry

    def _choose_seconds(self, entry: _Entry) -> float:
        """Return the time after which a call may be made again."""
        if self._freshness.longest is not None:
            return self._freshness.longest
        now = self._now()
        active = now - self._changed_at < _ACTIVE_FOR
        if entry.follows:
            return _LEAST_SECONDS[True]
        with self._lock:
            live = sum(not one.follows and now - one.used_at < _LIVE_FOR for one in self._entries.values())
        return max(_LEAST_SECONDS[active], live * (ACTIVE_SECONDS if active else IDLE_SECONDS))

    def _read(
        self, entry: _Entry, operation: str, parameters: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]
    ) -> None:
        try:
            response = make()
        except Exception as error:
            entry.tried_at = self._now()
            problem = self._describe(error)
            if entry.reading is None or not isinstance(problem, Unreachable | AccessDenied):
                entry.error, entry.response = error, None
            else:
                entry.reading = Reading(entry.reading.time, str(problem))
            return
        entry.tried_at = self._now()
        changed = entry.response is not None and _strip(response) != _strip(entry.response)
        if changed or _is_open_work(operation, parameters, response):
            self._changed_at = entry.tried_at
        entry.response, entry.reading, entry.error = response, Reading(self._clock.now()), None
        entry.weight = 1 + sum(len(value) for value in response.values() if isinstance(value, list))

    def _change(self, make: Callable[[], Any]) -> Any:
        try:
            return make()
        finally:  # also after an error, because AWS may have executed the request
            with self._lock:
                self._changed_at = self._now()
                for entry in self._entries.values():
                    entry.tried_at = float("-inf")


class SharedAws(Aws):
    """AWS whose read calls are shared."""

    def __init__(self, region: str, account: str, freshness: Freshness, clock: Clock | None = None) -> None:
        super().__init__(region, account, attempts=2)  # a person waits, and the page is loaded again
        self._calls = SharedCalls(freshness, self._describe, clock)

    @cached
    def session(self) -> boto3.Session:
        """Return the session, whose clients share their read calls."""
        session, calls = self.create_session(), self._calls

        class Sharing:
            def _make_api_call(self, operation_name: str, api_params: Any) -> Any:
                client: Any = self
                make: Any = super()._make_api_call  # type: ignore[misc]
                service = client.meta.service_model.service_name
                return calls.call(service, operation_name, api_params, lambda: make(operation_name, api_params))

        def add_sharing(base_classes: list[type], **_: object) -> None:
            base_classes.insert(0, Sharing)

        session.events.register("creating-client-class", add_sharing)
        return session

    def _describe(self, error: Exception) -> NightferryError:
        """Return the error of the backend interface, and renew credentials that have expired."""
        try:
            with self.translate_errors("read the current state"):
                raise error
        except NightferryError as translated:
            return translated
        except Exception as other:
            return NightferryError(f"Cannot read the current state ({type(other).__name__}).")


def _strip(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return a response without the metadata of its transfer."""
    return {name: value for name, value in response.items() if name not in ("ResponseMetadata", "nextToken")}


def _is_open_work(operation: str, parameters: Mapping[str, Any], response: Mapping[str, Any]) -> bool:
    """Return True if a list shows that a task or an execution is running."""
    match operation:
        case "ListTasks":
            return parameters.get("desiredStatus") == "RUNNING" and bool(response["taskArns"])
        case "ListExecutions":
            return any(one.get("status") == "RUNNING" for one in response["executions"])
    return False
