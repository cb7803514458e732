"""Effect of a ServiceAgreementService request on an employer's leave plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

PLANS = ("MA PFML - Employee", "MA PFML - Family", "MA PFML - Military Care")
_NAMES = {
    *("CustomerNumber", "UnlinkAllExistingLeavePlans"),
    *("AbsenceManagement", "LeavePlans", "StartDate", "EndDate"),
}


class RequestRejected(Exception):
    """The request is well-formed, but FINEOS would reject it. The message is returned as VALIDATION_MESSAGE."""


@dataclass(frozen=True)
class Agreement:
    """An employer's leave plans, whether absences are managed, and the start and end dates."""

    managed: bool
    plans: tuple[str, ...]
    start: str | None = None
    end: str | None = None


def parse_customer_number(values: Mapping[str, str]) -> int:
    """Return the customer number in the request."""
    text = values.get("CustomerNumber", "")
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise RequestRejected("CustomerNumber is not a number")
    return int(text)


def apply_request(values: Mapping[str, str], before: Agreement | None) -> Agreement:
    """Return the agreement after the request with these ``values``."""
    if unknown := set(values) - _NAMES:
        raise RequestRejected(f"{len(unknown)} unknown names")
    unlink = _parse_flag(values, "UnlinkAllExistingLeavePlans")
    if unlink is None:
        raise RequestRejected("UnlinkAllExistingLeavePlans is missing")
    managed = _parse_flag(values, "AbsenceManagement")
    plans = _parse_plans(values.get("LeavePlans"))
    start, end = _parse_date(values, "StartDate"), _parse_date(values, "EndDate")
    if start and end and start > end:
        raise RequestRejected("StartDate is greater than EndDate")
    if managed is None:
        managed = before.managed if before else bool(plans)
    if not managed and plans:
        raise RequestRejected("LeavePlans must be empty without AbsenceManagement")
    if unlink:
        if managed and not plans:
            raise RequestRejected("LeavePlans is missing")
        return Agreement(managed, plans or (), start, end)
    if plans is None or end is None:
        raise RequestRejected("LeavePlans and EndDate are required without UnlinkAllExistingLeavePlans")
    return Agreement(managed, plans, start or (before.start if before else None), end)


def _parse_flag(values: Mapping[str, str], name: str) -> bool | None:
    match values.get(name):
        case None:
            return None
        case "True":
            return True
        case "False":
            return False
    raise RequestRejected(f"{name} is not True or False")


def _parse_plans(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    plans = tuple(text.split(", ")) if text else ()
    if len(plans) != len(set(plans)) or not set(plans) <= set(PLANS):
        raise RequestRejected("LeavePlans is not a list of leave plans")
    return tuple(sorted(plans))


def _parse_date(values: Mapping[str, str], name: str) -> str | None:
    if (text := values.get(name)) is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise RequestRejected(f"{name} is not a date") from None
    if len(text) != len("2021-01-01") or not date(1900, 1, 1) <= day < date(9999, 12, 31):
        raise RequestRejected(f"{name} is not a valid date")
    return text
