"""Exceptions as text that may be logged.

Nobody controls what an exception's message quotes: a parser the text that it could not read, a database the row that
it refused. So the message is shown only of errors that are written for people
(:class:`~nightferry.errors.NightferryError`); of all others the type, and what the type itself tells that is no data: a
system error's number and file, a database error's SQLSTATE and the constraint's name, the name of a missing
attribute. Frames show file, line and function; no source lines and no values. Chained exceptions and groups are shown
in the same way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from nightferry.errors import NightferryError
from nightferry.job.redaction import redact

_FRAME_LIMIT = 40
_CHAIN_LIMIT = 8
_WITHHELD = "message withheld, as it may quote data"


def describe(error: BaseException, *, short: bool = False) -> str:
    """``Type: message`` in one line, as far as the message holds no data; ``short``: the type without its module."""
    name = type(error).__qualname__ if short else type_name(error)
    if isinstance(error, NightferryError):
        return f"{name}: {redact(str(error))}"
    facts = _facts(error)
    if facts:
        return f"{name}: {redact(facts)}"
    return f"{name} ({_WITHHELD})" if error.args else name


def traceback_text(error: BaseException) -> str:
    """The exception, those that led to it and where each was raised, in the order of Python's own tracebacks."""
    parts = []
    for number, (link, cause) in enumerate(_chain(error)):
        if number:
            parts.append(cause)
        parts.append(_one(link))
    return "\n".join(parts)


def type_name(error: BaseException) -> str:
    """The exception's class, with its module where that is not Python's own or the program."""
    kind = type(error)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def stack_text(frame: FrameType) -> str:
    """Where a thread is: file, line and function of each frame."""
    frames: list[tuple[FrameType, int]] = []
    current: FrameType | None = frame
    while current is not None:
        frames.append((current, current.f_lineno))
        current = current.f_back
    return "\n".join(_lines(reversed(frames)))


def _one(error: BaseException) -> str:
    lines = []
    if error.__traceback__ is not None:
        lines.append("Traceback (most recent call last):")
        lines += _lines(_frames(error.__traceback__))
    lines.append(describe(error))
    if isinstance(error, BaseExceptionGroup):
        for number, member in enumerate(error.exceptions[:_CHAIN_LIMIT], start=1):
            lines.append(f"  ---- {number} of {len(error.exceptions)} ----")
            lines += [f"  {line}" for line in traceback_text(member).splitlines()]
    return "\n".join(lines)


def _chain(error: BaseException) -> list[tuple[BaseException, str]]:
    """The first cause first; each with how it became the next one's cause."""
    links: list[tuple[BaseException, str]] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen and len(links) < _CHAIN_LIMIT:
        seen.add(id(current))
        if current.__cause__ is not None:
            links.append((current, "It led to:"))
            current = current.__cause__
        elif not current.__suppress_context__:
            links.append((current, "While it was handled, another one was raised:"))
            current = current.__context__
        else:
            links.append((current, ""))
            current = None
    return list(reversed(links))


def _frames(trace: TracebackType) -> Iterator[tuple[FrameType, int]]:
    current: TracebackType | None = trace
    while current is not None:
        yield current.tb_frame, current.tb_lineno
        current = current.tb_next


def _lines(frames: Iterator[tuple[FrameType, int]]) -> list[str]:
    lines = [f"  {_file(frame.f_code.co_filename)}:{line} in {frame.f_code.co_qualname}" for frame, line in frames]
    if len(lines) > _FRAME_LIMIT:
        half = _FRAME_LIMIT // 2
        lines[half:-half] = [f"  … {len(lines) - 2 * half} frames …"]
    return lines


def _file(path: str) -> str:
    """A source file without the folder that it is installed in."""
    for folder in sorted((entry for entry in sys.path if entry), key=len, reverse=True):
        if path.startswith(folder.rstrip(os.sep) + os.sep):
            return path[len(folder.rstrip(os.sep)) + 1 :]
    return Path(path).name if os.sep in path else path


# ── what an exception tells apart from its message ────────────────────────────────────────────────────────────


def _facts(error: BaseException) -> str:
    for kind in type(error).__mro__:
        teller = _TELLERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if teller is not None:
            try:
                return teller(error)
            except Exception:  # an error that its own class did not foresee, made with other arguments
                return ""
    return ""


def _system_error(error: Any) -> str:
    names = ", ".join(os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes))
    if not isinstance(error.errno, int):
        return ""
    reason = os.strerror(error.errno) if error.errno > 0 else f"error {error.errno}"
    return f"{reason} ({names})" if names else reason


def _database_error(error: Any) -> str:
    facts = [f"SQLSTATE {error.sqlstate}"] if error.sqlstate else []
    diagnostic = error.diag
    for label in ("schema_name", "table_name", "column_name", "constraint_name", "datatype_name"):
        if named := getattr(diagnostic, label, None):
            facts.append(f"{label.removesuffix('_name')} {named}")
    return ", ".join(facts)


def _wrapped_database_error(error: Any) -> str:
    return describe(error.orig) if isinstance(error.orig, BaseException) else ""


def _validation_error(error: Any) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['type']}" for problem in problems[:20])


def _aws_error(error: Any) -> str:
    return f"{error.response.get('Error', {}).get('Code', '')} in {error.operation_name}"


def _http_status_error(error: Any) -> str:
    address = error.request.url.copy_with(query=None, userinfo=b"", fragment=None)
    return f"{error.response.status_code} of {error.request.method} {address}"


_TELLERS: dict[str, Callable[[Any], str]] = {
    "builtins.OSError": _system_error,
    "builtins.AttributeError": lambda error: f"no attribute {error.name}" if error.name else "",
    "builtins.NameError": lambda error: f"no name {error.name}" if error.name else "",
    "builtins.ImportError": lambda error: f"no module {error.name}" if error.name else "",
    "builtins.UnicodeDecodeError": lambda error: f"{error.encoding} at byte {error.start}: {error.reason}",
    "builtins.UnicodeEncodeError": lambda error: f"{error.encoding} at character {error.start}: {error.reason}",
    "builtins.SyntaxError": lambda error: f"line {error.lineno}",
    "builtins.SystemExit": lambda error: f"exit code {error.code}" if isinstance(error.code, int) else "",
    "json.decoder.JSONDecodeError": lambda error: f"{error.msg} at line {error.lineno}, column {error.colno}",
    "subprocess.CalledProcessError": lambda error: f"exit code {error.returncode}",
    "subprocess.TimeoutExpired": lambda error: f"after {error.timeout} s",
    "psycopg.Error": _database_error,
    "sqlalchemy.exc.DBAPIError": _wrapped_database_error,
    "pydantic_core._pydantic_core.ValidationError": _validation_error,
    "botocore.exceptions.ClientError": _aws_error,
    "httpx.HTTPStatusError": _http_status_error,
}
"""By the full name of the class, so that no library is imported for it."""
