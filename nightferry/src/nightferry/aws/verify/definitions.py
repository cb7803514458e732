"""Compare a state machine's definition with the synthesized template, in which Terraform replaces the variables."""

from __future__ import annotations

import json
import re
from typing import Any

Json = Any
_VARIABLE = re.compile(r"(?<!\$)\$\{\w+\}")


def find_difference(template: Json, text: str) -> str | None:
    """Return the first place at which the definition ``text`` differs from the template; None if nowhere.

    A variable equals any value. The template escapes other ``${`` as ``$${``.
    """
    try:
        definition = json.loads(text)
    except (ValueError, RecursionError):
        return "its beginning: it is not JSON"
    return _compare(template, definition, "")


def _compare(template: Json, value: Json, path: str) -> str | None:
    match template, value:
        case dict(), dict():
            for key in [*template, *(key for key in value if key not in template)]:
                if key not in template or key not in value:
                    return f"{path}/{key}"
                if difference := _compare(template[key], value[key], f"{path}/{key}"):
                    return difference
            return None
        case list(), list() if len(template) == len(value):
            differences = (
                _compare(one, other, f"{path}/{n}") for n, (one, other) in enumerate(zip(template, value, strict=True))
            )
            return next(filter(None, differences), None)
        case str(), str():
            return None if re.fullmatch(_make_pattern(template), value, re.DOTALL) else path
    return None if type(template) is type(value) and template == value else path


def _make_pattern(template: str) -> str:
    parts = [_unescape(part) for part in _VARIABLE.split(template)]
    return ".+".join(re.escape(part) for part in parts)


def _unescape(text: str) -> str:
    return text.replace("$${", "${").replace("%%{", "%{")
