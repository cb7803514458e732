"""The engine's log of notices: each notice with its recipients. On this machine, notices are stored and not sent."""

from __future__ import annotations

import asyncio
import logging

from nightferry.environments.environment import Environment
from nightferry.environments.recipients import count_recipients
from nightferry.job.redaction import redact
from nightferry.local.monitoring.failures import end_sentence
from nightferry.local.store import Store
from nightferry.local.store.retrying import retry_while_locked

CHECK_SECONDS = 1.0

_log = logging.getLogger("nightferry.engine")


class NoticeLog:
    """The component of the engine that logs new notices, including those that other processes add."""

    def __init__(self, store: Store, environment: Environment) -> None:
        self._store = store
        self._environment = environment
        self._last = store.last_notification()

    async def run(self) -> None:
        """Log new notices until canceled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await retry_while_locked(self.log_new)

    def log_new(self) -> None:
        """Log the notices that were added since the last call."""
        for notice in self._store.notifications(after=self._last):
            self._last = notice["id"]
            subject = redact(notice["subject"] or "without a subject")
            _log.info(
                "Notice for topic '%s' (%s): %s See: nightferry notifications", notice["topic"],
                count_recipients(self._environment.notices.get(notice["topic"])), end_sentence(subject),
                extra={"event": "notice", "topic": notice["topic"], "subject": subject},
            )  # fmt: skip
