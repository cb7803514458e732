"""Declarations of reports: checked when they are made, and commands with names from outside."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from nightferry import Catalog, Image, PostgresService, Reason, RejectedRecords
from nightferry.errors import DuplicateName, InvalidArgument, InvalidName

QUERY = "SELECT %(reference)s, %(after)s, %(limit)s"
RECORDS = RejectedRecords(QUERY, service="database", command="run --env {environment} -e ID={reference}")
DATE, TIME = Reason("invalid date", "a", "b"), Reason("invalid date and time", "c", "d")


def make_catalog() -> Catalog:
    catalog = Catalog("toy", image=Image("toy"))
    catalog.service(PostgresService("database", "toy"))
    return catalog


def declare(**changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "title": "Order file",
        "counts": {"created": "good", "rejected": "bad"},
        "reasons": [DATE, TIME],
        "records": RECORDS,
        "raw": "cat rejected/{subject}.rej",
    }
    return make_catalog().report("orders", **(arguments | changes))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("invalid date", DATE),
        ("invalid date 2026", DATE),
        ("invalid date and time", TIME),
        ("invalid date and time 7", TIME),
        ("invalid dates", None),
        ("", None),
    ],
)
def test_the_longest_declared_text_explains_a_reason(text: str, reason: Reason | None) -> None:
    assert declare().find_reason(text) is reason


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": {"created": "fine"}}, r"counts\['created'\] = 'fine'"),
        ({"counts": {"created": "good"}}, 'no count with the meaning "bad"'),
        ({"reasons": [DATE, DATE]}, "'invalid date' more than once"),
        ({"reasons": ["invalid date"]}, "Reason"),
        ({"records": RejectedRecords(QUERY, service="other", command="")}, "'other', which is not a declared"),
        ({"records": RejectedRecords("SELECT 1", service="database", command="")}, r"no %\(reference\)s"),
        ({"title": 7}, "title"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        declare(**changes)


def test_names_are_checked() -> None:
    catalog = make_catalog()
    with pytest.raises(InvalidName):
        catalog.report("Order files", title="x", counts={})
    catalog.report("orders", title="x", counts={})
    with pytest.raises(DuplicateName):
        catalog.report("orders", title="y", counts={})


@pytest.mark.parametrize("subject", ["a.csv", "../../etc/passwd", "a b; rm -rf ~", "'\"$(id)`id`", "ü-\u4e2d", "-rf"])
def test_a_subject_is_one_word_of_a_command(subject: str) -> None:
    assert shlex.split(declare().format_raw_command(subject)) == ["cat", f"rejected/{subject}.rej"]


@pytest.mark.parametrize("subject", ["a\nb", "a\x1b[31m", "\u202eabc"])
def test_a_subject_that_cannot_be_typed_has_no_command(subject: str) -> None:
    assert declare().format_raw_command(subject) == ""


def test_the_command_for_the_records_has_only_known_names() -> None:
    assert declare().format_records_command("prod", 17) == "run --env prod -e ID=17"
    assert declare(records=None).format_records_command("prod", 17) == ""
