"""What an exception's type holds that is no data, so that a log may show it.

Nobody controls what an exception's message quotes: a parser quotes the text that it could not read, a database the
row that it refused. A message is used only of errors that are written for people
(:class:`~nightferry.errors.NightferryError`); of all others the facts that the type itself holds: a system error's
number and file, a database error's SQLSTATE and the constraint's name, the name of a missing attribute.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


def type_name(error: BaseException) -> str:
    """Return the exception's class, with its module where that is not Python's own or the program."""
    kind = type(error)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def described(name: str, error: BaseException, facts: str) -> str:
    """Return the line about an error that is called ``name`` and of which ``facts`` may be shown."""
    if facts:
        return f"{name}: {facts}"
    return f"{name} (message withheld, as it may quote data)" if error.args else name


def known_facts(error: BaseException) -> str:
    """Return the facts of an error that is not written for people; empty if its type holds none."""
    for kind in type(error).__mro__:
        reader = _READERS.get(f"{kind.__module__}.{kind.__qualname__}")
        if reader is not None:
            try:
                return reader(error)
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
    if not isinstance(error.orig, BaseException):
        return ""
    return described(type_name(error.orig), error.orig, known_facts(error.orig))


def _validation_error(error: Any) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['type']}" for problem in problems[:20])


def _aws_error(error: Any) -> str:
    return f"{error.response.get('Error', {}).get('Code', '')} in {error.operation_name}"


def _http_status_error(error: Any) -> str:
    address = error.request.url.copy_with(query=None, userinfo=b"", fragment=None)
    return f"{error.response.status_code} of {error.request.method} {address}"


_READERS: dict[str, Callable[[Any], str]] = {
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
