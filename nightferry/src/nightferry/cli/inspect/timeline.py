"""A simulation drawn with characters: a lane for each schedule, readable without colour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from nightferry.schedules.simulation import SimulatedStart

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Glyphs:
    """What a cell shows: nothing, something that runs, something that overlaps or was kept from running."""

    idle: str = "·"
    busy: str = "█"
    overlap: str = "!"


PLAIN = Glyphs(".", "#", "!")


def wall(instant: datetime, zone: tzinfo) -> datetime:
    """What the clocks of a zone show."""
    return instant.astimezone(zone).replace(tzinfo=None)


def line(
    starts: Iterable[SimulatedStart], zone: tzinfo, since: datetime, cell: timedelta, cells: int, glyphs: Glyphs
) -> str:
    """A lane over the period from ``since`` (on the zone's clocks), each cell of one length."""
    lane = [glyphs.idle] * cells
    for start in starts:
        first = (wall(start.begin, zone) - since) // cell
        last = (max(wall(start.end, zone) - timedelta.resolution, wall(start.begin, zone)) - since) // cell
        _mark(lane, range(max(first, 0), min(last, cells - 1) + 1), start, glyphs)
    return "".join(lane)


def day(starts: Iterable[SimulatedStart], zone: tzinfo, cells: int, glyphs: Glyphs) -> str:
    """A lane over the hours of the day: all days laid over each other."""
    lane = [glyphs.idle] * cells
    cell = DAY / cells
    for start in starts:
        begin = wall(start.begin, zone)
        offset = begin - begin.replace(hour=0, minute=0, second=0, microsecond=0)
        first = offset // cell
        last = max(offset + (start.end - start.begin) - timedelta.resolution, offset) // cell
        _mark(lane, (n % cells for n in range(first, min(last, first + cells - 1) + 1)), start, glyphs)
    return "".join(lane)


def _mark(lane: list[str], cells: Iterable[int], start: SimulatedStart, glyphs: Glyphs) -> None:
    for n in cells:
        if lane[n] != glyphs.overlap:
            lane[n] = glyphs.overlap if start.overlaps else glyphs.busy


def ruler(labels: Sequence[tuple[int, str]], cells: int) -> str:
    """Labels above their cells; one that has no room is left out."""
    text = ""
    for cell, label in labels:
        if (not text or len(text) < cell) and cell + len(label) <= cells:
            text = text.ljust(cell) + label
    return text


def days_ruler(since: datetime, cell: timedelta, cells: int) -> str:
    """Dates above the cells in which their days begin."""
    labels = []
    midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
    midnight += DAY if midnight < since else timedelta()
    while midnight < since + cell * cells:
        labels.append(((midnight - since) // cell, f"{midnight:%b} {midnight.day}"))
        midnight += DAY
    return ruler(labels, cells)


def hours_ruler(cells: int) -> str:
    """Hours of the day above their cells."""
    return ruler([(hour * cells // 24, f"{hour:02}") for hour in range(0, 24, 3)], cells)
