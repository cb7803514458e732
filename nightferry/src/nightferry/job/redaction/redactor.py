"""Remove secrets, and personal data if the policy is strict, from all output of a job.

The policy (:class:`~nightferry.contract.Privacy`) is the catalog's. Three rules apply to each log line, exception,
report and event:

1. **Fields.** The value of a field with the name of a secret is replaced; in strict mode also that of a field with a
   personal name (:mod:`nightferry.field_names`). The field may be a key of ``extra``, of a nested mapping, of JSON or
   of ``key=value`` text.
2. **Known secrets.** The values of the job's secrets are replaced wherever they appear, also encoded as in JSON, URLs
   and base64, and so are the lines of a key.
3. **Patterns.** In all other text, key blocks, tokens, passwords in URLs and addresses of webhooks are recognized by
   their patterns (:mod:`.secrets`). In strict mode also tax identifiers, account and routing numbers, telephone numbers
   (:mod:`.numbers`) and email addresses are, and PostgreSQL's messages are truncated before ``DETAIL`` and ``CONTEXT``,
   which quote rows.

These stay readable in strict mode, because they have the form of personal data but contain none:

- the text after a path or the type of an exception, even if its last word is a personal name:
  ``/api/db_password: access denied``, ``CredentialsError: access denied``;
- a count of at most six digits by a label of several words: ``{"customer without an SSN": 3}``;
- long paths and names made of words and numbers;
- the numbers in names that the settings class declares (:attr:`~nightferry.job.settings.JobSettings.shown_names`).

A sentence such as ``f"password: {reason}"`` has the form of a field, and its reason is hidden. Write another sentence;
:mod:`nightferry.testing.messages` finds them.

Patterns cannot recognize a person's name in free text, so never put one into a message. Pass it as a field, or omit it.
For exceptions, whose messages may quote any data, see :mod:`nightferry.job.error_facts`.

All functions take time that is linear in the length of the text, of which at most :data:`MAX_CHARACTERS` are shown.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any
from urllib.parse import quote, quote_plus
from uuid import UUID

from nightferry.contract import Privacy
from nightferry.errors import NightferryError
from nightferry.field_names.personal import has_visible_digits, is_personal
from nightferry.field_names.secret_names import is_number_of_secrets, is_secret_name
from nightferry.job.error_facts import format_error, get_type_name, read_facts, read_message
from nightferry.job.redaction.numbers import mask_numbers
from nightferry.job.redaction.pairs import MASK, mask_elements, mask_items, mask_options, mask_pairs
from nightferry.job.redaction.printed_errors import TRACEBACK, withhold_messages
from nightferry.job.redaction.secrets import mask_addresses, mask_authorization, mask_key_blocks, mask_tokens

PLAIN_TYPES = (UUID, Decimal, PurePath, Enum, timedelta, time)
"""Types whose text may be shown, in addition to texts, numbers, dates and collections."""

MAX_CHARACTERS = 256 * 1024
"""The longest text that is shown; CloudWatch stores no longer line. The rest of a longer text is omitted."""

_MAX_DEPTH = 12
_MIN_HIDDEN_COUNT = 10**6  # a tax identifier without leading zeros, or a telephone number, has at least seven digits
_MIN_LINE_CHARACTERS = 8  # masking shorter lines or encodings of a secret would hide ordinary words
_MAX_TOKEN_CHARACTERS = 64  # of the end of a text that was cut, which may be the beginning of a secret

# PostgreSQL's and SQLAlchemy's messages quote statements, rows and parameters after these words.
_DATABASE_WORD = re.compile(r"(?:DETAIL|CONTEXT|HINT|QUERY|STATEMENT):|\bLINE [0-9]{1,9}:|\[(?:parameters|SQL):")
_DATABASE_DETAIL = re.compile(
    r"\s{0,9}(?:\b(?:DETAIL|CONTEXT|HINT|QUERY|STATEMENT|LINE [0-9]{1,9}):\s|\[(?:parameters|SQL): ).*", re.DOTALL
)
_ADDRESS = r"(?:[\w.!#$&'*+/?^`{|}~-]|%(?!40))++(?:@|%40)(?:[\w-]+\.)+[\w-]{2,}"
# An address may follow another one, because most signs between them, such as "/", can be a part of an address.
_E_MAIL = re.compile(
    rf"(?<![\w.!#$%&'*+/?^`{{|}}~-])(?:{_ADDRESS})++|\"[^\"\n]++\"@(?:[\w-]+\.)+[\w-]{{2,}}(?:{_ADDRESS})*+"
)


class Redactor:
    """A redactor of texts and values by a policy. A process uses one instance, :data:`redactor`."""

    def __init__(self, privacy: Privacy = Privacy.SECRETS_ONLY) -> None:
        self.privacy = privacy
        self._secrets: frozenset[str] = frozenset()
        self._secret_pattern: re.Pattern[str] | None = None
        self._shown_names: re.Pattern[str] | None = None

    @property
    def is_strict(self) -> bool:
        """True if personal data is masked and messages of exceptions are withheld."""
        return self.privacy is Privacy.STRICT

    def show_names(self, pattern: str) -> None:
        """Show the numbers in names that match ``pattern`` from now on, such as those of files."""
        self._shown_names = re.compile(rf"(?<![A-Za-z0-9])(?:{pattern})(?!\d)") if pattern else None

    def add_secrets(self, secrets: Iterable[str]) -> None:
        """Replace these values, and each of their lines, wherever they appear from now on."""
        found = set(self._secrets)
        for secret in secrets:
            stripped = secret.strip()
            if not stripped:  # an empty text is everywhere
                continue
            found.update((secret, stripped))
            found.update(
                line for line in (part.strip() for part in stripped.splitlines()) if len(line) >= _MIN_LINE_CHARACTERS
            )
            found.update(_list_encodings(stripped))
        self._secrets = frozenset(found)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        # A very short secret, such as a demo's password "x", is masked only as a whole word, to keep logs readable.
        parts = [re.escape(s) if len(s) >= 4 else rf"(?<!\w){re.escape(s)}(?!\w)" for s in longest_first]
        self._secret_pattern = re.compile("|".join(parts)) if parts else None

    @contextmanager
    def isolate(self) -> Iterator[None]:
        """Have the policy, secrets and names of a new process in the block, and afterwards the same as before."""
        before = dict(vars(self))
        vars(self).update(vars(Redactor()))
        try:
            yield
        finally:
            vars(self).update(before)

    def hides(self, field: str) -> bool:
        """Return True if the value of a field of this name is masked."""
        return is_personal(field) if self.is_strict else is_secret_name(field)

    def redact_text(self, text: str, *, keep_digits: bool = False) -> str:
        """Return ``text`` without what must not be shown."""
        omitted = ""
        if len(text) > MAX_CHARACTERS:
            text, omitted = _cut(text)
        if self._secret_pattern is not None:
            text = self._secret_pattern.sub(MASK, text)
        strict = self.is_strict
        if strict and TRACEBACK in text:
            text = withhold_messages(text)
        if strict and ":" in text and _DATABASE_WORD.search(text):
            text = _DATABASE_DETAIL.sub("", text)
        hides = is_personal if strict else is_secret_name
        text = mask_authorization(mask_key_blocks(text))
        if "=" in text or ":" in text:
            text = mask_addresses(text)
            text = mask_pairs(text, hides)
        if "('" in text or "(b'" in text or '("' in text or '(b"' in text:
            text = mask_items(text, is_secret_name)
        if "<" in text:
            text = mask_elements(text, hides)
        if "--" in text:
            text = mask_options(text, is_secret_name)
        text = mask_tokens(text)
        if strict:
            if "@" in text or "%40" in text:
                text = _E_MAIL.sub("[e-mail]", text)
            if not keep_digits:
                text = mask_numbers(text, self._shown_names)
        return text + omitted

    def redact_value(self, value: Any, field: str = "", depth: int = 0) -> Any:
        """Return the value of a field in a form that JSON can hold, without what must not be shown."""
        if value is None or isinstance(value, bool):
            return value
        if field and self.hides(field) and not is_number_of_secrets(field, value):
            return MASK
        keep = bool(field) and has_visible_digits(field)
        match value:
            case int() | float():
                return self._redact_number(value, keep)
            case str():
                return self.redact_text(value, keep_digits=keep)
            case datetime() | date():
                return value.isoformat()
            case bytes() | bytearray() | memoryview():
                return f"[{len(value)} bytes]"
            case _ if depth >= _MAX_DEPTH:
                return "…"
            case Mapping():
                if value.get("Type") == "SecureString" and "Value" in value:  # of the Parameter Store
                    value = {**value, "Value": MASK}
                return {self.redact_key(key): self._redact_item(key, item, depth + 1) for key, item in value.items()}
            case BaseException():
                return self.describe_error(value)
            case [str(first), *_] if self.is_strict and TRACEBACK in first:  # the list of traceback.format_exception
                return self.redact_text("".join(map(str, value)), keep_digits=keep).splitlines()
            case Sequence() | AbstractSet():
                return [self.redact_value(item, field, depth + 1) for item in value]
        if isinstance(value, PLAIN_TYPES):
            return self.redact_text(str(value), keep_digits=keep)
        if self.is_strict:
            return f"<{type(value).__qualname__}>"  # the text of any other type may contain data
        return self.redact_text(_get_text(value))

    def describe_error(self, error: BaseException, *, short: bool = False) -> str:
        """Return ``Type: message`` without data; ``short`` omits the type's module.

        In strict mode, the message is one line of facts (:mod:`nightferry.job.error_facts`).
        """
        name = self.redact_text(type(error).__qualname__ if short else get_type_name(error))
        if isinstance(error, NightferryError):
            return f"{name}: {self.redact_text(str(error))}"
        if self.is_strict:
            return format_error(name, error, self.redact_text(read_facts(error)))
        message = read_message(error)
        return f"{name}: {self.redact_text(message)}" if message else name

    def _redact_item(self, key: object, item: Any, depth: int) -> Any:
        is_label = isinstance(key, str) and " " in key.strip()
        if is_label and isinstance(item, int) and 0 <= item < _MIN_HIDDEN_COUNT:
            return item  # a count, such as that of the lines rejected for a reason
        return self.redact_value(item, str(key), depth)

    def redact_key(self, key: object) -> str:
        """Return the name of a field without what must not be shown, such as the key of a count by person."""
        return self.redact_text(key) if isinstance(key, str) else str(self.redact_value(key))

    def _redact_number(self, value: int | float, keep: bool) -> int | float | str:
        text = repr(value)
        if text in self._secrets:
            return MASK
        if value != value or abs(value) == float("inf"):
            return text
        masked = mask_numbers(text) if self.is_strict and not keep else text
        return value if masked == text else masked


def _list_encodings(secret: str) -> Iterator[str]:
    """Yield the forms of a secret in JSON, ``repr``, URLs and base64, as far as they differ from it."""
    yield secret.replace("\n", "\\n")
    if len(secret) >= _MIN_LINE_CHARACTERS:
        encoded = secret.encode("utf-8", "surrogatepass")
        yield json.dumps(secret)[1:-1]
        yield json.dumps(secret, ensure_ascii=False)[1:-1]
        yield repr(secret)[1:-1]
        yield quote(encoded, safe="")
        yield quote(encoded)
        yield quote_plus(encoded)
        yield b64encode(encoded).decode().rstrip("=")


def _cut(text: str) -> tuple[str, str]:
    """Return the part of a text that may be shown, and the sentence about the rest."""
    kept = text[:MAX_CHARACTERS]
    last = kept[-_MAX_TOKEN_CHARACTERS:]
    kept = kept[:-_MAX_TOKEN_CHARACTERS] + last[: max(last.rfind(" "), 0)]
    return kept, f" … ({len(text) - len(kept):,} more characters)"


def _get_text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # of any type
        return f"<{type(value).__qualname__}>"


redactor = Redactor()
"""The redactor of this process."""


def redact(text: str) -> str:
    """Return ``text`` without what must not be shown by the policy of this process."""
    return redactor.redact_text(text)


def redact_value(value: Any) -> Any:
    """Return ``value`` in a form that JSON can hold, without what must not be shown by the policy of this process."""
    return redactor.redact_value(value)


def describe_error(error: BaseException, *, short: bool = False) -> str:
    """Return ``Type: message`` without data; ``short`` omits the type's module."""
    return redactor.describe_error(error, short=short)
