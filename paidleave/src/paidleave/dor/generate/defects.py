"""Defects of bad lines, one for each reason of a rejected line.

Bad lines are created from good ones and added to them, so that a file with bad lines results in the same tables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from paidleave.dor.files.formats import EMPLOYER, RESPONSE_A, RESPONSE_B, WAGE_A, WAGE_B, FieldType, Format

Defect = Callable[[str, Format], str]


def replace_field(line: str, format: Format, name: str, text: str) -> str:
    """Return ``line`` with ``text`` in field ``name``."""
    span = format.get_span(name)
    width = span.stop - span.start
    return line[: span.start] + f"{text:<{width}}" + line[span.stop :]


def _wrong_length(line: str, _: Format) -> str:
    return line[:-1]


def _blank_line(_line: str, _: Format) -> str:
    return ""


def _bad_date(line: str, format: Format) -> str:
    return replace_field(line, format, _find_first(format, FieldType.DATE), "20190231")


def _bad_datetime(line: str, format: Format) -> str:
    return replace_field(line, format, _find_first(format, FieldType.DATETIME), "20200101250000")


def _bad_amount(line: str, format: Format) -> str:
    return replace_field(line, format, _find_first(format, FieldType.AMOUNT, FieldType.OPTIONAL_AMOUNT), "1,000.00")


def _invalid_utf8(line: str, format: Format) -> str:
    # This byte never occurs in UTF-8. Python writes it with errors="surrogateescape".
    return replace_field(line, format, format.fields[1].name, "\udcff")


def _nul(line: str, format: Format) -> str:
    return replace_field(line, format, format.fields[1].name, "4\0")


def _bad_fein(line: str, format: Format) -> str:
    return replace_field(line, format, "fein", "12345678X")


def _short_fein(line: str, format: Format) -> str:
    return replace_field(line, format, "fein", "12345678")


def _invalid_state(line: str, format: Format) -> str:
    return replace_field(replace_field(line, format, "address_country", "USA"), format, "address_state", "ZZ")


def _bad_ssn(line: str, format: Format) -> str:
    return replace_field(line, format, "employee_ssn", "25000000X")


def _unknown_letter(line: str, _: Format) -> str:
    return "C" + line[1:]


def _unknown_account_key(line: str, format: Format) -> str:
    return replace_field(line, format, "account_key", "99999999999")


def _bad_employer_id(line: str, format: Format) -> str:
    return replace_field(line, format, "employer_id", "12345678X")


def _short_employer_id(line: str, format: Format) -> str:
    return replace_field(line, format, "employer_id", "12345678")


def _bad_person_id(line: str, format: Format) -> str:
    return replace_field(line, format, "id", "25000000X")


def _find_first(format: Format, *types: FieldType) -> str:
    return next(field.name for field in format.fields if field.type in types)


_ANY_LINE: dict[str, Defect] = {
    "wrong length": _wrong_length,
    "blank line": _blank_line,
    "invalid date": _bad_date,
    "invalid UTF-8": _invalid_utf8,
    "NUL character": _nul,
}
_UNDATED_LINE = {name: defect for name, defect in _ANY_LINE.items() if defect is not _bad_date}

DEFECTS: Mapping[str, Mapping[str, Defect]] = {
    EMPLOYER.name: _ANY_LINE
    | {
        "invalid date and time": _bad_datetime,
        "id with a letter": _bad_fein,
        "short id": _short_fein,
        "invalid US state": _invalid_state,
    },
    WAGE_A.name: _ANY_LINE
    | {
        "invalid date and time": _bad_datetime,
        "invalid amount": _bad_amount,
        "unknown account key": _unknown_account_key,
    },
    WAGE_B.name: _ANY_LINE
    | {
        "invalid amount": _bad_amount,
        "id with a letter": _bad_ssn,
        "unknown record letter": _unknown_letter,
        "unknown account key": _unknown_account_key,
    },
    RESPONSE_A.name: _ANY_LINE
    | {
        "invalid amount": _bad_amount,
        "id with a letter": _bad_employer_id,
        "short id": _short_employer_id,
        "unknown record letter": _unknown_letter,
    },
    # No defect may make the line look like a possible A line, because the next B lines would be rejected.
    RESPONSE_B.name: _UNDATED_LINE
    | {
        "invalid amount": _bad_amount,
        "id with a letter": _bad_person_id,
    },
}
"""The defects by name, for each format name of the good line."""
