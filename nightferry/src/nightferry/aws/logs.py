"""Read the lines of runs, each exactly once, from the environment's log group.

Lines may become visible late and out of order. Every poll therefore rereads the last minute of a stream, and some polls
reread the last 15 minutes. Lines are deduplicated by CloudWatch's event ID, so that two equal lines of the same
millisecond are both returned. The event IDs of the last 15 minutes are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from nightferry.aws.periods import to_epoch_ms
from nightferry.aws.session import Aws, ResourceNotFound
from nightferry.backend.log_lines import parse_line
from nightferry.backend.log_windows import LogLine
from nightferry.backend.runs import TaskRun
from nightferry.clock import Clock
from nightferry.contract import LogEvent

POSITIONS_PER_MILLISECOND = 10**10

_RECENT = timedelta(minutes=1)
_LATE = timedelta(minutes=15)
_LATE_INTERVAL = 15  # polls; the first of each group rereads the longer period
_END_MARKER = f'"event": "{LogEvent.ENDED}"'
MAX_CLOCK_SKEW = timedelta(minutes=5)  # between the clocks of this machine, of the task and of AWS


@dataclass(frozen=True)
class Event:
    """A line in a stream. ``timestamp`` is in milliseconds."""

    id: str
    timestamp: int
    text: str

    @classmethod
    def read(cls, event: Any) -> Event:
        """Return an event of FilterLogEvents. Without an ID, equal lines of one millisecond are the same event."""
        timestamp, text = int(event["timestamp"]), event.get("message", "").rstrip("\r\n")
        return cls(event.get("eventId") or f"{timestamp} {text}", timestamp, text)

    @property
    def position(self) -> int:
        """A number that orders events by time, and identifies each event of a millisecond.

        A page has a position for each line, so it is shorter than an event ID, and includes the time, by which
        CloudWatch finds events.
        """
        return self.timestamp * POSITIONS_PER_MILLISECOND + crc32(self.id.encode("utf-8", "surrogatepass"))

    def to_line(self, run: str) -> LogLine:
        """Return the event as a line of a run."""
        return LogLine(self.position, run, datetime.fromtimestamp(self.timestamp / 1000, UTC), self.text)


@dataclass
class _Stream:
    """The position of the reader in a run's stream."""

    name: str
    begin: int  # milliseconds
    newest: int = 0
    returned: dict[str, int] = field(default_factory=dict)  # event ID → its time in milliseconds
    polls: int = 0
    last_line_at: datetime | None = None
    ended: bool = False


class CloudWatchReader:
    """See :class:`nightferry.backend.interface.LogReader`.

    ``find`` returns a run by its ID. A stopped run is drained after the time ``quiet`` without a new line.
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
                yield from self._read_new(run)

    def is_drained(self, run: str) -> bool:
        """See :class:`nightferry.backend.interface.LogReader`."""
        if run in self._done:
            return True
        found, stream = self._find(run), self._streams.get(run)
        if found.status != "STOPPED" or stream is None or not stream.polls:
            return False
        never_started = found.started_at is None and found.exit_code is None
        # After the runtime's last line, only lines from other processes or late lines can follow.
        quiet = self._quiet / 4 if stream.ended else self._quiet
        last = max(
            found.stopped_at or stream.last_line_at or self._clock.now(), stream.last_line_at or found.created_at
        )
        if never_started or self._clock.now() - last >= quiet:
            self._done.add(run)
        return run in self._done

    def _read_new(self, run: str) -> Iterator[LogLine]:
        stream = self._streams.get(run)
        if stream is None:
            found = self._find(run)
            begin = max(found.created_at - MAX_CLOCK_SKEW, self._since or found.created_at - MAX_CLOCK_SKEW)
            stream = self._streams[run] = _Stream(self._stream(found), to_epoch_ms(begin))
        reread_late = stream.polls % _LATE_INTERVAL == 0 or self._find(run).status == "STOPPED"
        start = max(stream.begin, stream.newest - _to_ms(_LATE if reread_late else _RECENT))
        for page in self._iterate_pages(stream.name, start):
            for event in sorted(page, key=lambda event: event.timestamp):
                if event.id in stream.returned:
                    continue
                stream.returned[event.id] = event.timestamp
                stream.newest = max(stream.newest, event.timestamp)
                stream.last_line_at = self._clock.now()
                stream.ended = stream.ended or is_end(event.text)
                yield event.to_line(run)
            self._forget(stream)
        stream.polls += 1

    def _forget(self, stream: _Stream) -> None:
        oldest = stream.newest - _to_ms(_LATE)
        if stream.returned and next(iter(stream.returned.values())) < oldest - _to_ms(_RECENT):
            stream.returned = {id: time for id, time in stream.returned.items() if time >= oldest}

    def _iterate_pages(self, name: str, start: int) -> Iterator[list[Event]]:
        token: dict[str, str] = {}
        while True:
            try:
                with self._aws.translate_errors("read the log", missing=("ResourceNotFoundException",)):
                    page = self._aws.logs.filter_log_events(
                        logGroupName=self._group,
                        logStreamNames=[name],
                        startTime=start,
                        interleaved=True,  # sort by time, which is AWS's default
                        **token,  # type: ignore[arg-type]
                    )
                    found = [Event.read(item) for item in page["events"] if item.get("logStreamName", name) == name]
            except ResourceNotFound:  # the task's first line creates the stream
                return
            yield found
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}


def is_end(text: str) -> bool:
    """Return True for the runtime's last line, whose fields are not nested in those of another line."""
    return _END_MARKER in text and (parse_line(text) or {}).get("event") == LogEvent.ENDED


def _to_ms(time: timedelta) -> int:
    return int(time.total_seconds() * 1000)
