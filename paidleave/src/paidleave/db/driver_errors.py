"""What may be shown of an error of the database driver: never its DETAIL and CONTEXT, which quote rows."""

from __future__ import annotations

import re

import psycopg

# SQLSTATE classes whose messages quote values: data exceptions, and what triggers raise.
_CLASSES_QUOTING_VALUES = ("22", "P0")


def describe_error_kind(error: psycopg.Error) -> str:
    """Return the kind of ``error`` in words, with its SQLSTATE: ``division by zero (SQLSTATE 22012)``."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
    return f"{words} (SQLSTATE {error.sqlstate})" if error.sqlstate else words


def describe_error(error: psycopg.Error) -> str:
    """Return the server's words of ``error``, or only its kind where the words could quote values of rows."""
    if error.sqlstate is None:  # the connection failed: a message of the client library, without data
        return str(error).strip() or describe_error_kind(error)
    words = error.diag.message_primary
    if words is None or error.sqlstate.startswith(_CLASSES_QUOTING_VALUES):
        return describe_error_kind(error)
    return words
