"""Draw a simulation with characters: a row for each schedule, readable without color."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from nightferry.schedules.simulation import SimulatedStart

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Glyphs:
    """The characters of a cell: idle, busy, or overlapping (including skipped and waiting starts)."""

    idle: str = "·"
    busy: str = "█"
    overlap: str = "!"


PLAIN = Glyphs(".", "#", "!")


def to_local_time(instant: datetime, zone: tzinfo) -> datetime:
    """Return the local time in a time zone, without an offset."""
    return instant.astimezone(zone).replace(tzinfo=None)


def draw_period(
    starts: Iterable[SimulatedStart], zone: tzinfo, since: datetime, cell: timedelta, cells: int, glyphs: Glyphs
) -> str:
    """Return a row of cells of equal length, for the period that starts at ``since`` (local time)."""
    row = [glyphs.idle] * cells
    for start in starts:
        first = (to_local_time(start.begin, zone) - since) // cell
        last = (
            max(to_local_time(start.end, zone) - timedelta.resolution, to_local_time(start.begin, zone)) - since
        ) // cell
        _mark(row, range(max(first, 0), min(last, cells - 1) + 1), start, glyphs)
    return "".join(row)


def draw_day(starts: Iterable[SimulatedStart], zone: tzinfo, cells: int, glyphs: Glyphs) -> str:
    """Return a row for the hours of the day, in which all days are combined."""
    row = [glyphs.idle] * cells
    cell = DAY / cells
    for start in starts:
        begin = to_local_time(start.begin, zone)
        offset = begin - begin.replace(hour=0, minute=0, second=0, microsecond=0)
        first = offset // cell
        last = max(offset + (start.end - start.begin) - timedelta.resolution, offset) // cell
        _mark(row, (n % cells for n in range(first, min(last, first + cells - 1) + 1)), start, glyphs)
    return "".join(row)


def _mark(row: list[str], cells: Iterable[int], start: SimulatedStart, glyphs: Glyphs) -> None:
    for n in cells:
        if row[n] != glyphs.overlap:
            row[n] = glyphs.overlap if start.overlaps else glyphs.busy


def draw_ruler(labels: Sequence[tuple[int, str]], cells: int) -> str:
    """Return labels above their cells. A label that does not fit is omitted."""
    text = ""
    for cell, label in labels:
        if (not text or len(text) < cell) and cell + len(label) <= cells:
            text = text.ljust(cell) + label
    return text


def draw_days_ruler(since: datetime, cell: timedelta, cells: int) -> str:
    """Return dates above the cells in which their days start."""
    labels = []
    midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
    midnight += DAY if midnight < since else timedelta()
    while midnight < since + cell * cells:
        labels.append(((midnight - since) // cell, f"{midnight:%b} {midnight.day}"))
        midnight += DAY
    return draw_ruler(labels, cells)


def draw_hours_ruler(cells: int) -> str:
    """Return the hours of the day above their cells."""
    return draw_ruler([(hour * cells // 24, f"{hour:02}") for hour in range(0, 24, 3)], cells)
