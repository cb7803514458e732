"""Recognize fields, variables and options that hold a secret by their names.

A name is a secret's if it has a word such as ``password`` or ``token``, unless its end names a fact about the secret
(``token_limit``, ``password_file``) or its other words make it a quantity (``MAX_TOKENS``). A name that ends in ``key``
is a secret's only if the word before makes it one (``api_key``, ``decryption_key``), unlike ``S3_KEY`` or ``SORT_KEY``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from nightferry.field_names.names import to_snake_case

_WORDS = frozenset(
    {
        *("password", "passwords", "passwd", "pwd", "pgpassword", "passphrase", "passphrases", "passcode", "pw"),
        *("secret", "secrets", "token", "tokens", "credential", "credentials", "authorization", "cookie", "cookies"),
        *("signature", "apikey", "accesskey", "secretkey", "privatekey", "bearer", "jwt", "sessionid"),
    }
)
_KEYS = frozenset(
    {
        *("private", "secret", "decryption", "encryption", "license", "licence", "insert", "api", "access", "signing"),
        *("pgp", "gpg", "ssh", "rsa", "master", "auth", "hmac", "webhook", "consumer", "subscription", "shared"),
        *("deploy", "integration", "ingest", "fernet", "session", "cipher", "crypto", "client"),
    }
)
# Last words of names of facts about a secret.
_FACTS = frozenset(
    {
        *("id", "ids", "path", "file", "folder", "url", "uri", "name", "names", "arn", "count", "counts", "limit"),
        *("size", "limits", "length", "ttl", "type", "types", "policy", "expiry", "expires", "expiration", "age"),
        *("timeout", "endpoint", "format", "header", "field", "fields", "prefix", "version", "enabled", "required"),
        *("rotation", "days", "hours", "minutes", "seconds", "ms", "bytes", "total", "used", "bucket", "manager"),
        *("algorithm", "min", "max", "at", "errors", "index", "lines", "rows", "error", "status", "state", "variable"),
        *("variables",),
    }
)
_QUANTITIES = frozenset(
    {
        *("max", "min", "num", "number", "total", "limit", "used", "per", "remaining", "count", "prompt", "completion"),
        *("input", "output", "cached", "reasoning", "context", "budget", "generated", "new", "n"),
    }
)
_PLURALS = frozenset({"passwords", "secrets", "tokens", "credentials", "cookies", "passphrases"})
_EXACT = frozenset({"sig", "key_block", "access_key_id"})
_END = re.compile(r"(?:_(?:\d+|one|two|three|value|values|text|raw|old|new|before|after|hash|plain|masked))++$|\d++$")

# Variables of shells and agents.
_NOT_SECRET = frozenset({"PWD", "OLDPWD", "SSH_AUTH_SOCK", "GPG_KEY", "XDG_SESSION_ID"})
_SWITCHES = frozenset(
    {
        *("true", "false", "enabled", "disabled", "required", "optional", "default", "always", "never", "null", "none"),
        *("change_me", "changeme", "unused", "missing", "unknown"),
    }
)
_MIN_SECRET_CHARACTERS = 6  # masking shorter values would hide ordinary words
# Words before KEY in the names of variables that hold no secret.
_KEYS_OF_THINGS = frozenset(
    {
        *("s3", "object", "sort", "primary", "partition", "foreign", "cache", "range", "hash", "group", "order"),
        *("unique", "index", "lookup", "natural", "business", "public", "row", "column", "dedup", "deduplication"),
        *("join", "record", "message", "routing", "shard", "file", "input", "output", "config", "feature", "json"),
        *("dict", "map", "search", "field", "account", "customer", "item", "result", "lock", "lease", "idempotency"),
        *("tag", "source", "target", "bucket", "event", "user", "product", "metric", "label", "type", "name", "kms"),
    }
)
_COUNT = re.compile(r"[0-9]{1,6}")
_RANDOM = re.compile(r"(?=[^a-zA-Z]*[a-zA-Z])(?=[^0-9]*[0-9])[A-Za-z0-9+/=_.~-]{16,}")


@lru_cache(maxsize=4096)
def _is_secret(name: str) -> bool:
    words = name.split("_")
    if any(name == one or name.endswith(f"_{one}") for one in _EXACT):
        return True
    if words[-2:] in (["webhook", "url"], ["webhook", "uri"]):
        return True
    found = {*words} & _WORDS
    if found:
        if found <= {"tokens"} and {*words} & _QUANTITIES:
            return False
        return words[-1] not in _FACTS
    stem = _END.sub("", name).split("_")
    return stem[-1] in ("key", "keys") and len(stem) > 1 and stem[-2] in _KEYS


def is_secret_name(field: str) -> bool:
    """Return True if a field, option or variable of this name holds a password, token or key."""
    return _is_secret(to_snake_case(field))


def is_number_of_secrets(field: str, value: object) -> bool:
    """Return True for a count in a field such as ``tokens`` or ``secrets``."""
    words = to_snake_case(field).split("_")
    is_count = (isinstance(value, int) and 0 <= value < 10**6) or (
        isinstance(value, str) and value.isdecimal() and len(value) <= 6
    )
    return words[-1] in _PLURALS and is_count


def is_secret_variable(variable: str, value: str) -> bool:
    """Return True if an environment variable of this name has a secret as its ``value``."""
    if variable in _NOT_SECRET or len(value) < _MIN_SECRET_CHARACTERS or value.lower() in _SWITCHES:
        return False
    if is_secret_name(variable):
        return not is_number_of_secrets(variable, value)
    words = to_snake_case(variable).split("_")
    if words[-2:] == ["relative", "uri"]:  # of a container's credentials
        return "credentials" in words
    return words[-1] == "key" and not {*words[:-1]} & _KEYS_OF_THINGS and _RANDOM.fullmatch(value) is not None
