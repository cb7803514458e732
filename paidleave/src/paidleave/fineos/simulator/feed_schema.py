"""Schema of an eligibility feed file: its columns and their formats, written from the interface's documentation."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_DATE = r"(0[1-9]|1[0-2])/(0[1-9]|[12][0-9]|3[01])/[0-9]{4}"
_DECIMAL = r"-?[0-9]+\.[0-9]{2}"
_DIGITS = r"[0-9]+"
_TEXT = r"(?s:.*)"
_FILLED = r"(?s:.*\S.*)"


def _make_optional(pattern: str) -> str:
    return f"({pattern})?"


_NEVER_FILLED = """
spouseIdentifier spouseReasonForChange spouseDateOfChange spouseTitle spouseFirstName spouseSecondName spouseThirdName
spouseLastName spouseDateOfBirth spouseDateOfDeath spouseGender spouseNationalID spouseNationalIDType
addressType addressState addressCity addressAddressLine1 addressZipCode addressEffectiveDate addressCountry
addressAddressLine2 addressCounty
"""


def _build_patterns() -> dict[str, str]:
    """Return the pattern of each column's values in the order of the file. An empty pattern is an empty column."""
    columns: dict[str, str] = {
        "employeeIdentifier": UUID,
        "employeeFirstName": _TEXT,
        "employeeLastName": _TEXT,
        "employeeDateOfBirth": _DATE,
        "employeeJobTitle": _FILLED,
        "employeeDateOfHire": _DATE,
        "employmentStatus": _FILLED,
        "employeeHoursWorkedPerWeek": r"[0-9]{1,3}\.[0-9]{2}",
        "employeeTitle": _TEXT,
        "employeeSecondName": _TEXT,
        "employeeThirdName": "",
        "employeeDateOfDeath": _make_optional(_DATE),
        "employeeGender": _TEXT,
        "employeeMaritalStatus": _make_optional("Single|Married|Divorced|Widowed"),
        "employeeNationalID": _make_optional("[0-9]{9}"),
        "employeeNationalIDType": _make_optional("Social Security Number|Individual Taxpayer Identification Number"),
    }
    columns |= dict.fromkeys(_NEVER_FILLED.split(), "")
    for kind in ("telephone", "cell"):
        columns |= {f"{kind}IntCode": _make_optional(_DIGITS), f"{kind}AreaCode": _make_optional(_DIGITS)}
        columns[f"{kind}Number"] = _make_optional(_DIGITS)
    columns |= {
        "employeeEmail": _TEXT,
        "employeeId": "",
        "employeeClassification": "",
        "employeeAdjustedDateOfHire": "",
        "employeeEndDate": _make_optional(_DATE),
        "employmentStrength": "",
        "employmentCategory": "",
        "employmentType": "",
        "employeeOrgUnitName": _TEXT,
        "employeeCBACode": "",
        "keyEmployee": "",
        "employeeWorkAtHome": "",
        "employeeDaysWorkedPerWeek": _make_optional(_DECIMAL),
        "employeeHoursWorkedPerYear": "",
        "employee50EmployeesWithin75Miles": "",
        "employmentWorkState": "MA",
        "managerIdentifier": _TEXT,
        "occupationQualifier": _TEXT,
        "employeeWorkSiteId": _TEXT,
        "employeeEffectiveFromDate": "",
        "employeeEffectiveToDate": "",
        "employeeSalary": "",
        "employeeEarningFrequency": "",
    }
    return columns


COLUMNS: dict[str, Callable[[str], object]] = {
    name: re.compile(pattern, re.ASCII).fullmatch for name, pattern in _build_patterns().items()
}
NAMES = tuple(COLUMNS)
_CHECKS = tuple(COLUMNS.values())


def find_invalid_column(row: Sequence[str]) -> str | None:
    """Return the name of the first column with an invalid value, or None. ``row`` has every column."""
    for name, matches, value in zip(NAMES, _CHECKS, row, strict=True):
        if not matches(value):
            return name
    number, kind = row[14], row[15]
    if bool(number) != bool(kind) or (number and (number[0] == "9") != kind.startswith("Individual")):
        return "employeeNationalIDType"
    return None
