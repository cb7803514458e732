"""Remove personal data and secrets from all output of a job.

Three rules apply to each log line, exception, report and event:

1. **Fields.** The value of a field with a personal or secret name (:mod:`.personal`) is replaced. The field may be a
   key of ``extra``, of a nested mapping, of JSON or of ``key=value`` text.
2. **Known secrets.** The values of the job's secrets are replaced wherever they appear, and so are the lines of a key.
3. **Patterns.** In all other text, tax identifiers, account and routing numbers, telephone numbers, email addresses,
   key blocks, tokens and passwords in URLs are recognized by their patterns and replaced. PostgreSQL's messages are
   truncated before ``DETAIL`` and ``CONTEXT``, which quote rows.

These stay readable, because they have the form of personal data but contain none:

- the text after a path or the type of an exception, even if its last word is a personal name:
  ``/api/db_password: access denied``, ``CredentialsError: access denied``;
- a count of at most six digits by a label of several words: ``{"customer without an SSN": 3}``;
- long paths and names made of words and numbers;
- the numbers in names that the settings class declares (:attr:`~nightferry.job.settings.JobSettings.shown_names`).

A sentence such as ``f"password: {reason}"`` has the form of a field, and its reason is hidden. Write another sentence;
:mod:`nightferry.testing.messages` finds them.

Patterns cannot recognize a person's name in free text, so never put one into a message. Pass it as a field, or omit it.
For exceptions, whose messages may quote any data, see :mod:`nightferry.job.error_facts`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from pathlib import PurePath
from typing import Any
from uuid import UUID

from nightferry.errors import NightferryError
from nightferry.job.error_facts import format_error, get_type_name, read_facts
from nightferry.job.redaction.numbers import mask_numbers
from nightferry.job.redaction.personal import MASK, has_visible_digits, is_personal

PLAIN_TYPES = (UUID, Decimal, PurePath, Enum, timedelta, time)
"""Types whose text may be shown, in addition to texts, numbers, dates and collections."""

_MAX_DEPTH = 12
_MIN_HIDDEN_COUNT = 10**6  # a tax identifier without leading zeros, or a telephone number, has at least seven digits
_MIN_LINE_CHARACTERS = 8  # masking shorter lines of a secret would hide ordinary words

# PostgreSQL's and SQLAlchemy's messages quote rows and parameters after these words.
_DATABASE_DETAIL = re.compile(r"\s{0,9}(?:\b(?:DETAIL|CONTEXT|HINT|QUERY):\s|\[parameters: ).*", re.DOTALL)

_KEY_BLOCK = re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?(?:-----END [A-Z0-9 ]+-----|\Z)", re.DOTALL)
_KEY_BLOCK_END = re.compile(r"\A.*-----END [A-Z0-9 ]+-----", re.DOTALL)  # a block whose beginning was cut off
_ENCODED = re.compile(r"(?<![\w+/=-])(?=[\w+/-]*[a-z])(?=[\w+/-]*[A-Z])(?=[\w+/-]*\d)[A-Za-z0-9+/_-]{56,}={0,2}")
_JSON_WEB_TOKEN = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?")
_AWS_KEY_ID = re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{16}\b")
_AUTHORIZATION = re.compile(
    r"\b(Bearer|Basic|Digest|AWS4-HMAC-SHA256)(\s+)(?=[^\s,;\"']*[\d._~+/=-])[^\s,;\"']{6,}", re.I
)
_USER_INFO = re.compile(r"(?<=://)(?!USER@HOST\b)[^/\s?#@\"']*(?:@[^/\s?#@\"']*)*@")
_E_MAIL = re.compile(
    r"(?<![\w.!#$%&'*+/=?^`{|}~-])[\w.!#$%&'*+/=?^`{|}~-]+@(?:[\w-]+\.)+[\w-]{2,}|\"[^\"\n]+\"@(?:[\w-]+\.)+[\w-]{2,}"
)

# key=value, key: value, "key": value and 'key' => value, also with escaped quotes
_KEY = re.compile(
    r"""(?:\\?["'])?(?:(?<![\w.\\])|(?<=\\[nrt]))(?P<key>[A-Za-z][\w.-]{0,200}?)(?P<end>\\?["'])?\s*"""
    r"""(?P<sign>=>|[=:])\s*"""
)
_QUOTED = re.compile(r"""(?P<quote>\\?["'])(?P<value>(?:(?!(?P=quote))(?:\\.|.))*)(?:(?P=quote)|\Z)""", re.DOTALL)
# A value without quotes ends at the next key or at the end of the line.
_UNQUOTED = re.compile(r"""[^,;&<>)}\]\n|"']*?(?=\s+["']?[A-Za-z][\w.-]*["']?\s*[=:]|[,;&<>)}\]\n|"']|\Z)""")
_PATH = re.compile(r"(?:^|[\s\"'(\[=])(?:[a-z][a-z\d]{1,7}:/)?/[^\s\"'<>?=&;]*/$")  # up to the last part of a path
_COUNT = re.compile(r"\d{1,6}(?![\w.-])")
_CLOSING = {"{": "}", "[": "]", "(": ")"}
_EMPTY = ("", "None", "null", "true", "false", "True", "False", MASK)
_ELEMENT = re.compile(r"(?P<before><(?:\w+:)?(?P<key>[\w.-]+)(?:\s[^<>]*)?>)(?P<value>[^<>]+)")


class Redactor:
    """A redactor of texts and values. A process uses one instance, :data:`redactor`."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._secret_pattern: re.Pattern[str] | None = None
        self._shown_names: re.Pattern[str] | None = None

    def show_names(self, pattern: str) -> None:
        """Show the numbers in names that match ``pattern`` from now on, such as those of files."""
        self._shown_names = re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?!\d)") if pattern else None

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Replace these values, and each of their lines, wherever they appear from now on."""
        found = set(self._secrets)
        for secret in secrets:
            stripped = secret.strip()
            found.update(part for part in (secret, stripped) if part)
            found.update(
                line for line in (part.strip() for part in stripped.splitlines()) if len(line) >= _MIN_LINE_CHARACTERS
            )
            if "\n" in stripped:
                found.add(stripped.replace("\n", "\\n"))
        self._secrets = frozenset(found)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        # A very short secret, such as a demo's password "x", is masked only as a whole word, to keep logs readable.
        parts = [re.escape(s) if len(s) >= 4 else rf"(?<!\w){re.escape(s)}(?!\w)" for s in longest_first]
        self._secret_pattern = re.compile("|".join(parts)) if parts else None

    @contextmanager
    def isolate(self) -> Iterator[None]:
        """Know no secrets and names at the start of the block, and afterwards the same as before."""
        before = dict(vars(self))
        vars(self).update(vars(Redactor()))
        try:
            yield
        finally:
            vars(self).update(before)

    def redact_text(self, text: str, *, keep_digits: bool = False) -> str:
        """Return ``text`` without personal data and secrets."""
        if self._secret_pattern is not None:
            text = self._secret_pattern.sub(MASK, text)
        text = _DATABASE_DETAIL.sub("", text)
        if "-----" in text:
            text = _KEY_BLOCK.sub("[key]", text)
            text = _KEY_BLOCK_END.sub("[key]", text)
        if "=" in text or ":" in text:
            text = _mask_personal_pairs(text)
        if "<" in text:
            text = _ELEMENT.sub(_mask_personal_element, text)
        text = _JSON_WEB_TOKEN.sub("[token]", text)
        text = _AUTHORIZATION.sub(rf"\1\2{MASK}", text)
        text = _AWS_KEY_ID.sub("[key]", text)
        if "@" in text:
            text = _USER_INFO.sub(f"{MASK}@", text)
            text = _E_MAIL.sub("[e-mail]", text)
        text = _ENCODED.sub(_mask_encoded, text)
        return text if keep_digits else mask_numbers(text, self._shown_names)

    def redact_value(self, value: Any, field: str = "", depth: int = 0) -> Any:
        """Return the value of a field in a form that JSON can hold, without personal data and secrets."""
        if value is None or isinstance(value, bool):
            return value
        if field and is_personal(field):
            return MASK
        keep = bool(field) and has_visible_digits(field)
        match value:
            case int() | float():
                return value if keep else self._redact_number(value)
            case str():
                return self.redact_text(value, keep_digits=keep)
            case datetime() | date():
                return value.isoformat()
            case bytes() | bytearray() | memoryview():
                return f"[{len(value)} bytes]"
            case _ if depth >= _MAX_DEPTH:
                return "…"
            case Mapping():
                return {self._redact_key(key): self._redact_item(key, item, depth + 1) for key, item in value.items()}
            case BaseException():
                return self.describe_error(value)
            case Sequence() | AbstractSet():
                return [self.redact_value(item, field, depth + 1) for item in value]
        if isinstance(value, PLAIN_TYPES):
            return self.redact_text(str(value), keep_digits=keep)
        return f"<{type(value).__qualname__}>"  # the text of any other type may contain data

    def describe_error(self, error: BaseException, *, short: bool = False) -> str:
        """Return ``Type: message`` in one line without data; ``short`` omits the type's module."""
        name = type(error).__qualname__ if short else get_type_name(error)
        if isinstance(error, NightferryError):
            return f"{name}: {self.redact_text(str(error))}"
        return format_error(name, error, self.redact_text(read_facts(error)))

    def _redact_item(self, key: object, item: Any, depth: int) -> Any:
        is_label = isinstance(key, str) and " " in key.strip()
        if is_label and isinstance(item, int) and 0 <= item < _MIN_HIDDEN_COUNT:
            return item  # a count, such as that of the lines rejected for a reason
        return self.redact_value(item, str(key), depth)

    def _redact_key(self, key: object) -> str:
        return self.redact_text(key) if isinstance(key, str) else str(self.redact_value(key))

    def _redact_number(self, value: int | float) -> int | float | str:
        text = repr(value)
        masked = mask_numbers(text)
        return value if masked == text and abs(value) != float("inf") and value == value else masked


def _mask_personal_pairs(text: str) -> str:
    """Replace the values of personal fields in JSON, ``repr``, conninfo, query strings and the like."""
    pieces, end, position = [], 0, 0
    while (found := _KEY.search(text, position)) is not None:
        position = found.end()
        if not is_personal(found["key"]) or _is_label(text, found) or _is_count_by_label(text, found):
            continue
        start, stop = _find_value(text, position)
        if text[start:stop].strip() not in _EMPTY:
            pieces += [text[end:start], MASK]
            end = stop
        position = max(stop, position)
    return "".join([*pieces, text[end:]]) if pieces else text


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
    return text[start - 1 : start] == "/" and _PATH.search(text[max(0, start - 300) : start]) is not None


def _is_count_by_label(text: str, found: re.Match[str]) -> bool:
    """Return True for the key in ``"customer without an SSN": 3``, which is the last word of a label."""
    is_last_word = text[found.start("key") - 1 : found.start("key")] == " " and found["end"] is not None
    return is_last_word and _COUNT.match(text, found.end()) is not None


def _mask_encoded(match: re.Match[str]) -> str:
    return match[0] if _is_made_of_words(match[0]) else "[key]"


def _is_made_of_words(text: str) -> bool:
    """Return True for a path or name such as ``s3/exports/2026-11-29/CustomerDataLoad_feed``, unlike encoded bytes."""
    for part in re.split(r"[/_+=-]+", text):
        if not re.fullmatch(r"[a-z\d]*|[A-Z\d]*", part):
            words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", part)
            if any(len(word) < 2 for word in words) or sum(map(len, words)) < 3.5 * len(words):
                return False
    return True


def _find_value(text: str, position: int) -> tuple[int, int]:
    """Return the start and end of the value at ``position``, without its quotes."""
    if quoted := _QUOTED.match(text, position):
        return quoted.span("value")
    if text[position : position + 1] in _CLOSING:
        return position, _find_closing_bracket(text, position)
    unquoted = _UNQUOTED.match(text, position)
    return unquoted.span() if unquoted else (position, position)


def _find_closing_bracket(text: str, position: int) -> int:
    """Return the end of the bracketed text that opens at ``position``."""
    open_brackets = []
    for index in range(position, len(text)):
        if text[index] in _CLOSING:
            open_brackets.append(_CLOSING[text[index]])
        elif text[index] == open_brackets[-1]:
            open_brackets.pop()
            if not open_brackets:
                return index + 1
    return len(text)


def _mask_personal_element(match: re.Match[str]) -> str:
    return f"{match['before']}{MASK}" if is_personal(match["key"]) and match["value"].strip() else match[0]


redactor = Redactor()
"""The redactor of this process."""


def redact(text: str) -> str:
    """Return ``text`` without personal data and secrets."""
    return redactor.redact_text(text)


def redact_value(value: Any) -> Any:
    """Return ``value`` in a form that JSON can hold, without personal data and secrets."""
    return redactor.redact_value(value)


def describe_error(error: BaseException, *, short: bool = False) -> str:
    """Return ``Type: message`` in one line without data; ``short`` omits the type's module."""
    return redactor.describe_error(error, short=short)
