"""Redaction removes personal data and secrets from fields, from texts and as known values."""

from __future__ import annotations

import json
import re
from base64 import b64encode, urlsafe_b64encode
from random import Random
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nightferry.contract import Privacy
from nightferry.credentials import CredentialsError
from nightferry.errors import NightferryError
from nightferry.field_names.personal import is_personal
from nightferry.job.redaction import MASK, Redactor


def strict() -> Redactor:
    """Most of this module tests the strict policy."""
    return Redactor(Privacy.STRICT)


redact = strict().redact_text
describe_error = strict().describe_error

PERSONAL_FIELDS = [
    *("ssn", "SSN", "itin", "fein", "employer_fein", "tax_identifier", "taxIdentifier", "tax_id", "TaxId"),
    *("first_name", "last_name", "employee_first_name", "employeeLastName", "fineos_employee_first_name", "Last-Name"),
    *("employer_name", "employer_dba", "legal_name", "name", "middle_name", "suffix_name", "supervisor_name"),
    *("email", "e_mail", "email_address", "phone_number", "date_of_birth", "dob", "address_line_one", "zip_code"),
    *("account_number", "routing_number", "bank_account", "routing_nbr", "iban"),
    *("password", "db_password", "DB_PASSWORD", "gpg_decryption_key", "passphrase", "client_secret", "api_key"),
    *("access_token", "token", "Authorization", "aws_secret_access_key", "aws_access_key_id", "ssn_2", "raw_line"),
]
OTHER_FIELDS = [
    *("count", "created", "account_key", "fineos_employer_id", "hostname", "process", "thread", "file_name", "task"),
    *("table_name", "column_name", "employee_id", "employer_id", "tax_identifier_id", "line", "lines", "step", "uri"),
    *("total", "unit", "done", "employees_with_new_name_count", "ip_address", "bucket_name", "host_name", "state"),
]


@pytest.mark.parametrize("field", PERSONAL_FIELDS)
def test_the_field_is_personal(field: str) -> None:
    assert is_personal(field)


@pytest.mark.parametrize("field", OTHER_FIELDS)
def test_the_field_is_not_personal(field: str) -> None:
    assert not is_personal(field)


# A value without quotes ends at a comma or similar character, so names in texts are quoted as their format requires.
FIELDS = st.sampled_from(PERSONAL_FIELDS)
NAMES = st.text(st.characters(codec="utf-8", categories=["L"]), min_size=6, max_size=20).map(lambda name: f"Q{name}Z")
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-1000, 1000) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(field=FIELDS, value=NAMES | st.integers(10**6) | st.lists(NAMES, min_size=1) | st.dictionaries(NAMES, NAMES))
def test_a_personal_field_is_replaced_whatever_its_value(field: str, value: Any) -> None:
    redactor = strict()
    assert redactor.redact_value(value, field) == MASK
    assert redactor.redact_value({"outer": [{field: value}]}) == {"outer": [{field: MASK}]}


@given(field=FIELDS, name=NAMES, other=PLAIN)
def test_a_personal_field_is_replaced_in_json_and_in_repr(field: str, name: str, other: Any) -> None:
    record = {"before": other, field: name, "after": {"inner": [{field: f"{name} {name}"}]}}
    for text in (
        json.dumps(record, ensure_ascii=False),
        repr(record),
        json.dumps(json.dumps(record, ensure_ascii=False)),
    ):
        assert name not in redact(f"the record {text} is bad")


@pytest.mark.sampled(4)
@given(field=FIELDS, name=NAMES)
@pytest.mark.parametrize(
    "template",
    [
        "{field}={name}",
        "host=db {field}={name} dbname=pfml",
        "host=db {field}='{name} {name}' dbname=pfml",
        "{field}: {name}",
        "{field}={name} {name}, line=5",
        "Settings({field}='{name}', decrypt=True)",
        "https://example.org/path?x=1&{field}={quoted}&y=2",
        "<person><{field}>{name}</{field}></person>",
        '<person {field}="{name}"/>',
        "('{field}' => '{name}')",
        "{field}=['{name}', '{name}']",
        "{field}={{'inner': ('{name}', 1)}}",
        "{field}='{name}",
        "the line\\n{field}={name}",
        "the line\\r\\n'{field}': '{name}'",
    ],
)
def test_a_personal_field_is_replaced_in_other_notations(template: str, field: str, name: str) -> None:
    text = redact(template.format(field=field, name=name, quoted=quote(name)))
    assert name not in text
    assert quote(name) not in text
    assert "dbname=pfml" in text or "dbname" not in template
    assert "y=2" in text or "y=2" not in template


