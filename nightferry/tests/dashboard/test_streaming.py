"""Event streams: their format, their end, and their number."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nightferry.dashboard.streaming import MAX_STREAMS, Event, EventStream


class Site:
    """The number of open streams."""

    open_streams = 0


def run_stream(
    site: Site, read: Callable[[], Event], *, leave_after: int = 10**9, is_allowed: Callable[[], bool] = lambda: True
) -> list[MutableMapping[str, Any]]:
    """Return the messages of a stream to a browser that leaves after some of them."""
    messages: list[MutableMapping[str, Any]] = []

    async def call() -> None:
        left = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            messages.append(message)
            if len(messages) >= leave_after:
                left.set()
                await asyncio.sleep(0)

        with ThreadPoolExecutor(1) as threads:
            await EventStream(read, threads, site, is_allowed)({"type": "http"}, receive, send)

    asyncio.run(asyncio.wait_for(call(), 20))
    return messages


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Event("row", "7"), b"id: 7\ndata: row\n\n"),
        (Event("a\n\nb", "8"), b"id: 8\ndata: a\ndata: \ndata: b\n\n"),
        (Event("end", name="end"), b"event: end\ndata: end\n\n"),
        (Event(""), b""),
    ],
)
def test_the_format_of_events(event: Event, text: bytes) -> None:
    assert event.encode() == text


def test_a_stream_ends_when_the_browser_leaves() -> None:
    site = Site()
    seen: list[int] = []

    def read() -> Event:
        seen.append(site.open_streams)
        return Event("row", "1", wait=0)

    run_stream(site, read, leave_after=5)
    assert set(seen) == {1}
    assert site.open_streams == 0


def test_a_stream_ends_with_its_session() -> None:
    allowed = iter([True, True, False])
    messages = run_stream(Site(), lambda: Event("row", "1", wait=0), is_allowed=lambda: next(allowed))
    assert b"".join(message.get("body", b"") for message in messages).count(b"data: row") == 2


def test_a_stream_too_many_is_refused() -> None:
    site = Site()
    site.open_streams = MAX_STREAMS
    assert run_stream(site, lambda: Event("row"))[0]["status"] == 503
    assert site.open_streams == MAX_STREAMS
