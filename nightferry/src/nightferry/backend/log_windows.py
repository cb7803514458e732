"""Windows of a run's log: the lines before, after or around a place, of a level and with a text.

A log may have hundreds of thousands of lines, so no caller reads it as a whole. A window is at most
:data:`MAX_LINES` lines and about :data:`MAX_CHARACTERS` characters.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]

LEVELS: tuple[Level, ...] = get_args(Level)
"""The levels of lines, the lowest first."""

MAX_LINES = 1000
MAX_CHARACTERS = 1_000_000
"""The limits of a window. It has at least one line, whose length the engine and CloudWatch limit to 256 KB."""


@dataclass(frozen=True)
class LogLine:
    """A line that a run wrote. ``position`` identifies the line, and its order up to a millisecond.

    ``number`` counts the lines of the run from 1. Only windows have it, if it is known.
    """

    position: int
    run: str
    time: datetime
    text: str
    number: int | None = None


@dataclass(frozen=True)
class LineFilter:
    """The lines that a window is for: those of ``level`` and above that contain ``text``.

    A line that the job runtime did not write counts as INFO. The local engine searches without regard to case; on AWS,
    the case matters.
    """

    level: Level = "DEBUG"
    text: str = ""

    def matches(self, level: Level, text: str) -> bool:
        """Return True for a line of this level and text, with regard to case."""
        return LEVELS.index(level) >= LEVELS.index(self.level) and any(form in text for form in self.text_forms)

    @property
    def text_forms(self) -> tuple[str, ...]:
        """The forms of the text that a line may contain: as it is, or within JSON, which escapes some characters."""
        return tuple(dict.fromkeys((self.text, json.dumps(self.text, ensure_ascii=False)[1:-1])))

    @property
    def has_all(self) -> bool:
        """True if every line matches."""
        return self.level == LEVELS[0] and not self.text


ALL_LINES = LineFilter()


@dataclass(frozen=True)
class LineNumber:
    """The place of a line by its number within the run, from 1."""

    number: int


Place = int | LineNumber | datetime
"""A place in a log: the position of a line, its number, or a time."""


@dataclass(frozen=True)
class LogWindow:
    """Lines of a log in order, and whether the log has further lines of the filter before and after them.

    If a search ended at its limits, ``resume`` continues it; the lines so far are then not all of the window.
    """

    lines: tuple[LogLine, ...]
    has_earlier: bool
    has_later: bool
    resume: str | None = None


def take_window(lines: Iterable[LogLine], limit: int) -> tuple[list[LogLine], bool]:
    """Return the first lines within the limits of a window, and whether there are more."""
    taken: list[LogLine] = []
    characters = 0
    for line in lines:
        characters += len(line.text)
        if len(taken) == limit or (taken and characters > MAX_CHARACTERS):
            return taken, True
        taken.append(line)
    return taken, False
