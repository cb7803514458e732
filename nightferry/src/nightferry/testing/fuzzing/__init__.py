"""Fuzzing of parsers: mutations of valid inputs, with limits of time, memory and disk for each input.

::

    registry (Parser: seeds, read, errors) ─ mutations ─▶ trial (in a process with limits) ─▶ breaches, coverage

A breach is another exception than the documented ones, an input above a limit, or an error message that contains
personal data of the input.
"""

from nightferry.testing.fuzzing.parser import NOTHING, Parser, Unusable, from_json, from_text
from nightferry.testing.fuzzing.supervision import Summary, format_breaches, format_table, fuzz

__all__ = [
    "NOTHING",
    "Parser",
    "Summary",
    "Unusable",
    "format_breaches",
    "format_table",
    "from_json",
    "from_text",
    "fuzz",
]