KEY = """-----BEGIN PGP PRIVATE KEY BLOCK-----

lQOYBGVhY2sBCADKkZyxW7o0v5Y1oD0m2uHcVxXn3q3JX5r9sJ8Q2bZ8E0l1K7a9
=abcd
-----END PGP PRIVATE KEY BLOCK-----"""


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("mail to jane.doe+x@example.org now", "jane.doe"),
        ("<O'Neil@mail.example.org>", "Neil"),
        ("GET /people/jane.doe%2Bx%40example.org/", "jane.doe"),
        *((f"to ann@example.org{sign}jane.doe@example.org", "jane.doe") for sign in "!#$%&'*+/?^`{|}~-_=.,;:"),
        ('"ann b"@example.org/jane.doe@example.org', "jane.doe"),
        ("postgres://pfml:hunter2@db.internal:5432/pfml", "hunter2"),
        ("postgres://pfml:p@ss@db.internal/pfml", "p@ss"),
        ("https://bucket.s3.amazonaws.com/k?X-Amz-Signature=abc123&X-Amz-Security-Token=def456", "abc123"),
        ("https://bucket.s3.amazonaws.com/k?X-Amz-Signature=abc123&X-Amz-Security-Token=def456", "def456"),
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ("sent Bearer abc.def-123 to it", "abc.def-123"),
        ("credential AKIAIOSFODNN7EXAMPLE used", "AKIAIOSFODNN7EXAMPLE"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "eyJzdWIiOiIxIn0"),
        (f"key {KEY} end", "lQOYBGVhY2sBCADK"),
        (f"key {KEY!r} end", "lQOYBGVhY2sBCADK"),
        (KEY[:120], "lQOYBGVhY2sBCADK"),
        (KEY[39:], "lQOYBGVhY2sBCADK"),
        ("lQOYBGVhY2sBCADKkZyxW7o0v5Y1oD0m2uHcVxXn3q3JX5r9sJ8Q2bZ8E0l1K7a9", "lQOYBGVhY2sBCADK"),
        ('duplicate key "x"\nDETAIL:  Key (employer_name)=(Acme) already exists.', "Acme"),
        ('value too long\nCONTEXT:  COPY employer, line 1, column employer_dba: "Acme"', "Acme"),
        ("syntax error at or near \"x\"\nLINE 1: SELECT 'Acme' x\n                    ^", "Acme"),
        ("(psycopg.errors.X) bad\n[SQL: INSERT INTO employer VALUES ('Acme')]", "Acme"),
        ("ERROR:  division by zero\nSTATEMENT:  SELECT 'Acme', 1 / 0", "Acme"),
        ("(psycopg.errors.X) bad\n[SQL: INSERT …]\n[parameters: ('Acme', 1)]", "Acme"),
    ],
)
def test_a_secret_or_person_is_recognized_by_its_format(text: str, secret: str) -> None:
    assert secret in text
    assert secret not in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "employers: 5 of 10",
        "moved s3://agency/dor/received/DORDFML_20200519120622 to processed",
        "connected to db.internal:5432, TLS 1.3",
        "run 5c6ffbdd-40d9-556b-73a2-1e63c3e0e904 ended: exit code 0",
        'task "dor-import" took 1.5 s; file_name=DORDFML_1 state=done',
        "SELECT 1 -- a comment",
        "x-----y",
        "Cannot read parameter /paid-leave-api/test/dor-import/gpg_decryption_key: access denied.",
        "s3://agency/keys/api_token: S3 returned NoSuchKey.",
        "copied s3://vendor/dataexports/2026-11-29-01-02-03/2026-11-29-01-02-03-EmployeeDataLoad_feed.csv",
        "copied dataexports/5c6ffbdd-40d9-556b-73a2-1e63c3e0e904/2026-11-29-01-02-03-EmployeeDataLoad_feed.csv",
        "URI of the server: sftp://USER@HOST or sftp://USER@HOST:PORT",
        "psycopg.errors.InvalidPassword: the server rejected the user (SQLSTATE 28P01)",
        "CredentialsError: Cannot assume role arn:aws:iam::123456789012:role/vendor",
        '{"errors_by_reason": {"unknown employee without an SSN": 3, "FineosRefused OAuth2 token 401": 12}}',
        "{'invalid FEIN': 999999}",
    ],
)
def test_an_ordinary_message_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "password: secret words of it",  # not a path
        "x/last_name: Smith",
        "LastName: Smith",
        "InvalidPassword=Smith",
        "InvalidPassword:Smith",
        "/last_name:Smith",
        "/path last_name: Smith",
        "/path?last_name: Smith",
        '"UNKNOWN LAST NAME": "Smith"',
        '"EMPLOYEE SSN": 1234567',
        '"SSN": 3',
        '"employer fein": 12-3',
        "sftp://smith@host/path",
    ],
)
def test_a_value_in_a_similar_place_is_hidden(text: str) -> None:
    assert redact(text) != text
    assert not re.search("secret words|[Ss]mith|123|3$|12-3", redact(text))


