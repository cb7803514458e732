"""Descriptions of database driver errors without personal data.

They never include DETAIL and CONTEXT, which quote rows.
"""

from __future__ import annotations

import re

import psycopg

# SQLSTATE classes whose messages quote values: data exceptions and errors raised by triggers.
_CLASSES_QUOTING_VALUES = ("22", "P0")


def describe_error_kind(error: psycopg.Error) -> str:
    """Return the name of the error's class and its SQLSTATE, such as ``division by zero (SQLSTATE 22012)``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return f"{words} (SQLSTATE {error.sqlstate})" if error.sqlstate else words


def describe_error(error: psycopg.Error) -> str:
    """Return the server's message of ``error``, or only its kind if the message may quote values of rows."""
    if error.sqlstate is None:  # The connection failed. The message is the client library's and contains no data.
        return str(error).strip() or describe_error_kind(error)
    words = error.diag.message_primary
    if words is None or error.sqlstate.startswith(_CLASSES_QUOTING_VALUES):
        return describe_error_kind(error)
    return words
