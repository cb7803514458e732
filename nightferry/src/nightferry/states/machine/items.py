"""What a distributed Map reads and writes: items from JSON, JSON lines, CSV and listings, and files of results.

Pure: objects come from and go to an :class:`ObjectStore`, which the caller plugs in (buckets, or folders that stand for
them). Sources: developer guide, "ItemReader (Map)", "ResultWriter (Map)".
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nightferry.states.data.payload import Json, dumps
from nightferry.states.language.model import CSV_DELIMITERS
from nightferry.states.machine.commands import Outcome, ReadItems, TaskFailed, TaskSucceeded, WriteResults


@dataclass(frozen=True)
class ListedObject:
    """An object in a listing; ``modified`` is seconds since 1970."""

    key: str
    size: int
    etag: str = ""
    modified: float = 0


class ObjectStore(Protocol):
    """Where objects are. ``read`` raises LookupError or OSError for an object that is not there."""

    def read(self, bucket: str, key: str) -> bytes:
        """Return the content of an object."""

    def list(self, bucket: str, prefix: str) -> Iterable[ListedObject]:
        """Return the objects below a prefix."""

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""


class UnreadableItems(ValueError):
    """The content is not what the ReaderConfig says."""


def execute_command(command: ReadItems | WriteResults, store: ObjectStore) -> Outcome:
    """Do what a distributed Map asks for."""
    try:
        if isinstance(command, ReadItems):
            return TaskSucceeded(_read(command, store))
        return TaskSucceeded(_write(command, store))
    except (UnreadableItems, LookupError, OSError) as error:
        return TaskFailed(None, f"{error}")


def _read(command: ReadItems, store: ObjectStore) -> list[Json]:
    place = command.parameters if isinstance(command.parameters, dict) else {}
    bucket = str(place.get("Bucket", ""))
    if command.resource.endswith("listObjectsV2"):
        items = make_listing(store.list(bucket, str(place.get("Prefix", ""))))
    else:
        items = parse(store.read(bucket, str(place.get("Key", ""))), command.config)
    most = command.config.get("MaxItems")
    return items if most is None else items[:most]


def make_listing(objects: Iterable[ListedObject]) -> list[Json]:
    """A bucket's listing as items, in the shape that AWS gives them (an ETag has its quotes, a time is in seconds)."""
    return [
        {"Etag": o.etag, "Key": o.key, "LastModified": o.modified, "Size": o.size, "StorageClass": "STANDARD"}
        for o in objects
    ]


def parse(content: bytes, config: Mapping[str, Any]) -> list[Json]:
    """The items in an object, read as the ReaderConfig says (JSON unless told otherwise). Raises UnreadableItems."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableItems("The items are not UTF-8.") from None
    match config.get("InputType", "JSON"):
        case "JSON":
            return _json(text, str(config.get("ItemsPointer", "")))
        case "JSONL":
            return [_line(line, number) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
        case "CSV":
            return _csv(text, config)
        case kind:
            raise UnreadableItems(f"Items of InputType {kind} cannot be read here; JSON, JSONL and CSV can.")


def _json(text: str, pointer: str) -> list[Json]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UnreadableItems(f"The items are not JSON: {error}.") from None
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or part not in value:
            raise UnreadableItems(f"ItemsPointer {pointer!r} leads to nothing.")
        value = value[part]
    if isinstance(value, dict):
        return [{"Key": key, "Value": item} for key, item in value.items()]
    if not isinstance(value, list):
        raise UnreadableItems("The items are neither an array nor an object.")
    return value


def _line(line: str, number: int) -> Json:
    try:
        return json.loads(line)
    except ValueError as error:
        raise UnreadableItems(f"Line {number} is not JSON: {error}.") from None


def _csv(text: str, config: Mapping[str, Any]) -> list[Json]:
    rows = csv.reader(io.StringIO(text), delimiter=CSV_DELIMITERS[config.get("CSVDelimiter", "COMMA")])
    header = list(config.get("CSVHeaders", [])) if config.get("CSVHeaderLocation") == "GIVEN" else next(rows, [])
    # A short row has empty fields at its end; what is more than the header is dropped.
    return [dict(zip(header, [*row, *([""] * len(header))], strict=False)) for row in rows if row]


# ── results ───────────────────────────────────────────────────────────────────────────────────────────────────


def apply_writer_config(results: list[Json], config: Mapping[str, Any]) -> list[Json]:
    """Results as the WriterConfig wants them: FLATTEN joins those that are arrays."""
    if config.get("Transformation") != "FLATTEN":
        return results
    flat: list[Json] = []
    for result in results:
        flat.extend(result) if isinstance(result, list) else flat.append(result)
    return flat


def _write(command: WriteResults, store: ObjectStore) -> Json:
    place = command.parameters if isinstance(command.parameters, dict) else {}
    bucket, prefix = str(place.get("Bucket", "")), str(place.get("Prefix", "")).strip("/")
    folder = f"{prefix}/{command.token}" if prefix else command.token
    results = apply_writer_config(command.results, command.config)
    if command.config.get("OutputType") == "JSONL":
        key, content = f"{folder}/SUCCEEDED_0.jsonl", "".join(f"{dumps(result)}\n" for result in results).encode()
    else:
        key, content = f"{folder}/SUCCEEDED_0.json", dumps(results).encode()
    store.write(bucket, key, content)
    manifest = {
        "DestinationBucket": bucket,
        "MapRunArn": command.map_run_arn,
        "ResultFiles": {"FAILED": [], "PENDING": [], "SUCCEEDED": [{"Key": key, "Size": len(content)}]},
    }
    manifest_key = f"{folder}/manifest.json"
    store.write(bucket, manifest_key, dumps(manifest).encode())
    return {"MapRunArn": command.map_run_arn, "ResultWriterDetails": {"Bucket": bucket, "Key": manifest_key}}
