"""Recognize fields of personal data by their names, compared in snake case."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from functools import lru_cache

from nightferry.field_names.names import to_snake_case
from nightferry.field_names.secret_names import is_secret_name

_IDENTIFIERS = {"ssn", "itin", "fein", "ein", "tin", "ssns", "feins"}
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
    | external_id | raw_line | raw_lines
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
        *("logger", "pid", "duration_seconds", "cpu_seconds", "done", "report_reference"),
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
    _is_personal.cache_clear()
    has_visible_digits.cache_clear()


def find_hidden(fields: Iterable[str], shown: Iterable[str], *, strict: bool) -> str | None:
    """Return the first of the fields whose value a policy masks, unless its name is in ``shown``; None without one."""
    plain = set(map(to_snake_case, shown))
    hides = is_personal if strict else is_secret_name
    return next((field for field in fields if hides(field) and to_snake_case(field) not in plain), None)


def is_personal(field: str) -> bool:
    """Return True if a field of this name holds personal data or a secret, whose value must not be shown."""
    return _is_personal(to_snake_case(field))


@lru_cache(maxsize=4096)
def _is_personal(name: str) -> bool:
    if name in _PLAIN or name in _shown_numbers or _COUNTS.search(name):
        return False
    if is_secret_name(name):
        return True
    if {*name.split("_")} & _IDENTIFIERS:
        return not name.endswith(("_id", "_path"))
    stem = _QUALIFIERS.sub("", name)
    if _NAMES_OF_THINGS.search(stem) or _NETWORK_ADDRESSES.search(stem):
        return False
    return _ENDINGS.search(stem) is not None


@lru_cache(maxsize=4096)
def has_visible_digits(field: str) -> bool:
    """Return True if long numbers in a field of this name are counts or keys that may be shown."""
    name = to_snake_case(field)
    return name in _shown_numbers or _COUNTS.search(name) is not None
