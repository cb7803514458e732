"""The same warning is logged once a minute, whatever provokes it."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from nightferry.local.monitoring.engine_log import FILE, NAME, write_engine_log
from nightferry.local.monitoring.repeated_messages import PERIOD_SECONDS, RepeatedMessages


class Clock:
    """Seconds that a test sets."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def make_record(message: str, level: int = logging.WARNING) -> logging.LogRecord:
    return logging.LogRecord("x", level, "", 0, message, (), None)


def test_a_repeated_message_has_the_number_of_those_left_out() -> None:
    clock = Clock()
    limit = RepeatedMessages(clock)
    assert [limit.filter(make_record("bad request")) for _ in range(1000)] == [True, *[False] * 999]
    assert limit.filter(make_record("another problem"))
    clock.seconds = PERIOD_SECONDS
    record = make_record("bad request")
    assert limit.filter(record)
    assert limit.filter(record), "a second handler gets the same record"
    assert record.getMessage() == "bad request (This message was repeated 999 times.)"


def test_information_is_never_left_out() -> None:
    limit = RepeatedMessages(Clock())
    assert all(limit.filter(make_record("started", logging.INFO)) for _ in range(10))


def test_many_different_messages_need_little_memory() -> None:
    limit = RepeatedMessages(Clock())
    assert all(limit.filter(make_record(f"problem {n}")) for n in range(5000))


def test_problems_of_connections_are_in_the_engine_log_once(tmp_path: Path) -> None:
    with write_engine_log(tmp_path, logging.NullHandler()):
        for _ in range(500):
            logging.getLogger("asyncio").error("socket.accept() out of system resource")
            logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
        logging.getLogger(NAME).info("Engine started.")
    messages = [json.loads(line)["message"] for line in (tmp_path / FILE).read_text().splitlines()]
    assert messages == [
        "socket.accept() out of system resource", "Invalid HTTP request received.", "Engine started.",
    ]  # fmt: skip
