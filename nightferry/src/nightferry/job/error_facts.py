"""Facts about an exception that cannot contain personal data, so that a log may show them.

Any exception message may quote data: a parser quotes the text that it cannot parse, a database quotes the row that it
rejects. Only the messages of :class:`~nightferry.errors.NightferryError`, which are written for people, are logged.
For all other exceptions the log shows facts from the attributes of the type: a system error's number and file, a
database error's SQLSTATE, constraint name and impersonal message (:mod:`nightferry.job.database_errors`), the name of a
missing attribute.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from nightferry.job.database_errors import get_database_message


def get_type_name(error: BaseException) -> str:
    """Return the exception's class, prefixed with its module unless it is built in or defined in the main program."""
    kind = type(error)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def format_error(name: str, error: BaseException, facts: str) -> str:
    """Return one line about the error ``name`` with the ``facts`` that may be shown."""
    if facts:
        return f"{name}: {facts}"
    return f"{name} (message withheld because it may quote data)" if error.args else name


def read_message(error: BaseException) -> str:
    """Return the message of an error as Python shows it. That of a validation error omits the values."""
    try:
        if type(error).__module__.startswith("pydantic_core"):
            problems = error.errors(include_url=False, include_context=False, include_input=False)  # type: ignore[attr-defined]
            return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems[:20])
        return str(error)
    except Exception:  # of any type
        return ""


def read_facts(error: BaseException) -> str:
    """Return the facts of an error that is not a NightferryError; empty if its type is not in ``_READERS``."""
    for kind in type(error).__mro__:
        reader = _READERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if reader is not None:
            try:
                return reader(error)
            except Exception:  # the error was constructed with arguments that its class does not expect
                return ""
    return ""


def _read_system_error(error: Any) -> str:
    names = ", ".join(os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, str | bytes))
    if not isinstance(error.errno, int):
        return ""
    reason = os.strerror(error.errno) if error.errno > 0 else f"error {error.errno}"
    return f"{reason} ({names})" if names else reason


def _read_database_error(error: Any) -> str:
    facts = [f"SQLSTATE {error.sqlstate}"] if error.sqlstate else []
    diagnostic = error.diag
    for label in ("schema_name", "table_name", "column_name", "constraint_name", "datatype_name"):
        if named := getattr(diagnostic, label, None):
            facts.append(f"{label.removesuffix('_name')} {named}")
    message, details = get_database_message(error), ", ".join(facts)
    return f"{message} ({details})" if message and details else message or details


def _read_wrapped_database_error(error: Any) -> str:
    if not isinstance(error.orig, BaseException):
        return ""
    return format_error(get_type_name(error.orig), error.orig, read_facts(error.orig))


def _read_validation_error(error: Any) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['type']}" for problem in problems[:20])


def _read_aws_error(error: Any) -> str:
    return f"{error.response.get('Error', {}).get('Code', '')} in {error.operation_name}"


def _read_http_status_error(error: Any) -> str:
    address = error.request.url.copy_with(query=None, userinfo=b"", fragment=None)
    return f"{error.response.status_code} of {error.request.method} {address}"


_READERS: dict[str, Callable[[Any], str]] = {
    "builtins.OSError": _read_system_error,
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
    "psycopg.Error": _read_database_error,
    "sqlalchemy.exc.DBAPIError": _read_wrapped_database_error,
    "pydantic_core._pydantic_core.ValidationError": _read_validation_error,
    "botocore.exceptions.ClientError": _read_aws_error,
    "httpx.HTTPStatusError": _read_http_status_error,
}
"""Readers of facts by the full name of the class, so that no library has to be imported."""
