"""The engine's log: a rotating file next to the store, and stdout or a terminal. A server alone logs to stderr."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from nightferry.contract import Privacy
from nightferry.environments.private_paths import open_private
from nightferry.environments.state_folder import create_state_folder
from nightferry.job.logs import JsonFormatter
from nightferry.job.redaction import redactor
from nightferry.job.runtime import Runtime
from nightferry.local.monitoring.repeated_messages import RepeatedMessages

FILE = "engine.log"
_FILE_BYTES = 10_000_000
_FILES = 3  # rotated files besides the current one

NAME = "nightferry.engine"
# The event loop and the server report problems of connections; without a handler they would write each to stderr.
_LIBRARIES = (("asyncio", logging.WARNING), ("uvicorn.error", logging.WARNING))
_PAGES = ("nightferry.dashboard", logging.WARNING)


# The digits in the commands that a message recommends, which contain the ID of a run or an execution, are shown.
_COMMANDS = r"nightferry (?:logs|status|redrive|start) [A-Za-z0-9-]+"


class _EngineFormatter(JsonFormatter):
    """The format of jobs' log lines, but without a task and a run, and with the engine's own events."""

    runtime_events = ()

    def __init__(self) -> None:
        super().__init__(Runtime.read("engine", {}))
        self._identity = {}


class _PrivateFile(RotatingFileHandler):
    """A rotating file that only this account can read."""

    def _open(self) -> Any:
        return open_private(self.baseFilename, self.mode)


@contextmanager
def write_engine_log(state: Path, *others: logging.Handler, privacy: Privacy = Privacy.SECRETS_ONLY) -> Iterator[None]:
    """Send the engine's log records in the block to its file and to ``others`` (default: to stdout as JSON).

    ``privacy`` is the catalog's; this process applies it from now on.
    """
    _apply(privacy)
    file = _PrivateFile(
        create_state_folder(state) / FILE, maxBytes=_FILE_BYTES, backupCount=_FILES, encoding="utf-8", delay=True
    )
    file.setFormatter(_EngineFormatter())
    if not others:
        output = logging.StreamHandler(sys.stdout)
        output.setFormatter(_EngineFormatter())
        others = (output,)
    repeated = RepeatedMessages()
    try:
        with ExitStack() as stack:
            for name, level in ((NAME, logging.INFO), _PAGES, *_LIBRARIES):
                stack.enter_context(_log_to((file, *others), repeated, name, level))
            yield
    finally:
        file.close()


@contextmanager
def write_server_log(privacy: Privacy) -> Iterator[None]:
    """Send the log records of a server of pages in the block to stderr, without what the catalog's policy hides."""
    _apply(privacy)
    output, repeated = logging.StreamHandler(sys.stderr), RepeatedMessages()
    output.setFormatter(_EngineFormatter())
    with ExitStack() as stack:
        for name, level in (_PAGES, *_LIBRARIES):
            stack.enter_context(_log_to((output,), repeated, name, level))
        yield


def _apply(privacy: Privacy) -> None:
    redactor.privacy = privacy
    redactor.show_names(_COMMANDS)


@contextmanager
def _log_to(handlers: Sequence[logging.Handler], limit: logging.Filter, name: str, level: int) -> Iterator[None]:
    """Send the records of a logger to handlers only, with a limit on repeated messages."""
    logger = logging.getLogger(name)
    before = (logger.level, logger.propagate)
    logger.setLevel(level)
    logger.propagate = False
    for handler in handlers:
        handler.addFilter(limit)
        logger.addHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            logger.removeHandler(handler)
            handler.removeFilter(limit)
        logger.level, logger.propagate = before
