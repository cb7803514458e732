"""The intrinsic functions, implemented as functions of JSON values."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from random import Random

from nightferry.states.data.java_random import JavaRandom
from nightferry.states.data.payload import Json, NotJson, dumps, loads

_ARRAY_LIMIT_ITEMS = 1000
_TEXT_LIMIT_CHARACTERS = 10_000
_JAVA_LIMIT = 2**31 - 1  # the largest int of Java
_LONG_LIMIT = 2**63 - 1  # the largest long


class InvalidArguments(ValueError):
    """The function does not accept the arguments."""


def _format(template: Json, *values: Json) -> str:
    template = _check_string(template)
    parts = re.split(r"(\\[{}\\']|\{\})", template)
    for part in parts[::2]:  # the text between placeholders and escapes
        for brace, other in (("{", "}"), ("}", "{")):
            if brace in part:
                raise InvalidArguments(f"matching '{other}' not found for '{brace}'")
    if sum(part == "{}" for part in parts) != len(values):
        raise InvalidArguments("The number of arguments do not match the number of {} in the template")
    rest = iter(values)
    return "".join(
        _format_text(next(rest)) if p == "{}" else p[1:] if len(p) == 2 and p[0] == "\\" else p for p in parts
    )


def _format_text(value: Json) -> str:
    """Return a value as text in Java's format: null as null, an object as ``{a=1, b=[x]}``."""
    match value:
        case str():
            return value
        case None:
            return "null"
        case dict():
            return "{" + ", ".join(f"{key}={_format_text(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(_format_text(item) for item in value) + "]"
        case float():
            return _format_double(value)
        case _:
            return dumps(value)


def _format_double(value: float) -> str:
    """Return a floating-point number in Java's format: ``1.5``, ``1.5E7``, ``1.5E-4``."""
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return dumps(value)
    digits, _, exponent = f"{Decimal(repr(value)).normalize():E}".partition("E")
    return f"{digits if '.' in digits else f'{digits}.0'}E{int(exponent)}"


def _string_to_json(text: Json) -> Json:
    text = _check_string(text)
    if not text.strip():
        return None
    try:
        value = loads(text)
    except NotJson as error:
        raise InvalidArguments(f"The text is not JSON: {error}") from None
    return 0 if value == 0 and isinstance(value, int) and not isinstance(value, bool) else value


def _json_to_string(value: Json) -> str:
    match value:
        case dict():
            return "{" + ",".join(f"{dumps(name)}:{_json_to_string(item)}" for name, item in value.items()) + "}"
        case list():
            return "[" + ",".join(map(_json_to_string, value)) + "]"
        case float():
            return _format_double(value)
        case _:
            return dumps(value)


def _array(*values: Json) -> list[Json]:
    return list(values)


def _array_partition(array: Json, size: Json) -> list[Json]:
    array, size = _check_list(array), _round(size)
    if size <= 0:
        raise InvalidArguments("The chunk size must be a positive integer")
    return [array[start : start + size] for start in range(0, len(array), size)]


def _array_contains(array: Json, value: Json) -> bool:
    expected = _format_canonical(value)
    return any(_format_canonical(item) == expected for item in _check_list(array))


def _array_range(first: Json, last: Json, step: Json) -> list[int]:
    first, last, step = _round(first), _round(last), _round(step)
    if step == 0:
        raise InvalidArguments("The step must not be 0")
    numbers = range(first, last + (1 if step > 0 else -1), step)
    if (last - first) // step >= _ARRAY_LIMIT_ITEMS:  # len() fails for very large ranges
        raise InvalidArguments(f"The array would have more than {_ARRAY_LIMIT_ITEMS} items")
    return list(numbers)


def _array_get_item(array: Json, index: Json) -> Json:
    array, index = _check_list(array), _round(index)
    if not 0 <= index < len(array):
        raise InvalidArguments("The index is outside of the array")
    return array[index]


def _array_length(array: Json) -> int:
    return len(_check_list(array))


def _array_unique(array: Json) -> list[Json]:
    seen: dict[str, Json] = {}
    for item in _check_list(array):
        seen.setdefault(_format_canonical(item), item)
    return list(seen.values())


