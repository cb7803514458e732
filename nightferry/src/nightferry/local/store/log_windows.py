"""Windows of a run's log in the store.

The index ``log_line_by_run`` has the level, so counts and the search for a level read only the index. The lines of a
run are in the order of their times, because each is stored with the time of its arrival.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from nightferry.backend.log_windows import (
    ALL_LINES,
    LEVELS,
    MAX_LINES,
    Level,
    LineFilter,
    LineNumber,
    LogLine,
    LogWindow,
    Place,
    take_window,
)
from nightferry.local.store.file import StoreFile
from nightferry.local.store.times import format_time, parse_time

_END = 2**63 - 1  # after all positions


class LogWindows(StoreFile):
    """Windows and counts of the lines of a run."""

    def find_lines(
        self,
        run: str,
        wanted: LineFilter = ALL_LINES,
        *,
        before: int | None = None,
        after: int | None = None,
        around: Place | None = None,
        limit: int = MAX_LINES,
    ) -> LogWindow:
        """Return a window of a run's log; see :meth:`nightferry.backend.interface.Backend.lines`."""
        limit = min(limit, MAX_LINES)
        with self.snapshot():
            if around is not None:
                place = self._find_position(run, around)
                earlier, has_earlier = take_window(self._iterate_before(run, wanted, place, limit), limit // 2)
                later, has_later = take_window(self._iterate_from(run, wanted, place, limit), limit - limit // 2)
                lines = [*reversed(earlier), *later]
            elif after is not None:
                lines, has_later = take_window(self._iterate_from(run, wanted, after + 1, limit), limit)
                has_earlier = any(self._iterate_before(run, wanted, after + 1, 0))
            else:
                earlier, has_earlier = take_window(
                    self._iterate_before(run, wanted, _END if before is None else before, limit), limit
                )
                lines = earlier[::-1]
                has_later = before is not None and any(self._iterate_from(run, wanted, before, 0))
            return LogWindow(tuple(self._number(run, wanted, lines)), has_earlier, has_later)

    def count_lines(self, run: str, wanted: LineFilter = ALL_LINES) -> Mapping[Level, int]:
        """Return the number of a run's lines of each level that contain the filter's text."""
        text, values = _match_text(wanted)
        rows = self._db.execute(
            f"SELECT level, count(*) AS number FROM log_line WHERE run = ?{text} GROUP BY level", (run, *values)
        )
        found = {LEVELS[row["level"]]: int(row["number"]) for row in rows}
        return {level: found.get(level, 0) for level in LEVELS}

    def _iterate_from(self, run: str, wanted: LineFilter, position: int, limit: int) -> Iterator[LogLine]:
        return self._iterate(run, wanted, "position >= ?", position, "position", limit)

    def _iterate_before(self, run: str, wanted: LineFilter, position: int, limit: int) -> Iterator[LogLine]:
        return self._iterate(run, wanted, "position < ?", position, "position DESC", limit)

    def _iterate(
        self, run: str, wanted: LineFilter, side: str, position: int, order: str, limit: int
    ) -> Iterator[LogLine]:
        """Yield lines on one side of a position, and one more than ``limit``, which shows that there are more."""
        text, values = _match_text(wanted)
        level = LEVELS.index(wanted.level)
        rows = self._db.execute(
            f"SELECT position, time, text FROM log_line WHERE run = ? AND {side}"
            f"{' AND level >= ?' if level else ''}{text} ORDER BY {order} LIMIT ?",
            (run, max(min(position, _END), -_END), *([level] if level else []), *values, limit + 1),
        )
        for row in rows:
            yield LogLine(row["position"], run, parse_time(row["time"]), row["text"])

    def _number(self, run: str, wanted: LineFilter, lines: list[LogLine]) -> Iterator[LogLine]:
        """Yield the lines with their numbers. Only lines without a filter follow each other."""
        number, counted = 0, -1
        for line in lines:
            if counted >= 0 and wanted.has_all:
                number += 1
            else:
                number += self._fetch_number(
                    "SELECT count(*) FROM log_line WHERE run = ? AND position > ? AND position <= ?",
                    (run, counted, line.position),
                )
            counted = line.position
            yield replace(line, number=number)

    def _find_position(self, run: str, place: Place) -> int:
        """Return the position of the first line at or after a place, or the end."""
        if isinstance(place, datetime):
            return self._find_time(run, format_time(place))
        if isinstance(place, LineNumber):
            return self._fetch_number(
                "SELECT position FROM log_line WHERE run = ? ORDER BY position LIMIT 1 OFFSET ?",
                (run, min(max(place.number - 1, 0), _END)),
                default=_END,
            )
        return place

    def _find_time(self, run: str, time: str) -> int:
        """Return the position of the first line at or after a time, by bisection."""
        low = self._fetch_number("SELECT min(position) FROM log_line WHERE run = ?", (run,), default=0)
        high = 1 + self._fetch_number("SELECT max(position) FROM log_line WHERE run = ?", (run,), default=-1)
        while low < high:
            middle = (low + high) // 2
            row = self._db.execute(
                "SELECT position, time FROM log_line WHERE run = ? AND position >= ? ORDER BY position LIMIT 1",
                (run, middle),
            ).fetchone()
            if row["time"] < time:
                low = row["position"] + 1
            else:
                high = middle
        return low

    def _fetch_number(self, statement: str, values: tuple[Any, ...], default: int = 0) -> int:
        row = self._db.execute(statement, values).fetchone()
        return default if row is None or row[0] is None else int(row[0])


def _match_text(wanted: LineFilter) -> tuple[str, tuple[str, ...]]:
    """Return the condition for the text of a filter, with its values; nothing without a text."""
    if not wanted.text:
        return "", ()
    forms = wanted.text_forms
    return f" AND ({' OR '.join(['instr(lower(text), lower(?)) > 0'] * len(forms))})", forms
