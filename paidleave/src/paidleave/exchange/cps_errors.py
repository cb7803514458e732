"""``cps-errors-crawler``: report the error files of FINEOS's claims processing, and move them to another folder.

An error file is CSV with a header and one record for each of our rows that FINEOS rejected. The column names differ
between files; :data:`KIND_COLUMNS` lists those that can contain the error. Only words that cannot be personal data are
retained from an error text, so a file is reduced to counts per kind of error. Each kind produces one log line and one
``FINEOSBatchError`` event.

A file is moved after its report. If the job crashes between the two, the next run reports the file again, with the
same ``file`` and ``version`` in its events.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

import pyarrow.compute as pc

from nightferry import JobFailed, Run, background_task, get_logger, storage
from nightferry.storage import StorageError, StoredObject, is_copy, transfer
from paidleave.exchange import extract_file
from paidleave.exchange.errors import RefusedFile
from paidleave.exchange.extract_file import RecordCounts
from paidleave.exchange.file_names import find_date, strip_timestamp
from paidleave.exchange.selection import find_name_problem
from paidleave.exchange.settings import CpsErrorsSettings
from paidleave.fineos.client.errors import redact_vendor_text
from paidleave.fineos.eligibility_feed.feed_format import COLUMNS

KIND_COLUMNS = ("ERRORCODE", "ERRORTYPE", "ERRORMESSAGE", "ERRORDESCRIPTION", "ERROR", "EXCEPTION", "MESSAGE", "REASON")
"""Columns that can contain the error, most specific first. Case, spaces, dashes and underscores are ignored."""

KIND_LIMIT = 50
"""Number of kinds of errors reported per file; all others are counted together."""

OTHER_KIND = "other errors"
_CODE = re.compile("[A-Z]{1,8}[-_]?[0-9]{2,5}", re.ASCII)  # too few digits for an SSN, FEIN or account number
_UNREADABLE_KIND = "record that cannot be read"

log = get_logger(__name__)


@background_task("cps-errors-crawler", CpsErrorsSettings)
def main(settings: CpsErrorsSettings, run: Run) -> None:
    """Report the errors in FINEOS's error files, and move the files to the processed folder."""
    crawler = Crawler(settings, run)
    counts = {"files": 0, "errors": 0, "unreadable_files": 0}
    found = list(crawler.storage.walk(settings.cps_error_files_received_path))
    with run.progress("error files", len(found), "files") as progress:
        for file in found:
            try:
                counts["errors"] += crawler.process(file)
                counts["files"] += 1
            except (RefusedFile, StorageError) as error:
                log.error("cannot read %s. Cause: %s", file.name, str(error), extra={"event": "file_failed"})
                counts["unreadable_files"] += 1
            progress.advance()
    log.info("error files reported", extra={"event": "summary", **counts})
    if bad := counts["unreadable_files"]:
        raise JobFailed(
            f"{bad} of {len(found)} error files could not be reported and were not moved; see the errors above. "
            "The other files were reported and moved."
        )


class Crawler:
    """Reports and moves error files one at a time."""

    def __init__(self, settings: CpsErrorsSettings, run: Run) -> None:
        self._settings = settings
        self._run = run
        self.storage = storage.session()

    def process(self, file: StoredObject) -> int:
        """Report one file, move it, and return its number of errors. Raises RefusedFile and StorageError."""
        if problem := find_name_problem(file.name):
            raise RefusedFile(problem)
        self.storage.wait_until_quiet(file.uri, self._settings.quiet_seconds)
        kinds = self.count_kinds(file)
        common = {
            "file": file.name,
            "version": file.version,
            "file_type": strip_timestamp(file.name),
            "file_date": find_date(file.name, file.modified).isoformat(),
        }
        events: list[dict[str, Any]] = [{**common, "kind": kind, "count": count} for kind, count in kinds]
        for event in events:
            log.warning("FINEOS errors: %s", event["kind"], extra={"event": "FINEOSBatchError", **event})
        self._run.send_events("FINEOSBatchError", events)
        self._move_to_processed(file)
        return sum(count for _, count in kinds)

    def count_kinds(self, file: StoredObject) -> list[tuple[str, int]]:
        """Return the kinds of errors in a file with their counts, most frequent first. Raises RefusedFile."""
        with self.storage.open_read(file.uri, version=file.version) as stream:
            names = extract_file.read_header(stream)
        column = _find_kind_column(names)
        found: Counter[str] = Counter()
        record_counts = RecordCounts()
        with self.storage.open_read(file.uri, version=file.version) as stream:
            limits = extract_file.build_limits(self._settings, file.size, 1, "")  # Any share is reported.
            for batch in extract_file.read_rows(stream, names, limits, record_counts, lambda record: None):  # noqa: ARG005
                values, counts = pc.value_counts(batch.column(column)).flatten()
                for text, count in zip(values.to_pylist(), counts.to_pylist(), strict=True):
                    kind = classify_error(text)
                    assert count is not None  # value_counts never returns NULL as a count
                    found[kind if kind in found or len(found) < KIND_LIMIT else OTHER_KIND] += count
        if record_counts.rejected:
            found[_UNREADABLE_KIND] += record_counts.rejected.total()
        return found.most_common()

    def _move_to_processed(self, file: StoredObject) -> None:
        """Move the file; if a different file has its name there, name it ``NAME.2``, ``NAME.3`` and so on."""
        folder = self._settings.cps_error_files_processed_path
        target = base = storage.join(folder, *file.name.split("/"))
        number = 1
        while self.storage.exists(target) and not is_copy(file, self.storage, target, self.storage):
            number += 1
            target = f"{base}.{number}"
        if not self.storage.exists(target):
            transfer(file, self.storage, target, self.storage)
        self.storage.delete(file.uri, version=file.version)


def classify_error(text: str | None) -> str:
    """Return the kind of error in a text: its code, or its words that cannot be personal data."""
    if not text:
        return "no text"
    return text if _CODE.fullmatch(text) else redact_vendor_text(text, COLUMNS)


def _find_kind_column(names: list[str]) -> int:
    plain = ["".join(filter(str.isalnum, name)).upper() for name in names]
    for wanted in KIND_COLUMNS:
        if wanted in plain:
            return plain.index(wanted)
    raise RefusedFile(f"no error column in the header; expected one of {', '.join(KIND_COLUMNS)}")
