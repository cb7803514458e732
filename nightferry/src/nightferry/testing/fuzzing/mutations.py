"""Mutations of valid inputs. Each is a function of a source of random numbers, an input and another valid input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from nightferry.testing.fuzzing.parser import Form, Parser

Mutation = Callable[[Random, bytes, bytes], bytes]

_WORDS = (
    b"\0",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x1a",
    b"\x1b]0;x\x07",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"\xc2\xa0",
    b"\xe2\x80\xa8",
    b"\xe2\x80\xae",
    b"\xe2\x80\x8b",
    b'"',
    b"'",
    b"\\",
    b"$",
    b"$.",
    b"$$",
    b"{",
    b"}",
    b"[",
    b"]",
    b"(",
    b")",
    b"<",
    b">",
    b"&",
    b"%",
    b"%00",
    b"/",
    b"..",
    b"../",
    b"*",
    b"?",
    b"#",
    b",",
    b";",
    b":",
    b"=",
    b"+",
    b"-",
    b"-1",
    b"0",
    b"1e999",
    b"NaN",
    b"Infinity",
    b"null",
    b"true",
    b"\\u0000",
    b"\\ud800",
    b"9" * 40,
    b"\xd9\xa1\xd9\xa2",
    b"\xef\xbc\x91",
    b"\xf0\x9f\x98\x80",
    b"e\xcc\x81",
    b"${x:y}",
    b"{%",
    b"%}",
)
_NUMBERS = (
    b"0",
    b"-0",
    b"-1",
    b"00",
    b"1e5",
    b"1e400",
    b"2147483648",
    b"9223372036854775808",
    b"9" * 30,
    b"9" * 400,
    b"9" * 5000,
    b"0.1",
    b"1_000",
    b"0x10",
    b"+1",
    b"99999999",
    b"\xd9\xa1",
    b"\xef\xbc\x91\xef\xbc\x92",
    b"\xc2\xb2",
)
_NESTING = ((b"(", b")"), (b"[", b"]"), (b"{", b"}"), (b'{"a":', b"}"), (b"[[", b""), (b"<a>", b"</a>"), (b"!", b""))
_DIGITS = [chr(start).encode() for start in (0x660, 0x6F0, 0x966, 0xFF10, 0x1D7CE)]
_ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1.5,
    1e300,
    10**30,
    2**63,
    "",
    " ",
    "x",
    "\0",
    "\ud800",
    "\u202e",
    "0",
    "-1",
    "9" * 400,
    "$",
    "$.a",
    "$$",
    "$.a[*]",
    "${a:b}",
    "{% $x %}",
    "a" * 5000,
    [],
    {},
    [[]],
    [None],
    [1, "a"],
    {"": 0},
    {"a": None},
    "2026-02-30T00:00:00Z",
    "2026-01-01T00:00:00Z",
    "arn:aws:ecs:us-east-1:1:task/a/b",
    "٣",
    "e\u0301",
    "../x",
    "a/b",
)


def mutate(parser: Parser, seeds: Sequence[bytes], rng: Random) -> bytes:
    """Return a mutation of one of the ``seeds``, usually by one or two steps."""
    data, other = rng.choice(seeds), rng.choice(seeds)
    while True:
        chosen = _STRUCTURED if parser.form is Form.JSON and rng.random() < 0.75 else _PLAIN
        if parser.words and rng.random() < 0.15:
            data = _insert(rng, data, rng.choice(parser.words))
        else:
            data = rng.choice(chosen)(rng, data, other)
        data = data[: parser.max_bytes]
        if rng.random() < 0.6:
            return data


def _range(rng: Random, data: bytes, most: int = 64) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.randint(1, most))


def _size(rng: Random) -> int:
    """Return a length: usually short, rarely long enough for quadratic behavior to exceed the time limit."""
    return int(2 ** rng.uniform(0, 16)) if rng.random() < 0.05 else rng.randint(1, 60)


def _insert(rng: Random, data: bytes, word: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + word + data[start:]


def flip(rng: Random, data: bytes, _: bytes) -> bytes:
    """Flip a bit."""
    if not data:
        return b"\0"
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def replace(rng: Random, data: bytes, _: bytes) -> bytes:
    """Replace a byte by a random printable one."""
    at, _end = _range(rng, data)
    return data[:at] + bytes([rng.randint(32, 126)]) + data[at + 1 :]


def remove(rng: Random, data: bytes, _: bytes) -> bytes:
    """Remove some bytes."""
    start, end = _range(rng, data)
    return data[:start] + data[end:]


def repeat(rng: Random, data: bytes, _: bytes) -> bytes:
    """Repeat some bytes."""
    start, end = _range(rng, data)
    return data[:end] + data[start:end] * (_size(rng) // max(end - start, 1) + 1) + data[end:]


def run(rng: Random, data: bytes, _: bytes) -> bytes:
    """Insert a run of one character."""
    character = rng.choice(_WORDS) if rng.random() < 0.5 or not data else bytes([rng.choice(data)])
    return _insert(rng, data, character * (_size(rng) // len(character) + 1))


def insert(rng: Random, data: bytes, _: bytes) -> bytes:
    """Insert a character that many parsers treat specially."""
    return _insert(rng, data, rng.choice(_WORDS))


def truncate(rng: Random, data: bytes, _: bytes) -> bytes:
    """Keep only the start or the end."""
    at = rng.randrange(len(data) + 1)
    return data[:at] if rng.random() < 0.8 else data[at:]


def splice(rng: Random, data: bytes, other: bytes) -> bytes:
    """Join the start of one input and the end of another, or insert a part of the other."""
    if rng.random() < 0.5:
        return data[: rng.randrange(len(data) + 1)] + other[rng.randrange(len(other) + 1) :]
    start, end = _range(rng, other)
    return _insert(rng, data, other[start:end])


def change_number(rng: Random, data: bytes, _: bytes) -> bytes:
    """Replace a number by an unusual one, or its digits by those of another script."""
    numbers = list(re.finditer(rb"[0-9]+", data))
    if not numbers:
        return _insert(rng, data, rng.choice(_NUMBERS))
    number = rng.choice(numbers)
    new = rng.choice(_NUMBERS)
    if rng.random() < 0.3:
        zero = ord(rng.choice(_DIGITS).decode())
        new = "".join(chr(zero + digit - 48) for digit in number[0]).encode()
    return data[: number.start()] + new + data[number.end() :]


def nest(rng: Random, data: bytes, _: bytes) -> bytes:
    """Nest a part deeply."""
    start, end = _range(rng, data, 200)
    opening, closing = rng.choice(_NESTING)
    depth = _size(rng)
    return data[:start] + opening * depth + data[start:end] + closing * depth + data[end:]


def change_line_ends(rng: Random, data: bytes, _: bytes) -> bytes:
    """Use other line ends everywhere."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", rng.choice([b"\r", b"\r\n", b"\n\n", b"", b"\x0b", b"\x85"]))


