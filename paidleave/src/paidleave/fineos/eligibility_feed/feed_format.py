"""Format of the eligibility feed files: name, folder, header, columns, rows.

The first three lines end with LF, the column names and the rows with CRLF (the vendor accepts both). A field is quoted
only if it contains a comma, a quote or a line end. :mod:`csv` with ``QUOTE_MINIMAL`` and PostgreSQL's
``COPY … (FORMAT csv)`` both follow this rule, so that rows from the database can be written unchanged.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from functools import lru_cache

from paidleave.fineos.eligibility_feed.phone import Phone

COLUMNS = (
    *("employeeIdentifier", "employeeFirstName", "employeeLastName", "employeeDateOfBirth", "employeeJobTitle"),
    *("employeeDateOfHire", "employmentStatus", "employeeHoursWorkedPerWeek", "employeeTitle", "employeeSecondName"),
    *("employeeThirdName", "employeeDateOfDeath", "employeeGender", "employeeMaritalStatus", "employeeNationalID"),
    *("employeeNationalIDType", "spouseIdentifier", "spouseReasonForChange", "spouseDateOfChange", "spouseTitle"),
    *("spouseFirstName", "spouseSecondName", "spouseThirdName", "spouseLastName", "spouseDateOfBirth"),
    *("spouseDateOfDeath", "spouseGender", "spouseNationalID", "spouseNationalIDType", "addressType"),
    *("addressState", "addressCity", "addressAddressLine1", "addressZipCode", "addressEffectiveDate"),
    *("addressCountry", "addressAddressLine2", "addressCounty", "telephoneIntCode", "telephoneAreaCode"),
    *("telephoneNumber", "cellIntCode", "cellAreaCode", "cellNumber", "employeeEmail"),
    *("employeeId", "employeeClassification", "employeeAdjustedDateOfHire", "employeeEndDate", "employmentStrength"),
    *("employmentCategory", "employmentType", "employeeOrgUnitName", "employeeCBACode", "keyEmployee"),
    *("employeeWorkAtHome", "employeeDaysWorkedPerWeek", "employeeHoursWorkedPerYear"),
    *("employee50EmployeesWithin75Miles", "employmentWorkState", "managerIdentifier", "occupationQualifier"),
    *("employeeWorkSiteId", "employeeEffectiveFromDate", "employeeEffectiveToDate", "employeeSalary"),
    "employeeEarningFrequency",
)
"""The 67 columns, in the vendor's order."""

CRLF = b"\r\n"
COLUMN_LINE = ",".join(COLUMNS).encode() + CRLF

_TELEPHONE = slice(COLUMNS.index("telephoneIntCode"), COLUMNS.index("telephoneNumber") + 1)
_CELL = slice(COLUMNS.index("cellIntCode"), COLUMNS.index("cellNumber") + 1)

FIRST_BUNDLE_EMPLOYERS = 1000
"""Employers in the first bundle, independent of the number of bundles."""


def build_header(fineos_employer_id: int, records: int) -> bytes:
    """Build the four lines before the rows of an employer's file with ``records`` rows."""
    lines = f"EMPLOYER_ID:{fineos_employer_id}\nNUMBER_OF_RECORDS:{records}\n@DATABLOCK\n"
    return lines.encode() + COLUMN_LINE


def format_file_name(stamp: datetime, fineos_employer_id: int) -> str:
    """Format the name of an employer's file. ``stamp`` must be time-zone aware and is converted to UTC."""
    return f"{_format_second(stamp)}_{fineos_employer_id}.csv"


@lru_cache(maxsize=1)  # all files of a pass have one stamp
def _format_second(stamp: datetime) -> str:
    return f"{stamp.astimezone(UTC):%Y%m%dT%H%M%S}"


def select_bundle(index: int, employers: int, bundles: int) -> int:
    """Return the bundle (from 1 to ``bundles``) of the employer ``index`` (from 0) of ``employers``.

    The vendor imports bundles concurrently at the same speed. The first thousand employers form the first bundle, and
    the others are distributed evenly to the remaining bundles.
    """
    if not 0 <= index < employers:
        raise IndexError(f"Employer index {index} is out of range for {employers} employers.")
    if index < FIRST_BUNDLE_EMPLOYERS or bundles == 1:
        return 1
    size = -(-(employers - FIRST_BUNDLE_EMPLOYERS) // (bundles - 1))
    return min(bundles, max(2, (index - FIRST_BUNDLE_EMPLOYERS) // size + 2))


def get_bundle_folder(number: int) -> tuple[str, str]:
    """Return the folders of the bundle ``number`` in the output directory. The first bundle's has no number."""
    return (f"absence-eligibility{number if number > 1 else ''}", "upload")


def format_row_with_phones(fields: list[str], telephone: Phone, cell: Phone) -> bytes:
    """Format the row of these 67 fields with the given telephone and cell numbers, without a line end.

    This slow path is for the few rows whose numbers the database could not split. If a given number is empty, the
    columns that the database filled are retained.
    """
    for columns, phone in ((_TELEPHONE, telephone), (_CELL, cell)):
        if any(phone):
            fields[columns] = phone
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(fields)
    return line.getvalue().removesuffix("\r\n").encode()
