"""Slow reference implementation of the import rules: line by line, in plain Python.

The set-based import is compared with it. The two share no code, not even field widths or parsing.
People are identified by SSN and employers by FEIN; UUIDs, times of writing and the order of rows do not matter.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

EMPLOYER_WIDTHS = (11, 255, 14, 255, 30, 2, 9, 3, 255, 1, 1, 8, 8, 14)
A_WIDTHS = (1, 11, 8, 255, 14, 1, 14, 20, 8, 14)
B_WIDTHS = (1, 11, 8, 255, 255, 9, 1, 1, 20, 20, 20, 20, 20, 20)


class BadLine(Exception):
    def __init__(self, kind: str | None, field: str | None, reason: str) -> None:
        super().__init__(reason)
        self.row = (kind, field, reason)


NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Import:
    """An import of the file ``name``. ``key`` is its kind and digest, and ``number`` the position in all imports."""

    name: str
    key: tuple[str, str]
    time: datetime | None
    number: int
    is_replay: bool = False


@dataclass(frozen=True)
class Repeat:
    """A repeated import of content that is retained from ``time`` and ``number`` on."""

    key: tuple[str, str]
    time: datetime
    number: int
    is_replay: bool

    def retains(self, writer: Any) -> bool:
        if not isinstance(writer, Import):
            return False
        if writer.key == self.key:
            return self.is_replay
        return (writer.time or NOW, writer.number) > (self.time, self.number)


@dataclass
class Rejected:
    """A rejected line. ``source`` is None if its file failed. It is open until a later import processes it."""

    name: str
    source: Import | None
    number: int
    line: bytes
    reason: tuple[str | None, str | None, str]
    is_open: bool = True


@dataclass
class Employer:
    fein: str
    account_key: str | None
    name: str | None = None
    dba: str | None = None
    exemption: tuple[bool, bool, date, date] = (True, True, date(9999, 12, 31), date(9999, 12, 31))
    updated: datetime | None = None
    address: tuple[Any, ...] | None = None  # street, city, zip, state code, state text, country code
    written_by: Any = None


@dataclass
class Database:
    """The contents of the tables by business keys. ``written_by`` is the import or name that last wrote a row."""

    states: frozenset[str]
    countries: frozenset[str]
    employers: dict[str, Employer] = field(default_factory=dict)
    tax_identifiers: set[str] = field(default_factory=set)
    employees: dict[str, tuple[str, str, Any]] = field(default_factory=dict)
    quarters: dict[tuple[str, date], tuple[Any, ...]] = field(default_factory=dict)
    wages: dict[tuple[str, str, date], tuple[Any, ...]] = field(default_factory=dict)
    wage_account_keys: dict[tuple[str, str, date], str] = field(default_factory=dict)
    history: Counter[Any] = field(default_factory=Counter)
    employer_queue: Counter[Any] = field(default_factory=Counter)
    employee_queue: Counter[Any] = field(default_factory=Counter)
    rejects: list[Rejected] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    latest_change: datetime = NOW

    def find_imports(self, key: tuple[str, str]) -> list[Import]:
        return [each for each in self.imports if each.key == key and not each.is_replay]

    def find_open(self, source: Import) -> list[Rejected]:
        return [each for each in self.rejects if each.source == source and each.is_open]

    def reject(self, name: str, source: Import | None, rejects: list[tuple[int, bytes, Any]]) -> None:
        """Replace the rejected lines of failed attempts with this name."""
        self.rejects = [each for each in self.rejects if each.name != name or each.source is not None]
        self.rejects += [Rejected(name, source, *reject) for reject in rejects]


def import_file(
    database: Database, name: str, content: bytes, limit: float, *, forced: bool = False, allow_older: bool = False
) -> Counter[str] | None:
    """Import a file; return the counts of outcomes, or None if it is too old or too many lines are rejected."""
    kind = name.partition("_")[0]
    key, time = (kind, hashlib.sha256(content).hexdigest()), _parse_name(name)
    earlier = database.find_imports(key)
    times = [each.time for each in database.imports if each.key[0] == kind and each.time]
    if kind == "DORDFML" and time and not (earlier or forced or allow_older) and time < max(times, default=time):
        return None
    if earlier and not forced and not database.find_open(earlier[-1]):
        return Counter({"already": 1})
    *lines, last = content.split(b"\n")
    if last:
        lines.append(last)
        if _has_another_width(name, last):
            database.reject(name, None, [])
            return None
    database.latest_change = min(time or NOW, NOW) + timedelta(days=1)
    records, rejects = _screen(database, kind, list(enumerate(lines, 1)))
    if len(rejects) > limit * len(lines):
        database.reject(name, None, rejects)
        return None
    current = Import(name, key, time, len(database.imports))
    for source in earlier:
        for line in database.find_open(source):
            line.is_open = False
    database.reject(name, current, rejects)
    repeat = _make_repeat(key, time, earlier, current) if earlier or forced else None
    return _apply(database, current, kind, records, rejects, repeat)


def replay(database: Database, name: str) -> list[Counter[str]]:
    """Replay the rejected lines of each import with this name; return the counts of each."""
    counts = []
    for source in [each for each in database.imports if each.name == name and not each.is_replay]:
        if lines := database.find_open(source):
            database.latest_change = min(source.time or NOW, NOW) + timedelta(days=1)
            kind = source.key[0]
            records, rejects = _screen(database, kind, [(line.number, line.line) for line in lines])
            reasons = {number: reason for number, _, reason in rejects}
            for line in lines:
                line.reason = reasons.get(line.number, line.reason)
                line.is_open = line.number in reasons
            if records:
                current = Import(name, source.key, source.time, len(database.imports), is_replay=True)
                repeat = _make_repeat(source.key, source.time, database.find_imports(source.key), current)
                counts.append(_apply(database, current, kind, records, rejects, repeat))
    return counts


def _parse_name(name: str) -> datetime | None:
    digits = name.rpartition("_")[2]
    with suppress(ValueError):
        time = datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        return time if len(digits) == 14 and time <= NOW + timedelta(days=1) else None
    return None


def _make_repeat(key: tuple[str, str], time: datetime | None, earlier: list[Import], current: Import) -> Repeat:
    first = earlier[0] if earlier else current
    return Repeat(key, time or min(each.time or NOW for each in [*earlier, current]), first.number, current.is_replay)


def _screen(database: Database, kind: str, lines: list[tuple[int, bytes]]) -> tuple[list[Any], list[Any]]:
    records, rejects = [], []
    for number, line in lines:
        try:
            records.append((number, *(_employer if kind == "DORDFMLEMP" else _wage)(database, line)))
        except BadLine as bad:
            rejects.append((number, line, bad.row))
    return records, rejects


def _apply(
    database: Database, current: Import, kind: str, records: list[Any], rejects: list[Any], repeat: Repeat | None
) -> Counter[str]:
    counts: Counter[str] = Counter(f"rejected {reason[0] or 'unknown'}" for _, _, reason in rejects)
    (_apply_employers if kind == "DORDFMLEMP" else _apply_wages)(database, current, records, counts, repeat)
    database.imports.append(current)
    return +counts


def _has_another_width(name: str, last: bytes) -> bool:
    widths = {b"A": sum(A_WIDTHS), b"B": sum(B_WIDTHS)}
    width = sum(EMPLOYER_WIDTHS) if name.startswith("DORDFMLEMP_") else widths.get(last[:1])
    return len(last.decode().rstrip("\r")) != width


def _split(text: str, widths: tuple[int, ...]) -> list[str]:
    parts, start = [], 0
    for width in widths:
        parts.append(text[start : start + width].strip())
        start += width
    return parts


def _text(line: bytes) -> str:
    text = line.decode().rstrip("\r\n")
    if not text.strip():
        raise BadLine(None, None, "blank line")
    return text


def _date(kind: str, name: str, text: str) -> date:
    try:
        if not re.fullmatch("[0-9]{8}", text):
            raise ValueError
        return datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        raise BadLine(kind, name, "invalid date") from None


def _time(kind: str, name: str, text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _change_time(database: Database, kind: str, when: datetime) -> None:
    if when > database.latest_change:
        raise BadLine(kind, "updated_date", "more than a day after the time of the file")


def _amount(kind: str, name: str, text: str) -> Decimal:
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        raise BadLine(kind, name, "invalid amount")
    return Decimal(text)


def _length(kind: str, text: str, widths: tuple[int, ...]) -> None:
    if len(text) != sum(widths):
        raise BadLine(kind, None, f"invalid line length {len(text)} (expected {sum(widths)})")


def _employer(database: Database, line: bytes) -> tuple[str, Employer]:
    text = _text(line)
    kind = "employer"
    _length(kind, text, EMPLOYER_WIDTHS)
    key, name, fein, street, city, state, zip_code, country, dba, family, medical, commence, cease, updated = _split(
        text, EMPLOYER_WIDTHS
    )
    exemption = (
        family == "T",
        medical == "T",
        _date(kind, "exemption_commence_date", commence),
        _date(kind, "exemption_cease_date", cease),
    )
    when = _time(kind, "updated_date", updated)
    if country == "USA" and state not in database.states:
        raise BadLine(kind, "address_state", "not a US state")
    if not re.fullmatch("[0-9]{9}", fein):
        raise BadLine(kind, "fein", "not 9 digits")
    if len(set(fein)) == 1:
        raise BadLine(kind, "fein", "placeholder number")
    _change_time(database, kind, when)
    known_country = country if country in database.countries else None
    state_code, state_text = (state, None) if country == "USA" else (None, state or None)
    address = (street or None, city or None, zip_code or None, state_code, state_text, known_country)
    return kind, Employer(fein, key or None, name or None, dba or None, exemption, when, address)


def _apply_employers(
    database: Database, current: Import, records: list[Any], counts: Counter[str], _: Repeat | None
) -> None:
    newest: dict[str, Employer] = {}
    for _, _, employer in records:
        held = newest.get(employer.fein)
        if held is not None:
            counts["duplicate employer"] += 1
        if held is None or employer.updated >= held.updated:
            newest[employer.fein] = employer
    for fein, employer in newest.items():
        employer.written_by = current
        stored = database.employers.get(fein)
        if stored is None:
            database.employers[fein] = employer
            database.employer_queue[(fein, "INSERT", None, None, None, None)] += 1
            counts["created employer"] += 1
        elif stored.updated is None or stored.updated < employer.updated:
            database.employer_queue[(fein, "UPDATE", *stored.exemption)] += 1
            employer.account_key = employer.account_key or stored.account_key
            database.employers[fein] = employer
            counts["updated employer"] += 1
        else:
            counts["unmodified employer"] += 1


def _wage(database: Database, line: bytes) -> tuple[str, Any]:
    text = _text(line)
    if text[0] == "A":
        return _quarter_line(database, text)
    if text[0] == "B":
        return _wage_line(database, text)
    raise BadLine(None, None, "unknown record letter")


def _employer_of(database: Database, kind: str, key: str) -> Employer:
    found = [employer for employer in database.employers.values() if employer.account_key == key]
    if not key or not found:
        raise BadLine(kind, "account_key", "unknown account key")
    # Of employers with the same account key, use the one that DOR changed last; ties go to the lower FEIN.
    found.sort(key=lambda employer: employer.fein)
    return max(found, key=lambda employer: employer.updated or datetime.min.replace(tzinfo=UTC))


def _quarter_line(database: Database, text: str) -> tuple[str, Any]:
    kind = "employer quarter"
    _length(kind, text, A_WIDTHS)
    _, key, period, _, _, _, pfm_account, total, received, updated = _split(text, A_WIDTHS)
    quarter = _date(kind, "filing_period", period)
    amount = _amount(kind, "total_pfml_contribution", total)
    day = datetime.combine(_date(kind, "received_date", received), datetime.min.time(), UTC)
    when = _time(kind, "updated_date", updated)
    employer = _employer_of(database, kind, key)
    if not pfm_account:
        raise BadLine(kind, "pfm_account_id", "missing")
    _change_time(database, kind, when)
    return kind, ((employer.fein, quarter), (amount, pfm_account, day, when))


def _wage_line(database: Database, text: str) -> tuple[str, Any]:
    kind = "employee quarter"
    _length(kind, text, B_WIDTHS)
    _, key, period, first, last, ssn, contractor, opted_in, *amounts = _split(text, B_WIDTHS)
    quarter = _date(kind, "filing_period", period)
    names = ("employee_ytd_wages", "employee_qtr_wages", "employee_medical", "employer_medical")
    names += ("employee_family", "employer_family")
    money = tuple(_amount(kind, name, amount) for name, amount in zip(names, amounts, strict=True))
    employer = _employer_of(database, kind, key)
    if not re.fullmatch("[0-9]{9}", ssn):
        raise BadLine(kind, "employee_ssn", "not 9 digits")
    if len(set(ssn)) == 1 or ssn == "123456789":
        raise BadLine(kind, "employee_ssn", "placeholder number")
    person = (first.replace("_", " ").strip(), last.replace("_", " ").strip())
    return kind, ((ssn, employer.fein, quarter), (contractor == "T", opted_in == "T", *money), person, key)


def _apply_wages(
    database: Database, current: Import, records: list[Any], counts: Counter[str], repeat: Repeat | None
) -> None:
    newest_quarters: dict[Any, Any] = {}
    last_wages: dict[Any, Any] = {}
    for _, kind, record in records:
        if kind == "employer quarter":
            key, values = record
            held = newest_quarters.get(key)
            if held is not None:
                counts["duplicate employer quarter"] += 1
            if held is None or values[3] >= held[3]:
                newest_quarters[key] = values
        else:
            key, *values = record
            if key in last_wages:
                counts["duplicate employee quarter"] += 1
                del last_wages[key]  # Keep the dictionary in the order of the last lines.
            last_wages[key] = values
    for key, values in newest_quarters.items():
        _apply_quarter(database, current, key, values, counts, repeat)
    new_people = _apply_people(database, current, last_wages, counts, repeat)
    _apply_pairs(database, last_wages, new_people)
    for key, (values, _, account_key) in last_wages.items():
        _apply_wage(database, current, key, values, account_key, counts, repeat)


def _apply_quarter(
    database: Database, current: Import, key: Any, values: Any, counts: Counter[str], repeat: Repeat | None
) -> None:
    stored = database.quarters.get(key)
    if stored is None:
        outcome = "created"
    elif (
        (stored[3] is not None and values[3] < stored[3])
        or stored[:4] == values
        or (repeat and stored[3] == values[3] and repeat.retains(stored[4]))
    ):
        outcome = "unmodified"
    else:
        outcome = "updated"
    counts[f"{outcome} employer quarter"] += 1
    if outcome != "unmodified":
        database.quarters[key] = (*values, current)


def _apply_people(
    database: Database, current: Import, lines: dict[Any, Any], counts: Counter[str], repeat: Repeat | None
) -> set[str]:
    # The last line of the newest quarter names a person.
    named: dict[str, tuple[date, tuple[str, str]]] = {}
    for (ssn, _, quarter), (_, person, _) in lines.items():
        if ssn not in named or quarter >= named[ssn][0]:
            named[ssn] = (quarter, person)
    new_people = set()
    for ssn, (quarter, person) in named.items():
        if ssn not in database.employees:
            new_people.add(ssn)
            database.tax_identifiers.add(ssn)
            database.employees[ssn] = (*person, current)
            database.employee_queue[(ssn, None, "INSERT")] += 1
            counts["created employee"] += 1
            continue
        stored = database.employees[ssn]
        first, last = person[0] or stored[0], person[1] or stored[1]  # A blank name retains the stored one.
        newer = any(wage[0] == ssn and wage[2] > quarter for wage in database.wages)
        retained = repeat and (repeat.retains(stored[2]) or (repeat.is_replay and newer))
        if (first, last) == stored[:2] or retained:
            counts["unmodified employee"] += 1
        else:
            database.employees[ssn] = (first, last, current)
            database.employee_queue[(ssn, None, "UPDATE")] += 1
            counts["updated employee"] += 1
    return new_people


def _apply_pairs(database: Database, lines: dict[Any, Any], new_people: set[str]) -> None:
    known = {(ssn, fein) for ssn, fein, _ in database.wages}
    for ssn, fein in {(ssn, fein) for ssn, fein, _ in lines}:
        if ssn not in new_people and (ssn, fein) not in known:
            database.employee_queue[(ssn, fein, "UPDATE_NEW_EMPLOYER")] += 1


def _apply_wage(
    database: Database,
    current: Import,
    key: Any,
    values: Any,
    account_key: str,
    counts: Counter[str],
    repeat: Repeat | None,
) -> None:
    stored = database.wages.get(key)
    if stored is None:
        counts["created employee quarter"] += 1
        database.wages[key] = (*values, current)
        database.wage_account_keys[key] = account_key
    elif stored[:8] == values or (repeat and repeat.retains(stored[8])):
        counts["unmodified employee quarter"] += 1
    else:
        counts["updated employee quarter"] += 1
        database.history[(*key, *stored)] += 1
        database.wages[key] = (*values, current)


def contents(database: Database) -> dict[str, Any]:
    """Return the database in the form of ``imports.contents``."""
    no_address = (None,) * 6

    def named(values: tuple[Any, ...]) -> tuple[Any, ...]:
        """Replace the import at the end by its name."""
        return (*values[:-1], getattr(values[-1], "name", values[-1]))

    return {
        "employers": sorted(
            (
                named(
                    (
                        *(e.fein, e.account_key, e.name, e.dba, *e.exemption, e.updated),
                        *(e.address is not None, *(e.address or no_address), e.written_by),
                    )
                )
                for e in database.employers.values()
            ),
            key=repr,
        ),
        "tax_identifiers": sorted((ssn,) for ssn in database.tax_identifiers),
        "employees": sorted((named((ssn, *values)) for ssn, values in database.employees.items()), key=repr),
        "quarters": sorted((named((*key, *values)) for key, values in database.quarters.items()), key=repr),
        "wages": sorted(
            (named((*key, database.wage_account_keys[key], *values)) for key, values in database.wages.items()),
            key=repr,
        ),
        "history": Counter(named(row) for row in database.history.elements()),
        "employer_queue": database.employer_queue,
        "employee_queue": database.employee_queue,
        "rejects": sorted(((each.name, each.number, *each.reason) for each in database.rejects), key=repr),
        "open_rejects": Counter((each.name, each.number) for each in database.rejects if each.is_open),
    }
