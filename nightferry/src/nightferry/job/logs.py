"""The log of a job: one redacted JSON object per line on stdout.

Each line has the fields of :data:`FIELDS`, and the fields of ``extra`` with their types.
"""

from __future__ import annotations

import io
import json
import logging
import re
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any

from nightferry.contract import LogEvent, Privacy
from nightferry.job.error_facts import get_type_name
from nightferry.job.redaction import PLAIN_TYPES, redactor
from nightferry.job.redaction.printed_errors import PrintedErrors
from nightferry.job.runtime import Runtime
from nightferry.job.tracebacks import format_traceback
from nightferry.printable import make_printable

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "fields", "is_event"}
FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "time": "Time of the line, in ISO 8601 and UTC with milliseconds.",
        "level": "DEBUG, INFO, WARNING, ERROR or CRITICAL.",
        "logger": "Name of the logger, which is the module. Printed text has stdout or stderr.",
        "message": "Text of the line, redacted.",
        "task": "Name of the task.",
        "run_id": "ID of the run.",
        "execution": "ID of the workflow execution, if the run belongs to one.",
        "exception": "Type of the exception, in a line about one.",
        "traceback": "Frames of the exception, without source lines.",
    }
)
"""The fields of each line that the runtime sets. A field of a job with one of these names gets ``_`` at its end."""

OTHER_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "bad_settings": "Settings or arguments are not valid: ``problems``.",
        "events_not_sent": "Custom events were not sent to New Relic.",
        "failed": "The job failed: ``exception`` and ``traceback`` if the error was unexpected.",
        "leaselost": "The lease of the run was lost, so the run must stop.",
        "replaced": "A newer start of the task replaces the run, which must stop.",
        "stopped": "The job was stopped: ``reason``.",
        "stopping": "A stop was requested, so the job can end its work: ``signal``.",
        "strays_killed": "Processes that the job left running were killed: ``count``.",
        "time_limit": "The time limit is reached, and the job is stopped: ``where``, the frames of its main thread.",
        "waiting": "The start waits for the run that holds the lease: ``holder``.",
    }
)
"""The values of the field ``event`` that the runtime uses besides :class:`LogEvent`, with the fields of their lines."""

