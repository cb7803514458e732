"""What a run writes: its output, of which the store keeps a limited part, and its events.

The events of the job runtime arrive on a pipe of their own (:data:`~nightferry.contract.EVENTS_VARIABLE`), which only
the supervisor of a job has. So nothing that a job prints is taken for one.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import deque
from typing import Any

from nightferry.contract import LogEvent
from nightferry.local.services.secrets import Mask
from nightferry.local.store import Store
from nightferry.local.store.retrying import retry_while_locked

MAX_LINE_BYTES = 256 * 1024  # the limit of CloudWatch
MAX_LINES = 200_000
MAX_BYTES = 64 * 1024 * 1024
LAST_LINES = 1000
"""The lines of a run that are stored: the first :data:`MAX_LINES` or :data:`MAX_BYTES`, and these last ones."""

_READ_BYTES = 64 * 1024
_FLUSH_LINES = 500
_LAST_BYTES = 4 * 1024 * 1024
_MAX_EVENT_BYTES = 1024 * 1024
_MAX_REASON_CHARACTERS = 1000
_MAX_REPORTS = 10_000
_STORED_EVENTS = (LogEvent.RESULT, LogEvent.ENDED)


class Pipe:
    """A pipe from a task to the engine. ``write`` is the end for the task's process."""

    def __init__(self) -> None:
        self._read, self.write = os.pipe()
        self._transport: asyncio.ReadTransport | None = None

    async def open(self) -> asyncio.StreamReader:
        """Close this process's copy of the task's end, and return a reader."""
        os.close(self.write)
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_READ_BYTES)
        file = os.fdopen(self._read, "rb", buffering=0)
        self._transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), file)
        return reader

    def close(self) -> None:
        """Stop reading; a reader that waits gets the end of the stream."""
        if self._transport is not None:
            self._transport.close()
        else:
            os.close(self._read)
            os.close(self.write)


class EngineEnd:
    """A pipe that closes when the engine ends. ``read`` is the end for the task's process."""

    def __init__(self) -> None:
        self.read, self._write = os.pipe()

    def close(self) -> None:
        """Close both ends."""
        os.close(self.read)
        os.close(self._write)


class RunOutput:
    """The stored lines of a run. The pipe is read no faster than lines are stored."""

    def __init__(self, store: Store, run: str, mask: Mask) -> None:
        self._store = store
        self._run = run
        self._mask = mask
        self._lines = 0
        self._bytes = 0
        self._omitted = 0
        self._last: deque[str] = deque()
        self._last_bytes = 0
        self.waiting_since: float | None = None
        """The time (of ``time.monotonic``) since which the task has written nothing; None while lines are stored."""

    async def store(self, reader: asyncio.StreamReader) -> None:
        """Store the output until its end, or until this call is cancelled."""
        rest = b""
        try:
            while chunk := await self._read(reader):
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                lines = whole.split(b"\n") if newline else []
                while len(rest) > MAX_LINE_BYTES:
                    piece, rest = split_line(rest)
                    lines.append(piece)
                await self._add(lines)
                await asyncio.sleep(0)
        finally:
            await self._add([rest])
            await self._add_last()

    async def _read(self, reader: asyncio.StreamReader) -> bytes:
        self.waiting_since = time.monotonic()
        chunk = await reader.read(_READ_BYTES)
        self.waiting_since = None
        return chunk

    async def _add(self, lines: list[bytes]) -> None:
        texts = []
        for line in lines:
            rest = self._mask(line)
            while rest:
                piece, rest = split_line(rest)
                if text := piece.decode("utf-8", errors="replace").rstrip("\r"):
                    texts.append(text)
        stored = [text for text in texts if self._keep(text)]
        for start in range(0, len(stored), _FLUSH_LINES):
            await self._write(stored[start : start + _FLUSH_LINES])

    def _keep(self, text: str) -> bool:
        """Return True if a line is stored now. Otherwise it is one of the last lines, until others follow."""
        if self._lines < MAX_LINES and self._bytes < MAX_BYTES:
            self._lines += 1
            self._bytes += len(text)
            return True
        self._last.append(text)
        self._last_bytes += len(text)
        while len(self._last) > LAST_LINES or (self._last_bytes > _LAST_BYTES and len(self._last) > 1):
            self._last_bytes -= len(self._last.popleft())
            self._omitted += 1
        return False

    async def _add_last(self) -> None:
        if self._omitted:
            notice = (
                f"{self._omitted:,} lines are left out here. A run's log keeps its first {MAX_LINES:,} lines or "
                f"{MAX_BYTES // 1024**2} MB, and its last {LAST_LINES:,} lines. Log less, or write to a file."
            )
            await self._write([notice])
        await self._write(list(self._last))

    async def _write(self, texts: list[str]) -> None:
        if texts:
            await retry_while_locked(lambda: self._store.add_lines([(self._run, text) for text in texts]))


class RunEvents:
    """The events of a run: those that are stored, and the reason for which it was skipped."""

    def __init__(self, store: Store, run: str) -> None:
        self._store = store
        self._run = run
        self._reports = 0
        self.skip_reason: str | None = None
        self.start_error = 0
        """The number of the system's error if the program of a command could not be started."""

    async def store(self, reader: asyncio.StreamReader) -> None:
        """Read and store the events until their end."""
        rest = b""
        while chunk := await reader.read(_READ_BYTES):  # always to the end, because a full pipe blocks the supervisor
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if len(line) <= _MAX_EVENT_BYTES:
                    await self._add(_parse_event(line))
            rest = rest[: _MAX_EVENT_BYTES + 1]
        if rest.startswith(b"E") and rest[1:].isdigit() and len(rest) < 10:
            self.start_error = int(rest[1:])

    async def _add(self, fields: dict[str, Any]) -> None:
        event = fields.get("event")
        if event == LogEvent.SKIPPED:
            self.skip_reason = str(fields.get("message", ""))[:_MAX_REASON_CHARACTERS] or None
        elif event == LogEvent.REPORT and self._reports < _MAX_REPORTS:
            self._reports += await retry_while_locked(lambda: self._store.add_report(self._run, fields))
        elif event in _STORED_EVENTS:
            await retry_while_locked(lambda: self._store.add_event(self._run, str(event), fields))


def _parse_event(line: bytes) -> dict[str, Any]:
    """Return the fields of an event; none for a line that a killed supervisor has damaged."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return fields if isinstance(fields, dict) else {}


def split_line(line: bytes) -> tuple[bytes, bytes]:
    """Return at most the first ``MAX_LINE_BYTES`` bytes of a line, and the rest, without splitting a character."""
    if len(line) <= MAX_LINE_BYTES:
        return line, b""
    end = MAX_LINE_BYTES
    while end > MAX_LINE_BYTES - 4 and line[end] & 0xC0 == 0x80:  # a continuation byte in UTF-8
        end -= 1
    return line[:end], line[end:]
