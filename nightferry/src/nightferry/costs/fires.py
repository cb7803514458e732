"""The fires of schedules in a month, counted by their calendars, with changes to daylight saving time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from nightferry.catalog.catalog import Catalog
from nightferry.catalog.declarations import Schedule
from nightferry.catalog.references import substitute
from nightferry.environments.environment import Environment
from nightferry.errors import NightferryError
from nightferry.schedules.expressions import parse
from nightferry.schedules.fire_times import list_fires


class InvalidMonth(NightferryError):
    """The text is not a month."""


@dataclass(frozen=True)
class Month:
    """A calendar month in UTC, as AWS bills it."""

    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}"

    @property
    def begin(self) -> datetime:
        """The first instant of the month."""
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def end(self) -> datetime:
        """The first instant of the next month."""
        return datetime(self.year + self.month // 12, self.month % 12 + 1, 1, tzinfo=UTC)

    @property
    def days(self) -> int:
        """The number of days."""
        return (self.end - self.begin).days

    @classmethod
    def of(cls, time: datetime) -> Month:
        """Return the month of a time."""
        time = time.astimezone(UTC)
        return cls(time.year, time.month)

    @classmethod
    def parse(cls, text: str) -> Month:
        """Return the month of a text such as 2026-11. Raises InvalidMonth."""
        try:
            time = datetime.strptime(text, "%Y-%m")
            if 1970 <= time.year <= 2199:  # as in a schedule
                return cls(time.year, time.month)
            raise InvalidMonth(f"'{text}' is out of range. Use a year from 1970 to 2199.")
        except ValueError:
            raise InvalidMonth(f"'{text}' is not a month. Write it as in 2026-11.") from None


def is_enabled(schedule: Schedule, environment: Environment) -> bool:
    """Return True if the schedule fires in the environment."""
    enabled: str = substitute(schedule.enabled, lambda reference: environment.settings[reference.name])
    return enabled == "true"


def count_fires(
    schedule: Schedule,
    environment: Environment,
    begin: datetime,
    end: datetime,
    first_seen: Mapping[str, datetime] | None = None,
) -> int:
    """Return the number of fires of a schedule from ``begin`` to ``end``, which is exclusive; 0 if it is disabled.

    A rate is counted from its declared start or from ``first_seen``, without both from ``begin``.
    """
    if not is_enabled(schedule, environment) or begin >= end:
        return 0
    expression = parse(substitute(schedule.expression, lambda reference: environment.settings[reference.name]))
    start = schedule.start or (first_seen or {}).get(schedule.name)
    zone = ZoneInfo(schedule.timezone)
    last = end - datetime.resolution
    return sum(1 for _ in list_fires(expression, zone, begin, last, start=start, end=schedule.end))


def count_starts(
    catalog: Catalog,
    environment: Environment,
    begin: datetime,
    end: datetime,
    first_seen: Mapping[str, datetime] | None = None,
) -> dict[str, dict[str, int]]:
    """Return the fires by target and schedule. Schedules that do not fire in this time are not in it."""
    found: dict[str, dict[str, int]] = {}
    for schedule in catalog.schedules.values():
        if fires := count_fires(schedule, environment, begin, end, first_seen):
            found.setdefault(schedule.target, {})[schedule.name] = fires
    return found
