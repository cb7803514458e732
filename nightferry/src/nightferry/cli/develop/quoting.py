"""Quote the value of a variable so that a shell and python-dotenv read the same text."""

from __future__ import annotations


def quote(value: str) -> tuple[str, bool]:
    r"""Return the quoted value, and False if only a shell reads it unchanged.

    python-dotenv decodes ``\\`` and ``\'`` in single quotes, ends a value at its quote, replaces ``${NAME}`` in any
    quotes, and reads a carriage return as a line end.
    """
    if "'" not in value:
        changed = "\\\\" in value or value.endswith("\\") or "${" in value or "\r" in value
        return f"'{value}'", not changed
    if not set(value) & set('"$`\\!\r'):
        return f'"{value}"', True
    return "'" + value.replace("'", "'\"'\"'") + "'", False
