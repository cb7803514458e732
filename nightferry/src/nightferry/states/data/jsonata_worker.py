"""The program of a worker process: it evaluates one JSONata expression at a time, within limits of time and memory.

:mod:`.jsonata_pool` starts this file as a script, so it imports only what an evaluation needs. Each line of the
standard input is a request in JSON; each line of the standard output is its response: a letter, then text.
A request has the ``source``, the ``bindings`` of its variables, the time ``now`` in milliseconds, a ``seed`` of random
numbers, and the ``seconds`` that it may take.

=== =========================================================
V   the value, in JSON
U   undefined
F   a function, which is not a value of JSON
E   an error, in JSON: its JSONata code or null, its message
=== =========================================================

The depth and the sizes are those that AWS was observed to accept: 100 nested evaluations, arrays of 873,782 items,
strings below 2^23 characters, a ``$range`` of 360,145 items. The time and the memory of the process are our own limits.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import resource
import sys
import threading
import time
import uuid
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from jlens import Expression, JlensError

MEMORY_LIMIT_BYTES = 256 * 2**20  # above the memory of a worker that has evaluated nothing
MEMORY_EXIT_CODE = 86  # of a worker that exceeded the limit
READY = b"R\n"  # the first line, before any response
_RETIREMENT_BYTES = 64 * 2**20  # A worker that used more memory ends, because the allocator may not return it.
_WATCH_SECONDS = 0.02

_LIMITS: dict[str, Any] = {
    "max_depth": 100,
    "max_array_length": 873_782,
    "max_string_length": 2**23 - 1,
    "max_result_size": 2**23 - 1,
}
_RANGE_LIMIT_ITEMS = 360_145
# The characters that JavaScript's encodeURI and encodeURIComponent do not encode, besides letters, digits and "_.-~".
_SAFE_CHARACTERS = {"encodeUrl": ";,/?:@&=+$#!*'()", "encodeUrlComponent": "!*'()"}
_ALGORITHMS = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}

# Half of a surrogate pair, as a character or as an escape in a string. The library's strings cannot contain it, so
# a code point that no text contains replaces it.
_LONE_SURROGATE = re.compile(
    r"""[\ud800-\udfff]
    | (?<!\\) \\u[dD][89abAB]\w\w (?!\\u[dD][c-fC-F])
    | (?<!\\u[dD][89abAB]\w\w) (?<!\\) \\u[dD][c-fC-F]\w\w""",
    re.VERBOSE,
)
_REPLACEMENT = "\uffff"


class _CodedError(Exception):
    """An error of a function with a JSONata code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def main() -> None:
    """Respond to requests until the standard input ends."""
    base = _limit_memory()
    sys.stdout.buffer.write(READY)
    sys.stdout.buffer.flush()
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(_respond(line).encode() + b"\n")
        sys.stdout.buffer.flush()
        if _read_peak_memory() - base > _RETIREMENT_BYTES:
            return


def _limit_memory() -> int:
    """Limit the memory of this process; return the bytes that it uses now."""
    base = _read_peak_memory()
    threading.Thread(target=_watch, args=(base + MEMORY_LIMIT_BYTES, os.getppid()), daemon=True).start()
    with contextlib.suppress(OSError, ValueError):  # only Linux has this file and enforces the limit
        used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY_LIMIT_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return base


def _watch(limit: int, parent: int) -> None:
    """End this process, also during an evaluation, when it exceeds the memory limit or its parent has ended."""
    while _read_peak_memory() < limit and os.getppid() == parent:
        time.sleep(_WATCH_SECONDS)
    os._exit(MEMORY_EXIT_CODE)


