"""A scale of time that several pictures share. A long time in which nothing runs takes little room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

WIDTH = 1000.0
_CUT_WIDTH = 40.0
_LARGEST_GAP = 0.5  # of the whole period; a longer gap is cut


@dataclass(frozen=True)
class Span:
    """A period with a status."""

    start: datetime
    stop: datetime
    status: str


@dataclass(frozen=True)
class Scale:
    """A scale from ``start`` to ``stop``. ``cuts`` are the periods that are drawn shorter."""

    start: datetime
    stop: datetime
    cuts: tuple[tuple[datetime, datetime], ...] = ()

    @classmethod
    def fit(cls, spans: Sequence[Span], start: datetime, stop: datetime) -> Scale:
        """Return the scale of a period. A gap without any span that is longer than half of the period is cut."""
        start = min([start, *(span.start for span in spans)])
        stop = max([stop, start + timedelta(milliseconds=1), *(span.stop for span in spans)])
        last, cuts = start, []
        for span in [*sorted(spans, key=lambda one: one.start), Span(stop, stop, "")]:
            if span.start - last > (stop - start) * _LARGEST_GAP:
                cuts.append((last, span.start))
            last = max(last, span.stop)
        return cls(start, stop, tuple(cuts))

    def locate(self, time: datetime) -> float:
        """Return the place of a time, from 0 to WIDTH."""
        time = min(max(time, self.start), self.stop)
        shortened = sum(((end - begin) for begin, end in self.cuts), timedelta())
        room, full = WIDTH - _CUT_WIDTH * len(self.cuts), self.stop - self.start - shortened
        place, passed = 0.0, time - self.start
        for begin, end in self.cuts:
            inside = min(max(time - begin, timedelta()), end - begin)
            passed -= inside
            place += _CUT_WIDTH * (inside / (end - begin))
        return place + (room * (passed / full) if full else 0)
