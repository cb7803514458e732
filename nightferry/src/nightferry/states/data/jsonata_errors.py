"""What went wrong in a JSONata expression, in the words of the reference implementation, which AWS uses too.

The library's catalogue is a translation in which the word *function* became *Object*, and its values stand unquoted;
the reference writes them as JSON. An error with a code is told as ``. CODE: message``, one without as ``: message``.
Source: JSONata documentation, "Error codes"; causes that AWS answers.
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

# The order in which the library hands over what its templates take, where it is not that of the template.
_VALUES: dict[str, Callable[[JException], list[Any]]] = {
    "D1002": lambda error: [error.expected],
    "D3100": lambda error: [error.location],
    "T0411": lambda error: [error.expected],
    "T0412": lambda error: [error.current, error.expected, _ARRAYS.get(error.extra, error.extra)],
}

# What library functions raise without a code: the beginning of the message, and what it means.
_UNCODED = (
    ("could not convert string to float: ", "D3030: Unable to cast value to a number: "),
    ("Invalid isoformat string: ", "D3110: The argument of the toMillis function must be an ISO 8601 formatted "
     "timestamp. Given "),
    ("'<' not supported between instances", "D3070: The single argument form of the sort function can only be applied "
     "to an array of strings or an array of numbers.  Use the second argument to specify a comparison function"),
)  # fmt: skip


def tail(error: Exception) -> str:
    """How the cause goes on after "threw an error during evaluation"."""
    if isinstance(error, RecursionError):
        return STACK_OVERFLOW
    if isinstance(error, JException):
        return _coded(error)
    text = str(error)
    for beginning, meaning in _UNCODED:
        if text.startswith(beginning):
            quoted = text.removeprefix(beginning) if meaning.endswith(": ") or meaning.endswith("Given ") else ""
            return f". {meaning}{dumps(quoted.strip(chr(39))) if quoted else ''}"
    return f": {text}"


def message(error: JException) -> str:
    """The error's sentence, without its code."""
    template = JException.error_codes.get(error.error)
    if template is None:
        return str(error.error)
    template = template.replace("Object", "function")
    values = _VALUES[error.error](error) if error.error in _VALUES else [error.current, error.expected, error.extra]
    rest = iter(values)

    def put(match: re.Match[str]) -> str:
        value = next(rest, None)
        return str(value) if match[0].startswith("{{{") else _quoted(value)

    return re.sub(r"\{\{\{\w+\}\}\}|\{\{\w+\}\}", put, template)


def _coded(error: JException) -> str:
    if error.error not in JException.error_codes:
        return f": {error.error}"
    return f". {error.error}: {message(error)}"


def _quoted(value: Any) -> str:
    """A value as JSON; null for what is none."""
    try:
        return dumps(Utils.convert_nulls(value))
    except (TypeError, ValueError):
        return "null"