_PLAIN_NAME = re.compile(r"[A-Za-z_.]{0,100}")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class FieldsLogger(logging.Logger):
    """A logger that accepts any field name in ``extra``; Python's own rejects ``created``, ``name`` and others."""

    def makeRecord(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        """Return a record whose attribute ``fields`` holds ``extra``."""
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
        logger.__class__ = FieldsLogger  # the logger may already exist, with handlers and a level
    return logger


class JsonFormatter(logging.Formatter):
    """A formatter that renders a record as a redacted JSON object.

    The attribute ``is_event`` of a record is set if its line is about an event of the runtime (:class:`LogEvent`).
    """

    runtime_events: Sequence[object] = list(LogEvent)
    """The values of the field ``event`` that only the runtime sets. In the lines of others, the field is ``event_``."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__()
        self._identity = {"task": runtime.task, "run_id": runtime.run_id}
        if runtime.execution:
            self._identity["execution"] = runtime.execution

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as a line, or an error line without the record's content if rendering fails."""
        try:
            return self._render(record)
        except Exception as error:
            message = f"cannot format a log record: {get_type_name(error)}"
            place = f"{record.module}:{record.lineno}"
            return self._render(
                logging.makeLogRecord({"name": record.name, "levelname": "ERROR", "msg": message, "place": place})
            )

    def format_text(self, logger: str, level: str, message: str) -> str:
        """Return a line with a redacted message that is written now."""
        return _encode(self._start_line(time.time(), level, logger, message))

    def _render(self, record: logging.LogRecord) -> str:
        message = redactor.redact_text(_withhold_data_of_asyncio(record, _format_message(record)))
        line = self._start_line(record.created, record.levelname, _redact_name(record.name), message)
        others = {name: value for name, value in vars(record).items() if name not in _RECORD_FIELDS}
        for name, value in (others | getattr(record, "fields", {})).items():
            if name == "event" and value in self.runtime_events:
                is_event = vars(record)["is_event"] = isinstance(value, LogEvent)
                name = "event" if is_event else "event_"
            shown = _redact_name(name) if name not in FIELDS else f"{name}_"
            line[shown] = redactor.redact_value(value, name)
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            line["exception"] = _redact_name(get_type_name(error))
            line["traceback"] = format_traceback(error)
        return _encode(line)

    def _start_line(self, at: float, level: str, logger: str, message: str) -> dict[str, Any]:
        when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        return {"time": when, "level": level, "logger": logger, "message": message} | self._identity


def _redact_name(name: object) -> str:
    """Return the name of a logger or field. One of letters only, as nearly all are, is shown as it is."""
    return name if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else redactor.redact_key(name)


def _encode(line: Mapping[str, Any]) -> str:
    return make_printable(json.dumps(line, ensure_ascii=False, allow_nan=False, default=lambda _: "…"))


def _format_message(record: logging.LogRecord) -> str:
    """Return the record's message; exceptions among its arguments are described without their data."""
    args = record.args
    if isinstance(args, Mapping):
        args = {name: redactor.redact_value(_redact_argument(value), str(name)) for name, value in args.items()}
    elif args:
        args = tuple(_redact_argument(value) for value in args)
    template = _redact_argument(record.msg)
    try:
        return str(template) % args if args else str(template)
    except (TypeError, ValueError, KeyError):
        return str(template)  # log the template alone if the arguments do not match it


def _withhold_data_of_asyncio(record: logging.LogRecord, message: str) -> str:
    """Return a message of asyncio without exceptions and arguments, which it quotes, if the policy is strict."""
    if record.name == "asyncio" and redactor.privacy is Privacy.STRICT:
        return re.split(r"[(<\n]", message, maxsplit=1)[0].rstrip()
    return message


def _redact_argument(value: object) -> object:
    """Return an argument in a form whose text may be part of a message."""
    return (
        value if value is None or isinstance(value, (str, int, float, *PLAIN_TYPES)) else redactor.redact_value(value)
    )


class _LogStream(io.TextIOBase):
    """A replacement for ``sys.stdout`` and ``sys.stderr`` that logs each printed line."""

    def __init__(self, name: str, level: int, descriptor: int) -> None:
        self._logger = logging.getLogger(name)
        self._logger.setLevel(logging.INFO)
        self._level = level
        self._descriptor = descriptor
        self._threads = threading.local()

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """Return the file descriptor for programs, whose output the supervisor redacts."""
        return self._descriptor

    def write(self, text: str) -> int:
        state = vars(self._threads)
        parts: list[str] = state.setdefault("parts", [])
        errors: PrintedErrors = state.setdefault("errors", PrintedErrors())
        first, *lines = text.split("\n")
        parts.append(first)
        for following in lines:
            printed = "".join(parts)
            line = errors.withhold(printed) if redactor.is_strict else printed
            parts[:] = [following]
            if line is not None and line.strip():
                self._logger.log(self._level, "%s", line)
        return len(text)

    def flush(self) -> None:
        """Do nothing: a line is logged when it ends."""

    def end(self) -> None:
        """Log the text that this thread has printed without a line end."""
        if any(vars(self._threads).get("parts", ())):
            self.write("\n")


def configure(runtime: Runtime, handler: logging.Handler, levels: Mapping[str, int], packages: Iterable[str]) -> None:
    """Pass all output of the process as JSON lines to ``handler``.

    This includes printed text, warnings and uncaught errors of threads. The loggers of ``packages`` have level INFO and
    all others WARNING, unless ``levels`` sets the level of a logger.
    """
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
    logging.raiseExceptions = False  # otherwise logging prints the arguments of a record that it cannot format

    sys.stdout = _LogStream("stdout", logging.INFO, 1)
    sys.stderr = _LogStream("stderr", logging.WARNING, 2)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable
    warnings.showwarning = _log_warning


@contextmanager
def isolate() -> Iterator[None]:
    """Undo after the block what :func:`configure` and the block change in logging, streams and hooks."""
    root = logging.getLogger()
    loggers = {name: one for name, one in root.manager.loggerDict.items() if isinstance(one, logging.Logger)}
    before = {one: (type(one), one.level, one.disabled, one.propagate, one.handlers[:]) for one in loggers.values()}
    parents = root.manager.loggerDict.keys() - loggers.keys()  # "a" if only "a.b" was requested
    handlers, level = root.handlers[:], root.level
    kind, raises = logging.getLoggerClass(), logging.raiseExceptions
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning)
    streams = (sys.stdout, sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
        sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning = hooks
        logging.setLoggerClass(kind)
        logging.raiseExceptions = raises
        root.handlers[:] = handlers
        root.setLevel(level)
        for name, logger in list(root.manager.loggerDict.items()):
            if logger in before:
                logger.__class__, logger.level, logger.disabled, logger.propagate, logger.handlers[:] = before[logger]
            elif isinstance(logger, logging.Logger):
                logger.setLevel(logging.NOTSET)
                if name in parents:
                    logger.__class__ = kind
        root.manager._clear_cache()  # type: ignore[attr-defined]  # of levels, which were set without setLevel


def end() -> None:
    """Log the text that was printed without a line end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, _LogStream):
            stream.end()


def parse_levels(text: str) -> tuple[dict[str, int], list[str]]:
    """Parse ``LOGGING_LEVEL``, which is ``logger=LEVEL,logger=LEVEL``; a level alone applies to all loggers.

    Returns:
        The levels by logger, and the problems found.
    """
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


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    _log.critical("uncaught error", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _log.error("uncaught error in a thread", exc_info=args.exc_value)


def _log_unraisable(args: Any) -> None:
    if args.exc_value is not None:
        _log.error("error that could not be raised", exc_info=args.exc_value)


def _log_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    logging.getLogger("py.warnings").warning("%s: %s", category.__name__, str(message))
