"""The reports of the jobs that process files: what their counts and reasons mean, and what to request from the sender.

``docs/dor-files.md`` has the same reasons for operators. A test compares them with those of the importers' code.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from nightferry import Reason, RejectedRecords
from paidleave.catalog.application import catalog
from paidleave.db.users import IMPERSONAL

# Reasons that concern a line or a row as such, in DOR's files and in CSVs.
_NINE_DIGITS = Reason(
    "not 9 digits",
    "The identifier (SSN or FEIN) has letters or signs, or a wrong number of digits.",
    "Please send the identifier of these lines as exactly nine digits without dashes.",
)
_PLACEHOLDER = Reason(
    "placeholder number",
    "The SSN or FEIN has one repeated digit, or the SSN is the usual example. Payroll programs write such a number if "
    "the real one is unknown. Different people or companies would become one.",
    "Please replace the placeholder in these lines with the real SSN or FEIN.",
)
_MISSING = Reason(
    "missing",
    "The field is required and is empty.",
    "Please fill in the named field of these lines.",
)
_UTF_8 = Reason(
    "invalid UTF-8",
    "The line has bytes that are not text in UTF-8. The file was written in another encoding, or was damaged.",
    "Please send the file in the encoding UTF-8.",
)
_NUL = Reason(
    "NUL character",
    "A text contains the character with the code 0, which the database cannot store.",
    "Please remove the zero bytes from these lines.",
)
_BLANK = Reason("blank line", "The line is empty or has only blanks.", "Please remove the blank lines.")

DOR_REASONS = (
    Reason(
        "invalid line length",
        "The line is shorter or longer than its format. It was truncated, or its width was counted in bytes instead of "
        "characters, so that names with accents or curly quotes shift the fields.",
        "Please pad each field to its width in characters, not in bytes, and send these lines again.",
    ),
    Reason(
        "line is longer",
        "The line is longer than any record. Line ends are missing, or the file is not a text.",
        "Please end each record with a line feed and send the file again.",
    ),
    _UTF_8,
    _NUL,
    _BLANK,
    Reason(
        "byte order mark",
        "The line begins with a byte order mark: files that begin with the mark were joined.",
        "Please write the file without byte order marks.",
    ),
    Reason(
        "unknown record letter",
        "The line begins with another letter than those of the records of this file.",
        "Please check the first character of these lines, which must be A or B.",
    ),
    Reason(
        "invalid date",
        "The field is not a date in the form YYYYMMDD, or the day does not exist.",
        "Please correct the date of these lines. The form is YYYYMMDD.",
    ),
    Reason(
        "invalid date and time",
        "The field is not a time in the form YYYYMMDDHHMMSS, or the day or time does not exist.",
        "Please correct the time of these lines. The form is YYYYMMDDHHMMSS.",
    ),
    Reason(
        "invalid amount",
        "The amount is not a decimal number, such as 1234.56. Commas and currency signs are not part of the format.",
        "Please send the amounts of these lines as digits with a decimal point.",
    ),
    _NINE_DIGITS,
    _PLACEHOLDER,
    Reason(
        "implausible SSN",
        "The SSN was never assigned: its area is 000 or 666, its group 00 or its serial number 0000. The environment "
        "rejects such numbers (REJECT_IMPLAUSIBLE_SSNS).",
        "Please compare the SSNs of these lines with the employers' records.",
    ),
    Reason(
        "not a US state",
        "The country is USA, and the state is not one of the known codes.",
        "Please correct the state or the country of these employers' addresses.",
    ),
    Reason(
        "more than a day after the time of the file",
        "The time of the change is later than the file. If it were stored, it would block all later changes.",
        "Please check the clock of the system that writes the times of changes, and correct these lines.",
    ),
    Reason(
        "unknown account key",
        "No employer has this account key. Its line in the employer file is missing, is rejected, or comes later. When "
        "it is imported, replay the lines: REPLAY=NAME.",
        "Please send the employers of these account keys in the next employer file, or correct the keys.",
    ),
    _MISSING,
    Reason(
        "no usable employer line before it",
        "The B line belongs to the A line before it, and that line is rejected or may be unreadable.",
        "Please correct the A lines before these lines, and send both again.",
    ),
)

CSV_REASONS = (
    _NINE_DIGITS,
    _PLACEHOLDER,
    _MISSING,
    Reason(
        "not a date M/D/YYYY",
        "The cell is not a date in the form M/D/YYYY, or the day does not exist.",
        "Please correct the date of these rows. The form is M/D/YYYY.",
    ),
    Reason(
        "number of cells differs from the first line",
        "A comma in a name without quotes moves the exemptions to other columns, or a cell is missing.",
        "Please put names with commas in double quotes, and save the CSV again.",
    ),
)

UPDATE_REASONS = (
    _UTF_8,
    Reason(
        "null byte",
        "A text contains the character with the code 0, which the database cannot store.",
        "Please remove the zero bytes from these rows.",
    ),
    _BLANK,
    Reason(
        "number of columns differs from the header",
        "A comma or a line end in a value without quotes adds a column, or a cell is missing.",
        "Please put values with commas and line ends in double quotes.",
    ),
    Reason("not a UUID", "The ID of the employee is not a UUID.", "Please correct the employee's ID of these rows."),
    Reason("not a date", "The cell is not a date in the form YYYY-MM-DD.", "Please correct the dates of these rows."),
    Reason("not a number", "The cell is not a decimal number.", "Please correct the numbers of these rows."),
    Reason(
        "unknown employee without an SSN",
        "No employee has this ID, and without an SSN a new one cannot be created.",
        "Please add the SSN of these employees, or check their IDs.",
    ),
    Reason(
        "SSN of another employee",
        "No employee has this ID, and the SSN belongs to another employee or to an earlier row of the file.",
        "Please check which of the employees have this SSN. Two records may be of one person.",
    ),
)

_COUNTS: Mapping[str, Literal["good", "neutral", "bad"]] = {
    "created": "good",
    "updated": "good",
    "unmodified": "neutral",
    "duplicate": "neutral",
    "already_imported": "neutral",
    "rejected": "bad",
    "not_imported": "neutral",
}
_EXECUTE_SQL = "nightferry run execute-sql --env {environment} --confirm {environment} -e DESTINATION=bucket"
_COLUMNS = "SELECT line_number, record_kind, field, reason, superseded_by IS NOT NULL AS is_settled"
_DOR_LINES = RejectedRecords(
    f"{_COLUMNS} FROM dor_rejected_line WHERE import_log_id = %(reference)s AND line_number > %(after)s"
    " ORDER BY line_number LIMIT %(limit)s",
    service="database",
    user=IMPERSONAL.name,
    command=f'{_EXECUTE_SQL} -e "SQL=SELECT line_number, record_kind, field, reason FROM dor_rejected_line'
    ' WHERE import_log_id = {reference} ORDER BY line_number"',
)
# Rows without a known employer are imported in part, so that they are not rejected rows of the report.
_UPDATE_ROWS = RejectedRecords(
    "SELECT line_number, '' AS record_kind, field, reason, false AS is_settled FROM fineos_rejected_row"
    " WHERE import_log_id = %(reference)s AND line_number > %(after)s"
    " AND reason NOT IN ('no employer number', 'unknown employer') ORDER BY line_number LIMIT %(limit)s",
    service="database",
    user=IMPERSONAL.name,
    command=f'{_EXECUTE_SQL} -e "SQL=SELECT line_number, field, reason FROM fineos_rejected_row'
    ' WHERE import_log_id = {reference} ORDER BY line_number"',
)
_ENCRYPTED_LINES = "gpg --decrypt dor/rejected/{subject}.rej"

for _name, _title in (
    ("dor-employer-file", "DOR employer file"),
    ("dor-wage-file", "DOR wage file"),
    ("dor-exempt-file", "DOR file of exempt employers"),
    ("dor-pending-filing-response", "DOR response about pending filings"),
):
    catalog.report(_name, title=_title, counts=_COUNTS, reasons=DOR_REASONS, records=_DOR_LINES, raw=_ENCRYPTED_LINES)
catalog.report(
    "returning-employers-csv",
    title="CSV of employers returning to the state plan",
    counts=_COUNTS,
    reasons=CSV_REASONS,
    records=_DOR_LINES,
    raw="cat dfml/rejected/{subject}.rej",
)
catalog.report(
    "fineos-employee-updates",
    title="FINEOS employee updates",
    counts=_COUNTS,
    reasons=UPDATE_REASONS,
    records=_UPDATE_ROWS,
)
catalog.report(
    "fineos-eligibility-feed",
    title="Eligibility feed for FINEOS",
    counts={"written": "good", "skipped": "neutral", "waiting": "neutral", "failed": "bad"},
)
