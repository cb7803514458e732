"""The rules for service agreements as a table of every state before and after."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paidleave.fineos.client.messages import ServiceAgreement
from paidleave.fineos.client.service_agreements import (
    NO_DATE,
    Exemption,
    MissingCommenceDate,
    UnknownExemption,
    build_changed_agreement,
    build_new_agreement,
)

N, F, M, X = (False, False), (True, False), (False, True), (True, True)
PLANS = {
    N: ("MA PFML - Employee", "MA PFML - Family", "MA PFML - Military Care"),
    F: ("MA PFML - Employee",),
    M: ("MA PFML - Family", "MA PFML - Military Care"),
    X: (),
}
OLD_CEASE = date(2021, 6, 30)
COMMENCE = date(2021, 9, 1)
NONE = "no call"


def apply_rule(dates: tuple[date | None, date | None], before: tuple[bool, bool], after: tuple[bool, bool]) -> object:
    cease, commence = dates
    try:
        agreement = build_changed_agreement(Exemption(*before, None, cease), Exemption(*after, commence, None))
    except MissingCommenceDate:
        return MissingCommenceDate
    return NONE if agreement is None else agreement


def managed(state: tuple[bool, bool], start: date | None) -> ServiceAgreement:
    return ServiceAgreement(True, True, PLANS[state], start_date=start)


def ended(state: tuple[bool, bool], end: date) -> ServiceAgreement:
    return ServiceAgreement(False, True, PLANS[state], end_date=end)


A, C = date(2021, 7, 1), COMMENCE  # the day after the old cease date, and the new commence date
END = date(2021, 8, 31)

TABLE: list[tuple[tuple[bool, bool], tuple[bool, bool], object, object, object, object]] = [
    # before, after, with both dates, without the old cease date, without the new commence date, without both
    (N, N, NONE, NONE, NONE, NONE),
    (F, F, NONE, NONE, NONE, NONE),
    (M, M, NONE, NONE, NONE, NONE),
    (X, X, NONE, NONE, NONE, NONE),
    (X, N, managed(N, A), managed(N, None), managed(N, A), managed(N, None)),
    (X, F, managed(F, A), managed(F, None), managed(F, A), managed(F, None)),
    (X, M, managed(M, A), managed(M, None), managed(M, A), managed(M, None)),
    (N, X, ended(N, END), ended(N, END), MissingCommenceDate, MissingCommenceDate),
    (F, X, ended(F, END), ended(F, END), MissingCommenceDate, MissingCommenceDate),
    (M, X, ended(M, END), ended(M, END), MissingCommenceDate, MissingCommenceDate),
    (F, N, managed(N, A), managed(N, None), managed(N, A), managed(N, None)),
    (M, N, managed(N, A), managed(N, None), managed(N, A), managed(N, None)),
    (N, F, managed(F, C), managed(F, C), managed(F, None), managed(F, None)),
    (N, M, managed(M, C), managed(M, C), managed(M, None), managed(M, None)),
    (F, M, managed(M, A), managed(M, C), managed(M, A), managed(M, None)),
    (M, F, managed(F, A), managed(F, C), managed(F, A), managed(F, None)),
]


def test_the_table_is_complete() -> None:
    assert {(before, after) for before, after, *_ in TABLE} == {(a, b) for a in PLANS for b in PLANS}


@pytest.mark.parametrize("nothing", [None, NO_DATE])
@pytest.mark.parametrize(("before", "after", "both", "no_cease", "no_commence", "neither"), TABLE)
def test_every_change_results_in_the_agreement_of_the_table(
    before: tuple[bool, bool],
    after: tuple[bool, bool],
    both: object,
    no_cease: object,
    no_commence: object,
    neither: object,
    nothing: date | None,
) -> None:
    assert apply_rule((OLD_CEASE, COMMENCE), before, after) == both
    assert apply_rule((nothing, COMMENCE), before, after) == no_cease
    assert apply_rule((OLD_CEASE, nothing), before, after) == no_commence
    assert apply_rule((nothing, nothing), before, after) == neither


@pytest.mark.parametrize(
    ("state", "absences"), [(N, True), (F, True), (M, True), (X, False), ((None, None), True), ((None, True), True)]
)
def test_a_new_employer_gets_the_plans_of_its_state(state: tuple[bool | None, bool | None], absences: bool) -> None:
    plans = PLANS[(bool(state[0]), bool(state[1]))]
    assert build_new_agreement(Exemption(*state, COMMENCE, OLD_CEASE)) == ServiceAgreement(True, absences, plans)


@pytest.mark.parametrize("unknown", [(None, None), (True, None), (None, False)])
@pytest.mark.parametrize("known", [N, F, M, X])
def test_an_unknown_earlier_state_results_in_no_call(
    unknown: tuple[bool | None, bool | None], known: tuple[bool, bool]
) -> None:
    assert build_changed_agreement(Exemption(*unknown), Exemption(*known, COMMENCE)) is None


@pytest.mark.parametrize(
    ("before", "after", "changes"),
    [
        (X, (None, None), True),
        (X, (True, None), True),
        (X, (None, False), True),
        (F, (None, None), True),
        (N, (True, None), True),
        (N, (None, True), True),
        (N, (None, None), False),
        (F, (True, None), False),
        (M, (None, True), False),
    ],
)
def test_an_unknown_current_state_is_an_error_if_the_plans_would_change(
    before: tuple[bool, bool], after: tuple[bool | None, bool | None], changes: bool
) -> None:
    if changes:
        with pytest.raises(UnknownExemption):
            build_changed_agreement(Exemption(*before), Exemption(*after, COMMENCE))
    else:
        assert build_changed_agreement(Exemption(*before), Exemption(*after, COMMENCE)) is None


flags = st.sampled_from([None, False, True])
dates = st.none() | st.dates() | st.sampled_from([date.min, date(9999, 12, 30), date.max])


@given(st.builds(Exemption, flags, flags, dates, dates), st.builds(Exemption, flags, flags, dates, dates))
def test_dates_do_not_overflow_and_are_never_the_no_date_value(before: Exemption, after: Exemption) -> None:
    try:
        agreement = build_changed_agreement(before, after)
    except MissingCommenceDate:
        assert after.is_full
        assert after.commence in (None, date.min, NO_DATE)
        return
    except UnknownExemption:
        assert not after.is_known
        return
    if agreement is not None:
        assert NO_DATE not in (agreement.start_date, agreement.end_date)
        assert agreement.start_date is None or agreement.end_date is None
