"""The formats match an independent copy of DOR's specifications."""

from __future__ import annotations

import subprocess
import sys

import pytest

from paidleave.dor.files import formats
from paidleave.dor.files.formats import Format, Layout

EMPLOYER_OFFSETS = {
    "account_key": 0,
    "employer_name": 11,
    "fein": 266,
    "address_street": 280,
    "address_city": 535,
    "address_state": 565,
    "address_zip": 567,
    "address_country": 576,
    "employer_dba": 579,
    "family_exemption": 834,
    "medical_exemption": 835,
    "exemption_commence_date": 836,
    "exemption_cease_date": 844,
    "updated_date": 852,
}
WAGE_A_OFFSETS = {
    "record_type": 0,
    "account_key": 1,
    "filing_period": 12,
    "employer_name": 20,
    "employer_fein": 275,
    "amended_flag": 289,
    "pfm_account_id": 290,
    "total_pfml_contribution": 304,
    "received_date": 324,
    "updated_date": 332,
}
WAGE_B_OFFSETS = {
    "record_type": 0,
    "account_key": 1,
    "filing_period": 12,
    "employee_first_name": 20,
    "employee_last_name": 275,
    "employee_ssn": 530,
    "independent_contractor": 539,
    "opt_in": 540,
    "employee_ytd_wages": 541,
    "employee_qtr_wages": 561,
    "employee_medical": 581,
    "employer_medical": 601,
    "employee_family": 621,
    "employer_family": 641,
}
RESPONSE_A_OFFSETS = {
    "record_type": 0,
    "employer_id_type": 1,
    "employer_id": 11,
    "quarter": 25,
    "employer_name": 33,
    "employee_wages": 288,
}
RESPONSE_B_OFFSETS = {
    "record_type": 0,
    "id_type": 1,
    "id": 11,
    "first_name": 20,
    "last_name": 275,
    "quarter_wages": 530,
}
SUBMISSION_OFFSETS = {"id_type": 0, "fein": 10, "first_requested_quarter": 24}


@pytest.mark.parametrize(
    ("format", "width", "offsets"),
    [
        (formats.EMPLOYER, 866, EMPLOYER_OFFSETS),
        (formats.WAGE_A, 346, WAGE_A_OFFSETS),
        (formats.WAGE_B, 661, WAGE_B_OFFSETS),
        (formats.RESPONSE_A, 308, RESPONSE_A_OFFSETS),
        (formats.RESPONSE_B, 550, RESPONSE_B_OFFSETS),
        (formats.SUBMISSION, 32, SUBMISSION_OFFSETS),
    ],
)
def test_widths_and_offsets_match_the_specification(format: Format, width: int, offsets: dict[str, int]) -> None:
    assert format.width == width
    assert format.offsets == offsets


def test_field_is_sliced_from_its_line() -> None:
    line = "FEIN      987987987     20210930"
    assert line[formats.SUBMISSION.get_span("fein")].strip() == "987987987"
    assert line[formats.SUBMISSION.get_span("first_requested_quarter")] == "20210930"
    with pytest.raises(KeyError):
        formats.SUBMISSION.get_span("ssn")


@pytest.mark.parametrize(
    ("layout", "name", "matches"),
    [
        (formats.EMPLOYER_FILE, "DORDFMLEMP_20200519120622", True),
        (formats.EMPLOYER_FILE, "DORDFML_20200519120622", False),
        (formats.WAGE_FILE, "DORDFML_20200519120622", True),
        (formats.WAGE_FILE, "DORDFMLEMP_20200519120622", False),
        (formats.WAGE_FILE, "DORDFML_20200519120622.part", False),
        (formats.WAGE_FILE, "DORDFML_20200519120622\n", False),
        (formats.WAGE_FILE, "DORDFML_٢٠٢٠", False),
        (formats.WAGE_FILE, "DORDFML_", False),
        (formats.WAGE_FILE, "XDORDFML_2020", False),
        (formats.RESPONSE_FILE, "DORDUADFML_SUBMISSION_20212216", True),
        (formats.EXEMPT_FILE, "DORDUADFML_SUBMISSION_20212216", False),
        (formats.EXEMPT_FILE, "DORDUADFML_20212216", True),
    ],
)
def test_layout_matches_whole_file_names(layout: Layout, name: str, matches: bool) -> None:
    assert layout.matches(name) is matches


def test_file_name_requires_digits() -> None:
    assert formats.WAGE_FILE.format_file_name("20200519120622") == "DORDFML_20200519120622"
    with pytest.raises(ValueError, match="must be digits"):
        formats.WAGE_FILE.format_file_name("2020-05-19")


def test_formats_import_no_heavy_modules() -> None:
    heavy = "import sys, paidleave.dor.files.formats; print(sorted({'polars', 'pyarrow', 'boto3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
