"""Checks of tax identifiers that the whole import identifies people and employers by.

Payroll programs write a placeholder if a number is unknown. Different people have the same one, so a line with it is
rejected. Source of the other rules: Social Security Administration, "Social Security Number Randomization": the area
numbers 000 and 666, the group 00 and the serial number 0000 are never assigned. A number that begins with 9 is an
individual taxpayer identification number (ITIN), to which these rules do not apply.
"""

from __future__ import annotations

from string import digits

import polars as pl

from paidleave.dor.files.screening import NINE_DIGITS, Check

PLACEHOLDER = "placeholder number"
IMPLAUSIBLE = "implausible SSN"
"""Reasons of rejected lines."""

PLACEHOLDER_FEINS = tuple(digit * 9 for digit in digits)
PLACEHOLDER_SSNS = (*PLACEHOLDER_FEINS, "123456789")

IMPLAUSIBLE_SSNS = "implausible_ssns_count"
"""The number of accepted lines with an implausible SSN, in the report."""

_IMPLAUSIBLE_SSN = "^(?:000|666|[0-8][0-9]{2}00|[0-8][0-9]{4}0000)"


def check_fein(field: str) -> list[Check]:
    """Return the checks that ``field`` is a FEIN."""
    return [_check_nine_digits(field), Check(field, PLACEHOLDER, pl.col(field).is_in(PLACEHOLDER_FEINS))]


def check_ssn(field: str, *, reject_implausible: bool) -> list[Check]:
    """Return the checks that ``field`` is an SSN or ITIN."""
    checks = [_check_nine_digits(field), Check(field, PLACEHOLDER, pl.col(field).is_in(PLACEHOLDER_SSNS))]
    return [*checks, Check(field, IMPLAUSIBLE, _is_implausible(field))] if reject_implausible else checks


def count_implausible_ssns(records: pl.DataFrame, field: str) -> int:
    """Return the number of ``records`` with an SSN that was never assigned."""
    return int(records.select(_is_implausible(field).sum()).item())


def _check_nine_digits(field: str) -> Check:
    return Check(field, "not 9 digits", ~pl.col(field).str.contains(NINE_DIGITS).fill_null(False))


def _is_implausible(field: str) -> pl.Expr:
    return pl.col(field).str.contains(_IMPLAUSIBLE_SSN)