def _read_peak_memory() -> int:
    """Return the peak memory in bytes. On Linux, getrusage would return the parent's if it is larger."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@lru_cache(maxsize=2048)
def compile_expression(source: str) -> Expression:
    """Return the compiled expression. Raises JlensError."""
    expression = Expression(_LONE_SURROGATE.sub(_REPLACEMENT, source))
    if _REPLACEMENT in expression.source:
        for name, safe in _SAFE_CHARACTERS.items():
            expression.register_function(name, _make_encoder(name, safe), "<s-:s>")
    return expression


def _respond(line: bytes) -> str:
    try:
        request = json.loads(line)
        source, deadline = request["source"], time.monotonic() + request["seconds"]

        def compute(expression: str) -> str | None:
            return _evaluate(expression, request, deadline)

        try:
            result = compute(source)
        except JlensError as error:
            result = _name_infinity(error, source, compute)
        if result not in (None, "null"):
            if _REPLACEMENT in result:
                raise ValueError("The result contains half of a surrogate pair")
            return f"V{result}"
        # A function and NaN have no JSON either. The type is computed only now, because it needs a second evaluation.
        match compute(f"$type(({source}))"), result:
            case '"function"', None:
                return "F"
            case _, None:
                return "U"
            case '"null"', _:
                return "Vnull"
            case _:
                return 'V"NaN"'  # as AWS writes it
    except MemoryError:
        os._exit(MEMORY_EXIT_CODE)
    except RecursionError:
        return f"E{json.dumps(['D1011', ''])}"
    except Exception as error:
        return f"E{json.dumps([getattr(error, 'code', None), str(error)])}"


def _name_infinity(error: JlensError, source: str, compute: Callable[[str], str | None]) -> str:
    """Return the string that AWS writes for an infinite result. Raises ``error`` if the result is not an infinity.

    JSONata's numbers may be infinite and the library's may not, but only the result can show the difference.
    """
    start, operator, end = error.start, error.position, error.end
    is_arithmetic = error.code == "D1001" and error.value is None
    if not is_arithmetic or start is None or operator is None or end is None:
        raise error
    if source[:start].strip("( \t\r\n") or source[end:].strip(") \t\r\n"):
        raise error
    negative = compute(f"({source[start : operator - 1]}) < 0") == "true"
    if source[operator - 1] in "*/":
        negative ^= compute(f"({source[operator:end]}) < 0") == "true"
    return '"-Infinity"' if negative else '"Infinity"'


def _evaluate(source: str, request: dict[str, Any], deadline: float) -> str | None:
    seed = request["seed"]
    return compile_expression(source).evaluate_json(
        None,
        request["bindings"] | make_functions(Random(seed)),  # noqa: S311  # no secret
        **_LIMITS,
        timeout=max(0.001, deadline - time.monotonic()),
        now=request["now"],
        seed=seed,
    )


# ── functions of Step Functions ───────────────────────────────────────────────────────────────────────────────────────
# Source: Step Functions developer guide, "Transforming data with JSONata". An undefined argument is None, as is null; a
# function that returns None returns undefined.


def make_functions(rng: Random) -> dict[str, Any]:
    """Return the functions that Step Functions adds. It does not support ``$eval``, which is set to None."""

    def random(*seed: Any) -> float:
        if not seed or seed[0] is None:
            return rng.random()
        from nightferry.states.data.java_random import JavaRandom

        return JavaRandom(_check_integer("random", 1, seed[0])).random()

    def new_uuid(*_: Any) -> str:
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))

    return _FUNCTIONS | {"random": random, "uuid": new_uuid}


def _check_number(function: str, index: int, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f'Argument {index} of function "{function}" must be a number')
    return value


def _check_integer(function: str, index: int, value: Any) -> int:
    """Return a number without its fraction, as on AWS."""
    return int(_check_number(function, index, value))


def _partition(array: Any = None, size: Any = None, *_: Any) -> Any:
    if array is None:
        return None
    length = _check_integer("partition", 2, size)
    if length < 0:
        raise ValueError("$partition: the size must be positive")
    items = array if isinstance(array, list) else [array]
    return [items[start : start + length] for start in range(0, len(items), length)] or None if length else None


def _range(first: Any = None, last: Any = None, step: Any = None, *_: Any) -> Any:
    if step is None:
        return None
    start, end, by = (_check_integer("range", index, value) for index, value in enumerate((first, last, step), 1))
    if by == 0:
        raise ValueError("$range: the step must not be 0")
    numbers = range(start, end + (1 if by > 0 else -1), by)
    if not numbers:
        return None
    if (numbers[-1] - start) // by >= _RANGE_LIMIT_ITEMS:
        raise _CodedError("U1001", "the array would be too long")
    return start if len(numbers) == 1 else list(numbers)


def _hash(value: Any = None, algorithm: Any = None, *_: Any) -> str | None:
    if value is None or algorithm is None:
        return None
    if algorithm not in _ALGORITHMS:
        raise ValueError(f"$hash: the algorithm must be one of {', '.join(_ALGORITHMS)}")
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return hashlib.new(_ALGORITHMS[algorithm], text.encode()).hexdigest()


def _parse(text: Any = None, *_: Any) -> Any:
    """Return the value in an object, so that null is not undefined. The request's source reads it from there."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError('Argument 1 of function "parse" must be a string')
    return {"value": json.loads(text, parse_constant=_refuse_constant, parse_float=_parse_float)}


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _parse_float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not a number that JSON can represent")
    return value


def _make_encoder(function: str, safe: str) -> Callable[..., str | None]:
    """Return ``$encodeUrl`` or ``$encodeUrlComponent``, which refuse half of a surrogate pair."""

    def encode(text: Any = None, *_: Any) -> str | None:
        if text is None:
            return None
        if _REPLACEMENT in text:
            raise _CodedError("D3140", f"Malformed URL passed to ${function}()")
        return quote(text, safe=safe)

    return encode


_FUNCTIONS: dict[str, Any] = {
    "partition": _partition,
    "range": _range,
    "hash": _hash,
    "parse_": _parse,
    "eval": None,
}

if __name__ == "__main__":
    main()
