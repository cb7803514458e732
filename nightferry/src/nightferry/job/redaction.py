"""Keeps personal data and secrets out of everything that a job says.

Three rules, applied to every log line, exception, report and event:

1. **Fields.** The value of a field whose name says that it is personal or secret (:mod:`nightferry.job.personal`)
   is replaced whatever it is: an extra, a key of a nested mapping, a key in JSON or ``key=value`` text.
2. **Known secrets.** The values of the job's own secrets are replaced wherever they appear, a key's single lines too.
3. **Shapes.** In all other text what looks like a tax identifier, an account or routing number, a telephone number,
   an e-mail address, a key block, a token, or a password in an address is replaced. PostgreSQL's messages end before
   ``DETAIL`` and ``CONTEXT``, which quote rows.

What a shape cannot tell, a name in free text, must not be written into a message: pass it as a field or not at all.
For exceptions, whose messages nobody controls, see :mod:`nightferry.job.error_facts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from uuid import UUID

from nightferry.errors import NightferryError
from nightferry.job.error_facts import described, known_facts, type_name
from nightferry.job.numbers import mask_numbers
from nightferry.job.personal import MASK, is_personal, keeps_digits

PLAIN_TYPES = (UUID, Decimal, PurePath, Enum, timedelta, time)
"""Types beside texts, numbers, dates and collections whose text may be shown; of others only the type is."""

_DEPTH_LIMIT = 12
_SECRET_LINE = 8  # characters; shorter lines of a secret would hide ordinary words

# Rows and parameters that PostgreSQL's and SQLAlchemy's messages quote stand behind these words.
_DATABASE_DETAIL = re.compile(r"\s{0,9}(?:\b(?:DETAIL|CONTEXT|HINT|QUERY):\s|\[parameters: ).*", re.DOTALL)

_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_KEY_BLOCK_END = re.compile(r"\A.*-----END [A-Z0-9 ]+-----", re.DOTALL)  # its beginning was cut off
_ENCODED = re.compile(r"(?<![\w+/=-])(?=[\w+/-]*[a-z])(?=[\w+/-]*[A-Z])(?=[\w+/-]*\d)[A-Za-z0-9+/_-]{56,}={0,2}")
_JSON_WEB_TOKEN = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?")
_AWS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b")
_AUTHORIZATION = re.compile(
    r"\b(Bearer|Basic|Digest|AWS4-HMAC-SHA256)(\s+)(?=[^\s,;\"']*[\d._~+/=-])[^\s,;\"']{6,}", re.I
)
_USER_INFO = re.compile(r"(?<=://)[^/\s?#@\"']*(?:@[^/\s?#@\"']*)*@")
_E_MAIL = re.compile(
    r"(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]+@(?:[\w-]+\.)+[\w-]{2,}|\"[^\"\n]+\"@(?:[\w-]+\.)+[\w-]{2,}"
)

# key=value, key: value, "key": value, 'key' => value, with escaped quotes too
_KEY = re.compile(
    r"""(?:\\?["'])?(?:(?<![\w.\\])|(?<=\\[nrt]))(?P<key>[A-Za-z][\w.-]{0,200}?)(?:\\?["'])?\s*(?:=>|[=:])\s*"""
)
_QUOTED = re.compile(r"""(?P<quote>\\?["'])(?P<value>(?:(?!(?P=quote))(?:\\.|.))*)(?:(?P=quote)|\Z)""", re.DOTALL)
# Without quotes a value ends where another begins, or with the line.
_UNQUOTED = re.compile(r"""[^,;&<>)}\]\n|"']*?(?=\s+["']?[A-Za-z][\w.-]*["']?\s*[=:]|[,;&<>)}\]\n|"']|\Z)""")
_CLOSING = {"{": "}", "[": "]", "(": ")"}
_EMPTY = ("", "None", "null", "true", "false", "True", "False", MASK)
_ELEMENT = re.compile(r"(?P<before><(?:\w+:)?(?P<key>[\w.-]+)(?:\s[^<>]*)?>)(?P<value>[^<>]+)")


class Redactor:
    """Redacts texts and values. One per process: :data:`redactor`."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._secret_pattern: re.Pattern[str] | None = None

    def learn(self, secrets: Iterable[str]) -> None:
        """Replace these values from now on wherever they appear, and each of their lines."""
        found = set(self._secrets)
        for secret in secrets:
            stripped = secret.strip()
            found.update(part for part in (secret, stripped) if part)
            found.update(line for line in (part.strip() for part in stripped.splitlines()) if len(line) >= _SECRET_LINE)
            if "\n" in stripped:
                found.add(stripped.replace("\n", "\\n"))
        self._secrets = frozenset(found)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        # A very short secret (a demo's password "x") is masked as a whole word only, so that logs stay readable.
        parts = [re.escape(s) if len(s) >= 4 else rf"(?<!\w){re.escape(s)}(?!\w)" for s in longest_first]
        self._secret_pattern = re.compile("|".join(parts)) if parts else None

    def text(self, text: str, *, keep_digits: bool = False) -> str:
        """``text`` without personal data and secrets."""
        if self._secret_pattern is not None:
            text = self._secret_pattern.sub(MASK, text)
        text = _DATABASE_DETAIL.sub("", text)
        if "-----" in text:
            text = _KEY_BLOCK.sub("[key]", text)
            text = _KEY_BLOCK_END.sub("[key]", text)
        if "=" in text or ":" in text:
            text = _without_personal_pairs(text)
        if "<" in text:
            text = _ELEMENT.sub(_without_personal_element, text)
        text = _JSON_WEB_TOKEN.sub("[token]", text)
        text = _AUTHORIZATION.sub(rf"\1\2{MASK}", text)
        text = _AWS_KEY_ID.sub("[key]", text)
        if "@" in text:
            text = _USER_INFO.sub(f"{MASK}@", text)
            text = _E_MAIL.sub("[e-mail]", text)
        text = _ENCODED.sub("[key]", text)
        return text if keep_digits else mask_numbers(text)

    def value(self, value: Any, field: str = "", depth: int = 0) -> Any:
        """``value`` of a field as something that JSON can hold, without personal data and secrets."""
        if value is None or isinstance(value, bool):
            return value
        if field and is_personal(field):
            return MASK
        keep = bool(field) and keeps_digits(field)
        match value:
            case int() | float():
                return value if keep else self._number(value)
            case str():
                return self.text(value, keep_digits=keep)
            case datetime() | date():
                return value.isoformat()
            case bytes() | bytearray() | memoryview():
                return f"[{len(value)} bytes]"
            case _ if depth >= _DEPTH_LIMIT:
                return "…"
            case Mapping():
                return {self._key(key): self.value(item, str(key), depth + 1) for key, item in value.items()}
            case BaseException():
                return self.error(value)
            case Sequence() | AbstractSet():
                return [self.value(item, field, depth + 1) for item in value]
        if isinstance(value, PLAIN_TYPES):
            return self.text(str(value), keep_digits=keep)
        return f"<{type(value).__qualname__}>"  # a table, a record: nobody knows what its text holds

    def error(self, error: BaseException, *, short: bool = False) -> str:
        """Return ``Type: message`` in one line, as far as the message holds no data; ``short``: the type alone."""
        name = type(error).__qualname__ if short else type_name(error)
        if isinstance(error, NightferryError):
            return f"{name}: {self.text(str(error))}"
        return described(name, error, self.text(known_facts(error)))

    def _key(self, key: object) -> str:
        return self.text(key) if isinstance(key, str) else str(self.value(key))

    def _number(self, value: int | float) -> int | float | str:
        text = repr(value)
        masked = mask_numbers(text)
        return value if masked == text and abs(value) != float("inf") and value == value else masked


def _without_personal_pairs(text: str) -> str:
    """Replace the values of personal fields in JSON, ``repr``, conninfo, query strings and the like."""
    pieces, end, position = [], 0, 0
    while (found := _KEY.search(text, position)) is not None:
        position = found.end()
        if not is_personal(found["key"]):
            continue
        start, stop = _value_at(text, position)
        if text[start:stop].strip() not in _EMPTY:
            pieces += [text[end:start], MASK]
            end = stop
        position = max(stop, position)
    return "".join([*pieces, text[end:]]) if pieces else text


def _value_at(text: str, position: int) -> tuple[int, int]:
    """Where the value that begins at ``position`` begins and ends, without its quotes."""
    if quoted := _QUOTED.match(text, position):
        return quoted.span("value")
    if text[position : position + 1] in _CLOSING:
        return position, _closing(text, position)
    unquoted = _UNQUOTED.match(text, position)
    return unquoted.span() if unquoted else (position, position)


def _closing(text: str, position: int) -> int:
    """The end of the brackets that open at ``position``."""
    open_brackets = []
    for index in range(position, len(text)):
        if text[index] in _CLOSING:
            open_brackets.append(_CLOSING[text[index]])
        elif text[index] == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return index + 1
    return len(text)


def _without_personal_element(match: re.Match[str]) -> str:
    return f"{match['before']}{MASK}" if is_personal(match["key"]) and match["value"].strip() else match[0]


redactor = Redactor()
"""The process's redactor."""


def redact(text: str) -> str:
    """``text`` without personal data and secrets."""
    return redactor.text(text)


def redact_value(value: Any) -> Any:
    """Return ``value`` as something that JSON can hold, without personal data and secrets."""
    return redactor.value(value)


def describe(error: BaseException, *, short: bool = False) -> str:
    """Return ``Type: message`` in one line without data; ``short`` leaves the type's module out."""
    return redactor.error(error, short=short)
