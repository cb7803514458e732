"""Redaction leaves the jobs' own messages and reports as they are, and hides personal values in each message."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import paidleave
from nightferry import JobSettings
from nightferry.contract import Privacy
from nightferry.field_names.personal import is_personal, show_numbers
from nightferry.job.redaction import Redactor
from nightferry.testing.messages import Message, find_log_fields, find_messages, list_changed, list_unhidden
from paidleave.catalog import catalog
from paidleave.db import schema
from paidleave.dor.files import formats
from paidleave.fineos.client import client, messages
from paidleave.job_settings import PaidLeaveSettings

SOURCE = Path(paidleave.__file__).parent
# Headers of requests, and a table of the vendor's elements.
NOT_LOGGED = ("Bearer ", "Basic ", "\nEffectiveDate null-date")


@pytest.fixture(scope="module")
def found() -> list[Message]:
    return [message for message in find_messages(SOURCE) if not message.fill(str).startswith(NOT_LOGGED)]


HARMLESS = [
    "5",
    "250000",
    "DORDFML_20200519120622",
    "DORDUADFML_SUBMISSION_20212216",
    "DORDFMLEMP_20269932256199",
    "DORDFML_99999999999999.rej",
    "s3://agency-transfer/dor/received/DORDFML_20261301250000",
    "s3://vendor/dataexports/2026-11-29-01-02-03/2026-11-29-01-02-03-EmployeeDataLoad_feed.csv",
    "CompaniesReturningToStatePlan 11-29-2026.csv",
    "2026-11-29",
    "2026-11-29T13:00:00+00:00",
    "account_key",
    "it has 3 lines, but the limit is 2",
    'relation "employer" does not exist',
]
VALUES_BY_EXPRESSION = {
    "call": [messages.READ_EMPLOYER, client._TOKEN_CALL],
    "name": [
        "exports/last_name",
        "s3://agency-transfer/dor/received/token",
        "/paid-leave-api/test/dor-import/gpg_decryption_key",
    ],
    "uri": ["s3://agency-transfer/dor/received/token"],
    "table": sorted(schema.metadata.tables),
    **{name: ["outbox/last_name", "ssn"] for name in ("remote", "written", "new")},
}
PERSONAL = [
    *("987-65-4321", "987654321", "98-7654321", "617-555-1234", "(617) 555-1234", "jane.doe@example.org"),
    *("hunter2-hunter2", "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nlQOYBGVhY2sBCADK", "DORDFML_987654321"),
]
# Expressions that end like the name of a personal field, but are names of things.
IMPERSONAL_NAMES = {"name", "names", "NAMES", "get_name", "number_name", "__name__", "without_credentials"}


LAYOUTS = [value for value in vars(formats).values() if isinstance(value, formats.Layout) and value.formats[0].fields]


def make_redactor() -> Redactor:
    redactor = Redactor(Privacy.STRICT)
    redactor.show_names(PaidLeaveSettings.shown_names)
    redactor.add_secrets(["hunter2-hunter2"])
    return redactor


def test_messages_are_found_in_each_package(found: list[Message]) -> None:
    assert len(found) > 600
    packages = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert packages - {message.location.partition("/")[0] for message in found} == set()


def test_no_message_is_changed(found: list[Message]) -> None:
    assert list_changed(found, HARMLESS, make_redactor().redact_text) == []


@pytest.mark.parametrize("expression", VALUES_BY_EXPRESSION)
def test_no_message_about_a_call_or_object_is_changed(found: list[Message], expression: str) -> None:
    def is_about(message: Message) -> bool:
        return any(re.search(rf"(?:^|\.){expression}$", name) for name in message.placeholders)

    chosen = [message for message in found if is_about(message) and not message.has_parts_of_words]
    assert chosen
    redactor = make_redactor()
    for value in VALUES_BY_EXPRESSION[expression]:
        for message in chosen:
            text = message.fill(lambda name: value if name.endswith(expression) else "x")  # noqa: B023
            assert redactor.redact_text(text) == text, message.location


def test_personal_values_are_hidden_in_each_message(found: list[Message]) -> None:
    # A number before "bytes" is a size.
    chosen = [message for message in found if " bytes" not in message.fill(str)]
    assert list_unhidden(chosen, PERSONAL, make_redactor().redact_text) == []


def test_no_message_contains_the_value_of_a_personal_field(found: list[Message]) -> None:
    personal = []
    for message in found:
        for expression in message.placeholders:
            last = re.search(r"([A-Za-z_]\w*)\W*$", expression)
            if message.location.startswith("fineos/simulator/"):
                continue  # its data is fictitious
            if last and is_personal(last[1]) and last[1] not in IMPERSONAL_NAMES:
                personal.append(f"{message.location}: {expression}")
    assert personal == []


def test_no_field_of_a_log_line_or_report_is_hidden() -> None:
    show_numbers(PaidLeaveSettings.shown_numbers)
    fields = find_log_fields(SOURCE)
    assert {"lines_count", "waiting_employers_count", "event"} <= {name for _, name in fields}
    assert [(location, name) for location, name in fields if is_personal(name)] == []


def test_counts_by_reason_are_shown_in_reports() -> None:
    report = {
        "errors_by_reason": {
            "EMPLOYEENATIONALID: unknown employee without an SSN": 3,
            "EMPLOYEENATIONALID: SSN of another employee": 2,
            "EMPLOYEEDATEOFBIRTH: not a date": 1,
        },
        "errors": {f"FineosAuthenticationFailed {client._TOKEN_CALL} 401": 4},
    }
    assert make_redactor().redact_value(report) == report


@pytest.mark.parametrize("format", LAYOUTS, ids=lambda layout: layout.prefix)
def test_the_time_in_the_name_of_a_file_is_shown_even_if_it_does_not_exist(format: formats.Layout) -> None:
    for time in ("20261301250000", "99999999999999", "202613012500"):
        text = f"{format.prefix}{time} is not imported"
        assert make_redactor().redact_text(text) == text


def test_each_task_shows_the_names_of_files() -> None:
    configs = [task.config for task in catalog.tasks.values() if issubclass(task.config, JobSettings)]
    assert len(configs) > 10
    assert {config.shown_names for config in configs} == {PaidLeaveSettings.shown_names}


def test_each_job_is_strict_however_it_is_started() -> None:
    assert catalog.privacy is Privacy.STRICT
    configs = [task.config for task in catalog.tasks.values() if issubclass(task.config, JobSettings)]
    assert [config.__name__ for config in configs if config.privacy is not Privacy.STRICT] == []
