"""Withhold the messages of exceptions that are printed as tracebacks, by a child program or ``traceback.print_exc``.

Only the strict policy withholds them. A traceback in a stream of lines::

    Traceback (most recent call last):
      File "/app/job.py", line 7, in main             shown
        load(person)                                  hidden: source lines
    psycopg.errors.UniqueViolation: duplicate key …   shown as "psycopg.errors.UniqueViolation: [message withheld]"
    DETAIL:  Key (name)=(…) already exists.           hidden: further lines of the message

The message ends at an empty line, at the beginning of another traceback, or after many lines.
"""

from __future__ import annotations

import re

from nightferry.contract import Privacy
from nightferry.job.redaction import redactor

_WITHHELD = "[message withheld]"
_MAX_MESSAGE_LINES = 50
_MARGIN = r"[\s|+]{0,64}"  # an exception group indents its members and draws a line beside them
_BEGIN = re.compile(rf"{_MARGIN}(?:Exception Group )?Traceback \(most recent call last\):")
_FRAME = re.compile(rf'{_MARGIN}File "')
_LINK = re.compile(rf"{_MARGIN}(?:The above exception was|During handling of the above exception)")
_SOURCE = re.compile(r"[\s|]{4}")
_ERROR = re.compile(rf"(?P<type>{_MARGIN}[A-Za-z_][\w.]{{0,200}})(?::|\Z)")


class PrintedErrors:
    """The state of one stream of lines."""

    def __init__(self) -> None:
        self._inside = False
        self._message_lines = 0

    def withhold(self, line: str) -> str | None:
        """Return the line as it may be shown, or None to hide it."""
        if redactor.privacy is not Privacy.STRICT:
            return line
        if _BEGIN.match(line):
            self._inside, self._message_lines = True, 0
        elif self._inside and not _FRAME.match(line):
            return self._withhold_in_traceback(line)
        elif self._message_lines:
            return self._withhold_message(line)
        return line

    def _withhold_in_traceback(self, line: str) -> str | None:
        error = _ERROR.match(line)
        if error is None or _SOURCE.match(line):
            return None
        self._inside, self._message_lines = False, _MAX_MESSAGE_LINES
        return f"{error['type']}: {_WITHHELD}" if error.end() < len(line) else line

    def _withhold_message(self, line: str) -> str | None:
        if not line.strip() or _LINK.match(line):
            self._message_lines = 0
            return line
        self._message_lines -= 1
        return None
