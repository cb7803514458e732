"""``import-fineos-to-warehouse``: convert the vendor's raw extracts to partitioned Parquet, all columns as text.

::

    EXTRACTS_PATH/…/2026-01-05-20-00-00-VBI_CASE.csv
        → WAREHOUSE_PATH/VBI_CASE/date=2026-01-05/NAME.parquet           the rows
        → WAREHOUSE_PATH/_rejected/VBI_CASE/date=2026-01-05/NAME.csv     the rejected records
        → WAREHOUSE_PATH/_manifest/VBI_CASE/date=2026-01-05/NAME.VERSION.json   counts and status

NAME is derived from the extract's path, so a repeated import replaces the same objects. Each object is written
atomically, the manifest last. After a crash at any point, the next run imports the extract again without duplicates.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from nightferry import JobFailed, Run, background_task, get_logger, storage
from nightferry.storage import Storage, StorageError, StoredObject
from paidleave.exchange import extract_file
from paidleave.exchange.errors import RefusedFile
from paidleave.exchange.extract_file import RecordCounts, RejectedRecord
from paidleave.exchange.file_names import find_date, strip_timestamp
from paidleave.exchange.selection import find_name_problem
from paidleave.exchange.settings import WarehouseSettings
from paidleave.exchange.storages import Storages

_SUFFIX = ".csv"

log = get_logger(__name__)


@background_task("import-fineos-to-warehouse", WarehouseSettings)
def main(settings: WarehouseSettings, run: Run) -> None:
    """Import the vendor's new extracts into the warehouse."""
    storages = Storages(settings)
    origin = storages.select(settings.extracts_path)
    warehouse = Warehouse(settings, origin, storages.select(settings.warehouse_path))
    counts = {"published": 0, "refused": 0, "failed": 0, "known": 0, "rows": 0, "rejected": 0}
    with run.progress("extracts", None, "files") as progress:
        for found in origin.walk(settings.extracts_path):
            if not found.name.lower().endswith(_SUFFIX):
                continue
            try:
                records = warehouse.publish(found)
            except RefusedFile as error:
                log.error("refused %s. Cause: %s", found.name, str(error), extra={"event": "file_refused"})
                counts["refused"] += 1
            except StorageError as error:
                log.error("cannot import %s. Cause: %s", found.name, str(error), extra={"event": "file_failed"})
                counts["failed"] += 1
            else:
                counts["known" if records is None else "published"] += 1
                counts["rows"] += records.rows if records else 0
                counts["rejected"] += records.rejected.total() if records else 0
            progress.advance()
    log.info("extracts imported", extra={"event": "summary", **counts})
    if bad := counts["refused"] + counts["failed"]:
        raise JobFailed(
            f"{bad} extracts could not be imported into the warehouse; see the errors above. The others were imported. "
            "A refused extract is not retried until it is replaced or RETRY_REFUSED is set."
        )


@dataclass(frozen=True)
class Destination:
    """The partition and the name of an extract's objects in the warehouse."""

    extract: str
    day: date
    name: str

    @classmethod
    def from_file(cls, found: StoredObject) -> Destination:
        """Derive extract and day from the file's name. A digest separates files of the same name in two folders."""
        extract = re.sub(r"[^A-Za-z0-9_]+", "_", strip_timestamp(found.name)[: -len(_SUFFIX)]).strip("_") or "unnamed"
        last = re.sub(r"[^A-Za-z0-9_-]+", "_", found.name.rpartition("/")[2][: -len(_SUFFIX)])
        digest = hashlib.sha256(found.name.encode()).hexdigest()[:12]
        return cls(extract[:100], find_date(found.name, found.modified), f"{last[:100]}-{digest}")

    def build_uri(self, folder: str, kind: str, suffix: str) -> str:
        """Return the location of an object; ``kind`` is ``_manifest``, ``_rejected`` or empty for the rows."""
        parts = [kind] if kind else []
        return storage.join(folder, *parts, self.extract, f"date={self.day.isoformat()}", f"{self.name}{suffix}")


