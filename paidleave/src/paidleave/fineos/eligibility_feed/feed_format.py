"""The eligibility feed's file as FINEOS reads it: name, folder, head, columns, rows.

The first three lines end with LF, the column names and the rows with CRLF (the vendor's reader takes both). A field
is quoted only where it holds a comma, a quote or a line end, as :mod:`csv` does it with ``QUOTE_MINIMAL`` and as
PostgreSQL's ``COPY … (FORMAT csv)`` does it, so that rows come out of the database ready to be written.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

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

FIRST_BUNDLE = 1000
"""So many employers go to the first bundle, however many bundles there are."""


def head(fineos_employer_id: int, records: int) -> bytes:
    """The four lines before the rows of an employer's file with ``records`` rows."""
    lines = f"EMPLOYER_ID:{fineos_employer_id}\nNUMBER_OF_RECORDS:{records}\n@DATABLOCK\n"
    return lines.encode() + COLUMN_LINE


def file_name(stamp: datetime, fineos_employer_id: int) -> str:
    """The name of an employer's file in a run that started at ``stamp`` (aware; written in UTC)."""
    return f"{stamp.astimezone(UTC):%Y%m%dT%H%M%S}_{fineos_employer_id}.csv"


def bundle(index: int, employers: int, bundles: int) -> int:
    """Which of ``bundles`` the employer ``index`` (from 0) of ``employers`` belongs to, from 1.

    The vendor takes in bundles side by side, each at the same speed: the first thousand employers are the first
    bundle, the others are spread evenly over the rest.
    """
    if not 0 <= index < employers:
        raise IndexError(f"There is no employer {index} among {employers}.")
    if index < FIRST_BUNDLE or bundles == 1:
        return 1
    size = -(-(employers - FIRST_BUNDLE) // (bundles - 1))
    return min(bundles, max(2, (index - FIRST_BUNDLE) // size + 2))


def folder(number: int) -> tuple[str, str]:
    """The folders below the output directory for the bundle ``number``: the first has no number in its name."""
    return (f"absence-eligibility{number if number > 1 else ''}", "upload")


def with_phones(fields: list[str], telephone: Phone, cell: Phone) -> bytes:
    """The row of these 67 fields with its telephone and cell columns set, without line end.

    The slow way, for the few rows whose numbers the database could not split; parts that it did split are kept when
    the phone given here is empty.
    """
    for columns, phone in ((_TELEPHONE, telephone), (_CELL, cell)):
        if any(phone):
            fields[columns] = phone
    line = io.StringIO(newline="")
    csv.writer(line, lineterminator="\r\n").writerow(fields)
    return line.getvalue().removesuffix("\r\n").encode()
