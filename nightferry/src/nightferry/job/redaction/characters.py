"""Represent text by ASCII characters of the same positions, so that a pattern finds numbers in any writing."""

from __future__ import annotations

import html
import re
import unicodedata

INVISIBLE = "\x00"
"""The representation of a character that takes no space, such as a zero-width space or a combining mark."""

_SIGN = "~"
"""The representation of a punctuation mark or symbol that ASCII does not have."""

_CELL_EDGE = "│"
"""The vertical line of a table stays as it is: the numbers on its two sides are different values."""

_MAX_CACHED = 10_000
_DASHES = frozenset("\u00ad\u02d7\u2010\u2043\u207b\u208b\u2212\u2796\u30fc\uff70")
_BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0\x85")
_ESCAPES = re.compile(
    r"%(?:2[0D]|0[9AD])|%(?:[CE][0-9A-F](?:%[89AB][0-9A-F]){1,2})|\\u[0-9a-f]{4}|\\x[0-9a-f]{2}|\\[nrt]|&\#?\w{1,6};",
    re.IGNORECASE,
)


class _Representations(dict[int, str]):
    """The ASCII character for each code point, computed when it is first needed."""

    def __missing__(self, code: int) -> str:
        found = _represent(chr(code))
        if len(self) < _MAX_CACHED:
            self[code] = found
        return found


_representations = _Representations()


def represent(text: str) -> str:
    """Return text of the same length in which digits, dashes, blanks and signs of any script are those of ASCII.

    An escape sequence of a blank, dash or digit, as in URLs, JSON and XML, is replaced too. Letters of other scripts
    stay as they are.
    """
    if not text.isascii():
        text = text.translate(_representations)
    if "\\" in text or "%" in text or "&" in text:
        text = _ESCAPES.sub(_represent_escape, text)
    return text


def _represent(character: str) -> str:
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    category = unicodedata.category(character)
    if character in _DASHES or category == "Pd":
        return "-"
    if character in _BLANKS or category in ("Zs", "Zl", "Zp"):
        return " "
    if category in ("Cf", "Mn", "Me"):
        return INVISIBLE
    plain = unicodedata.normalize("NFKC", character)
    if len(plain) == 1 and plain.isascii():
        return plain
    return _SIGN if category[0] in "PS" and character != _CELL_EDGE else character


def _represent_escape(match: re.Match[str]) -> str:
    """Return the character of an escape sequence, padded to the length of the sequence."""
    escape = match[0]
    try:
        character = _decode(escape)
    except (ValueError, LookupError):
        return escape
    shown = _represent(character) if len(character) == 1 else "a"
    if shown.isalpha():
        return escape
    return shown + INVISIBLE * (len(escape) - 1)


def _decode(escape: str) -> str:
    if escape[0] == "%":
        return bytes.fromhex(escape.replace("%", "")).decode()
    if escape[0] == "\\":
        return {"n": "\n", "r": "\r", "t": "\t"}.get(escape[1].lower()) or chr(int(escape[2:], 16))
    return html.unescape(escape)
