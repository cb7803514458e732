"""Writer of lines that adds duplicates and bad lines and counts all of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from paidleave.dor.files.formats import EMPLOYER, RESPONSE_A, WAGE_A, Format
from paidleave.dor.files.streams import ByteTarget
from paidleave.dor.generate.defects import DEFECTS, replace_field

Advance = Callable[[int], object]


def ignore_progress(_lines: int) -> None:
    """Do nothing; this is the ``Advance`` of callers without progress."""


@dataclass(frozen=True)
class WriteOptions:
    """The shares of bad lines and duplicates in a file, and its line ends."""

    bad_share: float = 0.0
    """Bad lines per good line, from 0 to 1, with all defects in rotation."""
    duplicate_share: float = 0.0
    """Duplicates per good line, from 0 to 1. Every other one is an older version if the line has a change time."""
    crlf: bool = False
    last_line_end: bool = True


@dataclass
class WriteCounts:
    """The counts of the written lines, by the format name of the good line that they were created from."""

    good: dict[str, int] = field(default_factory=dict)
    duplicates: dict[str, int] = field(default_factory=dict)
    bad: dict[str, dict[str, int]] = field(default_factory=dict)
    """The number of lines by format and defect (:data:`paidleave.dor.generate.defects.DEFECTS`)."""
    bytes: int = 0

    @property
    def bad_lines(self) -> int:
        """The number of lines that an import must reject."""
        return sum(count for kinds in self.bad.values() for count in kinds.values())

    @property
    def lines(self) -> int:
        """The number of lines in the file."""
        return sum(self.good.values()) + sum(self.duplicates.values()) + self.bad_lines


class Writer:
    """Writer of good lines to ``target`` that adds duplicates and bad lines.

    In a ``grouped`` file, lines belong to the last A line before them. Duplicates are therefore written in the same
    group, and a bad A line precedes the good one.
    """

    def __init__(self, target: ByteTarget, options: WriteOptions, advance: Advance, *, grouped: bool = False) -> None:
        self.written = WriteCounts()
        self._target = target
        self._options = options
        self._advance = advance
        self._grouped = grouped
        self._line_end = "\r\n" if options.crlf else "\n"
        self._late: list[str] = []  # duplicates that are written after the next lines
        self._last = ""
        self._width = 0  # of the last good line
        self._letter = ""  # its first character

    def write(self, lines: list[str], format: Format) -> None:
        """Write good ``lines`` of ``format`` and the duplicates of the previous lines."""
        late, self._late = self._late, self._make_duplicates(lines, format)
        if self._grouped:
            late, self._late = self._late, []
        self._write_lines(self._add_bad_lines(lines, format) + late)
        if lines:
            self._width, self._letter = format.width, lines[-1][0] if format.letter else ""
        self._count(self.written.good, format, len(lines))
        self._advance(len(lines))

    def finish(self) -> WriteCounts:
        """Write the remaining duplicates and the last line end; return the counts."""
        self._write_lines(self._late)
        if self.written.lines and (self._options.last_line_end or not self._has_complete_last_line()):
            self._write(self._line_end)
        return self.written

    def _has_complete_last_line(self) -> bool:
        """Return False if an import would take the file for an incomplete upload without a last line end."""
        text = self._last.encode(errors="surrogateescape").decode(errors="replace")
        return len(text) == self._width and text.startswith(self._letter)

    def _write_lines(self, lines: list[str]) -> None:
        if lines:
            self._write((self._line_end if self.written.bytes else "") + self._line_end.join(lines))
            self._last = lines[-1]

    def _write(self, text: str) -> None:
        data = text.encode(errors="surrogateescape")
        self._target.write(data)
        self.written.bytes += len(data)

    def _add_bad_lines(self, lines: list[str], format: Format) -> list[str]:
        counts = self.written.bad.setdefault(format.name, dict.fromkeys(DEFECTS[format.name], 0))
        kinds = list(DEFECTS[format.name].items())
        chosen = self._choose(self._options.bad_share, format, len(lines))
        if not chosen:
            return lines
        result: list[str] = []
        end = 0
        for turn, place in chosen:
            kind, defect = kinds[turn % len(kinds)]
            bad = defect(lines[place], format)
            result += lines[end:place] + ([bad, lines[place]] if format is RESPONSE_A else [lines[place], bad])
            counts[kind] += 1
            end = place + 1
        return result + lines[end:]

    def _make_duplicates(self, lines: list[str], format: Format) -> list[str]:
        chosen = self._choose(self._options.duplicate_share, format, len(lines))
        self._count(self.written.duplicates, format, len(chosen))
        return [_make_older(lines[place], format) if turn % 2 else lines[place] for turn, place in chosen]

    def _choose(self, share: float, format: Format, count: int) -> list[tuple[int, int]]:
        """Choose a ``share`` of the next ``count`` good lines; return the index of each choice and its position.

        Line ``n`` (from 0) is chosen if n times ``share`` passes an integer, so that the choice does not depend on how
        the lines are split into calls.
        """
        before = self.written.good.get(format.name, 0)
        if not share:
            return []
        first, last = int(before * share), int((before + count) * share)
        places = (
            next(n for n in itertools.count(max(0, int(turn / share) - 1)) if int((n + 1) * share) > turn)
            for turn in range(first, last)
        )
        return [(turn, place - before) for turn, place in zip(range(first, last), places, strict=True)]

    @staticmethod
    def _count(counts: dict[str, int], format: Format, lines: int) -> None:
        counts[format.name] = counts.get(format.name, 0) + lines


def _make_older(line: str, format: Format) -> str:
    """Return an older version of ``line`` that an import must ignore, or ``line`` if it has no change time."""
    if format is EMPLOYER:
        older = replace_field(line, format, "updated_date", "20190101000000")
        return replace_field(older, format, "employer_dba", "Outdated")
    if format is WAGE_A:
        older = replace_field(line, format, "updated_date", "20190101000000")
        return replace_field(older, format, "total_pfml_contribution", "0.01")
    return line
