"""Which fields hold personal data or secrets, told by their names.

A name is split into words (``customerLastName`` and ``customer-last-name`` are both ``customer_last_name``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

MASK = "[redacted]"
"""What stands in place of a field's value."""

_IDENTIFIERS = {"ssn", "itin", "fein", "ein", "tin", "ssns", "feins"}
_SECRETS = {
    *("password", "passwords", "passwd", "pwd", "pgpassword", "passphrase", "secret", "secrets", "token", "tokens"),
    *("credential", "credentials", "authorization", "cookie", "cookies", "signature", "apikey", "bearer", "jwt"),
}
# Anything that ends so, a number or "value", "text", "raw", "old", "new", "before" or "after" behind it left out.
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
# Names of things, not of people and firms.
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

_shown_numbers = {
    *("count", "created", "hostname", "process", "thread", "time", "run_id", "execution", "task", "level", "logger"),
    *("pid", "duration_seconds", "cpu_seconds", "done"),
}


def show_numbers(fields: Iterable[str]) -> None:
    """Show the numbers in fields of these names from now on: they identify neither people nor firms."""
    _shown_numbers.update(map(snake_case, fields))
    is_personal.cache_clear()
    keeps_digits.cache_clear()


@lru_cache(maxsize=4096)
def is_personal(field: str) -> bool:
    """Whether a field of this name holds personal data or a secret, so that its value is never shown."""
    name = snake_case(field)
    if name in _PLAIN or name in _shown_numbers or _COUNTS.search(name):
        return False
    words = set(name.split("_"))
    if words & _IDENTIFIERS or words & _SECRETS:
        return not name.endswith(("_id", "_path")) or "access_key" in name
    stem = _QUALIFIERS.sub("", name)
    if _NAMES_OF_THINGS.search(stem) or _NETWORK_ADDRESSES.search(stem):
        return False
    return _ENDINGS.search(stem) is not None


def names_a_secret(variable: str) -> bool:
    """Return True if an environment variable of this name holds a password, token or key."""
    words = snake_case(variable).split("_")
    return not {"path", "file", "url", "name", "id"} & {words[-1]} and bool({*words} & _SECRETS or words[-1] == "key")


@lru_cache(maxsize=4096)
def keeps_digits(field: str) -> bool:
    """Whether long numbers in a field of this name are counts or keys that may be shown."""
    name = snake_case(field)
    return name in _shown_numbers or _COUNTS.search(name) is not None


def snake_case(field: str) -> str:
    """``customerLastName``, ``Customer-Last-Name`` and ``CUSTOMER LAST NAME`` as ``customer_last_name``."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", field)
    return re.sub(r"[^a-z0-9]+", "_", split.lower()).strip("_")
