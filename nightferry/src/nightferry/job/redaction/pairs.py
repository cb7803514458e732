"""Mask the values of fields in text: ``key=value``, ``key: value``, JSON, ``repr``, XML and command lines.

``is_hidden`` decides by a field's name whether its value is masked. Each function takes time that is linear in the
length of the text, because its patterns never return to a character: their quantifiers are possessive, and a name
starts only where the character before it cannot be part of a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from nightferry.field_names.secret_names import is_number_of_secrets

MASK = "[redacted]"
"""The replacement of a masked field's value."""

IsHidden = Callable[[str], bool]

# key=value, key: value, "key": value and 'key' => value, also with escaped quotes
_KEY = re.compile(r"""(?:(?<![\w.\\-])|(?<=\\[nrt]))(?P<key>[\w.-]++)(?P<end>\\{0,8}+["'])?\s*+(?P<sign>=>|[=:])\s*+""")
_QUOTED = re.compile(r"""(?P<quote>\\{0,8}+["'])(?P<value>(?:(?!(?P=quote))(?:\\.|.))*+)""", re.DOTALL)
# A value without quotes ends at the next key or at the end of the line.
_UNQUOTED = re.compile(
    r"""
    (?: \[redacted\]
      | [^\s,;&<>)}\]|"']++
      | (?<=[^\W\d_])'(?=[^\W\d_])                                              # O'Brien
      | [^\S\n]++(?:"[^"\n]{1,40}+"|'[^'\n]{1,40}+'|\([^()\n]{1,40}+\))(?=\s)    # Mary "May" Smith
      | ,[^\S\n]{0,2}(?=[A-Z][\w'.-]*+(?!\s*+[=:]|\w))                             # Smith, John
      | [^\S\n]++&(?=[^\S\n])                                                     # Smith & Sons
      | [^\S\n]++(?!\n|\Z|[,;&<>)}\]|"']|[A-Za-z][\w.-]*+\s*+[=:])
    )*+
    """,
    re.VERBOSE,
)
# Of a value in repr: b'…', Decimal('…'), Name(first='…')
_TYPE = re.compile(r"""(?:[bruf]{1,2}(?=["'])|[A-Za-z_][\w.]{0,100}+(?=\())""", re.IGNORECASE)
_BRACKET = re.compile(r"[][(){}]")
_PATH = re.compile(r"(?:^|[\s\"'(\[=])(?:[a-z][a-z\d]{1,7}:/)?/[^\s\"'<>?=&;]*/$")  # up to the last part of a path
_PATH_CHARACTERS = 300
_COUNT = re.compile(r"\d{1,6}(?![\w.-])")
_CLOSING = {"{": "}", "[": "]", "(": ")"}
_EMPTY = ("", "None", "null", "true", "false", "True", "False", MASK)
_ELEMENT = re.compile(r"(?P<before><(?:\w++:)?(?P<key>[\w.-]++)(?:\s[^<>]*+)?>)(?P<value>[^<>]++)")
# ('Set-Cookie', 'session=…'), also with bytes, as in lists of headers
_ITEM = re.compile(
    r"""(?P<before>\(b?(?P<quote>["'])(?P<key>[\w.-]++)(?P=quote),\ ?b?(?P<quote_of_value>["']))"""
    r"""(?P<value>(?:(?!(?P=quote_of_value))(?:\\.|.))++)(?=(?P=quote_of_value)\))"""
)
# --password hunter2, and '--password', 'hunter2' in the repr of a command; "--password is required" is a sentence.
_OPTION = re.compile(
    r"""
    (?<![\w-])--(?P<key>\w[\w-]*+)
    (?:["'],?[^\S\n]++["']|[^\S\n]++(?!(?:[a-z]++|[A-Z]++)(?:[\s.,:;)]|\Z)))
    (?P<value>[^\s"',\])-][^\s"',\])]*+)
    """,
    re.VERBOSE,
)


