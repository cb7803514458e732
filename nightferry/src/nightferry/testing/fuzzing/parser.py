"""The declaration of a parser or reader that is fuzzed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

_MEGABYTE = 1 << 20

NOTHING = object()
"""The result of ``read`` if the parser raises no errors and found nothing usable in the input."""


class Unusable(Exception):
    """An input does not have the form in which the caller of a parser passes it, such as JSON."""


class Form(Enum):
    """What the mutations preserve: nothing, or mostly that the input is JSON."""

    BYTES = auto()
    JSON = auto()


@dataclass(frozen=True)
class Parser:
    """A parser or reader of text or bytes from outside.

    Attributes:
        name: The name in the table of results.
        read: A function that parses an input and returns a result, or :data:`NOTHING`.
        seeds: A function that returns valid inputs.
        errors: The documented errors of the parser.
        covers: The modules, classes and functions whose coverage is measured.
        form: What the mutations preserve.
        words: Parts of the grammar, which mutations insert.
        personal: Personal data of the seeds, which no message may contain.
        weight: The share of all mutations relative to other parsers; lower for slow ones.
        max_bytes: The maximum size of most mutated inputs.
        cpu: The maximum CPU time for an input in seconds.
        memory: The maximum growth of the process's memory by an input in bytes.
        disk: The maximum size of written files in bytes.
        garbage: Inputs that fail the parser's first check, and costly ones such as bombs.
        ignored: Errors of a library's callbacks that it ignores, with the reason beside the declaration.
    """

    name: str
    read: Callable[[bytes], Any]
    seeds: Callable[[], Sequence[bytes]]
    errors: tuple[type[BaseException], ...]
    covers: tuple[Any, ...]
    form: Form = Form.BYTES
    words: tuple[bytes, ...] = ()
    personal: tuple[str, ...] = ()
    weight: float = 10
    max_bytes: int = 64 * 1024
    cpu: float = 1.0
    memory: int = 64 * _MEGABYTE
    disk: int = 1 * _MEGABYTE
    garbage: tuple[bytes, ...] = (b"", b"\0", b"x", b"\xff\xfe\xfd", b"Lorem ipsum dolor sit amet")
    ignored: tuple[type[BaseException], ...] = ()


def from_text(parse: Callable[[str], Any]) -> Callable[[bytes], Any]:
    """Return ``parse`` for bytes. Invalid UTF-8 becomes surrogates, as in the arguments of a command."""
    return lambda data: parse(data.decode("utf-8", "surrogateescape"))


def from_json(parse: Callable[[Any], Any]) -> Callable[[bytes], Any]:
    """Return ``parse`` for JSON. Other input raises Unusable."""

    def read(data: bytes) -> Any:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            raise Unusable from None
        return parse(value)

    return read
