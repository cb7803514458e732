"""Parsing of TOML, with one error for every text that is not TOML or exceeds Python's limits, and the lines of keys."""

from __future__ import annotations

import re
import tomllib
from typing import Any


class NotToml(ValueError):
    """The text is not TOML, is nested too deeply, or contains a number with thousands of digits."""


def loads(text: str) -> dict[str, Any]:
    """Return the document. Raises NotToml."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise NotToml("it is nested too deeply") from None
    except ValueError as error:  # also for an integer that Python refuses to convert
        raise NotToml(str(error)) from None


def find_line(text: str, path: tuple[str, ...]) -> int:
    """Return the line that sets the key ``path``, or the header of a table with that name or around it, or 1.

    tomllib reports no positions, so the text is scanned.
    """
    found, below = 1, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            if table == path:
                return number
            if path[: len(table)] == table:
                found = number
            elif path and table[: len(path)] == path:
                below = below or number
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            key_path = (*table, *(part.strip("\"'") for part in key[1].split(".")))
            if key_path == path:
                return number
    return below or found
