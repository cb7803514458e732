"""Slow reference implementation of exempt files, pending filing responses and their CSVs: line by line.

It uses ``reference`` for the common parts of all files and shares no code with the tested implementation.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections import Counter
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from tests.dor.reference import BadLine, Database, Employer, Import, _date, _length, _split, _text

A_WIDTHS = (1, 10, 14, 8, 255, 20)
B_WIDTHS = (1, 10, 9, 255, 255, 20)
A_KIND, B_KIND = "response employer quarter", "response employee quarter"
FOREVER = date(9999, 12, 31)
Returning = dict[str, tuple[bool, bool, date | None]]


def returning(csvs: list[bytes]) -> Returning:
    """Return the exemptions and effective date by FEIN from the last row of the last CSV."""
    found: Returning = {}
    for content in csvs:
        for row in csv.DictReader(io.StringIO(content.decode())):
            fein, quarter = row["FEIN"].strip(), row["'First Requested Quarter'"].strip()
            effective = row["'Effective date with State'"].strip()
            if not re.fullmatch("[0-9]{9}", fein) or _us_date(quarter) is None:
                continue
            if effective and _us_date(effective) is None:
                continue
            flags = (row["'Family Exemption'"].strip() == "Yes", row["'Medical Exemption'"].strip() == "Yes")
            found[fein] = (*flags, _us_date(effective))
    return found


def _us_date(text: str) -> date | None:
    try:
        return datetime.strptime(text, "%m/%d/%Y").date()
    except ValueError:
        return None


def import_file(
    database: Database, name: str, content: bytes, limit: float, returns: Returning | None
) -> Counter[str] | None:
    """Import an exempt file (``returns`` is None) or a response; return the counts, or None for too many rejects."""
    key = (name.rpartition("_")[0], hashlib.sha256(content).hexdigest())
    assert not database.find_imports(key)
    lines = content.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    quarters: list[tuple[str, date, str | None]] = []
    wages: list[tuple[str, str, date, tuple[str, str], Decimal]] = []
    rejects: list[tuple[Any, ...]] = []
    group: tuple[str, date] | None = None
    for number, line in enumerate(lines, 1):
        try:
            text = _text(line)
            if text[0] == "A":
                group = None
                fein, quarter, employer_name = _a_line(text)
                group = fein, quarter
                quarters.append((fein, quarter, employer_name))
            elif text[0] == "B":
                wages.append(_b_line(text, group))
            else:
                group = None
                raise BadLine(None, None, "unknown record letter")
        except BadLine as bad:
            rejects.append((number, line, bad.row))
    current = Import(name, key, None, len(database.imports))
    if len(rejects) > limit * len(lines):
        database.reject(name, None, rejects)
        return None
    database.reject(name, current, rejects)
    database.imports.append(current)
    counts: Counter[str] = Counter(f"rejected {row[0] or 'unknown'}" for _, _, row in rejects)
    _employers(database, name, quarters, returns, counts)
    _wages(database, name, wages, counts)
    return +counts


def _a_line(text: str) -> tuple[str, date, str | None]:
    _length(A_KIND, text, A_WIDTHS)
    _, _, fein, quarter, name, wages = _split(text, A_WIDTHS)
    day = _date(A_KIND, "quarter", quarter)
    _optional_amount(A_KIND, "employee_wages", wages)
    if not re.fullmatch("[0-9]{9}", fein):
        raise BadLine(A_KIND, "employer_id", "not 9 digits")
    if len(set(fein)) == 1:
        raise BadLine(A_KIND, "employer_id", "placeholder number")
    return fein, day, name or None


def _b_line(text: str, group: tuple[str, date] | None) -> tuple[str, str, date, tuple[str, str], Decimal]:
    _length(B_KIND, text, B_WIDTHS)
    _, _, ssn, first, last, wages = _split(text, B_WIDTHS)
    amount = _optional_amount(B_KIND, "quarter_wages", wages)
    if group is None:
        raise BadLine(B_KIND, None, "no usable employer line before it")
    if not re.fullmatch("[0-9]{9}", ssn):
        raise BadLine(B_KIND, "id", "not 9 digits")
    if len(set(ssn)) == 1 or ssn == "123456789":
        raise BadLine(B_KIND, "id", "placeholder number")
    return ssn, *group, (first.replace("_", " ").strip(), last.replace("_", " ").strip()), amount


def _optional_amount(kind: str, name: str, text: str) -> Decimal:
    if not re.fullmatch(r"([+-]?[0-9]+(\.[0-9]+)?)?", text):
        raise BadLine(kind, name, "invalid amount")
    return Decimal(text or "0")


def _employers(
    database: Database,
    name: str,
    quarters: list[tuple[str, date, str | None]],
    returns: Returning | None,
    counts: Counter[str],
) -> None:
    names: dict[str, tuple[date, str | None]] = {}
    for fein, quarter, employer_name in quarters:
        if fein not in names or quarter >= names[fein][0]:
            names[fein] = quarter, employer_name
    created = set()
    for fein, (_, employer_name) in names.items():
        stored = database.employers.get(fein)
        if returns is None:
            family, medical, cease = True, True, FOREVER
        else:
            family, medical, effective = returns.get(fein, (False, False, None))
            cease = effective or date(2022, 1, 1)
        if stored is None:
            created.add(fein)
            database.employers[fein] = Employer(
                fein, "generated", employer_name, employer_name, (family, medical, FOREVER, FOREVER), written_by=name
            )
            database.employer_queue[(fein, "INSERT", family, medical, None, cease)] += 1
            continue
        if stored.account_key is None:
            stored.account_key, stored.written_by = "generated", name
        if returns is not None:
            stored.exemption = (family, medical, FOREVER, FOREVER)
            stored.written_by = name
            database.employer_queue[(fein, "UPDATE", True, True, FOREVER, cease)] += 1
    seen: set[tuple[str, date]] = set()
    for fein, quarter, _ in quarters:
        if (fein, quarter) in seen:
            counts[f"duplicate {A_KIND}"] += 1
        elif returns is None:
            counts[f"{'created' if fein in created else 'unmodified'} {A_KIND}"] += 1
            created.discard(fein)
        elif (fein, quarter) in database.quarters:
            counts[f"unmodified {A_KIND}"] += 1
        else:
            counts[f"created {A_KIND}"] += 1
            database.quarters[(fein, quarter)] = (Decimal(0), fein, None, None, name)
        seen.add((fein, quarter))


def _wages(
    database: Database,
    name: str,
    lines: list[tuple[str, str, date, tuple[str, str], Decimal]],
    counts: Counter[str],
) -> None:
    last: dict[tuple[str, str, date], tuple[tuple[str, str], Decimal]] = {}
    for ssn, fein, quarter, person, amount in lines:
        if last.pop((ssn, fein, quarter), None):
            counts[f"duplicate {B_KIND}"] += 1
        last[(ssn, fein, quarter)] = person, amount
    named: dict[str, tuple[date, tuple[str, str]]] = {}
    for (ssn, _, quarter), (person, _) in last.items():
        if ssn not in named or quarter >= named[ssn][0]:
            named[ssn] = quarter, person
    for ssn, (_, person) in named.items():
        if ssn not in database.employees:
            database.tax_identifiers.add(ssn)
            database.employees[ssn] = (*person, name)
            database.employee_queue[(ssn, None, "INSERT")] += 1
    zero = Decimal(0)
    for (ssn, fein, quarter), (_, amount) in last.items():
        if (ssn, fein, quarter) in database.wages:
            counts[f"unmodified {B_KIND}"] += 1
            continue
        counts[f"created {B_KIND}"] += 1
        database.wages[(ssn, fein, quarter)] = (False, False, zero, amount, zero, zero, zero, zero, name)
        database.wage_account_keys[(ssn, fein, quarter)] = database.employers[fein].account_key or "generated"
