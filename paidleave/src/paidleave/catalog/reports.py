"""The reports of the jobs that process files: what their counts and reasons mean, and what to request from the sender.

``docs/rejection-reasons.md`` is made from them (``make reference``). Tests compare the reasons with those of the
importers' code, and import a line for each example.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from nightferry import Reason, RejectedRecords
from paidleave.catalog.application import catalog
from paidleave.db.users import IMPERSONAL

# Reasons that concern a line or a row as such, in DOR's files and in CSVs.
_NINE_DIGITS = Reason(
    "not 9 digits",
    "The identifier (SSN or FEIN) has letters or signs, or a wrong number of digits.",
    "Please send the identifier of these lines as exactly nine digits without dashes.",
    "An SSN of eight digits and a letter, such as 25000000X.",
)
_PLACEHOLDER = Reason(
    "placeholder number",
    "The SSN or FEIN has one repeated digit, or the SSN is the usual example. Payroll programs write such a number if "
    "the real one is unknown. Different people or companies would become one.",
    "Please replace the placeholder in these lines with the real SSN or FEIN.",
    "The digit 9, nine times.",
)
_MISSING = Reason(
    "missing",
    "The field is required and is empty.",
    "Please fill in the named field of these lines.",
    "The field has only blanks.",
)
# The CSV has FEINs only.
_CSV_NINE_DIGITS = replace(
    _NINE_DIGITS,
    meaning="The FEIN has letters or signs, or a wrong number of digits.",
    request="Please write the FEIN of these rows as exactly nine digits without dashes.",
    example="A FEIN with a dash after its second digit.",
)
_CSV_PLACEHOLDER = replace(
    _PLACEHOLDER,
    meaning="The FEIN has one repeated digit, in place of an unknown one. Different companies would become one.",
    request="Please replace the placeholder in these rows with the real FEIN.",
)
_CSV_MISSING = replace(
    _MISSING, request="Please fill in the named column of these rows.", example="No date in the column of the quarter."
)
_UTF_8 = Reason(
    "invalid UTF-8",
    "The line has bytes that are not text in UTF-8. The file was written in another encoding, or was damaged.",
    "Please send the file in the encoding UTF-8.",
    "A name in Latin-1, in which ë is the single byte EB.",
)
_NUL = Reason(
    "NUL character",
    "A text contains the character with the code 0, which the database cannot store.",
    "Please remove the zero bytes from these lines.",
    "A name with the byte 00.",
)
_BLANK = Reason(
    "blank line",
    "The line is empty or has only blanks.",
    "Please remove the blank lines.",
    "A line that consists of its line feed.",
)

DOR_REASONS = (
    Reason(
        "invalid line length",
        "The line is shorter or longer than its format. It was truncated, or its width was counted in bytes instead of "
        "characters, so that names with accents or curly quotes shift the fields.",
        "Please pad each field to its width in characters, not in bytes, and send these lines again.",
        "A B line of 660 characters instead of 661: the name Zoë was padded to 255 bytes, and ë has two.",
    ),
    Reason(
        "line is longer",
        "The line is longer than any record. Line ends are missing, or the file is not a text.",
        "Please end each record with a line feed and send the file again.",
        "A hundred B lines without a line feed between them.",
    ),
    _UTF_8,
    _NUL,
    _BLANK,
    Reason(
        "byte order mark",
        "The line begins with a byte order mark: files that begin with the mark were joined.",
        "Please write the file without byte order marks.",
        "The first line of the second of two joined files.",
    ),
    Reason(
        "unknown record letter",
        "The line begins with another letter than those of the records of this file.",
        "Please check the first character of these lines, which must be A or B.",
        "A line that begins with C.",
    ),
    Reason(
        "invalid date",
        "The field is not a date in the form YYYYMMDD, or the day does not exist.",
        "Please correct the date of these lines. The form is YYYYMMDD.",
        "20190231: February has no 31st day.",
    ),
    Reason(
        "invalid date and time",
        "The field is not a time in the form YYYYMMDDHHMMSS, or the day or time does not exist.",
        "Please correct the time of these lines. The form is YYYYMMDDHHMMSS.",
        "A time with the hour 25.",
    ),
    Reason(
        "invalid amount",
        "The amount is not a decimal number, such as 1234.56. Commas and currency signs are not part of the format.",
        "Please send the amounts of these lines as digits with a decimal point.",
        "1,000.00: the format has no commas.",
    ),
    _NINE_DIGITS,
    _PLACEHOLDER,
    Reason(
        "implausible SSN",
        "The SSN was never assigned: its area is 000 or 666, its group 00 or its serial number 0000. The environment "
        "rejects such numbers (REJECT_IMPLAUSIBLE_SSNS).",
        "Please compare the SSNs of these lines with the employers' records.",
        "An SSN that begins with 666.",
    ),
    Reason(
        "not a US state",
        "The country is USA, and the state is not one of the known codes.",
        "Please correct the state or the country of these employers' addresses.",
        "The state ZZ with the country USA.",
    ),
    Reason(
        "more than a day after the time of the file",
        "The time of the change is later than the file. If it were stored, it would block all later changes.",
        "Please check the clock of the system that writes the times of changes, and correct these lines.",
        "An updated_date in the year 2030 in a file of 2020.",
    ),
    Reason(
        "unknown account key",
        "No employer has this account key. Its line in the employer file is missing, is rejected, or comes later. When "
        "it is imported, replay the lines: REPLAY=NAME.",
        "Please send the employers of these account keys in the next employer file, or correct the keys.",
        "Wages with the account key of an employer whose own line was rejected.",
    ),
    _MISSING,
    Reason(
        "no usable employer line before it",
        "The B line belongs to the A line before it, and that line is rejected or may be unreadable.",
        "Please correct the A lines before these lines, and send both again.",
        "A B line after an A line whose employer_id has a letter.",
    ),
)

CSV_REASONS = (
    _CSV_NINE_DIGITS,
    _CSV_PLACEHOLDER,
    _CSV_MISSING,
    Reason(
        "not a date M/D/YYYY",
        "The cell is not a date in the form M/D/YYYY, or the day does not exist.",
        "Please correct the date of these rows. The form is M/D/YYYY.",
        "2021-01-31, or 13/1/2021: there is no 13th month.",
    ),
    Reason(
        "number of cells differs from the first line",
        "A comma in a name without quotes moves the exemptions to other columns, or a cell is missing.",
        "Please put names with commas in double quotes, and save the CSV again.",
        "The name Boats, Inc. without quotes: its comma adds a cell.",
    ),
)

UPDATE_REASONS = (
    _UTF_8,
    Reason(
        "null byte",
        "A text contains the character with the code 0, which the database cannot store.",
        "Please remove the zero bytes from these rows.",
        "A title with the byte 00.",
    ),
    _BLANK,
    Reason(
        "number of columns differs from the header",
        "A comma or a line end in a value without quotes adds a column, or a cell is missing.",
        "Please put values with commas and line ends in double quotes.",
        "The job title Clerk, part-time without quotes.",
    ),
    Reason(
        "not a UUID",
        "The ID of the employee is not a UUID.",
        "Please correct the employee's ID of these rows.",
        "An ID of another system, such as E-42.",
    ),
    Reason(
        "not a date",
        "The cell is not a date in the form YYYY-MM-DD.",
        "Please correct the dates of these rows.",
        "01/31/2021 as the date of hire.",
    ),
    Reason(
        "not a number",
        "The cell is not a decimal number.",
        "Please correct the numbers of these rows.",
        "The hours of a week as 40 hours.",
    ),
    Reason(
        "unknown employee without an SSN",
        "No employee has this ID, and without an SSN a new one cannot be created.",
        "Please add the SSN of these employees, or check their IDs.",
        "An employee who is new to us, with an empty EMPLOYEENATIONALID.",
    ),
    Reason(
        "SSN of another employee",
        "No employee has this ID, and the SSN belongs to another employee or to an earlier row of the file.",
        "Please check which of the employees have this SSN. Two records may be of one person.",
        "A new ID with the SSN of an employee whom we know by another ID.",
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
    catalog.report(
        _name,
        title=_title,
        counts=_COUNTS,
        reasons=DOR_REASONS,
        records=_DOR_LINES,
        raw=_ENCRYPTED_LINES,
        sender="the Department of Revenue",
    )
catalog.report(
    "returning-employers-csv",
    title="CSV of employers returning to the state plan",
    counts=_COUNTS,
    reasons=CSV_REASONS,
    records=_DOR_LINES,
    raw="cat dfml/rejected/{subject}.rej",
    sender="the author of the CSV",
)
catalog.report(
    "fineos-employee-updates",
    title="FINEOS employee updates",
    counts=_COUNTS,
    reasons=UPDATE_REASONS,
    records=_UPDATE_ROWS,
    sender="FINEOS",
)
catalog.report(
    "fineos-eligibility-feed",
    title="Eligibility feed for FINEOS",
    counts={"written": "good", "skipped": "neutral", "waiting": "neutral", "failed": "bad"},
)
