"""Responses in parts: downloads in constant memory, and server-sent events.

Each part is made in a worker thread, like a page, because the local store belongs to its thread.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Protocol

from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

MAX_STREAMS = 8
"""The number of event streams of a site. Browsers open six connections per server; further pages poll."""

_KEEP_ALIVE_SECONDS = 15.0
_LONGEST_SECONDS = 3600.0  # after which the browser connects again


def download(
    name: str, read: Callable[[], bytes], threads: Executor, media_type: str = "text/plain; charset=utf-8"
) -> Response:
    """Return a download. ``read`` returns the next part, and nothing at the end.

    Other characters of the name than letters, digits, points and hyphens could end it, or begin another header.
    """

    async def iterate() -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        while part := await loop.run_in_executor(threads, read):
            yield part

    return StreamingResponse(
        iterate(),
        headers={
            "Content-Disposition": f'attachment; filename="{re.sub(r"[^A-Za-z0-9.-]", "_", name)}"',
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
        media_type=media_type,
    )


@dataclass(frozen=True)
class Event:
    """One server-sent event, or none (``data`` is empty), and the seconds to wait before the next."""

    data: str
    id: str = ""
    name: str = ""
    wait: float = 0.5

    def encode(self) -> bytes:
        """Return the event in the format of a stream; empty without data."""
        if not self.data:
            return b""
        fields = [f"event: {self.name}"] if self.name else []
        fields += [f"id: {self.id}"] if self.id else []
        fields += [f"data: {line}" for line in self.data.split("\n")]
        return ("\n".join(fields) + "\n\n").encode()


class Counter(Protocol):
    """The number of open streams of a site, which only the event loop changes."""

    open_streams: int


class EventStream(Response):
    """A response with events until ``read`` returns one with the name ``end``, or the browser leaves.

    It also ends when ``is_allowed`` returns False, because the person has logged out or the session has expired.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        read: Callable[[], Event],
        threads: Executor,
        counter: Counter,
        is_allowed: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__()
        self._read = read
        self._threads = threads
        self._counter = counter
        self._is_allowed = is_allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, or status 503 if too many streams are open."""
        if self._counter.open_streams >= MAX_STREAMS:
            text = f"{MAX_STREAMS} streams are open. This page polls instead.\n"
            await PlainTextResponse(text, 503, {"Retry-After": "5"})(scope, receive, send)
            return
        self._counter.open_streams += 1
        try:
            headers: Mapping[str, str] = {"X-Accel-Buffering": "no"}
            await StreamingResponse(self._iterate(), headers=headers, media_type=self.media_type)(scope, receive, send)
        finally:
            self._counter.open_streams -= 1

    async def _iterate(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        began = sent = loop.time()
        yield b"retry: 2000\n\n"
        while loop.time() - began < _LONGEST_SECONDS and self._is_allowed():
            event = await loop.run_in_executor(self._threads, self._read)
            if part := event.encode():
                yield part
                sent = loop.time()
            elif loop.time() - sent > _KEEP_ALIVE_SECONDS:
                yield b": still here\n\n"  # shows that the browser has left
                sent = loop.time()
            if event.name == "end":
                return
            await asyncio.sleep(event.wait)
