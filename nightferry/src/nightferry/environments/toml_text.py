"""Parsing of TOML, with one error for every text that is not TOML or exceeds Python's limits."""

from __future__ import annotations

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
