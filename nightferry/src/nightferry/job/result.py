"""The result of a job: the object that its ``main`` returns.

It is logged, and stored for later steps of a workflow. Both are in plain text, so that a result must not contain
personal data: it has counts, names of things and keys. A value that a log line would mask is refused.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from nightferry.contract import RESULT_LIMIT, LogEvent
from nightferry.errors import NightferryError
from nightferry.job.redaction import redact, redactor

_log = logging.getLogger("nightferry.job")


class InvalidResult(NightferryError):
    """The job returned something that cannot be its result. The job fails with exit code 1."""

    exit_code = 1


def report_result(value: object, folder: str | None, run_id: str) -> None:
    """Log the value that a job returned, and store it in ``folder`` if a later step reads it.

    Raises InvalidResult, or a StorageError if the result cannot be stored.
    """
    if value is None:
        if folder is not None:
            raise InvalidResult(
                "The job returned nothing, but a later step of the workflow reads its result. Return an object on each "
                "path of the function."
            )
        return
    result = convert_result(value)
    if folder is not None:
        from nightferry import storage

        content = _encode(result)
        with storage.open_write(storage.join(folder, f"{run_id}.json"), single_part=True) as file:
            file.write(content)
    _log.info("result", extra={"event": LogEvent.RESULT, "result": result})


def convert_result(value: object) -> dict[str, Any]:
    """Return a result as JSON can hold it. Raises InvalidResult."""
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        result = to_jsonable_python(value)
        content = _encode(result)
    except (PydanticSerializationError, ValueError, RecursionError):
        raise InvalidResult(
            f"The result is of type {type(value).__name__} and is not JSON{_name_member(value)}. Return an object of "
            "texts, numbers, Booleans, dates, lists and objects."
        ) from None
    if not isinstance(result, dict):
        raise InvalidResult(f'The result is of type {type(value).__name__}. Return an object: return {{"rows": 3}}.')
    if len(content) > RESULT_LIMIT:
        raise InvalidResult(
            f"The result has {len(content):,} bytes of JSON, and {RESULT_LIMIT:,} are allowed. Store the data as an "
            "object, and return its key."
        )
    if masked := sorted(set(_find_masked(result, redactor.redact_value(result)))):
        raise InvalidResult(
            f"The result has personal data or a secret, or what looks like it, in: {', '.join(masked)}. Results are "
            "stored in plain text. Return a count, the name of a thing or a key."
        )
    return result


def _name_member(value: object) -> str:
    """Return the member of a result that JSON cannot hold, by its name and type, without its value."""
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    for name, member in value.items() if isinstance(value, dict) else ():
        try:
            _encode(to_jsonable_python(member))
        except (PydanticSerializationError, ValueError, RecursionError):
            return f", because of its member {redact(repr(name))}"
    return ""


def _encode(result: Any) -> bytes:
    return json.dumps(result, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _find_masked(value: Any, shown: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of the values that redaction changes. A name that it changes is not part of a path."""
    if isinstance(value, Mapping) and isinstance(shown, Mapping):
        for (name, item), (shown_name, shown_item) in zip(value.items(), shown.items(), strict=False):
            if name != shown_name:
                yield f"{path or 'the result'}: a name"
            else:
                yield from _find_masked(item, shown_item, f"{path}.{name}" if path else name)
        if len(value) != len(shown):
            yield f"{path or 'the result'}: a name"
    elif isinstance(value, list) and isinstance(shown, list):
        for item, shown_item in zip(value, shown, strict=True):
            yield from _find_masked(item, shown_item, f"{path}[]")
    elif value != shown:
        yield path
