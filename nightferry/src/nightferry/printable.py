r"""Make text printable: on a terminal, on a page, in a notice and in a line of JSON.

A text from outside (the name of an object, a message, the output of a program) may have characters that control a
terminal or change what a person reads: escape sequences, other control characters (C0 and C1), bidirectional controls,
characters without width, line and paragraph separators, and lone surrogates. Each is replaced with its escape sequence
in JSON, such as ``\u001b``. A line of JSON therefore has the same value before and after.
"""

from __future__ import annotations

import re
import unicodedata

_UNPRINTABLE = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")  # categories of Unicode
_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5")  # letters and marks without a glyph
_LINE_END = re.compile(r"\n(?=\S)")


class _Escapes(dict[int, str]):
    """The printable form of each code point, computed when it is first needed."""

    def __missing__(self, code: int) -> str:
        found = _escape(chr(code))
        if len(self) < _MAX_CACHED:
            self[code] = found
        return found


_MAX_CACHED = 10_000
_escapes = _Escapes({ord("\n"): "\n", ord("\t"): "\t"})


def make_printable(text: str) -> str:
    """Return a text whose characters a terminal or a browser only displays. Line ends and tabs stay as they are."""
    if text.isprintable() and (text.isascii() or _INVISIBLE.isdisjoint(text)):
        return text
    return text.translate(_escapes)


def make_one_line(text: str) -> str:
    """Return a printable text without line ends and tabs: for the name of a thing, or the cell of a table."""
    return make_printable(text).replace("\n", "\\n").replace("\t", " ")


def indent_continuation(text: str, indent: str = "  ") -> str:
    """Return a text whose second and further lines are indented, so that they do not look like own lines."""
    rest = text.lstrip("\n")
    return text[: len(text) - len(rest)] + _LINE_END.sub(f"\n{indent}", rest) if "\n" in rest else text


def _escape(character: str) -> str:
    if unicodedata.category(character) not in _UNPRINTABLE and character not in _INVISIBLE:
        return character
    code = ord(character)
    if code > 0xFFFF:
        code -= 0x10000
        return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
    return f"\\u{code:04x}"
