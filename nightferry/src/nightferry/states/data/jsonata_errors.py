"""Causes of failed JSONata expressions, with the text that AWS uses.

An error with a code has the form ``. CODE: message``, one without a code ``: message``.
Sources: JSONata documentation, "Error codes"; causes recorded from AWS.
"""

from __future__ import annotations

import re

STACK_OVERFLOW = (
    ": Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive"
)
OUT_OF_TIME = ": Expression evaluation timeout: Check for infinite loop"
OUT_OF_MEMORY = ": Expression evaluation memory limit exceeded: Check for excessive memory usage"

# Codes of the library's limits on depth, time, steps and sizes.
_LIMITS = {"D1011": STACK_OVERFLOW, "D1012": OUT_OF_TIME, "D2016": OUT_OF_MEMORY, "U1001": OUT_OF_MEMORY}

# Codes whose message ends with a number, which the library writes with a fraction of zero.
_NUMBERED = {"D3060", "D3061", "D3100", "S0201"}


def format_suffix(code: str | None, message: str) -> str:
    """Return the text of the cause that follows "threw an error during evaluation"."""
    if code is None:
        return f": {message}"
    return _LIMITS.get(code) or f". {code}: {format_message(code, message)}"


def format_message(code: str, message: str) -> str:
    """Return the library's message in the reference implementation's words."""
    return re.sub(r"(\d)\.0\b", r"\1", message) if code in _NUMBERED else message
