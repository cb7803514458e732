"""JSONata functions that Step Functions adds, and functions that use the machine's time and random numbers.

Source: Step Functions developer guide, "Transforming data with JSONata".
"""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

from jsonata import Jsonata  # type: ignore[import-untyped]  # the library has no stubs
from jsonata.functions import Functions  # type: ignore[import-untyped]  # the library has no stubs
from jsonata.utils import Utils  # type: ignore[import-untyped]  # the library has no stubs

from nightferry.states.data.java_random import JavaRandom
from nightferry.states.data.payload import Json, dumps, loads
from nightferry.states.data.scope import Scope

_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


def make_functions(scope: Scope) -> dict[str, Any]:
    """Return ``$partition``, ``$range``, ``$hash``, ``$random``, ``$uuid``, ``$parse``, ``$now`` and ``$millis``.

    ``$eval`` is set to None, because Step Functions does not support it.
    """

    def random(*seed: Json) -> float:
        if seed and seed[0] is not None:
            return JavaRandom(_check_integer("random", 1, seed[0])).random()
        return scope.get_rng().random()

    def new_uuid(*_: Json) -> str:
        return str(uuid.UUID(int=scope.get_rng().getrandbits(128), version=4))

    def now(*picture: Json) -> Json:
        if picture and picture[0] is not None:
            return Functions.datetime_from_millis(millis(), *picture)
        return scope.now().strftime("%Y-%m-%dT%H:%M:%S.") + f"{scope.now().microsecond // 1000:03d}Z"

    def millis() -> int:
        return int(scope.now().timestamp() * 1000)

    own = {
        "partition": _partition,
        "range": _range,
        "hash": _hash,
        "random": random,
        "uuid": new_uuid,
        "parse": _parse,
        "now": now,
        "millis": millis,
    }
    return {name: Jsonata.JLambda(function) for name, function in own.items()} | {"eval": None}


def _check_number(function: str, index: int, value: Json) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'Argument {index} of function "{function}" must be a number')
    return value


def _check_integer(function: str, index: int, value: Json) -> int:
    return int(_check_number(function, index, value))


def _partition(array: Json, size: Json) -> Json:
    if array is None:
        return None
    length = _check_integer("partition", 2, size)
    if length <= 0:
        raise ValueError("$partition: the size must be positive")
    items = array if isinstance(array, list) else [array]
    return [items[start : start + length] for start in range(0, len(items), length)]


_RANGE_LIMIT_ITEMS = 1_000_000


def _range(first: Json, last: Json, step: Json) -> Json:
    value, end, by = (_check_number("range", index, v) for index, v in enumerate((first, last, step), 1))
    if by == 0:
        raise ValueError("$range: the step must not be 0")
    if (end - value) / by > _RANGE_LIMIT_ITEMS:
        raise ValueError(f"$range: the array would have more than {_RANGE_LIMIT_ITEMS:,} items")
    numbers = Utils.create_sequence()
    while value <= end if by > 0 else value >= end:
        numbers.append(value)
        value += by
    return numbers[0] if len(numbers) == 1 else numbers


def _hash(value: Json, algorithm: Json = "SHA-256") -> str:
    if algorithm not in _ALGORITHMS:
        raise ValueError(f"$hash: the algorithm must be one of {', '.join(_ALGORITHMS)}")
    text = value if isinstance(value, str) else dumps(Utils.convert_nulls(value))
    return hashlib.new(_ALGORITHMS[algorithm], text.encode()).hexdigest()


def _parse(text: Json) -> Json:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError('Argument 1 of function "parse" must be a string')
    return Utils.NULL_VALUE if (value := loads(text)) is None else value
