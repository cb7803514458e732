"""Redaction leaves the toolkit's own messages as they are, and hides personal values in each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

import nightferry
from nightferry.contract import Privacy
from nightferry.field_names.personal import is_personal
from nightferry.job.redaction import Redactor
from nightferry.testing.messages import Message, find_log_fields, find_messages, list_changed, list_unhidden

SOURCE = Path(nightferry.__file__).parent
# Texts that no job logs, by their beginning: descriptions, patterns, and messages on the terminal.
NOT_LOGGED = (
    "-e ",
    "Other accounts can ",
    "a text, as in name=",
    "# Buckets whose name is not",
    "has a method connect, but does not declare the database users.",
    "ID of the VPC",
    "Other users can read it. Run: chmod 600",
    "Other users can read local data and secrets. Run: chmod 700",
    "Prefix of bucket names:",
    "%(?:",
    "$.detail.containers[0].name",
    "DETAIL:",
    "\\s{0,9}(?:\\b(?:DETAIL|",
)


@pytest.fixture(scope="module")
def found() -> list[Message]:
    return [
        message
        for message in find_messages(SOURCE)
        if not message.fill(str).lstrip("\n").startswith(NOT_LOGGED)
        and not message.location.startswith(("environments/aws_", "testing/fixtures"))
    ]


HARMLESS = [
    "5",
    "4096",
    "load-orders",
    "s3://agency-transfer/orders/received/ORDERS_20200519120622",
    "s3://vendor/exports/2026-11-29-01-02-03/2026-11-29-01-02-03-CustomerDataLoad_feed.csv",
    "2026-11-29T13:00:00+00:00",
    "5c6ffbdd-40d9-556b-73a2-1e63c3e0e904",
    "it has 3 lines, but the limit is 2",
]
PATH = "/api/test/load-orders/db_password"
PERSONAL = ["987-65-4321", "987654321", "98-7654321", "617-555-1234", "jane@example.org", "hunter2-hunter2"]


def make_redactor() -> Redactor:
    redactor = Redactor(Privacy.STRICT)
    redactor.add_secrets(["hunter2-hunter2"])
    return redactor


def test_messages_are_found_in_each_package(found: list[Message]) -> None:
    assert len(found) > 1000
    packages = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()}
    assert packages - {message.location.partition("/")[0] for message in found} <= {"environments", "field_names"}


def test_no_message_is_changed(found: list[Message]) -> None:
    assert list_changed(found, HARMLESS, make_redactor().redact_text) == []


def test_a_path_with_the_name_of_a_secret_changes_no_message(found: list[Message]) -> None:
    redactor = make_redactor()
    texts = [m.fill(lambda name: PATH if name in ("path", "uri", "name", "self.path") else "x") for m in found]
    used = [text for text in texts if f"{PATH}: " in text]
    assert f"Cannot read parameter {PATH}: x." in used
    assert [text for text in used if redactor.redact_text(text) != text] == []


def test_personal_values_are_hidden_in_each_message(found: list[Message]) -> None:
    readable = (" bytes", "arn:aws:")  # a number before or after these is a size or an account
    messages = [message for message in found if not any(word in message.fill(str) for word in readable)]
    assert list_unhidden(messages, PERSONAL, make_redactor().redact_text) == []


def test_no_field_of_a_log_line_is_hidden() -> None:
    fields = find_log_fields(SOURCE)
    assert ("job/task.py", "exit_code") in {(location.partition(":")[0], name) for location, name in fields}
    assert [location for location, name in fields if is_personal(name)] == []


CHANGED = {
    'raise JobFailed(f"{name} has a password: {reason}")': "0: '5 has a password: 5' → '5 has a password: [redacted]'",
    'log.info("SSN: %d people", count)': "0: 'SSN: 5 people' → 'SSN: [redacted]'",
    'raise JobFailed("the e-mail: " + reason + " is not valid")': (
        "0: 'the e-mail: 5 is not valid' → 'the e-mail: [redacted]'"
    ),
}


@pytest.mark.parametrize("source", CHANGED)
def test_a_message_that_redaction_would_change_is_found(tmp_path: Path, source: str) -> None:
    (tmp_path / "m.py").write_text(f'"""A docstring with a password: and its reason."""\n{source}\n')
    found = list_changed(find_messages(tmp_path), ["5"], Redactor(Privacy.STRICT).redact_text)
    assert found == [CHANGED[source].replace("0:", "m.py:2:", 1)]


def test_a_value_that_redaction_leaves_is_found(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text('log.info("read %s bytes", number)\n')
    assert list_unhidden(find_messages(tmp_path), ["987654321"], Redactor(Privacy.STRICT).redact_text) == [
        "m.py:1: 'read 987654321 bytes'"
    ]


def test_the_fields_of_log_lines_and_reports_are_found(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text(
        'log.info("x", extra={"a": 1})\nentry.report["b"] = 1\nreport |= {"c": 1}\n'
        'def build_report():\n    return {"d": 1}\n'
    )
    assert sorted(name for _, name in find_log_fields(tmp_path)) == ["a", "b", "c", "d"]