def list_own_errors(kind: type[NightferryError]) -> list[type[NightferryError]]:
    return [kind, *(error for child in kind.__subclasses__() for error in list_own_errors(child))]


def test_a_described_error_can_be_redacted_again() -> None:
    kinds = list_own_errors(NightferryError)
    assert CredentialsError in kinds
    for kind in kinds:
        error = kind.__new__(kind)
        error.args = ("access to the object was denied",)
        for short in (True, False):
            assert redact(describe_error(error, short=short)) == describe_error(error, short=short)
    for state in psycopg.errors.__dict__.values():
        if isinstance(state, type) and issubclass(state, psycopg.Error):
            assert redact(f"{state.__name__}: access denied") == f"{state.__name__}: access denied"


def test_a_count_by_a_label_is_shown() -> None:
    counts = {"unknown employee without an SSN": 3, "employer_fein": 3, "EMPLOYEE SSN": 1_234_567, "LAST NAME": "Smith"}
    assert strict().redact_value({"errors": counts}) == {
        "errors": {
            "unknown employee without an SSN": 3,
            "employer_fein": MASK,
            "EMPLOYEE SSN": MASK,
            "LAST NAME": MASK,
        }
    }


def test_encoded_bytes_are_hidden_although_paths_are_shown() -> None:
    random = Random(1)
    for encode in (b64encode, urlsafe_b64encode):
        for _ in range(1000):
            text = encode(random.randbytes(random.choice([42, 48, 64]))).decode()
            assert redact(f"key {text} of it") != f"key {text} of it" or not re.search("[0-9]", text)


def test_the_numbers_in_declared_names_are_shown() -> None:
    redactor = strict()
    redactor.show_names("ORDERS_[0-9]{10,}")
    for name in ("ORDERS_20269932256199", "s3://agency/ORDERS_2026993225.rej", "ORDERS_999999999999999999"):
        assert redactor.redact_text(f"{name} is not a file") == f"{name} is not a file"
    for text in ("ORDERS_999000000", "XORDERS_20269932256199", "ORDERS_20269932256199 999000000"):
        assert "*********" in redactor.redact_text(text)


@given(
    secret=st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=4),
    before=st.text(),
    after=st.text(),
)
@example(secret="[redacted]", before="", after="")
def test_a_known_secret_is_replaced_wherever_it_appears(secret: str, before: str, after: str) -> None:
    redactor = strict()
    redactor.add_secrets([secret])
    text = redactor.redact_text(f"{before}{secret}{after}").replace(MASK, "")
    assert secret not in text or secret in MASK


def test_each_line_of_a_known_key_is_replaced() -> None:
    redactor = strict()
    redactor.add_secrets(["first line of it\nsecond line of it\n"])
    assert redactor.redact_text("a second line of it b first line of it c") == f"a {MASK} b {MASK} c"
    assert redactor.redact_text(r"'first line of it\nsecond line of it'") == f"'{MASK}'"


@pytest.mark.parametrize("secret", ["", " ", "\n"])
def test_an_empty_secret_hides_nothing(secret: str) -> None:
    """An override may empty the variable of a secret."""
    redactor = Redactor(Privacy.STRICT)
    redactor.add_secrets([secret])
    assert redactor.redact_text("s3://bucket/a.csv: not found. Check it.") == "s3://bucket/a.csv: not found. Check it."


def test_a_short_secret_is_replaced_as_a_word_only() -> None:
    redactor = strict()
    redactor.add_secrets(["x"])
    assert redactor.redact_text("x extra x.") == f"{MASK} extra {MASK}."


def test_values_keep_their_types() -> None:
    value = {"n": 5, "share": 0.25, "done": True, "none": None, "list": [1, "two"], "bytes": b"abc", "count": 999000000}
    assert strict().redact_value(value) == value | {"bytes": "[3 bytes]"}


@pytest.mark.parametrize(("number", "shown"), [(999000000, "*********"), (12345, 12345), (999000000.5, 999000000.5)])
def test_a_number_that_may_identify_a_person_is_masked(number: float, shown: object) -> None:
    assert strict().redact_value(number, "found") == shown


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_becomes_text(number: float) -> None:
    assert json.dumps(strict().redact_value(number), allow_nan=False) == f'"{number!r}"'


@given(st.text())
def test_any_text_can_be_redacted(text: str) -> None:
    assert isinstance(redact(text), str)


def test_a_large_progress_count_is_not_masked() -> None:
    progress = {"done": 1_234_567_890, "total": 9_876_543_210}
    assert strict().redact_value(progress) == progress
