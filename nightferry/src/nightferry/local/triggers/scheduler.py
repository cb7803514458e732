"""The local scheduler: it makes the starts of schedules at their times, once each.

The store records the progress of each schedule (``decided_until``) and every start by its token
``schedule:NAME:FIRE``. Both are written in one transaction with the run or execution, so a killed engine neither loses
nor repeats a start. If the clock jumps back, the repeated times are processed again, and the tokens show which starts
were made already.

A fire that is processed more than a minute late is missed: the engine was down, the machine slept, or the clock jumped.
``catch_up`` selects the reaction: ``skip`` starts nothing, ``once`` starts for the last missed fire, and ``all`` starts
for each of the last 2,000 of them, oldest first.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from time import monotonic
from zoneinfo import ZoneInfo

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Schedule
from nightferry.catalog.references import substitute
from nightferry.environments.environment import Environment
from nightferry.errors import NightferryError
from nightferry.local.runs.starts import Starter, StartRequest, make_scheduled_start
from nightferry.local.store import ScheduleRecord, StartRecord, Store, StoreDamaged, now
from nightferry.local.store.retrying import retry_while_locked
from nightferry.schedules.expressions import At, Expression, Rate, find_next_fire, iterate_occurrences, parse

_LONG_AGO = datetime.min.replace(tzinfo=UTC)
MISSED_AFTER = timedelta(minutes=1)  # the precision of EventBridge Scheduler
_RETRY_DELAY = timedelta(seconds=10)  # after a start that failed
_POLL_SECONDS = 0.25  # between two reads of the clock, which may jump
MAX_CAUGHT_UP = 2000  # starts with catch_up = all: a day of a schedule that fires each minute
_TICK_SECONDS = 0.2  # after which other due schedules wait for the next tick, because a tick blocks the event loop
_BATCH_STARTS = 20  # starts at once with catch_up = all, of all schedules; the event loop runs between two batches
_MAX_COUNTED = 10_000  # missed fires that are counted exactly

_log = logging.getLogger("nightferry.engine")


@dataclass
class _ActiveSchedule:
    """An enabled schedule in this environment, and its next fire."""

    declared: Schedule
    expression: Expression
    zone: ZoneInfo
    record: ScheduleRecord
    due: datetime | None = None
    retry_at: datetime = _LONG_AGO
    catching_up: bool = False  # with catch_up = all, after the oldest missed fires were dropped

    def __post_init__(self) -> None:
        self.due = self.find_next(self.record.decided_until)

    def find_next(self, time: datetime) -> datetime | None:
        """Return the first fire after a time."""
        return find_next_fire(self.expression, time, self.zone, self._start, self.declared.end)

    def iterate_fires(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """Yield the fires after ``after`` up to and including ``until``."""
        found = iterate_occurrences(self.expression, after, self.zone, start=self._start, end=self.declared.end)
        for one in found:
            if one.instant > until:
                return
            if one.fires:
                yield one.instant

    def find_last_fire(self, after: datetime, until: datetime) -> datetime | None:
        """Return the last fire after ``after`` up to and including ``until``."""
        return next(iter(self.find_last_fires(after, until, 1)), None)

    def find_last_fires(self, after: datetime, until: datetime, number: int) -> list[datetime]:
        """Return the last ``number`` fires after ``after`` up to and including ``until``, without finding all."""
        span = timedelta(minutes=2)
        while True:
            start = max(after, until - span)
            last = deque(self.iterate_fires(start, until), maxlen=number)
            if len(last) == number or start == after:
                return list(last)
            span *= 4

    @property
    def _start(self) -> datetime | None:
        if self.declared.start is None and not isinstance(self.expression, At):
            return self.record.first_seen  # the origin of a rate; nothing fires before it
        return self.declared.start


def _fires_at_once(schedule: Schedule, expression: Expression) -> bool:
    """Return True if the schedule fires when it is created, as a rate of EventBridge Scheduler without a start does."""
    return isinstance(expression, Rate) and schedule.start is None and schedule.via == "scheduler"


class Scheduler:
    """The component of the engine for schedules. ``clock`` returns the current time in UTC."""

    def __init__(
        self,
        store: Store,
        starter: Starter,
        catalog: Catalog,
        environment: Environment,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._store = store
        self._starter = starter
        self._clock = clock
        self._catalog = catalog
        self._environment = environment
        self._active: dict[str, _ActiveSchedule] = {}
        self._last_tick: datetime | None = None
        self._batch_left = 0  # starts for missed fires that this tick may still make
        self.lateness: float = 0.0
        """The delay in seconds of the last start that was not missed."""

    async def run(self) -> None:
        """Process due fires until canceled."""
        while True:
            began = monotonic()
            more = await retry_while_locked(self.tick)
            spent = monotonic() - began
            await asyncio.sleep(min(spent, _POLL_SECONDS) if more else _POLL_SECONDS)  # half of the time is for others

    def next_fires(self) -> list[tuple[datetime, str]]:
        """Return the next fire of each enabled schedule, earliest first."""
        return sorted((one.due, name) for name, one in self._active.items() if one.due is not None)

    def overdue(self) -> float:
        """Return the seconds since the oldest due fire that is not decided yet; 0 if none is due."""
        fires = self.next_fires()
        return max(0.0, (self._clock() - fires[0][0]).total_seconds()) if fires else 0.0

    def tick(self) -> bool:
        """Make due starts; return True if more are due."""
        time = self._clock()
        if self._last_tick is None:
            self._load_schedules(time)
        elif time < self._last_tick:
            self._handle_clock_jump(time)
        self._last_tick = time
        more = False
        self._batch_left = _BATCH_STARTS
        end = monotonic() + _TICK_SECONDS
        for watched in self._find_due(time):
            try:
                more = self._fire(watched, time) or more
            except StoreDamaged:
                raise
            except NightferryError as error:  # for example, if a service whose address is needed does not start
                watched.retry_at = time + _RETRY_DELAY
                self._log_failure(watched, error)
            if monotonic() > end:
                return True
        return more

    def _find_due(self, time: datetime) -> list[_ActiveSchedule]:
        """Return the schedules with due fires, the oldest first, so that all of them catch up."""
        due = [(one.due, one) for one in self._active.values() if one.due is not None and time >= one.retry_at]
        return [one for at, one in sorted(due, key=lambda found: found[0]) if at <= time]

    # ── schedules ─────────────────────────────────────────────────────────────────────────────────────────────

    def _load_schedules(self, time: datetime) -> None:
        """Load the catalog's schedules, and their progress under an earlier engine."""
        known = self._store.schedules()
        settings = self._environment.settings
        for name, declared in self._catalog.schedules.items():
            text, switch = substitute(
                [declared.expression, declared.enabled], lambda reference: settings[reference.name]
            )
            enabled = switch == "true"
            period = [one.isoformat() if one else None for one in (declared.start, declared.end)]
            definition = json.dumps([text, declared.timezone, *period])
            record = known.get(name)
            if record is None or record.definition != definition:  # A changed expression has no fires in the past.
                first_seen = time.replace(microsecond=0)
                decided_until = time
                if record is None and enabled and _fires_at_once(declared, parse(text)):
                    decided_until = first_seen - timedelta.resolution
                record = ScheduleRecord(name, definition, enabled, first_seen, decided_until)
            elif enabled and not record.enabled:  # Neither has a schedule that was disabled.
                record = replace(record, decided_until=time)
            record = replace(
                record,
                enabled=enabled,
                first_seen=min(record.first_seen, time),  # It is in the future if the clock was wrong.
                decided_until=min(record.decided_until, time),
            )
            if record != known.get(name):
                self._store.save_schedule(record)
            if enabled:
                self._active[name] = _ActiveSchedule(declared, parse(text), ZoneInfo(declared.timezone), record)
            else:
                self._active.pop(name, None)
        for name in known.keys() - self._catalog.schedules.keys():
            if known[name].enabled:  # If it is declared again, it has no fires in the past either.
                self._store.save_schedule(replace(known[name], enabled=False))

    def _handle_clock_jump(self, time: datetime) -> None:
        assert self._last_tick is not None
        jump = self._last_tick - time
        if jump > timedelta(seconds=1):
            _log.warning(
                "The clock was set back by %s. Starts that were already made are not repeated.",
                jump,
                extra={"event": "clock_back", "seconds": jump.total_seconds()},
            )
        self._load_schedules(time)

    # ── due fires ─────────────────────────────────────────────────────────────────────────────────────────────

    def _fire(self, watched: _ActiveSchedule, time: datetime) -> bool:
        """Decide due fires in one transaction; return True if more are due."""
        missed_until = self._find_last_missed(watched, time)
        starts: list[StartRecord] = []
        until = time
        catching_up = missed_until is not None and watched.declared.catch_up == "all"
        if catching_up and not self._batch_left:
            return True
        with self._store.transaction():
            if missed_until is not None and catching_up:
                starts += [] if watched.catching_up else self._drop_oldest(watched, missed_until)
                fires = watched.iterate_fires(watched.record.decided_until, missed_until)
                batch = list(islice(fires, self._batch_left))
                self._batch_left -= len(batch)
                note = "Started late because of catch_up = all."
                starts += [self._starter.start(self._make_start_request(watched, fire, note)) for fire in batch]
                until = batch[-1]
            else:
                if missed_until is not None:
                    starts.append(self._record_missed(watched, missed_until))
                in_time = watched.iterate_fires(missed_until or watched.record.decided_until, time)
                starts += [self._starter.start(self._make_start_request(watched, fire)) for fire in in_time]
            record = replace(watched.record, decided_until=until)
            self._store.save_schedule(record)
        watched.record = record
        watched.catching_up = catching_up
        watched.due = watched.find_next(until)
        for start in starts:
            self._log_start(start, time)
        return watched.due is not None and watched.due <= time

    def _find_last_missed(self, watched: _ActiveSchedule, time: datetime) -> datetime | None:
        assert watched.due is not None
        late = time - MISSED_AFTER
        return watched.find_last_fire(watched.record.decided_until, late) if watched.due <= late else None

    def _drop_oldest(self, watched: _ActiveSchedule, missed_until: datetime) -> list[StartRecord]:
        """Record as missed the fires before the last ones that catch_up = all starts for."""
        last = watched.find_last_fires(watched.record.decided_until, missed_until, MAX_CAUGHT_UP + 1)
        if len(last) <= MAX_CAUGHT_UP:
            return []
        note = (
            f"{self._count_missed(watched, last[0])}; not started, because catch_up = all starts for the last "
            f"{MAX_CAUGHT_UP:,} times only. To start the others: nightferry backfill {watched.declared.name}"
        )
        watched.record = replace(watched.record, decided_until=last[0])
        return [self._starter.record_missed(self._make_start_request(watched, last[0], note))]

    @staticmethod
    def _count_missed(watched: _ActiveSchedule, last: datetime) -> str:
        fires = list(islice(watched.iterate_fires(watched.record.decided_until, last), _MAX_COUNTED + 1))
        number = str(len(fires)) if len(fires) <= _MAX_COUNTED else f"More than {_MAX_COUNTED}"
        return f"{number} missed since {fires[0]:%Y-%m-%d %H:%M:%S} UTC"

    def _record_missed(self, watched: _ActiveSchedule, last: datetime) -> StartRecord:
        """Record the fires missed up to ``last``: make one start for all of them, or none."""
        since = self._count_missed(watched, last)
        if watched.declared.catch_up == "once":
            note = f"{since}." if since.startswith("1 ") else f"{since}; one start for all of them."
            return self._starter.start(self._make_start_request(watched, last, note))
        note = f"{since}; not started because of catch_up = skip."
        return self._starter.record_missed(self._make_start_request(watched, last, note))

    def _make_start_request(self, watched: _ActiveSchedule, fire: datetime, note: str | None = None) -> StartRequest:
        return make_scheduled_start(watched.declared, fire, note=note)

    def _log_failure(self, watched: _ActiveSchedule, error: NightferryError) -> None:
        _log.error(
            "Schedule '%s' cannot start %s '%s' and will retry. %s",
            watched.declared.name, watched.declared.kind, watched.declared.target, str(error),
            extra={"event": "schedule_failed", "schedule": watched.declared.name},
        )  # fmt: skip

    def _log_start(self, start: StartRecord, time: datetime) -> None:
        lateness = (time - start.due_at).total_seconds()
        if start.outcome == "started" and start.note is None:
            self.lateness = lateness
        words = {"started": "started", "skipped": "skipped", "missed": "missed"}
        level = logging.INFO if start.outcome == "started" else logging.WARNING
        note = f" {start.note}" if start.note else ""
        _log.log(
            level,
            "Schedule '%s': %s '%s' %s.%s",
            start.source.partition(":")[2],
            start.kind,
            start.target,
            words[start.outcome],
            note,
            extra={
                "event": f"schedule_{start.outcome}",
                "schedule": start.source.partition(":")[2],
                "due_at": start.due_at.isoformat(),
                "late_seconds": round(lateness, 3),
                "id": start.id,
            },
        )
