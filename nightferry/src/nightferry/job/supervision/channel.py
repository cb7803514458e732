"""The channel from a job to its supervisor: a pipe of lines, whose first character is the kind of the message.

=====  ===================================================================================================
``{``  a log line, which is a JSON object
``E``  a log line of the job runtime about an event (:class:`~nightferry.contract.LogEvent`)
``S``  a JSON list of secrets to mask
``B``  the function of the job begins: from now on, the supervisor accepts no event that only the runtime knows
``R``  the job has ended: a JSON object with its exit code and the resources that it used
=====  ===================================================================================================
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

EVENT, SECRETS, BEGIN, REPORT = "E", "S", "B", "R"

USED_RESOURCES = ("duration_seconds", "cpu_seconds", "children_cpu_seconds", "peak_memory_bytes")
"""The members of a report besides ``exit_code``, all of which are numbers."""


class Channel(logging.Handler):
    """The job's end of the channel, and the handler of the job's log, whose lock keeps the messages of threads apart.

    A message interrupted by an exception is completed by the next one.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._unsent = b""

    def emit(self, record: logging.LogRecord) -> None:
        """Send the line of a record."""
        line = self.format(record)
        self.send(EVENT if getattr(record, "is_event", False) else "", line)

    def send(self, kind: str, text: str) -> None:
        """Send a message. ``text`` has no line breaks. Nothing is sent if the supervisor has ended."""
        self.acquire()
        try:
            self._unsent += f"{kind}{text}\n".encode(errors="backslashreplace")
            with suppress(BrokenPipeError):
                while self._unsent:
                    self._unsent = self._unsent[os.write(self._descriptor, self._unsent) :]
        finally:
            self.release()

    def send_secrets(self, secrets: Iterable[str]) -> None:
        """Send secrets, before a line can contain one."""
        self.send(SECRETS, json.dumps(list(secrets)))

    def send_begin(self) -> None:
        """Send that the function of the job begins."""
        self.send(BEGIN, "")

    def send_report(self, report: Mapping[str, Any]) -> None:
        """Send the exit code of the job and the resources that it used, when it ends."""
        self.send(REPORT, json.dumps(report))
