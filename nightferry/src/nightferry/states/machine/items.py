"""Reading of a distributed Map's items (JSON, JSON lines, CSV and listings), and writing of its results.

The caller supplies the :class:`ObjectStore` (buckets, or local folders), so this module does no I/O itself.
Sources: developer guide, "ItemReader (Map)", "ResultWriter (Map)".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from nightferry.states.data.payload import Json, NotJson, dumps, loads
from nightferry.states.language.model import CSV_DELIMITERS
from nightferry.states.machine.commands import Outcome, ReadItems, TaskFailed, TaskSucceeded, WriteResults
from nightferry.states.machine.csv_rows import read_rows


@dataclass(frozen=True)
class ListedObject:
    """An object in a listing; ``modified`` is in seconds since 1970."""

    key: str
    size: int
    etag: str = ""
    modified: float = 0


class ObjectStore(Protocol):
    """A store of objects. ``read`` raises LookupError or OSError for a missing object."""

    def read(self, bucket: str, key: str) -> bytes:
        """Return the content of an object."""

    def list(self, bucket: str, prefix: str) -> Iterable[ListedObject]:
        """Return the objects under a prefix."""

    def write(self, bucket: str, key: str, content: bytes) -> None:
        """Write an object."""


class UnreadableItems(ValueError):
    """The content does not match the ReaderConfig."""


def execute_command(command: ReadItems | WriteResults, store: ObjectStore) -> Outcome:
    """Execute a command of a distributed Map and return its outcome."""
    try:
        if isinstance(command, ReadItems):
            return TaskSucceeded(_read_items(command, store))
        return TaskSucceeded(_write_results(command, store))
    except (UnreadableItems, LookupError, OSError) as error:
        return TaskFailed(None, f"{error}")
    except RecursionError:
        return TaskFailed(None, "The items are nested too deeply.")


def _read_items(command: ReadItems, store: ObjectStore) -> list[Json]:
    place = command.parameters if isinstance(command.parameters, dict) else {}
    bucket = str(place.get("Bucket", ""))
    if command.resource.endswith("listObjectsV2"):
        items = make_listing(store.list(bucket, str(place.get("Prefix", ""))))
    else:
        items = parse_items(store.read(bucket, str(place.get("Key", ""))), command.config)
    most = command.config.get("MaxItems")
    return items if most is None else items[:most]


def make_listing(objects: Iterable[ListedObject]) -> list[Json]:
    """Return a bucket's listing as items in AWS's format (an ETag includes its quotes, a time is in seconds)."""
    return [
        {"Etag": o.etag, "Key": o.key, "LastModified": o.modified, "Size": o.size, "StorageClass": "STANDARD"}
        for o in objects
    ]


def parse_items(content: bytes, config: Mapping[str, Any]) -> list[Json]:
    """Parse the items of an object in the format of the ReaderConfig (default: JSON). Raises UnreadableItems."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableItems("The items are not UTF-8.") from None
    match config.get("InputType", "JSON"):
        case "JSON":
            return _parse_json(text, str(config.get("ItemsPointer", "")))
        case "JSONL":
            return [_parse_line(line, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        case "CSV":
            return _parse_csv(text, config)
        case kind:
            raise UnreadableItems(f"InputType {kind} is not supported. Use JSON, JSONL or CSV.")


def _parse_json(text: str, pointer: str) -> list[Json]:
    try:
        value = loads(text)
    except NotJson as error:
        raise UnreadableItems(f"The items are not JSON: {error}.") from None
    for part in pointer.split("/")[1:]:
        part = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(value, dict) or part not in value:
            raise UnreadableItems(f"ItemsPointer {pointer!r} not found in the content.")
        value = value[part]
    if isinstance(value, dict):
        return [{"Key": key, "Value": item} for key, item in value.items()]
    if not isinstance(value, list):
        raise UnreadableItems("The items are neither an array nor an object.")
    return value


def _parse_line(line: str, number: int) -> Json:
    try:
        return loads(line)
    except NotJson as error:
        raise UnreadableItems(f"Line {number} is not JSON: {error}.") from None


def _parse_csv(text: str, config: Mapping[str, Any]) -> list[Json]:
    rows = read_rows(text, CSV_DELIMITERS[config.get("CSVDelimiter", "COMMA")])
    header = list(config.get("CSVHeaders", [])) if config.get("CSVHeaderLocation") == "GIVEN" else next(rows, [])
    # Missing fields at the end of a row are empty; fields beyond the header are ignored.
    return [dict(zip(header, [*row, *([""] * len(header))], strict=False)) for row in rows]


# ── results ───────────────────────────────────────────────────────────────────────────────────────────────────


def apply_writer_config(results: list[Json], config: Mapping[str, Any]) -> list[Json]:
    """Return results in the format of the WriterConfig: FLATTEN concatenates results that are arrays."""
    if config.get("Transformation") != "FLATTEN":
        return results
    flat: list[Json] = []
    for result in results:
        flat.extend(result) if isinstance(result, list) else flat.append(result)
    return flat


def _write_results(command: WriteResults, store: ObjectStore) -> Json:
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
