r"""Names of members in the brackets of a JSONPath: ``$['a b']``.

The quote that encloses a name may occur in it after a backslash. AWS reads any other backslash as part of the name,
while JsonPath, the library behind it, reads ``\"`` as ``"`` and ``\\`` as ``\``. The latter
is documented by the results of com.jayway.jsonpath in cburgmer.github.io/json-path-comparison ("Bracket notation with
quoted special characters combined"); no public description settles every case of the former. So the member with
exactly these characters is selected, or, if there is none, the member by JsonPath's rules.
"""

from __future__ import annotations

import re
from typing import Any

QUOTED = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
"""A regular expression that matches a name with its quotes."""

_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class AmbiguousName(str):
    """A name with backslashes; ``unescaped`` is JsonPath's reading of it."""

    unescaped: str


def read_name(quoted: str) -> str:
    """Return the name that a quoted text selects."""
    quote, text = quoted[0], quoted[1:-1]
    name = text.replace(f"\\{quote}", quote)
    if "\\" not in name:
        return name
    ambiguous = AmbiguousName(name)
    ambiguous.unescaped = _ESCAPE.sub(_unescape, text)
    return ambiguous


def _unescape(match: re.Match[str]) -> str:
    escaped = match[1]
    return chr(int(escaped[1:], 16)) if len(escaped) > 1 else _CONTROLS.get(escaped, escaped)


def choose_name(value: dict[str, Any], name: str) -> str:
    """Return the name of the member of ``value`` that ``name`` selects, or the name itself if there is none."""
    if isinstance(name, AmbiguousName):
        return name.unescaped if name not in value and name.unescaped in value else str(name)
    return name
