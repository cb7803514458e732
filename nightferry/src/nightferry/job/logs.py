"""A job's log: one JSON object a line on stdout, redacted.

Every line has ``time`` (ISO 8601, UTC), ``level``, ``logger``, ``message``, ``task``, ``run_id``, in a workflow
``execution``, and the fields given as ``extra``, with their types. A line about an exception has
``exception`` (its type) and ``traceback``.
"""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from nightferry.job.error_facts import type_name
from nightferry.job.redaction import PLAIN_TYPES, redactor
from nightferry.job.runtime import Runtime
from nightferry.job.tracebacks import traceback_text

_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "fields"}
_RESERVED = frozenset({"time", "level", "logger", "message", "task", "run_id", "execution", "exception", "traceback"})

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class FieldsLogger(logging.Logger):
    """A logger that accepts fields of any name as ``extra``; Python's own refuses ``created``, ``name`` and others."""

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """A record whose ``fields`` are what was given as ``extra``."""
        names = ("name", "level", "fn", "lno", "msg", "args", "exc_info", "func", "extra", "sinfo")
        given = dict(zip(names, args, strict=False)) | kwargs
        fields = given.pop("extra", None)
        record = super().makeRecord(**given)
        record.fields = dict(fields) if fields else {}
        return record


def get_logger(name: str) -> logging.Logger:
    """Return the logger of a module; call it with ``__name__``."""
    logger = logging.getLogger(name)
    if type(logger) is logging.Logger:
        logger.__class__ = FieldsLogger  # it may exist already, with handlers and level
    return logger


class JsonFormatter(logging.Formatter):
    """Renders a record as a redacted JSON object."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._identity = {"task": runtime.task, "run_id": runtime.run_id}
        if runtime.execution:
            self._identity["execution"] = runtime.execution

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line; one that cannot be rendered leaves a line that says so, and nothing of its content."""
        try:
            return self._line(record)
        except Exception as error:
            message = f"a log line could not be written: {type_name(error)}"
            place = f"{record.module}:{record.lineno}"
            return self._line(
                logging.makeLogRecord({"name": record.name, "levelname": "ERROR", "msg": message, "place": place})
            )

    def _line(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": redactor.text(_message(record)),
        } | self._identity
        others = {name: value for name, value in vars(record).items() if name not in _OWN_FIELDS}
        for name, value in (others | getattr(record, "fields", {})).items():
            line[name if name not in _RESERVED else f"{name}_"] = redactor.value(value, name)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["exception"] = type_name(error)
            line["traceback"] = traceback_text(error)
        return json.dumps(line, ensure_ascii=False, allow_nan=False, default=lambda _: "…")


def _message(record: logging.LogRecord) -> str:
    """The record's message; exceptions among its arguments are described, not quoted."""
    args = record.args
    if isinstance(args, Mapping):
        args = {name: redactor.value(_safe(value), str(name)) for name, value in args.items()}
    elif args:
        args = tuple(_safe(value) for value in args)
    template = _safe(record.msg)
    try:
        return str(template) % args if args else str(template)
    except (TypeError, ValueError, KeyError):
        return str(template)  # arguments that do not fit are no reason to lose the line


def _safe(value: object) -> object:
    """An argument whose text may become part of a message."""
    return value if value is None or isinstance(value, (str, int, float, *PLAIN_TYPES)) else redactor.value(value)


class _Lines(io.TextIOBase):
    """Stands in for ``sys.stdout`` and ``sys.stderr``: what is printed becomes log lines."""

    def __init__(self, logger: logging.Logger, level: int) -> None:
        self._logger = logger
        self._level = level
        self._parts = threading.local()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, rest = (getattr(self._parts, "text", "") + text).split("\n")
        self._parts.text = rest
        for line in lines:
            if line.strip():
                self._logger.log(self._level, "%s", line)
        return len(text)

    def flush(self) -> None:
        """Lines are logged when they end."""

    def end(self) -> None:
        """Log what this thread has printed without a line end."""
        if getattr(self._parts, "text", ""):
            self.write("\n")


def configure(runtime: Runtime, stream: TextIO, levels: Mapping[str, int], packages: Iterable[str]) -> None:
    """Send everything that the process says as JSON lines to ``stream``.

    ``packages`` log from INFO on, everything else from WARNING on; ``levels`` overrides both by logger.
    Prints, warnings and uncaught errors of threads become log lines too.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(runtime))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for package in packages:
        logging.getLogger(package).setLevel(logging.INFO)
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)
    logging.setLoggerClass(FieldsLogger)
    for name in list(root.manager.loggerDict):
        get_logger(name)
    logging.raiseExceptions = False  # a broken log line must not print its arguments

    for name in ("stdout", "stderr"):
        logging.getLogger(name).setLevel(logging.INFO)
    sys.stdout = _Lines(logging.getLogger("stdout"), logging.INFO)
    sys.stderr = _Lines(logging.getLogger("stderr"), logging.WARNING)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    warnings.showwarning = _warned


def end() -> None:
    """Log what was printed without a line end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _Lines):
            stream.end()


def parse_levels(text: str) -> tuple[dict[str, int], list[str]]:
    """``LOGGING_LEVEL``: ``logger=LEVEL,logger=LEVEL``; a level alone is that of all loggers. Returns problems too."""
    levels: dict[str, int] = {}
    problems = []
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, equals, level = item.rpartition("=")
        if level.strip().upper() in ("WARN", "FATAL", *LEVELS):
            levels[name.strip() if equals else ""] = logging.getLevelNamesMapping()[level.strip().upper()]
        else:
            problems.append(f"LOGGING_LEVEL must be LOGGER=LEVEL,… with a level of {', '.join(LEVELS)}")
    return levels, problems[:1]


_log = logging.getLogger("nightferry.job")


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("uncaught error", exc_info=(kind, error, trace))


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _log.error("uncaught error in a thread", exc_info=args.exc_value)


def _unraisable(args: Any) -> None:
    if args.exc_value is not None:
        _log.error("error that could not be raised", exc_info=args.exc_value)


def _warned(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    logging.getLogger("py.warnings").warning("%s: %s", category.__name__, str(message))