class Warehouse:
    """Publishes extracts one at a time."""

    def __init__(self, settings: WarehouseSettings, origin: Storage, target: Storage) -> None:
        self._settings = settings
        self._origin = origin
        self._target = target

    def publish(self, found: StoredObject) -> RecordCounts | None:
        """Publish an extract and return its counts, or None if this version was processed by an earlier run.

        Raises RefusedFile, after writing the refusal to the manifest, and StorageError.
        """
        if problem := find_name_problem(found.name):
            raise RefusedFile(problem)
        destination = Destination.from_file(found)
        version = hashlib.sha256(found.version.encode()).hexdigest()[:12]
        manifest = destination.build_uri(self._settings.warehouse_path, "_manifest", f".{version}.json")
        if (known := self._target.load(manifest)) and not self._should_retry(known[0]):
            return None
        self._origin.wait_until_quiet(found.uri, self._settings.quiet_seconds)
        counts = RecordCounts()
        try:
            self._write_partition(found, destination, counts)
        except RefusedFile as error:
            self._write_manifest(manifest, _build_manifest(found, counts, status="refused", reason=str(error)))
            raise
        log.info(
            "published",
            extra={"file": found.name, "rows": counts.rows, "rejected": dict(counts.rejected)},
        )
        self._write_manifest(manifest, _build_manifest(found, counts, status="published"))
        return counts

    def _should_retry(self, manifest: bytes) -> bool:
        return self._settings.retry_refused and json.loads(manifest)["status"] == "refused"

    def _write_partition(self, found: StoredObject, destination: Destination, counts: RecordCounts) -> None:
        """Write the rejected records and then the rows of one extract, or neither."""
        with self._origin.open_read(found.uri, version=found.version) as stream:
            names = extract_file.read_header(stream)
        schema = pa.schema([(name, pa.string()) for name in names]).with_metadata({"source": found.name})
        parquet = destination.build_uri(self._settings.warehouse_path, "", ".parquet")
        with (
            self._origin.open_read(found.uri, version=found.version) as stream,
            self._target.open_write(parquet) as file,
            pq.ParquetWriter(file, schema, compression="zstd") as writer,
            self._open_rejected_file(destination) as reject,
        ):
            share = self._settings.warehouse_rejected_share_limit
            limits = extract_file.build_limits(self._settings, found.size, share, "WAREHOUSE_REJECTED_SHARE_LIMIT")
            for batch in extract_file.read_rows(stream, names, limits, counts, reject):
                writer.write_batch(batch)

    @contextmanager
    def _open_rejected_file(self, destination: Destination) -> Iterator[Any]:
        """Provide a function that writes a rejected record. Without any, delete the file of an earlier version."""
        uri = destination.build_uri(self._settings.warehouse_path, "_rejected", ".csv")
        with ExitStack() as opened:
            text: list[TextIO] = []

            def reject(record: RejectedRecord) -> None:
                if not text:
                    binary = opened.enter_context(self._target.open_write(uri))
                    text.append(opened.enter_context(io.TextIOWrapper(binary, encoding="utf-8", newline="")))
                    csv.writer(text[0]).writerow(("record", "reason", "text"))
                csv.writer(text[0]).writerow((record.number, record.reason, record.text))

            yield reject
        if not text:
            self._target.delete(uri)

    def _write_manifest(self, uri: str, manifest: dict[str, Any]) -> None:
        with self._target.open_write(uri) as file:
            file.write(json.dumps(manifest, indent=1, ensure_ascii=False).encode())


def _build_manifest(found: StoredObject, counts: RecordCounts, **more: str) -> dict[str, Any]:
    """Return the manifest: the source, and its counts, where records = rows + rejected."""
    return {
        **more,
        "source": found.name,
        "version": found.version,
        "bytes": found.size,
        "records": counts.records,
        "rows": counts.rows,
        "rejected": dict(counts.rejected),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
