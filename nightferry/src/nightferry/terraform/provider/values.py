"""Terraform's values on the wire: MessagePack, in which an extension type marks a value that is not known yet."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgpack


class Unknown:
    """The type of :data:`UNKNOWN`."""

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN = Unknown()
"""A value that Terraform will know after the apply."""

_EXTENSION = msgpack.ExtType(0, b"\0")


def decode(data: bytes) -> Any:
    """Return the value: dicts, lists and scalars, with UNKNOWN in place of unknown values."""
    return msgpack.unpackb(data, ext_hook=_read_extension, strict_map_key=False)


def encode(value: Any) -> bytes:
    """Return the bytes of a value. A dict must have a member for each attribute of the type."""
    encoded: bytes = msgpack.packb(value, default=_mark_unknown)
    return encoded


def _read_extension(_code: int, _payload: bytes) -> Unknown:
    return UNKNOWN


def _mark_unknown(value: object) -> msgpack.ExtType:
    if value is UNKNOWN:
        return _EXTENSION
    raise TypeError(f"{type(value).__name__} is not a Terraform value: {value!r}")


def is_known(value: Any) -> bool:
    """Return True if no part of the value is unknown."""
    return not any(part is UNKNOWN for part in _walk(value))


def map_unknown(value: Any, replace: Callable[[], Any]) -> Any:
    """Return a copy of the value in which ``replace()`` stands for each unknown part."""
    if value is UNKNOWN:
        return replace()
    if isinstance(value, Mapping):
        return {key: map_unknown(item, replace) for key, item in value.items()}
    if isinstance(value, list):
        return [map_unknown(item, replace) for item in value]
    return value


def _walk(value: Any) -> Iterator[Any]:
    yield value
    if isinstance(value, Mapping):
        for item in value.values():
            yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)
