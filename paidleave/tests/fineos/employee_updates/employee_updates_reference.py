"""Reference implementation of the employee updates import. It processes one row at a time on dictionaries.

It shares no code with the import. Its input is the rows of the file (mappings of column names to texts) with their line
numbers. It changes a :class:`World`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import phonenumbers

TITLES = {"Unknown": 1, "Mr": 2, "Mrs": 3, "Miss": 4, "Ms": 5, "Dr": 6, "Madam": 7, "Sir": 8}
GENDERS = {"Female": 1, "Male": 2, "Neutral": 3, "Unknown": 4, "Not Provided": 5}
MARITAL_STATUSES = {"Single": 1, "Married": 2, "Divorced": 3, "Widowed": 4}
OCCUPATIONS = {"Health Care": 1, "Sales Clerk": 2, "Administrative": 3, "Engineer": 4}

Row = Mapping[str, str]


@dataclass
class World:
    """The content of the database. ``employers`` are the FINEOS numbers of the stored employers."""

    employers: set[int] = field(default_factory=set)
    people: dict[UUID, dict[str, Any]] = field(default_factory=dict)
    occupations: dict[tuple[UUID, int], dict[str, Any]] = field(default_factory=dict)
    units: set[tuple[int, str]] = field(default_factory=set)
    loose_tax_identifiers: set[str] = field(default_factory=set)


def import_rows(world: World, rows: Sequence[tuple[int, Row]]) -> tuple[Counter[str], list[tuple[int, str, str]]]:
    """Apply the rows. Return the counts of their outcomes, and the rejected ones (line, field, reason)."""
    rejected: list[tuple[int, str, str]] = []
    valid = []
    for line, row in rows:
        row = {name: text.strip() for name, text in row.items()}
        if problem := _problem(row):
            rejected.append((line, *problem))
        else:
            valid.append((line, row))

    known_before = set(world.people)
    known_people = {identifier: dict(person) for identifier, person in world.people.items()}
    known_occupations = {key: dict(value) for key, value in world.occupations.items()}
    new = _new_people(world, valid)
    applied: dict[tuple[UUID, int | None], int] = Counter()
    for line, row in valid:
        identifier = UUID(row["EMPLOYEEIDENTIFIER"])
        ssn = _ssn(row)
        if identifier not in known_before:
            if identifier not in new:
                has_one = any(
                    _ssn(other) for _, other in valid if other["EMPLOYEEIDENTIFIER"].lower() == str(identifier)
                )
                reason = "SSN of another employee" if has_one else "unknown employee without an SSN"
                rejected.append((line, "EMPLOYEENATIONALID", reason))
                continue
            if ssn and ssn != new[identifier]:
                rejected.append((line, "EMPLOYEENATIONALID", "SSN of another employee"))
                continue
        applied[identifier, _employer_number(row)] += 1
        _apply(world, identifier, row, new.get(identifier))
        if _employer_number(row) not in world.employers:
            reason = "unknown employer" if _employer_number(row) else "no employer number"
            rejected.append((line, "ORG_CUSTOMERNO", reason))

    counts: Counter[str] = Counter()
    for (identifier, employer), times in applied.items():
        counts["duplicate_employees_count"] += times - 1
        if identifier not in known_before:
            counts["created_employees_count"] += 1
        elif known_people[identifier] != world.people[identifier] or known_occupations.get(
            (identifier, employer or 0)
        ) != world.occupations.get((identifier, employer or 0)):
            counts["updated_employees_count"] += 1
        else:
            counts["unmodified_employees_count"] += 1
    counts["errored_employees_count"] = sum(1 for _, name, _ in rejected if name != "ORG_CUSTOMERNO")
    return counts, sorted(rejected)


def _new_people(world: World, valid: list[tuple[int, Row]]) -> dict[UUID, str]:
    """Return the IDs of new employees with their SSN. The first ID in the file with an SSN gets it."""
    taken = {person["ssn"] for person in world.people.values()}
    wanted: dict[UUID, str] = {}
    first_lines: dict[UUID, int] = {}
    for line, row in valid:
        identifier = UUID(row["EMPLOYEEIDENTIFIER"])
        if identifier not in world.people:
            first_lines.setdefault(identifier, line)
            if ssn := _ssn(row):
                wanted.setdefault(identifier, ssn)
    new: dict[UUID, str] = {}
    for identifier in sorted(wanted, key=first_lines.__getitem__):
        if wanted[identifier] not in taken:
            taken.add(wanted[identifier])
            new[identifier] = wanted[identifier]
    return new


def _apply(world: World, identifier: UUID, row: Row, ssn: str | None) -> None:
    person = world.people.setdefault(identifier, {"ssn": ssn, "first_name": "", "last_name": ""})
    if ssn is not None:  # Created in this file, so the first row with a name counts.
        person["first_name"] = person["first_name"] or row.get("EMPLOYEEFIRSTNAME", "")
        person["last_name"] = person["last_name"] or row.get("EMPLOYEELASTNAME", "")
        world.loose_tax_identifiers.discard(ssn)
    incoming = {
        "title_id": TITLES.get(row.get("EMPLOYEETITLE", "")),
        "gender_id": GENDERS.get(row.get("EMPLOYEEGENDER", "")),
        "marital_status_id": MARITAL_STATUSES.get(row.get("EMPLOYEEMARITALSTATUS", "")),
        "occupation_id": OCCUPATIONS.get(row.get("EMPLOYEECLASSIFICATION", "")),
        "date_of_birth": _date(row.get("EMPLOYEEDATEOFBIRTH", "")),
        "phone_number": _phone(row, "TELEPHONE"),
        "cell_phone_number": _phone(row, "CELL"),
        "email_address": row.get("EMPLOYEEEMAIL") or None,
        "fineos_customer_number": row.get("CUSTOMERNO") or None,
    }
    for column, value in incoming.items():
        person[column] = person.get(column) if value is None else value
    if row.get("EMPLOYEEMARITALSTATUS") == "Unknown":
        person["marital_status_id"] = None

    employer = _employer_number(row)
    if employer not in world.employers:
        return
    assert employer is not None
    unit = row.get("EMPLOYEEORGUNITNAME") or None
    if unit:
        world.units.add((employer, unit))
    occupation = world.occupations.setdefault((identifier, employer), {})
    stated = {
        "job_title": _drop(row.get("EMPLOYEEJOBTITLE") or None, "DEFAULT"),
        "employment_status": row.get("EMPLOYMENTSTATUS") or None,
        "manager_id": row.get("MANAGERIDENTIFIER") or None,
        "worksite_id": row.get("EMPLOYEEWORKSITEID") or None,
        "occupation_qualifier": row.get("QUALIFIERDESCRIPTION") or None,
        "date_of_hire": _drop(_date(row.get("EMPLOYEEDATEOFHIRE", "")), date(2020, 1, 1)),
        "date_job_ended": _date(row.get("EMPLOYEEENDDATE", "")),
        "hours_worked_per_week": Decimal(row.get("EMPLOYEEHOURSWORKEDPERWEEK") or 0) or None,
        "days_worked_per_week": Decimal(row.get("EMPLOYEEDAYSWORKEDPERWEEK") or 0) or None,
        "unit": unit,
    }
    for column, value in stated.items():
        occupation[column] = occupation.get(column) if value is None else value


def _drop(value: Any, default: Any) -> Any:
    """Return None instead of the value that the feed sends for an unknown one."""
    return None if value == default else value


def _problem(row: Row) -> tuple[str, str] | None:
    try:
        if len(row["EMPLOYEEIDENTIFIER"]) != 36:
            raise ValueError
        UUID(row["EMPLOYEEIDENTIFIER"])
    except ValueError:
        return "EMPLOYEEIDENTIFIER", "not a UUID"
    for name in ("EMPLOYEEDATEOFBIRTH", "EMPLOYEEDATEOFHIRE", "EMPLOYEEENDDATE"):
        try:
            _date(row.get(name, ""))
        except ValueError:
            return name, "not a date"
    for name in ("EMPLOYEEHOURSWORKEDPERWEEK", "EMPLOYEEDAYSWORKEDPERWEEK"):
        if row.get(name) and not re.fullmatch(r"[0-9]{1,5}(\.[0-9]{1,10})?", row[name], re.ASCII):
            return name, "not a number"
    return None


def _date(text: str) -> date | None:
    if not text:
        return None
    day = datetime.strptime(text, "%Y-%m-%d %H:%M:%S" if " " in text else "%Y-%m-%d").date()
    if day < date(1753, 1, 1):
        raise ValueError
    return None if day == date(1753, 1, 1) else day


def _ssn(row: Row) -> str | None:
    digits = row.get("EMPLOYEENATIONALID", "").replace("-", "")
    is_placeholder = len(set(digits)) == 1 or digits == "123456789"
    return digits if len(digits) == 9 and digits.isdigit() and not is_placeholder else None


def _employer_number(row: Row) -> int | None:
    text = row.get("ORG_CUSTOMERNO", "")
    return int(text) if re.fullmatch("[0-9]{1,10}", text, re.ASCII) and int(text) < 2**31 else None


def _phone(row: Row, kind: str) -> str | None:
    code, area, number = (row.get(f"{kind}{part}", "") for part in ("INTCODE", "AREACODE", "NUMBER"))
    if not number:
        return None
    code = code.removeprefix("+").lstrip("0")
    if code and not (code.isascii() and code.isdigit()):
        return None
    try:
        parsed = phonenumbers.parse(f"+{code}{area}{number}" if code else f"{area}{number}", "US")
    except phonenumbers.NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(parsed)
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164) if valid else None