def _base64_encode(text: Json) -> str:
    return base64.b64encode(_check_length(text).encode("utf-8", "replace")).decode()


def _base64_decode(text: Json) -> str:
    try:
        return base64.b64decode(_check_length(text), validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidArguments("The text is not Base64") from None


_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


def _hash(value: Json, algorithm: Json) -> str:
    if algorithm not in _HASHES:
        raise InvalidArguments(f"The algorithm must be one of {', '.join(_HASHES)}")
    text = value if isinstance(value, str) else dumps(value)
    return hashlib.new(_HASHES[algorithm], _check_length(text).encode("utf-8", "replace")).hexdigest()


def _json_merge(one: Json, other: Json, deep: Json) -> Json:
    if not isinstance(one, dict) or not isinstance(other, dict):
        raise InvalidArguments("Both arguments must be objects")
    if deep is not False:
        raise InvalidArguments("Only the shallow merge is supported: the third argument must be false")
    return {**one, **other}


def _math_random(generator: Random, first: Json, last: Json, seed: Json = None) -> int:
    start, end = _round(first), _round(last)
    if end <= start:
        raise InvalidArguments("The end must be greater than the start")
    if seed is not None:
        if end - start > _JAVA_LIMIT:
            raise InvalidArguments(f"With a seed, the range must have at most {_JAVA_LIMIT:,} numbers")
        return start + JavaRandom(_round(seed)).below(end - start)
    return generator.randrange(start, end)


def _math_add(one: Json, other: Json) -> int:
    total = _round(one) + _round(other)
    if abs(total) > _LONG_LIMIT:
        raise InvalidArguments("The sum is too large")
    return total


def _string_split(text: Json, delimiters: Json) -> list[str]:
    text, delimiters = _check_string(text), _check_string(delimiters)
    if not delimiters:
        return [text] if text else []
    return [part for part in re.split(f"[{re.escape(delimiters)}]", text) if part]


def _uuid(generator: Random) -> str:
    return str(uuid.UUID(int=generator.getrandbits(128), version=4))


FUNCTIONS: dict[str, tuple[Callable[..., Json], int, int | None]] = {
    "States.Array": (_array, 0, None),
    "States.ArrayContains": (_array_contains, 2, 2),
    "States.ArrayGetItem": (_array_get_item, 2, 2),
    "States.ArrayLength": (_array_length, 1, 1),
    "States.ArrayPartition": (_array_partition, 2, 2),
    "States.ArrayRange": (_array_range, 3, 3),
    "States.ArrayUnique": (_array_unique, 1, 1),
    "States.Base64Decode": (_base64_decode, 1, 1),
    "States.Base64Encode": (_base64_encode, 1, 1),
    "States.Format": (_format, 1, None),
    "States.Hash": (_hash, 2, 2),
    "States.JsonMerge": (_json_merge, 3, 3),
    "States.JsonToString": (_json_to_string, 1, 1),
    "States.MathAdd": (_math_add, 2, 2),
    "States.MathRandom": (_math_random, 2, 3),
    "States.StringSplit": (_string_split, 2, 2),
    "States.StringToJson": (_string_to_json, 1, 1),
    "States.UUID": (_uuid, 0, 0),
}
"""Each function with its minimum and maximum number of arguments (None: unlimited)."""


def _check_string(value: Json) -> str:
    if not isinstance(value, str):
        raise InvalidArguments(f"Expected a string, not {dumps(value)}")
    return value


def _check_length(value: Json) -> str:
    text = _check_string(value)
    if len(text) > _TEXT_LIMIT_CHARACTERS:
        raise InvalidArguments(f"The text is longer than {_TEXT_LIMIT_CHARACTERS} characters")
    return text


def _check_list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise InvalidArguments(f"Expected an array, not {dumps(value)}")
    return value


def _round(value: Json) -> int:
    """Return a number as an integer; halves are rounded up, as recorded from AWS."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidArguments(f"Expected a number, not {dumps(value)}")
    return value if isinstance(value, int) else math.floor(value + 0.5)


def _format_canonical(value: Json) -> str:
    """Return text that is equal only for equal JSON values: 1, 1.0 and true differ; the order of members is ignored."""
    return json.dumps(value, sort_keys=True)
