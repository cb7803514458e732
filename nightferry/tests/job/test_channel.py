"""Messages of threads, and events that a signal interrupts, arrive whole."""

from __future__ import annotations

import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from nightferry.contract import EVENTS_VARIABLE, LogEvent
from nightferry.job.logs import JsonFormatter
from nightferry.job.runtime import Runtime
from nightferry.job.supervision.channel import Channel
from nightferry.job.supervision.log import SupervisedLog


@contextmanager
def read_slowly(read: int) -> Iterator[bytearray]:
    """Read a pipe in a thread, and complete the yielded bytes at the end of the block, in which the writer closes."""
    found = bytearray()

    def copy() -> None:
        time.sleep(0.2)  # the pipe is full meanwhile
        while chunk := os.read(read, 4096):
            found.extend(chunk)
        os.close(read)

    reader = threading.Thread(target=copy)
    reader.start()
    yield found
    reader.join()


def test_messages_of_threads_are_not_mixed() -> None:
    read, write = os.pipe()
    channel = Channel(write)
    channel.setFormatter(logging.Formatter("%(message)s"))
    record = logging.makeLogRecord({"msg": "{" + "x" * 100_000 + "}"})
    with read_slowly(read) as found:
        threads = [threading.Thread(target=channel.handle, args=(record,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        channel.send_report({"exit_code": 7})
        for thread in threads:
            thread.join()
        os.close(write)
    assert sorted(found.decode().splitlines()) == sorted(['R{"exit_code": 7}', *3 * [record.getMessage()]])


def test_a_signal_does_not_cut_an_event(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setenv(EVENTS_VARIABLE, str(write))
    log = SupervisedLog(JsonFormatter(Runtime.read("cut", {})), os.open(os.devnull, os.O_WRONLY))
    before = signal.signal(signal.SIGALRM, lambda _number, _frame: None)
    try:
        with read_slowly(read) as found:
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            log.write("INFO", "the result", {"event": LogEvent.RESULT, "result": ["a word"] * 20_000})
            log.close_in_child()
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [len(json.loads(line)["result"]) for line in found.splitlines()] == [20_000]
