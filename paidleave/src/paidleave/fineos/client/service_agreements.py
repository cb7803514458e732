"""Which service agreement FINEOS must get for an employer: a pure rule from states and dates to a call, or to none.

An employer may be exempt from family leave, from medical leave, or from both (then FINEOS manages no leave of its
employees). What FINEOS has is the state *before*; it must get to the state *after*.

==================  ============  =============  ==================================  ======
before → after      absences      leave plans    dates                               unlink
==================  ============  =============  ==================================  ======
new at FINEOS       plans exist   of after       none                                yes
both → less         managed       of after       start: day after the old cease      yes
none/one ↔ none/one managed       of after       start: see below                    yes
less → both         managed       of **before**  end: day before the new commence    no
same, or unknown    no call
==================  ============  =============  ==================================  ======

Where an exemption ended, the new plans start on the day after its cease date; where that is not known and another
exemption began, or where one only began, on the commence date. 9999-12-31 means that there is no such date; a start
date that is not known is not sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from paidleave.fineos.client.messages import ServiceAgreement

NO_DATE = date(9999, 12, 31)
"""How DOR writes that there is no date."""

_EMPLOYEE, _FAMILY, _MILITARY = "MA PFML - Employee", "MA PFML - Family", "MA PFML - Military Care"
_DAY = timedelta(days=1)


class MissingCommenceDate(Exception):
    """An employer became fully exempt, but from when is not known. DOR must send the exemption's commence date."""


@dataclass(frozen=True)
class Exemption:
    """What an employer is exempt from, and from when until when; None where it is not known."""

    family: bool | None
    medical: bool | None
    commence: date | None = None
    cease: date | None = None

    @property
    def is_known(self) -> bool:
        """Return True if both flags are known."""
        return self.family is not None and self.medical is not None

    @property
    def is_full(self) -> bool:
        """Return True if the employer is exempt from both plans."""
        return bool(self.family and self.medical)

    @property
    def plans(self) -> tuple[str, ...]:
        """The leave plans of the employer's employees, always in this order. An unknown flag counts as not exempt."""
        employee = () if self.medical else (_EMPLOYEE,)
        family = () if self.family else (_FAMILY, _MILITARY)
        return employee + family


def new_agreement(after: Exemption) -> ServiceAgreement:
    """The agreement of an employer that is new at FINEOS."""
    return ServiceAgreement(unlink_existing=True, absence_management=bool(after.plans), leave_plans=after.plans)


def changed_agreement(before: Exemption, after: Exemption) -> ServiceAgreement | None:
    """The agreement that brings FINEOS from ``before`` to ``after``; None when there is nothing to change.

    Raises MissingCommenceDate when the employer became fully exempt on a day that is not known.
    """
    if not before.is_known or not after.is_known or before.plans == after.plans:
        return None
    if after.is_full:
        return ServiceAgreement(
            unlink_existing=False,
            absence_management=True,
            leave_plans=before.plans,
            end_date=_day_before(after.commence),
        )
    return ServiceAgreement(
        unlink_existing=True, absence_management=True, leave_plans=after.plans, start_date=_start(before, after)
    )


def _start(before: Exemption, after: Exemption) -> date | None:
    ended = (before.family and not after.family) or (before.medical and not after.medical)
    began = (after.family and not before.family) or (after.medical and not before.medical)
    start = _day_after(before.cease) if ended else None
    return start or (_known(after.commence) if began else None)


def _known(day: date | None) -> date | None:
    return None if day == NO_DATE else day


def _day_after(day: date | None) -> date | None:
    day = _known(day)
    return None if day is None or day + _DAY == NO_DATE else day + _DAY


def _day_before(day: date | None) -> date:
    if day is None or day in (NO_DATE, date.min):
        raise MissingCommenceDate("the employer became fully exempt, but its commence date is not known")
    return day - _DAY
