"""The log of a supervised run: the lines of its job, its output as lines, and the events on their own channel.

Only the supervisor writes to the standard output that the engine or ECS reads. A line with the name of an event of the
runtime is one that the runtime made: the function of the job cannot make one about the end or the start of its run.
"""

from __future__ import annotations

import json
import logging
import os
import select
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from nightferry.contract import EVENTS_VARIABLE, LogEvent
from nightferry.job.logs import JsonFormatter
from nightferry.job.redaction import redactor
from nightferry.job.redaction.printed_errors import PrintedErrors
from nightferry.job.supervision.channel import BEGIN, EVENT, REPORT, SECRETS, USED_RESOURCES
from nightferry.job.supervision.lines import KeyBlocks, LineSplitter, cut_line
from nightferry.printable import make_printable

_OUTPUTS = (("stdout", "INFO"), ("stderr", "WARNING"))  # as of text that is printed by Python
_BEFORE_THE_BODY = (LogEvent.STARTED, LogEvent.SKIPPED)
_MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_MAX_NUMBER = 10**15
_START = b'{"time": "'


class SupervisedLog:
    """The writer of a run's log on the file descriptor ``output``."""

    def __init__(self, formatter: JsonFormatter, output: int) -> None:
        self.report: dict[str, Any] | None = None
        """What the job reported about its end, or None."""
        self._formatter = formatter
        self._output = output
        self.events = _open_events()
        """The descriptor of the channel of events, or None without an engine."""
        self._splitters = [LineSplitter(), LineSplitter()]
        self._blocks = [KeyBlocks(), KeyBlocks()]
        self._errors = [PrintedErrors(), PrintedErrors()]
        self._message = b""
        self._has_begun = False

    def close_in_child(self) -> None:
        """Close, in the process of the job, what only the supervisor may write to."""
        if self.events is not None:
            os.close(self.events)

    def write(self, level: str, message: str, fields: Mapping[str, Any]) -> None:
        """Write a line of the supervisor itself."""
        event = fields.get("event")
        record = logging.makeLogRecord({"name": "nightferry.job", "levelname": level, "msg": message})
        record.fields = dict(fields)
        line = self._formatter.format(record).encode(errors="backslashreplace")
        self._write(line + b"\n")
        if isinstance(event, LogEvent):
            self._send_event(line)

    # ── messages of the job's runtime ──

    def add_messages(self, chunk: bytes) -> None:
        """Add what was read from the channel. An empty chunk is its end."""
        *lines, self._message = (self._message + chunk).split(b"\n")
        whole = b"\n".join(lines)
        may_have_event = b'"event"' in whole or b"\\u00" in whole
        if lines and not may_have_event and all(line.startswith(_START) for line in lines):
            self._write(whole + b"\n")  # most chunks
        else:
            for line in lines:
                self._add_message(line)
        if self._message and (not chunk or len(self._message) > _MAX_MESSAGE_BYTES):
            self._add_message(self._message)
            self._message = b""

    def _add_message(self, line: bytes) -> None:
        """Add a message; one that is damaged, such as by two processes that wrote at the same time, is output."""
        kind, content = line[:1].decode(errors="replace"), line[1:]
        try:
            if line.startswith(_START):
                self._write(_rename_event(line) + b"\n")
            elif kind == EVENT:
                self._add_event(content)
            elif kind == SECRETS:
                redactor.add_secrets(map(str, json.loads(content)))
            elif kind == BEGIN:
                self._has_begun = True
            elif kind == REPORT:
                self.report = _read_report(content)
            else:
                self._add_line(0, line, 0)
        except (ValueError, TypeError, AttributeError, RecursionError):
            self._add_line(0, line, 0)

    def _add_event(self, line: bytes) -> None:
        event = json.loads(line).get("event")
        if event == LogEvent.ENDED or (self._has_begun and event in _BEFORE_THE_BODY):
            line = _rename_event(line)
        else:
            self._send_event(line)
        self._write(line + b"\n")

    # ── output of the job's file descriptors ──

    def add_output(self, number: int, chunk: bytes) -> None:
        """Add what was read from standard output (0) or standard error (1)."""
        for line, omitted in self._splitters[number].feed(chunk):
            self._add_line(number, line, omitted)

    def end_output(self) -> None:
        """Add the last lines, which have no line end."""
        self.add_messages(b"")
        for number, splitter in enumerate(self._splitters):
            for line, omitted in splitter.end():
                self._add_line(number, line, omitted)

    def _add_line(self, number: int, line: bytes, omitted: int) -> None:
        # Without zero bytes, text in UTF-16 has the characters that the patterns of redaction recognize.
        text = line.replace(b"\0", b"").decode(errors="backslashreplace").rstrip("\r")
        shown = None if self._blocks[number].hides(text) else text
        if shown is not None and redactor.is_strict:
            shown = self._errors[number].withhold(shown)
        if shown is not None and shown.strip():
            message = cut_line(redactor.redact_text(shown), omitted)
            line_of_log = self._formatter.format_text(*_OUTPUTS[number], message)
            self._write(line_of_log.encode(errors="backslashreplace") + b"\n")

    # ── writing ──

    def _write(self, data: bytes) -> None:
        _write_all(self._output, data)

    def _send_event(self, line: bytes) -> None:
        if self.events is not None:
            _write_all(self.events, line + b"\n")


def _write_all(descriptor: int, data: bytes) -> None:
    """Write, however long the reader takes. A signal interrupts a long write. Without a reader, discard the data."""
    while data:
        try:
            data = data[os.write(descriptor, data) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except OSError:
            return


def _read_report(content: bytes) -> dict[str, Any]:
    """Return what the job reported about its end. Raises ValueError for anything else than sensible numbers."""
    report = dict(json.loads(content))
    numbers = {name: report.get(name) for name in ("exit_code", *USED_RESOURCES)}
    if not all(isinstance(number, int | float) and abs(number) < _MAX_NUMBER for number in numbers.values()):
        raise ValueError("not a report")
    return {**numbers, "exit_code": int(report["exit_code"]) & 0xFF}


def _rename_event(line: bytes) -> bytes:
    """Return a log line whose field ``event`` is renamed if its value is the name of an event of the runtime."""
    fields = json.loads(line)
    if fields.get("event") in list(LogEvent):
        fields = {("event_" if name == "event" else name): value for name, value in fields.items()}
        return make_printable(json.dumps(fields, ensure_ascii=False)).encode()
    return line


def _open_events() -> int | None:
    """Take the descriptor of the channel of events, on which the engine reads; None without an engine."""
    text = os.environ.pop(EVENTS_VARIABLE, "")
    if not text.isdigit():
        return None
    descriptor = int(text)
    with suppress(OSError):
        os.set_inheritable(descriptor, False)
        return descriptor
    return None
