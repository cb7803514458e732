"""Messages of JSONata errors with the text of the reference implementation, which AWS also uses.

In the library's table of messages, *Object* replaces the word *function*, and values are unquoted; the reference writes
them as JSON. An error with a code has the form ``. CODE: message``, one without a code ``: message``.
Source: JSONata documentation, "Error codes"; causes recorded from AWS.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jsonata.jexception import JException  # type: ignore[import-untyped]  # the library has no stubs
from jsonata.utils import Utils  # type: ignore[import-untyped]  # the library has no stubs

from nightferry.states.data.payload import dumps

STACK_OVERFLOW = (
    ": Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive"
)
TOO_LONG = ": Expression evaluation timeout: Check for infinite loop"

_ARRAYS = {"a": "arrays", "b": "booleans", "f": "functions", "n": "numbers", "o": "objects", "s": "strings"}

# The values of an error in the order of its template, for errors whose attributes have another order in the library.
_VALUES: dict[str, Callable[[JException], list[Any]]] = {
    "D1002": lambda error: [error.expected],
    "D3100": lambda error: [error.location],
    "T0411": lambda error: [error.expected],
    "T0412": lambda error: [error.current, error.expected, _ARRAYS.get(error.extra, error.extra)],
}

# Errors of library functions without a code: the beginning of the message, and the reference's message.
_UNCODED = (
    ("could not convert string to float: ", "D3030: Unable to cast value to a number: "),
    ("Invalid isoformat string: ", "D3110: The argument of the toMillis function must be an ISO 8601 formatted "
     "timestamp. Given "),
    ("'<' not supported between instances", "D3070: The single argument form of the sort function can only be applied "
     "to an array of strings or an array of numbers.  Use the second argument to specify a comparison function"),
)  # fmt: skip


def format_suffix(error: Exception) -> str:
    """Return the text of the cause that follows "threw an error during evaluation"."""
    if isinstance(error, RecursionError):
        return STACK_OVERFLOW
    if isinstance(error, JException):
        return _format_coded(error)
    text = str(error)
    for beginning, meaning in _UNCODED:
        if text.startswith(beginning):
            quoted = text.removeprefix(beginning) if meaning.endswith(": ") or meaning.endswith("Given ") else ""
            return f". {meaning}{dumps(quoted.strip(chr(39))) if quoted else ''}"
    return f": {text}"


def format_message(error: JException) -> str:
    """Return the error's message without its code."""
    template = JException.error_codes.get(error.error)
    if template is None:
        return str(error.error)
    template = template.replace("Object", "function")
    values = _VALUES[error.error](error) if error.error in _VALUES else [error.current, error.expected, error.extra]
    rest = iter(values)

    def fill(match: re.Match[str]) -> str:
        value = next(rest, None)
        return str(value) if match[0].startswith("{{{") else _quote(value)

    return re.sub(r"\{\{\{\w+\}\}\}|\{\{\w+\}\}", fill, template)


def _format_coded(error: JException) -> str:
    if error.error not in JException.error_codes:
        return f": {error.error}"
    return f". {error.error}: {format_message(error)}"


def _quote(value: Any) -> str:
    """Return a value as JSON, or null if it is not JSON."""
    try:
        return dumps(Utils.convert_nulls(value))
    except (TypeError, ValueError):
        return "null"
