"""Reference implementation of the eligibility feed. It runs queries per employee and shares no code with the export."""

from __future__ import annotations

import csv
import io
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import phonenumbers
import psycopg
from psycopg.rows import dict_row

_HEADER = """
employeeIdentifier employeeFirstName employeeLastName employeeDateOfBirth employeeJobTitle employeeDateOfHire
employmentStatus employeeHoursWorkedPerWeek employeeTitle employeeSecondName employeeThirdName
employeeDateOfDeath employeeGender employeeMaritalStatus employeeNationalID employeeNationalIDType
spouseIdentifier spouseReasonForChange spouseDateOfChange spouseTitle spouseFirstName spouseSecondName
spouseThirdName spouseLastName spouseDateOfBirth spouseDateOfDeath spouseGender spouseNationalID
spouseNationalIDType addressType addressState addressCity addressAddressLine1 addressZipCode
addressEffectiveDate addressCountry addressAddressLine2 addressCounty telephoneIntCode telephoneAreaCode
telephoneNumber cellIntCode cellAreaCode cellNumber employeeEmail employeeId employeeClassification
employeeAdjustedDateOfHire employeeEndDate employmentStrength employmentCategory employmentType
employeeOrgUnitName employeeCBACode keyEmployee employeeWorkAtHome employeeDaysWorkedPerWeek
employeeHoursWorkedPerYear employee50EmployeesWithin75Miles employmentWorkState managerIdentifier
occupationQualifier employeeWorkSiteId employeeEffectiveFromDate employeeEffectiveToDate employeeSalary
employeeEarningFrequency
"""
HEADER = _HEADER.split()


def build_file(connection: psycopg.Connection[Any], employer_id: UUID, only: set[UUID] | None = None) -> bytes | None:
    """Build the employer's file with all its employees, or those of ``only``.

    Return None if the employer is not at FINEOS or none of ``only`` can be sent.
    """
    is_complete = only is None
    cursor = connection.cursor(row_factory=dict_row)
    employer = cursor.execute("SELECT * FROM employer WHERE employer_id = %s", [employer_id]).fetchone()
    if only is None:
        found = cursor.execute("SELECT employee_id FROM wages_and_contributions WHERE employer_id = %s", [employer_id])
        only = {row["employee_id"] for row in found}
    rows = [row(cursor, employee_id, employer_id) for employee_id in sorted(only)]
    rows = [
        fields for fields in rows if fields["employeeFirstName"].strip(" ") and fields["employeeLastName"].strip(" ")
    ]
    if not (rows or is_complete) or employer is None or employer["fineos_employer_id"] is None:
        return None
    text = io.StringIO(newline="")
    text.write(f"EMPLOYER_ID:{employer['fineos_employer_id']}\nNUMBER_OF_RECORDS:{len(rows)}\n@DATABLOCK\n")
    writer = csv.DictWriter(text, HEADER, restval="")
    writer.writeheader()
    for fields in rows:
        writer.writerow({name: _text(value) for name, value in fields.items()})
    return text.getvalue().encode()


def row(cursor: psycopg.Cursor[dict[str, Any]], employee_id: UUID, employer_id: UUID) -> dict[str, Any]:
    """Return the filled columns of one person at one employer."""

    def one(query: str, *values: Any) -> dict[str, Any]:
        return cursor.execute(query, values).fetchone() or {}

    person = one("SELECT * FROM employee WHERE employee_id = %s", employee_id)
    tax = one("SELECT * FROM tax_identifier WHERE tax_identifier_id = %s", person["tax_identifier_id"])
    job = one("SELECT * FROM employee_occupation WHERE employee_id = %s AND employer_id = %s", employee_id, employer_id)
    unit = one("SELECT * FROM organization_unit WHERE organization_unit_id = %s", job.get("organization_unit_id"))
    title = one("SELECT * FROM lk_title WHERE title_id = %s", person["title_id"])
    gender = one("SELECT * FROM lk_gender WHERE gender_id = %s", person["gender_id"])
    marital = one("SELECT * FROM lk_marital_status WHERE marital_status_id = %s", person["marital_status_id"])
    telephone, cell = _phone(person["phone_number"]), _phone(person["cell_phone_number"])
    national_id = tax.get("tax_identifier")
    kind = None
    if national_id:
        itin = national_id.startswith("9")
        kind = "Individual Taxpayer Identification Number" if itin else "Social Security Number"
    return {
        "employeeIdentifier": str(employee_id),
        "employeeFirstName": person["first_name"],
        "employeeLastName": person["last_name"],
        "employeeDateOfBirth": _or(person["date_of_birth"], date(1753, 1, 1)),
        "employeeJobTitle": _or(job.get("job_title"), "DEFAULT"),
        "employeeDateOfHire": _or(job.get("date_of_hire"), date(2020, 1, 1)),
        "employmentStatus": _or(job.get("employment_status"), "Active"),
        "employeeHoursWorkedPerWeek": _or(_small(job.get("hours_worked_per_week")), Decimal("0.00")),
        "employeeTitle": title.get("title_description"),
        "employeeSecondName": person["middle_name"],
        "employeeDateOfDeath": person["date_of_death"],
        "employeeGender": gender.get("fineos_gender_description"),
        "employeeMaritalStatus": marital.get("marital_status_description"),
        "employeeNationalID": national_id,
        "employeeNationalIDType": kind,
        "telephoneIntCode": telephone[0],
        "telephoneAreaCode": telephone[1],
        "telephoneNumber": telephone[2],
        "cellIntCode": cell[0],
        "cellAreaCode": cell[1],
        "cellNumber": cell[2],
        "employeeEmail": person["email_address"],
        "employeeEndDate": job.get("date_job_ended"),
        "employeeOrgUnitName": unit.get("name"),
        "employeeDaysWorkedPerWeek": _small(job.get("days_worked_per_week")) or None,
        "employmentWorkState": "MA",
        "managerIdentifier": job.get("manager_id"),
        "occupationQualifier": job.get("occupation_qualifier"),
        "employeeWorkSiteId": job.get("worksite_id"),
    }


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _small(value: Decimal | None) -> Decimal | None:
    """Return the number with two places, or None if it then exceeds FINEOS's type decimal(5,2)."""
    if value is None or value.is_nan():
        return None
    rounded = round(value, 2)
    return rounded if len(rounded.as_tuple().digits) <= 5 else None


def _phone(text: str | None) -> tuple[str, str, str]:
    try:
        parsed = phonenumbers.parse(text or "", None)
    except phonenumbers.NumberParseException:
        return "", "", ""
    digits = phonenumbers.national_significant_number(parsed)
    if parsed.country_code == 1:
        return "1", digits[:3], digits[3:]
    return str(parsed.country_code), "", digits


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case date():
            return f"{value.month:02}/{value.day:02}/{value.year:04}"
        case Decimal():
            return str(round(value, 2))
    return str(value)
