"""The rules of the CSV of employers returning: its rows become a submission for DOR.

The file appears as a whole or not at all. Its name has the time at which the CSV was written, and its lines follow
from the CSV's, so that a run after a crash writes the very same object; once the CSV's digest is committed, nothing
writes it again. The object is stored by one request: DOR compares its ETag with the MD5 of what it got, and the
ETag of an object in parts is another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

from nightferry import storage
from nightferry.errors import NightferryError
from nightferry.job import JobFailed
from paidleave.dor.files import returning_csv
from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import RETURNING, RETURNING_CSV, SUBMISSION, SUBMISSION_FILE
from paidleave.dor.files.screening import Screened
from paidleave.dor.importing.file_kind import EMPLOYERS, FileKind
from paidleave.dor.importing.received import ReceivedFile
from paidleave.dor.importing.steps import Steps

_TABLE = "staged_submission"
_CHUNK = 1024 * 1024


class EtagMismatch(NightferryError):
    """The bucket gives its objects ETags that are not the MD5 of their content, so that DOR would refuse the file.

    Have the folder ``send`` encrypted by S3's own keys (SSE-S3); with keys of KMS an ETag is no MD5.
    """


class Submission:
    """The rules of one CSV: what becomes of its rows."""

    staging = ("submission/10_create_staging",)

    def __init__(self, csv: ReceivedFile, folder: str) -> None:
        self._csv = csv
        self._folder = folder

    def screen(self, batch: Batch) -> Screened:
        """The reader has rejected what must be."""
        rows = batch.records[RETURNING.name].select("line_number", "fein", "first_requested_quarter")
        return Screened({_TABLE: rows}, batch.rejects.clear())

    def apply(self, steps: Steps, staged: Mapping[str, int]) -> dict[str, int]:
        """Write the submission; returns the counts for the report."""
        duplicates = steps.run("submission/20_drop_duplicates")
        written = staged[_TABLE] - duplicates
        if not written:
            raise JobFailed("it has no usable row. Have the file saved again with the employers in it")
        self._send(steps)
        return {
            "created_employers_count": written,
            "updated_employers_count": 0,
            "unmodified_employers_count": 0,
            "duplicate_employers_count": duplicates,
            "total_employers_written_count": written,
        }

    def _send(self, steps: Steps) -> None:
        md5 = hashlib.md5(usedforsecurity=False)
        for line in _format_lines(steps):
            md5.update(line)
        digest = md5.hexdigest()
        uri = self._find_free_uri(digest)
        if not storage.exists(uri):
            with storage.open_write(uri, single_part=True) as file:
                for line in _format_lines(steps):
                    file.write(line)
        _check_etag(self._folder, uri, digest)

    def _find_free_uri(self, digest: str) -> str:
        """The first second from the CSV's on whose name is free, or holds what an earlier run has written."""
        time = self._csv.modified or datetime.now(UTC)
        while True:
            uri = storage.join(self._folder, SUBMISSION_FILE.file_name(f"{time.astimezone(UTC):%Y%m%d%H%M%S}"))
            if not storage.exists(uri) or _compute_md5(uri) == digest:
                return uri
            time += timedelta(seconds=1)


def format_line(fein: str, first_quarter: str) -> bytes:
    """One line of a submission; ``first_quarter`` is YYYYMMDD."""
    values = ("FEIN", fein, first_quarter)
    text = "".join(value.ljust(field.width) for value, field in zip(values, SUBMISSION.fields, strict=True))
    return text.encode() + b"\n"


def _format_lines(steps: Steps) -> Iterator[bytes]:
    for fein, quarter in steps.select_rows("submission/30_select_rows"):
        yield format_line(fein, quarter)


def _compute_md5(uri: str) -> str:
    md5 = hashlib.md5(usedforsecurity=False)
    with storage.open_read(uri) as stored:
        while data := stored.read(_CHUNK):
            md5.update(data)
    return md5.hexdigest()


def _check_etag(folder: str, uri: str, digest: str) -> None:
    if not uri.startswith("s3://"):
        return
    for stored in storage.list_objects(folder):
        if stored.uri == uri and stored.version != digest:
            storage.delete(uri)
            raise EtagMismatch(
                "the object written has an ETag that is not the MD5 of its content, so that DOR would refuse it; it "
                f"was deleted. Have {folder} encrypted by S3's own keys (SSE-S3) instead of keys of KMS"
            )


def make_submission_kind(send_folder: str) -> FileKind:
    """Return the kind of the CSVs whose submissions are written into ``send_folder``."""
    return FileKind(
        RETURNING_CSV,
        subjects=(EMPLOYERS,),
        source="DOR Pending Filing Submission",
        import_type="",
        report={"csv_file": True},
        read=returning_csv.read,
        rules=lambda _, file: Submission(file, send_folder),
    )
