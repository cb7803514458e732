"""Recognize fields of personal data and secrets by their names.

Names are compared in snake case: ``customerLastName`` and ``customer-last-name`` are both ``customer_last_name``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import lru_cache

MASK = "[redacted]"
"""The replacement of a masked field's value."""

_IDENTIFIERS = {"ssn", "itin", "fein", "ein", "tin", "ssns", "feins"}
_SECRETS = {
    *("password", "passwords", "passwd", "pwd", "pgpassword", "passphrase", "secret", "secrets", "token", "tokens"),
    *("credential", "credentials", "authorization", "cookie", "cookies", "signature", "apikey", "bearer", "jwt"),
}
# Endings of personal names, compared after _QUALIFIERS have been removed from the end of the name.
_ENDINGS = re.compile(
    r"""(^|_)(
      name | names | forename | surname | firstname | lastname | middlename | fullname | fname | lname | dba
    | e?mail | emails | email_address | mail_address | phone | phones | phone_number | telephone | mobile
    | dob | birth | birth_?date | date_of_birth | birthday | born
    | address | addresses | address_lines? | street(_name)? | zip | zip_code | postal_code | post_code
    | tax_?identifier | tax_?id | tax_number | taxpayer | tax_identification(_number)? | social_security(_number)?
    | account_n(umber|br|r|o) | account_?num | bank_account | card_number | iban | aba
    | routing(_n(umber|br|r|o))? | routing_?num
    | (private|secret|decryption|encryption|license|licence|insert|insert_api|api|access|signing|gpg|pgp|access_key)_key
    | access_key_id | external_id | key_block | raw_line | raw_lines
    )$""",
    re.VERBOSE,
)
# Names of things, as opposed to people and companies.
_NAMES_OF_THINGS = re.compile(
    r"(^|_)(file|host|path|field|column|table|task|step|state|workflow|bucket|object|key|logger|level|thread|process|func"
    r"|function|module|class|type|event|setting|variable|parameter|metric|queue|topic|role|cluster|family|container"
    r"|image|service|schema|database|db|index|constraint|program|command|host|domain|server|unit|record|format|stream"
    r"|group|log|schedule|trigger|environment|env|app|application|session|policy|code)_names?$"
)
_NETWORK_ADDRESSES = re.compile(r"(^|_)(ip|host|peer|remote|server|mac|base|api|client|network|memory)_addresse?s?$")
_QUALIFIERS = re.compile(
    r"(_(\d+|one|two|three|value|values|text|raw|old|new|before|after|hash|plain|digits|masked))+$|\d+$"
)
_PLAIN = frozenset({"tax_identifier_id", "ip", "mail_count", "logger_name"})
_COUNTS = re.compile(r"(^|_)(counts?|total|number_of_\w+|bytes|size|seconds|ms|rows|lines|length)$")

_ALWAYS_SHOWN_NUMBERS = frozenset(
    {
        *("count", "created", "hostname", "process", "thread", "time", "run_id", "execution", "task", "level"),
        *("logger", "pid", "duration_seconds", "cpu_seconds", "done"),
    }
)
_shown_numbers = set(_ALWAYS_SHOWN_NUMBERS)


def show_numbers(fields: Iterable[str]) -> None:
    """Show the numbers in fields of these names from now on; they identify neither people nor companies."""
    _replace_shown_numbers(_shown_numbers | set(map(to_snake_case, fields)))


@contextmanager
def isolate_shown_numbers() -> Iterator[None]:
    """Show in the block what a new process shows, and afterwards the same as before."""
    before = set(_shown_numbers)
    _replace_shown_numbers(_ALWAYS_SHOWN_NUMBERS)
    try:
        yield
    finally:
        _replace_shown_numbers(before)


def _replace_shown_numbers(names: AbstractSet[str]) -> None:
    new = set(names)
    _shown_numbers.clear()
    _shown_numbers.update(new)
    is_personal.cache_clear()
    has_visible_digits.cache_clear()


@lru_cache(maxsize=4096)
def is_personal(field: str) -> bool:
    """Return True if a field of this name holds personal data or a secret, whose value must not be shown."""
    name = to_snake_case(field)
    if name in _PLAIN or name in _shown_numbers or _COUNTS.search(name):
        return False
    words = set(name.split("_"))
    if words & _IDENTIFIERS or words & _SECRETS:
        return not name.endswith(("_id", "_path")) or "access_key" in name
    stem = _QUALIFIERS.sub("", name)
    if _NAMES_OF_THINGS.search(stem) or _NETWORK_ADDRESSES.search(stem):
        return False
    return _ENDINGS.search(stem) is not None


def is_secret_variable(variable: str) -> bool:
    """Return True if an environment variable of this name holds a password, token or key."""
    words = to_snake_case(variable).split("_")
    if words == ["s3", "key"]:  # the object that triggered the run
        return False
    return not {"path", "file", "url", "name", "id"} & {words[-1]} and bool({*words} & _SECRETS or words[-1] == "key")


@lru_cache(maxsize=4096)
def has_visible_digits(field: str) -> bool:
    """Return True if long numbers in a field of this name are counts or keys that may be shown."""
    name = to_snake_case(field)
    return name in _shown_numbers or _COUNTS.search(name) is not None


def to_snake_case(field: str) -> str:
    """Return ``customer_last_name`` for ``customerLastName``, ``Customer-Last-Name`` and ``CUSTOMER LAST NAME``."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")
