"""The report of a file, which contains only counts and no personal data.

For each subject, ``lines = created + updated + unmodified + duplicate + rejected``. Rejected lines of unknown kind
(blank, unknown letter, unreadable) are counted as ``rejected_unknown_lines_count``. The report retains the field names
of the old system, except those in the table of ``docs/differences.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from nightferry import ReasonCount
from paidleave.dor.files.batch import Batch
from paidleave.dor.files.formats import EMPLOYER, WAGE_A, WAGE_B
from paidleave.dor.files.line import BLANK, WRONG_LENGTH
from paidleave.dor.files.screening import Screened
from paidleave.dor.importing.file_kind import QUARTERS, WAGES, FileKind
from paidleave.text_stream import TextStream

_UNKNOWN = "unknown_lines"
_WRITTEN = ("created", "updated", "unmodified", "duplicate")

# Field names of the old system for some rejects, by record kind, field and reason.
_KNOWN_REJECTS = {
    (EMPLOYER.name, "address_state", "not a US state"): "invalid_employer_addresses_count",
    (EMPLOYER.name, "fein", "not 9 digits"): "errored_employers_fein_count",
    (WAGE_A.name, "account_key", "unknown account key"): "skipped_employer_quarterly_contribution",
    (WAGE_B.name, "account_key", "unknown account key"): "skipped_wages_count",
}
# Field names of the old system for the readable and unreadable lines of some subjects.
_PARSED = {WAGES: "parsed_employees_info_count"}
_UNPARSED = {
    QUARTERS: "parsed_employer_quarter_exception_count",
    WAGES: "parsed_employees_exception_count",
}


class LineCounts:
    """Counts of the lines of a file of ``kind``, updated while the file is read.

    Attributes:
        lines: The number of lines, without empty rows.
        size: Their number of bytes.
        blank: The number of blank lines, which are rejected, and of empty rows, which are skipped.
        empty_rows: The number of empty rows of a CSV.
        staged: The number of accepted lines by staging table.
    """

    def __init__(self, kind: FileKind) -> None:
        self._subjects = dict(zip((format.name for format in kind.layout.formats), kind.subjects, strict=True))
        self.lines = 0
        self.size = 0
        self.blank = 0
        self.empty_rows = 0
        self._byte_order_marks = 0
        self._end_marks = 0
        self.staged: Counter[str] = Counter()
        self._parsed: Counter[str] = Counter()
        self._unreadable: Counter[str] = Counter()
        self._rejected: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._explained: Counter[tuple[str, str, str]] = Counter()
        self._warnings: Counter[str] = Counter()

    def add(self, batch: Batch, screened: Screened) -> None:
        """Count the lines of a batch: its records and rejects, and the result of screening."""
        self.lines += batch.lines
        self.size += batch.size
        self.blank += batch.empty_rows + int((batch.rejects["reason"] == BLANK).sum())
        self.empty_rows += batch.empty_rows
        for kind, frame in batch.records.items():
            self._parsed[kind] += frame.height
        for table, frame in screened.staged.items():
            self.staged[table] += frame.height
        self._warnings.update(screened.warnings)
        for row in batch.rejects.select("record_kind", "field", "reason").iter_rows():
            self._unreadable[row[0] or _UNKNOWN] += 1
            self._rejected[row[0] or _UNKNOWN] += 1
            self._explained[_name_reason(*row)] += 1
        for row in screened.rejects.select("record_kind", "field", "reason").iter_rows():
            self._rejected[row[0]] += 1
            self._explained[_name_reason(*row)] += 1
            if name := _KNOWN_REJECTS.get(row):
                self._reasons[name] += 1

    def add_marks(self, text: TextStream) -> None:
        """Count the marks that ``text``, which was read to its end, has skipped."""
        self._byte_order_marks = text.byte_order_marks
        self._end_marks = text.end_marks

    @property
    def rejected(self) -> int:
        """The number of rejected lines, of every kind."""
        return self._rejected.total()

    @property
    def reasons(self) -> list[ReasonCount]:
        """The number of rejected lines by reason, field and kind of record."""
        return [ReasonCount(reason, count, field, kind) for (reason, field, kind), count in self._explained.items()]

    def count_outcomes(self, report: Mapping[str, Any]) -> dict[str, int]:
        """Return the number of lines by outcome, of all subjects of an imported file together.

        ``report`` has the counts of the written rows. Each line has one outcome.
        """
        written = {
            outcome: sum(int(report.get(f"{outcome}_{subject}_count", 0)) for subject in self._subjects.values())
            for outcome in _WRITTEN
        }
        return {**written, "rejected": self.rejected}

    def build_report(self) -> dict[str, int]:
        """Return the counts of read and rejected lines; the steps of the import count the written rows."""
        counts = {
            "lines_count": self.lines,
            "rejected_lines_count": self.rejected,
            f"rejected_{_UNKNOWN}_count": self._rejected[_UNKNOWN],
            "skipped_empty_rows_count": self.empty_rows,
            "skipped_byte_order_marks_count": self._byte_order_marks,
            "skipped_end_of_file_marks_count": self._end_marks,
        }
        for format, subject in self._subjects.items():
            counts |= self._count_subject(format, subject)
        known = {name: self._reasons[name] for (kind, *_), name in _KNOWN_REJECTS.items() if kind in self._subjects}
        return counts | known | dict(self._warnings)

    def _count_subject(self, format: str, subject: str) -> dict[str, int]:
        return {
            f"{subject}_lines_count": self._parsed[format] + self._unreadable[format],
            _PARSED.get(subject, f"parsed_{subject}_count"): self._parsed[format],
            _UNPARSED.get(subject, f"parsed_{subject}_exception_count"): self._unreadable[format],
            f"rejected_{subject}_count": self._rejected[format],
        }


def _name_reason(kind: str | None, field: str | None, reason: str) -> tuple[str, str, str]:
    """Return the reason without the length of the line, which would make too many reasons, the field and the kind."""
    name = WRONG_LENGTH if reason.startswith(WRONG_LENGTH) else reason
    return name, field or "", kind or ""
