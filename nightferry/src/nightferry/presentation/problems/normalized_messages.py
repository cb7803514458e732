"""Reduce messages of failures to what they have in common: without numbers, IDs, times, places and quoted names.

Two messages with the same normalized text have, as far as a person can see, the same cause.
"""

from __future__ import annotations

import re

EXAMINED = 2_000
"""The number of characters of a message that count."""

_LONGEST = 300  # characters of a normalized message

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.VERBOSE | re.IGNORECASE), text)
    for pattern, text in (
        (r"""\b[a-z][a-z0-9+.-]{1,20}://[^\s'"`<>]*[^\s'"`<>:;,.)]""", "LOCATION"),
        (r"""\barn:aws[a-z-]*:[^\s'"`<>]*[^\s'"`<>:;,.)]""", "ARN"),
        (r"""(?<![\w'])'[^'\n]{1,200}'(?!\w)|"[^"\n]{1,200}"|`[^`\n]{1,200}`|“[^”\n]{1,200}”""", "'…'"),
        (r"""\b\d{4}-\d\d-\d\d([T_ ]\d\d:?\d\d(:?\d\d([.,]\d+)?)?(\ ?(Z|UTC|[+-]\d\d:?\d\d))?)?(?!\d)""", "TIME"),
        (r"""\b\d\d?:\d\d(:\d\d([.,]\d+)?)?\b""", "TIME"),
        (r"""\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b""", "ID"),
        (r"""\b(?=[a-f]*\d)(?=\d*[a-f])[0-9a-f]{12,}\b""", "ID"),
        (r"""\b0x[0-9a-f]+\b""", "ID"),
        (r"""(?<=/)[\w.-]*\d[\w.-]*""", "N"),  # a part of a path with a number in its name
    )
)
# A number that names the kind of the error, and not its place or extent, is a part of the cause.
_KIND = r"\b(?:code|errno|http(?:/[\d.]+)?|sqlstate|status)(?:\ code)?[\ =:\[(]{0,3}[0-9A-Z]{1,5}\b"
_NUMBERS = re.compile(rf"(?P<kind>{_KIND})|[+-]?\d+(?:[.,:_]\d+)*", re.IGNORECASE | re.ASCII)


def normalize_message(message: str) -> str:
    """Return what a message has in common with those of the same cause, on one line."""
    text = " ".join(message[:EXAMINED].split())
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _NUMBERS.sub(lambda found: found["kind"] or "N", text)
    return text if len(text) <= _LONGEST else text[:_LONGEST].rstrip() + " …"
