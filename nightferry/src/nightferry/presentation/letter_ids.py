"""Identifiers of letters only, because redaction hides long numbers on pages and in messages."""

from __future__ import annotations

import hashlib
import secrets
import string

_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")


def make_letter_id(length: int) -> str:
    """Return a new identifier that cannot be guessed."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(length))


def digest_to_letters(text: str, length: int) -> str:
    """Return an identifier that is the same for the same text; at most 64 letters, four bits each."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return digest[:length].translate(_LETTERS)
