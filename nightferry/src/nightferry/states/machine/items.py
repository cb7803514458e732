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
from nightferry.states.machine.commands import (
    Item,
    Outcome,
    ReadItems,
    TaskFailed,
    TaskSucceeded,
    WriteResults,
    list_members,
)
from nightferry.states.machine.csv_items import UnreadableItems, parse_records


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


def execute_command(command: ReadItems | WriteResults, store: ObjectStore) -> Outcome:
    """Execute a command of a distributed Map and return its outcome."""
    try:
        if isinstance(command, ReadItems):
            return TaskSucceeded(_read_items(command, store))
        return TaskSucceeded(_write_results(command, store))
    except (ValueError, LookupError, OSError) as error:  # the name of an object may also be no valid name
        return TaskFailed(None, f"{error}")
    except RecursionError:
        return TaskFailed(None, "The items are nested too deeply.")


def _read_items(command: ReadItems, store: ObjectStore) -> list[Item]:
    place = command.parameters if isinstance(command.parameters, dict) else {}
    bucket, config = str(place.get("Bucket", "")), command.config
    if (kind := config.get("ManifestType")) is not None:
        raise UnreadableItems(f"ManifestType {kind} is not supported. {_SUPPORTED}")
    most = config.get("MaxItems")
    if not command.resource.endswith("listObjectsV2"):
        return _read_object(store, bucket, str(place.get("Key", "")), config)[:most]
    objects = store.list(bucket, str(place.get("Prefix", "")))
    if config.get("Transformation") != "LOAD_AND_FLATTEN":
        return [Item(value, f"s3://{bucket}") for value in make_listing(objects)][:most]
    items: list[Item] = []
    for found in objects:
        if most is not None and len(items) >= most:
            break
        items += _read_object(store, bucket, found.key, config)
    return items[:most]


def _read_object(store: ObjectStore, bucket: str, key: str, config: Mapping[str, Any]) -> list[Item]:
    return parse_items(store.read(bucket, key), config, f"s3://{bucket}/{key}")


def make_listing(objects: Iterable[ListedObject]) -> list[Json]:
    """Return a bucket's listing as items in AWS's format (an ETag includes its quotes, a time is in seconds)."""
    return [
        {"Etag": o.etag, "Key": o.key, "LastModified": o.modified, "Size": o.size, "StorageClass": "STANDARD"}
        for o in objects
    ]


_SUPPORTED = "Use InputType JSON, JSONL or CSV."


def parse_items(content: bytes, config: Mapping[str, Any], source: str = "") -> list[Item]:
    """Parse the items of an object in the format of the ReaderConfig (default: JSON). Raises UnreadableItems."""
    kind = config.get("InputType", "JSON")
    if kind not in ("JSON", "JSONL", "CSV"):
        raise UnreadableItems(f"InputType {kind} is not supported. {_SUPPORTED}")
    if source.endswith((".gz", ".zst", ".zstd")):
        raise UnreadableItems(f"{source} is compressed, which is not supported. Decompress it.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UnreadableItems("The items are not UTF-8.") from None
    if kind == "JSON":
        return _parse_json(text, str(config.get("ItemsPointer", "")), source)
    if kind == "CSV":
        given = config.get("CSVHeaderLocation") == "GIVEN"
        header = list(config.get("CSVHeaders", [])) if given else None
        delimiter = CSV_DELIMITERS[config.get("CSVDelimiter", "COMMA")]
        return [Item(value, source) for value in parse_records(text, delimiter, header)]
    lines = enumerate(text.split("\n"), 1)
    return [Item(_parse_line(line, number), source) for number, line in lines if line.strip(" \t\r")]


def _parse_json(text: str, pointer: str, source: str) -> list[Item]:
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
        return list_members(value, source)
    if not isinstance(value, list):
        raise UnreadableItems("The items are neither an array nor an object.")
    return [Item(item, source) for item in value]


def _parse_line(line: str, number: int) -> Json:
    try:
        return loads(line)
    except NotJson as error:
        raise UnreadableItems(f"Line {number} is not JSON: {error}.") from None


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
