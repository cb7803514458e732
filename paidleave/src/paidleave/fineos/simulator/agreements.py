"""What a ServiceAgreementService request asks for, and what it does to an employer's leave plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

PLANS = ("MA PFML - Employee", "MA PFML - Family", "MA PFML - Military Care")
_NAMES = {
    *("CustomerNumber", "UnlinkAllExistingLeavePlans"),
    *("AbsenceManagement", "LeavePlans", "StartDate", "EndDate"),
}


class Unacceptable(Exception):
    """The request is well-formed, but FINEOS would not carry it out; the message becomes VALIDATION_MESSAGE."""


@dataclass(frozen=True)
class Agreement:
    """An employer's leave plans: whether absences are managed, under which plans, from when, until when."""

    managed: bool
    plans: tuple[str, ...]
    start: str | None = None
    end: str | None = None


def customer_number(values: Mapping[str, str]) -> int:
    """The vendor's id of the employer that the request is about."""
    text = values.get("CustomerNumber", "")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise Unacceptable("CustomerNumber is not a number")
    return int(text)


def apply(values: Mapping[str, str], before: Agreement | None) -> Agreement:
    """The agreement after the request with these ``values``."""
    if unknown := set(values) - _NAMES:
        raise Unacceptable(f"unknown name, {len(unknown)} in all")
    unlink = _flag(values, "UnlinkAllExistingLeavePlans")
    if unlink is None:
        raise Unacceptable("UnlinkAllExistingLeavePlans is missing")
    managed = _flag(values, "AbsenceManagement")
    plans = _plans(values.get("LeavePlans"))
    start, end = _date(values, "StartDate"), _date(values, "EndDate")
    if start and end and start > end:
        raise Unacceptable("StartDate is greater than EndDate")
    if managed is None:
        managed = before.managed if before else bool(plans)
    if not managed and plans:
        raise Unacceptable("LeavePlans must be empty without AbsenceManagement")
    if unlink:
        if managed and not plans:
            raise Unacceptable("LeavePlans is missing")
        return Agreement(managed, plans or (), start, end)
    if plans is None or end is None:
        raise Unacceptable("without UnlinkAllExistingLeavePlans, LeavePlans and EndDate are required")
    return Agreement(managed, plans, start or (before.start if before else None), end)


def _flag(values: Mapping[str, str], name: str) -> bool | None:
    match values.get(name):
        case None:
            return None
        case "True":
            return True
        case "False":
            return False
    raise Unacceptable(f"{name} is not True or False")


def _plans(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    plans = tuple(text.split(", ")) if text else ()
    if len(plans) != len(set(plans)) or not set(plans) <= set(PLANS):
        raise Unacceptable("LeavePlans is not a list of leave plans")
    return tuple(sorted(plans))


def _date(values: Mapping[str, str], name: str) -> str | None:
    if (text := values.get(name)) is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise Unacceptable(f"{name} is not a date") from None
    if len(text) != len("2021-01-01") or not date(1900, 1, 1) <= day < date(9999, 12, 31):
        raise Unacceptable(f"{name} is not a valid date")
    return text
