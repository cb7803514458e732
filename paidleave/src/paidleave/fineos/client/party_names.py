"""Rule for names that are longer than FINEOS accepts. DOR's names have up to 255 characters."""

from __future__ import annotations

_NAME_LENGTH = 100
_SHORT_NAME_LENGTH = 8
_UPPER_SHORT_NAME_LENGTH = 10


def cut_name(name: str) -> str:
    """Return the longest start of ``name`` that has at most 100 characters, as it is and in capitals.

    A character can have several capitals: ``ß`` becomes ``SS``. A cut name does not end with a space.
    """
    return _cut(name, _NAME_LENGTH)


def is_too_long(name: str) -> bool:
    """Return True if FINEOS accepts only a part of ``name``."""
    return cut_name(name) != name


def shorten_name(name: str) -> str:
    """Return the short name: the first eight characters, or fewer if their capitals have more than ten."""
    return _cut(name[:_SHORT_NAME_LENGTH], _UPPER_SHORT_NAME_LENGTH)


def _cut(text: str, length: int) -> str:
    if len(text) <= length and len(text.upper()) <= length:
        return text
    text = text[:length]
    while len(text.upper()) > length:
        text = text[:-1]
    return text.rstrip()
