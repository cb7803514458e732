"""The lines of runs, each once, from the one log group of an environment.

A stream is read by time, with the last minute again at every look and the last quarter of an hour now and then: lines
may become visible late, and out of order. The id that CloudWatch gives to every event tells which were given already,
so that two equal lines of one millisecond both count. What is remembered of a stream is bounded by that quarter of an
hour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from nightferry.aws.session import Aws, NotThere
from nightferry.backend.interface import LogLine, TaskRun
from nightferry.clock import Clock
from nightferry.contract import LogEvent

_RECENT = timedelta(minutes=1)
_LATE = timedelta(minutes=15)
_LOOK_FAR = 15  # of so many looks, one reads the longer time again
_END = f'"event": "{LogEvent.ENDED}"'
_SKEW = timedelta(minutes=5)  # between the clocks of this machine, of the task and of AWS


@dataclass
class _Stream:
    """Where the reading of a run's stream is."""

    name: str
    begin: int  # milliseconds
    newest: int = 0
    given: dict[str, int] = field(default_factory=dict)  # event id → its time
    looks: int = 0
    news_at: datetime | None = None
    ended: bool = False


class CloudWatchReader:
    """See :class:`nightferry.backend.interface.LogReader`.

    ``find`` returns a run by its id; ``quiet`` is the time without a new line after which a stopped run has no more.
    """

    def __init__(
        self,
        aws: Aws,
        group: str,
        stream: Callable[[TaskRun], str],
        find: Callable[[str], TaskRun],
        since: datetime | None,
        clock: Clock,
        quiet: timedelta,
    ) -> None:
        self._aws = aws
        self._group = group
        self._stream = stream
        self._find = find
        self._since = since
        self._clock = clock
        self._quiet = quiet
        self._streams: dict[str, _Stream] = {}
        self._done: set[str] = set()

    def new(self, runs: Sequence[str]) -> Iterator[LogLine]:
        """See :class:`nightferry.backend.interface.LogReader`."""
        for run in runs:
            if run not in self._done:
                yield from self._new_of(run)

    def is_drained(self, run: str) -> bool:
        """See :class:`nightferry.backend.interface.LogReader`."""
        if run in self._done:
            return True
        found, stream = self._find(run), self._streams.get(run)
        if found.status != "STOPPED" or stream is None or not stream.looks:
            return False
        never_began = found.started_at is None and found.exit_code is None
        patience = self._quiet / 4 if stream.ended else self._quiet  # ended: the runtime has written its last line
        last = max(found.stopped_at or stream.news_at or self._clock.now(), stream.news_at or found.created_at)
        if never_began or self._clock.now() - last >= patience:
            self._done.add(run)
        return run in self._done

    def _new_of(self, run: str) -> Iterator[LogLine]:
        stream = self._streams.get(run)
        if stream is None:
            found = self._find(run)
            begin = max(found.created_at - _SKEW, self._since or found.created_at - _SKEW)
            stream = self._streams[run] = _Stream(self._stream(found), _milliseconds(begin))
        far = stream.looks % _LOOK_FAR == 0 or self._find(run).status == "STOPPED"
        start = max(stream.begin, stream.newest - _span(_LATE if far else _RECENT))
        for page in self._pages(stream.name, start):
            for event in sorted(page, key=lambda event: event["timestamp"]):
                if event["eventId"] in stream.given or event.get("logStreamName", stream.name) != stream.name:
                    continue
                stream.given[event["eventId"]] = event["timestamp"]
                stream.newest = max(stream.newest, event["timestamp"])
                stream.news_at = self._clock.now()
                text = event["message"].rstrip("\r\n")
                stream.ended = stream.ended or _END in text
                time = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
                yield LogLine(_position(event), run, time, text)
            self._forget(stream)
        stream.looks += 1

    def _forget(self, stream: _Stream) -> None:
        oldest = stream.newest - _span(_LATE)
        if stream.given and next(iter(stream.given.values())) < oldest - _span(_RECENT):
            stream.given = {id: time for id, time in stream.given.items() if time >= oldest}

    def _pages(self, name: str, start: int) -> Iterator[list[Any]]:
        token: dict[str, str] = {}
        while True:
            try:
                with self._aws.asking("the lines of the log", missing=("ResourceNotFoundException",)):
                    page = self._aws.logs.filter_log_events(
                        logGroupName=self._group,
                        logStreamNames=[name],
                        startTime=start,
                        interleaved=True,  # as AWS always does: by time
                        **token,  # type: ignore[arg-type]
                    )
            except NotThere:  # a stream is made with its first line
                return
            yield page["events"]
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}


def _position(event: Any) -> int:
    """CloudWatch's event ids are long decimal numbers that grow with time; other servers' may be anything."""
    return int(event["eventId"]) if str(event["eventId"]).isdigit() else int(event["timestamp"])


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)


def _span(time: timedelta) -> int:
    return int(time.total_seconds() * 1000)