def change_lines(rng: Random, data: bytes, other: bytes) -> bytes:
    """Duplicate, drop, move or exchange a line."""
    lines = data.splitlines(keepends=True) or [b""]
    at = rng.randrange(len(lines))
    line = lines[at]
    match rng.randrange(4):
        case 0:
            lines[at:at] = [line] * rng.randint(1, 3)
        case 1:
            del lines[at]
        case 2:
            lines[at] = rng.choice(other.splitlines(keepends=True) or [b""])
        case _:
            lines.insert(rng.randrange(len(lines)), lines.pop(at))
    return b"".join(lines)


def add_mark(rng: Random, data: bytes, _: bytes) -> bytes:
    """Add a byte order mark, or encode the text in UTF-16."""
    match rng.randrange(3):
        case 0:
            return b"\xef\xbb\xbf" * rng.randint(1, 3) + data
        case 1:
            return data + b"\x1a" * rng.randint(1, 3)
        case _:
            return data.decode("utf-8", "replace").encode("utf-16")


def change_json(rng: Random, data: bytes, other: bytes) -> bytes:
    """Change a value or a key of a JSON document."""
    try:
        document = json.loads(data)
        places = _list_places(document)
    except (ValueError, RecursionError):
        return flip(rng, data, other)
    if not places:
        return json.dumps(rng.choice(_ODD)).encode()
    parent, key = rng.choice(places)
    match rng.randrange(7):
        case 0:
            del parent[key]
        case 1 | 2:
            parent[key] = rng.choice(_ODD)
        case 3 if isinstance(parent, dict):
            parent[rng.choice([f"{key}x", str(key).lower(), "", f"{key}.$", rng.choice(places)[1].__str__()])] = (
                parent.pop(key)
            )
        case 4:
            for _ in range(_size(rng) % 300):
                parent[key] = [parent[key]] if rng.random() < 0.5 else {"a": parent[key]}
        case 5:
            from_parent, from_key = rng.choice(places)
            parent[key] = json.loads(json.dumps(from_parent[from_key]))
        case _:
            parent[key] = _change_leaf(rng, parent[key])
    return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _change_leaf(rng: Random, value: Any) -> Any:
    if isinstance(value, str):
        step = rng.choice(_PLAIN)
        return step(rng, value.encode("utf-8", "surrogatepass"), b"x y").decode("utf-8", "surrogateescape")
    if isinstance(value, list) and value:
        return value * rng.randint(2, 30)
    if isinstance(value, int | float):
        return rng.choice([-value, value * 10**9, str(value), 0.5, 10**400])
    return rng.choice(_ODD)


def _list_places(value: Any) -> list[tuple[Any, Any]]:
    """Return every part of a JSON document as its parent and its key or index."""
    found: list[tuple[Any, Any]] = []
    rest = [value]
    while rest:
        parent = rest.pop()
        keys = list(parent) if isinstance(parent, dict) else range(len(parent)) if isinstance(parent, list) else ()
        found += [(parent, key) for key in keys]
        rest += [parent[key] for key in keys]
    return found


def repeat_member(rng: Random, data: bytes, other: bytes) -> bytes:
    """Repeat a member of a JSON object."""
    members = list(re.finditer(rb'"[^"\\{}\[\]]*"\s*:\s*("[^"\\]*"|[0-9.]+|true|false|null)\s*,', data))
    if not members:
        return flip(rng, data, other)
    member = rng.choice(members)[0]
    return data[: members[0].start()] + member * rng.randint(1, 3) + data[members[0].start() :]


_PLAIN: tuple[Mutation, ...] = (
    flip,
    flip,
    replace,
    replace,
    remove,
    remove,
    repeat,
    run,
    insert,
    insert,
    truncate,
    splice,
    change_number,
    change_number,
    nest,
    change_line_ends,
    change_lines,
    add_mark,
)
_STRUCTURED: tuple[Mutation, ...] = (change_json, change_json, change_json, change_json, repeat_member)
