"""Checks of the arguments of public functions, whose messages have the right form.

Declarations are Python, and not every author uses a type checker. Without a check, a value of a wrong type would fail
later, in a place that does not name the declaration.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_LONGEST = 80  # characters of a value in a message


def check_type(place: str, name: str, value: object, kinds: Any, form: str) -> None:
    """Raise TypeError unless ``value`` is of one of ``kinds``. ``form`` shows a correct argument ``name``.

    A bool is not a number, and a text is not a sequence.
    """
    accepted = kinds if isinstance(kinds, tuple) else (kinds,)
    if isinstance(value, bool):
        fits = bool in accepted
    else:
        fits = isinstance(value, accepted) and (not isinstance(value, str | bytes) or str in accepted)
    if not fits:
        raise TypeError(f"{place} has {name}={describe(value)}. Use {form}.")


def check_variables(place: str, name: str, value: object) -> None:
    """Raise TypeError unless ``value`` is None or a mapping of variables by name."""
    form = f'a mapping with the name of each variable, as in {name}={{"REGION": "eu"}}'
    check_type(place, name, value, (Mapping, type(None)), form)
    for key in value or ():  # type: ignore[attr-defined]  # a mapping
        if not isinstance(key, str) or not key:
            raise TypeError(f"{place} has a variable {describe(key)} in {name}. Use {form}.")


def describe(value: object) -> str:
    """Return a value as a message names it: neither all fields of a declaration nor all items of a list."""
    if isinstance(value, list | tuple | set | frozenset | Mapping):
        return f"a {type(value).__name__}"
    name = getattr(value, "name", None)
    if isinstance(name, str) and not isinstance(value, type):
        return f"the {type(value).__name__} '{name}'"
    text = repr(value)
    return text if len(text) <= _LONGEST and text.isprintable() else f"a {type(value).__name__}"
