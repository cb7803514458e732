"""Withhold the messages of exceptions that are printed or formatted as tracebacks, which the strict policy does.

A traceback, of ``traceback.print_exc``, ``traceback.format_exc`` or a child program::

    Traceback (most recent call last):                shown, with what precedes it in its line
      File "/app/job.py", line 7, in main             shown
        load(person)                                  hidden: source lines
    psycopg.errors.UniqueViolation: duplicate key …   shown as "psycopg.errors.UniqueViolation: [message withheld]"
    DETAIL:  Key (name)=(…) already exists.           hidden: further lines of the message, also after empty ones

The message ends with the text that contains it, at the beginning of another traceback, or, in a stream of lines, after
many lines.
"""

from __future__ import annotations

import re

TRACEBACK = "Traceback (most recent call last):"

_WITHHELD = "[message withheld]"
_MAX_MESSAGE_LINES = 1000  # such as that of a validation error with many problems
_MAX_TEXT_LINES = 1000  # of a text with a traceback that are shown; a message in it has no end
_MARGIN = r"[\s|+]{0,64}"  # an exception group indents its members and draws a line beside them
_FRAME = re.compile(rf'{_MARGIN}File "')
_SYNTAX_ERROR = re.compile(rf'{_MARGIN}File "[^"]{{1,4096}}", line \d{{1,9}}\Z')  # without a traceback
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
        if TRACEBACK in line:
            return self._begin(line)
        if not self._inside and _SYNTAX_ERROR.match(line):
            self._inside = True
        elif self._inside and not _FRAME.match(line):
            return self._withhold_in_traceback(line)
        elif self._message_lines:
            return self._withhold_message(line)
        return line

    def _begin(self, line: str) -> str:
        before, _, after = line.partition(TRACEBACK)
        self._inside, self._message_lines = "\\n" not in after, 0  # otherwise the whole traceback is in this line
        return f"{before}{TRACEBACK} {_WITHHELD}" if after.strip() else line

    def _withhold_in_traceback(self, line: str) -> str | None:
        error = _ERROR.match(line)
        if error is None or _SOURCE.match(line):
            return None
        self._inside, self._message_lines = False, _MAX_MESSAGE_LINES
        return f"{error['type']}: {_WITHHELD}" if error.end() < len(line) else line

    def _withhold_message(self, line: str) -> str | None:
        if _LINK.match(line):
            self._message_lines = 0
            return line
        self._message_lines -= 1
        return None


def withhold_messages(text: str) -> str:
    """Return a text without the messages of the tracebacks that it contains, and without what follows the last one."""
    start = text.find(TRACEBACK)
    if start < 0:
        return text
    errors = PrintedErrors()
    shown = [errors.withhold(line) for line in text[start:].split("\n")[:_MAX_TEXT_LINES]]
    return text[:start] + "\n".join(line for line in shown if line is not None)