def mask_pairs(text: str, is_hidden: IsHidden) -> str:
    """Replace the values of hidden fields in JSON, ``repr``, conninfo, query strings and the like."""
    pieces, end, position = [], 0, 0
    while (found := _KEY.search(text, position)) is not None:
        position = found.end()
        if not is_hidden(found["key"]) or _is_label(text, found) or _is_count_by_label(text, found):
            continue
        start, stop = _find_value(text, position)
        value = text[start:stop].strip()
        if value not in _EMPTY and not is_number_of_secrets(found["key"], value):
            pieces += [text[end:start], MASK]
            end = stop
        position = max(stop, position)
    return "".join([*pieces, text[end:]]) if pieces else text


def mask_elements(text: str, is_hidden: IsHidden) -> str:
    """Replace the texts of hidden XML elements."""

    def mask(match: re.Match[str]) -> str:
        return f"{match['before']}{MASK}" if is_hidden(match["key"]) and match["value"].strip() else match[0]

    return _ELEMENT.sub(mask, text)


def mask_items(text: str, is_hidden: IsHidden) -> str:
    """Replace the values in tuples of a hidden name and its value."""
    return _ITEM.sub(lambda match: f"{match['before']}{MASK}" if is_hidden(match["key"]) else match[0], text)


def mask_options(text: str, is_hidden: IsHidden) -> str:
    """Replace the words after hidden options."""

    def mask(match: re.Match[str]) -> str:
        before = match.string[match.start() : match.start("value")]
        return f"{before}{MASK}" if is_hidden(match["key"]) else match[0]

    return _OPTION.sub(mask, text)


def _is_label(text: str, found: re.Match[str]) -> bool:
    """Return True if the key is not the name of a field, but a part of a sentence."""
    if found["sign"] == ":" and text[found.end("sign") :][:1].isspace():
        return _is_error_type(found["key"].rpartition(".")[2]) or _is_end_of_path(text, found.start("key"))
    return False


@lru_cache(maxsize=4096)
def _is_error_type(name: str) -> bool:
    """Return True for the key in ``CredentialsError: access denied``, the name of a loaded exception class."""
    if re.match(r"[A-Z][a-z]+[A-Z]", name) is None:
        return False
    waiting: list[type[BaseException]] = [BaseException]
    while waiting:
        kind = waiting.pop()
        if kind.__name__ == name:
            return True
        waiting += type.__subclasses__(kind)
    return False


def _is_end_of_path(text: str, start: int) -> bool:
    """Return True for the key in ``/api/db_password: access denied``, which is the last part of a path."""
    if text[start - 1 : start] != "/":
        return False
    return _PATH.search(text[max(0, start - _PATH_CHARACTERS) : start]) is not None


def _is_count_by_label(text: str, found: re.Match[str]) -> bool:
    """Return True for the key in ``"customer without an SSN": 3``, which is the last word of a label."""
    is_last_word = text[found.start("key") - 1 : found.start("key")] == " " and found["end"] is not None
    return is_last_word and _COUNT.match(text, found.end()) is not None


def _find_value(text: str, position: int) -> tuple[int, int]:
    """Return the start and end of the value at ``position``, without its quotes."""
    kind = _TYPE.match(text, position)
    begin = kind.end() if kind else position
    if quoted := _QUOTED.match(text, begin):
        return quoted.span("value")
    if text[begin : begin + 1] in _CLOSING:
        return position, _find_closing_bracket(text, begin)
    unquoted = _UNQUOTED.match(text, position)
    return unquoted.span() if unquoted else (position, position)


def _find_closing_bracket(text: str, position: int) -> int:
    """Return the end of the bracketed text that opens at ``position``."""
    open_brackets: list[str] = []
    for bracket in _BRACKET.finditer(text, position):
        if bracket[0] in _CLOSING:
            open_brackets.append(_CLOSING[bracket[0]])
        elif bracket[0] == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return bracket.end()
    return len(text)
