"""Rules for the service agreement of an employer at FINEOS.

An employer can be exempt from family leave, medical leave or both. FINEOS manages no leave for employees of a fully
exempt employer. *Before* is the exemption that FINEOS has, *after* the one that it must get.

==================  ============  =============  ==================================  ======
before → after      absences      leave plans    dates                               unlink
==================  ============  =============  ==================================  ======
new at FINEOS       if any plan   of after       none                                yes
both → less         managed       of after       start: day after the old cease      yes
none/one ↔ none/one managed       of after       start: see below                    yes
less → both         managed       of **before**  end: day before the new commence    no
same                no call
before unknown      no call
after unknown       an error if the known flags change the plans: FINEOS is not changed on a guess
==================  ============  =============  ==================================  ======

A state is unknown if one of its two flags is NULL.

If an exemption ended, the new plans start on the day after its cease date. If that date is unknown and another
exemption began, or if an exemption only began, they start on the commence date. The date 9999-12-31 means "no date".
An unknown start date is not sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from paidleave.fineos.client.messages import ServiceAgreement

NO_DATE = date(9999, 12, 31)
"""The value that DOR uses for "no date"."""

_EMPLOYEE, _FAMILY, _MILITARY = "MA PFML - Employee", "MA PFML - Family", "MA PFML - Military Care"
_DAY = timedelta(days=1)


class MissingCommenceDate(Exception):
    """An employer became fully exempt on an unknown date. DOR must send the exemption's commence date."""


class UnknownExemption(Exception):
    """The employer's exemption at FINEOS is known, but the current one is not. DOR must send the employer again."""


@dataclass(frozen=True)
class Exemption:
    """An employer's exemptions and their dates. None is unknown."""

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
        """The leave plans of the employer's employees in a fixed order. An unknown flag counts as not exempt."""
        employee = () if self.medical else (_EMPLOYEE,)
        family = () if self.family else (_FAMILY, _MILITARY)
        return employee + family


def build_new_agreement(after: Exemption) -> ServiceAgreement:
    """Build the agreement of an employer that is new at FINEOS."""
    return ServiceAgreement(unlink_existing=True, absence_management=bool(after.plans), leave_plans=after.plans)


def build_changed_agreement(before: Exemption, after: Exemption) -> ServiceAgreement | None:
    """Build the agreement that changes FINEOS from ``before`` to ``after``, or return None if nothing changes.

    Raises:
        MissingCommenceDate: The employer became fully exempt on an unknown date.
        UnknownExemption: The current exemption is unknown, and the plans would change.
    """
    if not before.is_known or before.plans == after.plans:
        return None
    if not after.is_known:
        raise UnknownExemption("the exemption changed, but a current exemption flag is unknown")
    if after.is_full:
        return ServiceAgreement(
            unlink_existing=False,
            absence_management=True,
            leave_plans=before.plans,
            end_date=_day_before(after.commence),
        )
    return ServiceAgreement(
        unlink_existing=True, absence_management=True, leave_plans=after.plans, start_date=_find_start(before, after)
    )


def _find_start(before: Exemption, after: Exemption) -> date | None:
    ended = (before.family and not after.family) or (before.medical and not after.medical)
    began = (after.family and not before.family) or (after.medical and not before.medical)
    start = _day_after(before.cease) if ended else None
    return start or (_drop_no_date(after.commence) if began else None)


def _drop_no_date(day: date | None) -> date | None:
    return None if day == NO_DATE else day


def _day_after(day: date | None) -> date | None:
    day = _drop_no_date(day)
    return None if day is None or day + _DAY == NO_DATE else day + _DAY


def _day_before(day: date | None) -> date:
    if day is None or day in (NO_DATE, date.min):
        raise MissingCommenceDate("the employer became fully exempt, but the commence date is unknown")
    return day - _DAY
