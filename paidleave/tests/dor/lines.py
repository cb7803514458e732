"""Lines of DOR files for tests, built from the field widths of DOR's specification."""

from __future__ import annotations

from tests.dor import reference_responses
from tests.dor.reference import A_WIDTHS, B_WIDTHS, EMPLOYER_WIDTHS

NO_EXEMPTION = "99991231"


def _line(widths: tuple[int, ...], values: list[str], amounts: range = range(0)) -> bytes:
    parts = [
        value.rjust(width) if number in amounts else value.ljust(width)
        for number, (value, width) in enumerate(zip(values, widths, strict=True))
    ]
    return "".join(parts).encode()


def employer_line(
    fein: str = "100000001",
    account_key: str = "44100000001",
    *,
    name: str = "Ōtepoti Boats",
    updated: str = "20200501120000",
    street: str = "1 Pier",
    city: str = "Boston",
    state: str = "MA",
    zip_code: str = "02110",
    country: str = "USA",
    dba: str = "Boats",
    family: str = "F",
    medical: str = "F",
    commence: str = NO_EXEMPTION,
    cease: str = NO_EXEMPTION,
) -> bytes:
    return _line(
        EMPLOYER_WIDTHS,
        [
            account_key,
            name,
            fein,
            street,
            city,
            state,
            zip_code,
            country,
            dba,
            family,
            medical,
            commence,
            cease,
            updated,
        ],
    )


def quarter_line(
    account_key: str = "44100000001",
    period: str = "20200331",
    *,
    pfm_account: str = "PFM1",
    total: str = "1200.50",
    received: str = "20200415",
    updated: str = "20200501120000",
) -> bytes:
    values = ["A", account_key, period, "Boats", "100000001", "F", pfm_account, total, received, updated]
    return _line(A_WIDTHS, values, range(7, 8))


def wage_line(
    ssn: str = "250000001",
    account_key: str = "44100000001",
    period: str = "20200331",
    *,
    first: str = "Zoë",
    last: str = "van_der_Berg",
    contractor: str = "F",
    opted_in: str = "F",
    ytd: str = "15000.00",
    quarter: str = "5000.00",
    contributions: tuple[str, str, str, str] = ("12.40", "18.60", "6.50", "0.00"),
) -> bytes:
    values = ["B", account_key, period, first, last, ssn, contractor, opted_in, ytd, quarter, *contributions]
    return _line(B_WIDTHS, values, range(8, 14))


def response_a(
    fein: str = "100000001",
    quarter: str = "20210930",
    *,
    name: str = "Ōtepoti Boats",
    wages: str = "25000.00",
    id_type: str = "FEIN",
) -> bytes:
    return _line(reference_responses.A_WIDTHS, ["A", id_type, fein, quarter, name, wages], range(5, 6))


def response_b(
    ssn: str = "250000001",
    *,
    first: str = "Zoë",
    last: str = "van_der_Berg",
    wages: str = "5000.00",
    id_type: str = "SSN",
) -> bytes:
    return _line(reference_responses.B_WIDTHS, ["B", id_type, ssn, first, last, wages], range(5, 6))


CSV_HEADER = (
    "FEIN,'Organization Name','Medical Exemption','Family Exemption','Effective date with State',"
    "'First Requested Quarter'\n"
)


def csv_row(
    fein: str = "100000001",
    *,
    name: str = "Boats",
    medical: str = "No",
    family: str = "No",
    effective: str = "1/1/2022",
    quarter: str = "9/30/2021",
) -> str:
    return f"{fein},{name},{medical},{family},{effective},{quarter}\n"


def returning_csv(*rows: str) -> bytes:
    return (CSV_HEADER + "".join(rows)).encode()
